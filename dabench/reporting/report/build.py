"""Checking what a report is asked for, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dabench.errors import DabenchError, RecordError, UsageError
from dabench.reporting.loaded import Record
from dabench.reporting.report.figures import save_figure
from dabench.reporting.report.paired import check_alike
from dabench.reporting.report.sources import SavedMaps, Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how much of it is done."""


@dataclass
class Report:
    """A finished page and the figures in it.

    Attributes:
        html: the whole page.
        figures: by name, in the order of the page.
        notes: what the page lacks, and the way to it.
    """

    html: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write the page. Raises DabenchError."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.html, encoding="utf-8")
        except OSError as error:
            raise DabenchError(f"cannot write {path}: {error.strerror or error}") from error

    def save_figures(self, folder: Path) -> list[Path]:
        """Write every figure as PDF and SVG. Raises DabenchError."""
        return [path for name, figure in self.figures.items() for path in save_figure(figure, folder, name)]


def build_report(
    records: Sequence[Record],
    data_root: Path | None = None,
    saved: Sequence[SavedMaps | None] | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report on one run, or on two runs of one protocol. Nothing is predicted.

    Args:
        records: one or two finished runs.
        data_root: where the dataset lies, as `dabench eval` takes it; None for the bundled set.
        saved: for each run, maps from elsewhere; None for those that the run kept.
        progress: told what is being read.

    Raises:
        UsageError: not one or two runs, or two of unlike protocols or data.
        RecordError: a run is unfinished.
    """
    if len(records) not in (1, 2):
        raise UsageError(f"a report is on one run or on two, not on {len(records)}")
    for record in records:
        if not record.complete:
            raise RecordError(
                f"{record.path} has not finished, so there is nothing final to report",
                hint="run the same `dabench eval` again; it continues",
            )
    if len(records) == 2:
        check_alike(*records)
    given = saved or [None] * len(records)
    sources = [Source(record, data_root, maps) for record, maps in zip(records, given, strict=True)]
    from dabench.reporting.report.page import Page

    return Page(sources, progress or (lambda *_: None)).build()
