"""The progress bar of a download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from rich.console import Console


class TransferProgress:
    """A bar for one download, as a context manager. Nothing is drawn when the console is not a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("downloading", total=None)

    def __enter__(self) -> TransferProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def update(self, done: int, total: int | None) -> None:
        """Bytes received and to receive (None: unknown)."""
        self._progress.update(self._task, completed=done, total=total)
