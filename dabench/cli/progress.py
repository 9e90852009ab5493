"""Progress bars of a model's passes over the datasets: images a second, time left, running scores."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dabench.cli.table import format_value

if TYPE_CHECKING:
    from rich.console import Console

    from dabench.run import PassProgress
    from dabench.search import SearchProgress


SHOWN_SCORES = 3


class PassesProgress:
    """A bar for each pass of one model, as a context manager.

    Args:
        console: where to draw; nothing is drawn when it is not a terminal.
        model: name of the model.
    """

    def __init__(self, console: Console, model: str) -> None:
        self._model = model
        self._tasks: dict[str, tuple[TaskID, float, int]] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[scores]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> PassesProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def update(self, state: PassProgress) -> None:
        """Show the state that :func:`dabench.evaluate.evaluate_many` reports."""
        now = time.perf_counter()
        if state.title not in self._tasks:
            only = next(iter(state.runs)) if len(state.runs) == 1 else f"{state.title}, {len(state.runs)} protocols"
            task = self._progress.add_task(f"{self._model}  {only}", total=state.total, speed="", scores="")
            self._tasks[state.title] = (task, now, state.done)
        task, start, before = self._tasks[state.title]
        elapsed = now - start
        speed = f"{(state.done - before) / elapsed:.1f} images/s" if elapsed > 0 and state.done > before else ""
        if state.kept:
            speed += " (kept)"
        self._progress.update(
            task, completed=state.done, total=state.total, speed=speed, scores=running_scores(state), refresh=False
        )


class SearchBars:
    """A bar for each pass of one model in a search, as a context manager.

    Args:
        console: where to draw; nothing is drawn when it is not a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> SearchBars:
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def update(self, state: SearchProgress) -> None:
        """Show the state that :func:`dabench.search.score_grid` reports."""
        if state.title not in self._tasks:
            self._tasks[state.title] = self._progress.add_task(state.title, total=state.total)
        self._progress.update(self._tasks[state.title], completed=state.done, refresh=False)


def running_scores(state: PassProgress) -> str:
    """The primary metric of the first few protocols, and how many samples failed."""
    shown = []
    for protocol, run in list(state.runs.items())[:SHOWN_SCORES]:
        if run.score == run.score:
            score = f"{run.metric} {format_value(run.metric, run.score)}"
            shown.append(score if len(state.runs) == 1 else f"{protocol} {score}")
    more = len(state.runs) - SHOWN_SCORES
    failed = max(run.failed for run in state.runs.values())
    return (
        "  ".join(shown)
        + (f"  +{more}" if more > 0 and shown else "")
        + (f"  [red]{failed} failed[/]" if failed else "")
    )
