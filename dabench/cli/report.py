"""``dabench report RUN [RUN]``: a page with figures and pictures of one run, or of two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dabench.errors import UsageError

SUFFIXES = (".html", ".htm")


def report_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN [RUN]", help="A run's folder, or two of one protocol.")],
    data_root: Annotated[
        Path | None,
        typer.Option(envvar="DABENCH_DATA", help="Where the datasets lie, for the pictures; not needed for mini."),
    ] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(help="Saved maps, for a run that kept none; twice for two runs, in their order."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    figures: Annotated[Path | None, typer.Option(help="Also save every figure as PDF and SVG in this folder.")] = None,
) -> None:
    """Write a self-contained page on one run, or on two runs side by side. No model is run."""
    from dabench.cli.choice import load_predictions
    from dabench.cli.console import messages
    from dabench.reporting.loaded import load_record
    from dabench.reporting.report import build_report

    if len(runs) > 2:
        raise UsageError(f"dabench report takes one run or two, not {len(runs)}", hint="dabench leaderboard takes many")
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--out {out} does not end in .html", hint="a report is one HTML page; any browser prints it")
    folders = predictions or []
    if folders and len(folders) != len(runs):
        raise UsageError(
            f"{len(runs)} runs and {len(folders)} --predictions", hint="pass --predictions once for each run, in order"
        )
    records = [load_record(run) for run in runs]
    saved = [
        load_predictions(folder, record.info["model"]["output"], record.model)
        for folder, record in zip(folders, records, strict=False)
    ]
    console = messages()
    with console.status("reading records") as status:
        report = build_report(
            records,
            data_root,
            saved or None,  # type: ignore[arg-type]  # they hold saved maps, whatever else they are
            lambda what, done, total: status.update(f"{what}: {done} of {total}"),
        )
        report.write(out)
        written = report.save_figures(figures) if figures is not None else []
    for text in report.notes:
        console.print(f"note: {text}", markup=False, soft_wrap=True)
    if written:
        console.print(f"figures: {len(written)} files in {figures}", markup=False, soft_wrap=True)
    typer.echo(out)
