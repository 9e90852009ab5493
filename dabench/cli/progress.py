"""The progress bar of a run: images a second, time left, running score."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dabench.cli.table import format_value

if TYPE_CHECKING:
    from rich.console import Console

    from dabench.run import Progress as RunState


class RunProgress:
    """A bar for one run, as a context manager.

    Args:
        console: where to draw; nothing is drawn when it is not a terminal.
        title: model and protocol.
        metric: name of the running score.
    """

    def __init__(self, console: Console, title: str, metric: str) -> None:
        self._metric = metric
        self._start: float | None = None
        self._before = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[score]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task: TaskID = self._progress.add_task(title, total=None, speed="", score="")

    def __enter__(self) -> RunProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def update(self, state: RunState) -> None:
        """Show the state that :func:`dabench.evaluate` reports."""
        now = time.perf_counter()
        if self._start is None:
            self._start, self._before = now, state.done
        elapsed = now - self._start
        speed = (
            f"{(state.done - self._before) / elapsed:.1f} images/s" if elapsed > 0 and state.done > self._before else ""
        )
        score = "" if state.score != state.score else f"{self._metric} {format_value(self._metric, state.score)}"
        failed = f"  [red]{state.failed} failed[/]" if state.failed else ""
        self._progress.update(
            self._task, completed=state.done, total=state.total, speed=speed, score=score + failed, refresh=False
        )
