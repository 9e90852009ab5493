"""What a run shows and writes while it trains: a live view or plain lines, log.jsonl, events.jsonl, TensorBoard."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from .distributed import World

log = logging.getLogger("training")

FIRST = ("loss", "images_per_second", "wait_share", "learning_rate", "gradient_norm")

LOG_ONLY = {
    "step", "loss/nonfinite", "spread", "zero_share", "magnitude", "interval_seconds", "seconds", "skipped",
    "bad_images",
}  # fmt: skip
"""Numbers for log.jsonl and TensorBoard that a line on the screen has no room for."""


class View:
    """Used as a context manager around a run; `step` is where it starts. Only the first process shows anything.

    Lines of log.jsonl after `step` (of a run that was cut off) are taken out, so that every step has one.
    """

    def __init__(self, out: Path, world: World, title: str, step: int, steps: int) -> None:
        self.out, self.world, self.step, self.steps = out, world, step, steps
        self.console = Console(stderr=True)
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._title = title
        self._board: Any = None
        name = "events.jsonl" if world.first else f"events_{world.rank:04d}.jsonl"
        self._events = out / name

    def __enter__(self) -> View:
        if not self.world.first:
            return self
        _cut(self.out / "log.jsonl", self.step)
        self._board = self._open_board()
        if self.console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[numbers]}"),
                console=self.console,
                refresh_per_second=2,
            )
            self._progress.start()
            self._task = self._progress.add_task(self._title, total=self.steps, completed=self.step, numbers="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
        if self._board is not None:
            self._board.close()

    def _open_board(self) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.note("TensorBoard is not installed: the numbers are in log.jsonl (pip install tensorboard)")
            return None
        return SummaryWriter(str(self.out / "tensorboard"), purge_step=self.step)

    def advance(self, step: int) -> None:
        """Move the bar after a step."""
        if self._progress is not None:
            self._progress.update(self._task, completed=step)

    def record(self, record: Mapping[str, Any]) -> None:
        """Write one step's numbers; `record` has `step`. Numbers that are not finite are written as null."""
        if not self.world.first:
            return
        clean = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in record.items()}
        _append(self.out / "log.jsonl", clean)
        step = int(record["step"])
        if self._board is not None:
            for key, value in clean.items():
                if isinstance(value, int | float) and key != "step":
                    self._board.add_scalar(key, value, step)
        first = [key for key in FIRST if key in record]
        shown = [*first, *(key for key in record if key not in first and key not in LOG_ONLY)]
        if self._progress is not None:
            numbers = " ".join(f"{key} {_short(record[key])}" for key in shown[:3])
            self._progress.update(self._task, completed=step, numbers=numbers)
            if "validation/loss" not in record and "validation/absrel" not in record:
                return
        self.note(f"step {step}/{self.steps} " + " ".join(f"{key} {_short(record[key])}" for key in shown))

    def event(self, event: Mapping[str, Any]) -> None:
        """Write something out of the ordinary: a skipped sample or step, an alarm. Any process may call."""
        _append(self._events, event)
        where = "" if self.world.first else f"process {self.world.rank}: "
        self.note(where + " ".join(f"{key}={_short(value)}" for key, value in event.items()), warn=True)

    def note(self, text: str, *, warn: bool = False) -> None:
        """A line for whoever watches."""
        if self._progress is not None:
            self._progress.console.print(text, style="yellow" if warn else None, markup=False, highlight=False)
        else:
            log.log(logging.WARNING if warn else logging.INFO, text)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _append(path: Path, record: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")


def _cut(path: Path, step: int) -> None:
    """Keep the records up to `step`; a last line that was cut off goes too."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
