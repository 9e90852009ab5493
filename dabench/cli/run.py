"""``dabench run FILE.toml``: a whole study, its leaderboard and its reports."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dabench.errors import DabenchError

if TYPE_CHECKING:
    from dabench.run import Run
    from dabench.study_file import Model, StudyFile


def run_command(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="What to score.", show_default=False)],
    data_root: Annotated[
        Path | None, typer.Option(envvar="DABENCH_DATA", help="Where the datasets lie; instead of the file's.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the records; instead of the file's.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard earlier records instead of continuing them.")] = False,
) -> None:
    """Score all models of a file under all its protocols; a second call goes on where the first stopped."""
    from dabench.cli.choice import check_datasets, check_models, choose_protocols, read_subset
    from dabench.cli.console import messages, results
    from dabench.cli.scoring import Session, Wanted, interruptible
    from dabench.cli.table import failures, results_table
    from dabench.registry import is_network_file
    from dabench.study_file import read_study_file

    study = read_study_file(file)
    here = file.parent
    data = data_root if data_root is not None else None if study.data_root is None else here / study.data_root
    folder = out if out is not None else here / study.out
    recipes, named = choose_protocols(study.datasets, study.protocols)
    loaded = [model for model in study.models if model.predictions is None]
    for model in loaded:
        check_models([_path_or_name(model, here)], model.output_kind)
    ids = read_subset(None if study.subset is None else here / study.subset)
    common: dict[str, Any] = {
        "data_root": data,
        "fresh": fresh,
        "subset": ids,
        "limit": study.limit,
        "batch_size": study.batch_size,
        "workers": study.workers,
        "keep_predictions": study.keep_predictions,
    }
    session = Session(folder, None, common)
    recipes = check_datasets(recipes, named, data, ids, session.report)
    stderr = messages()
    with interruptible():
        for number, model in enumerate(study.models, start=1):
            stderr.print(f"[{number}/{len(study.models)}] {model.name}", markup=False)
            name = _path_or_name(model, here)
            kind = model.output_kind if model.predictions is not None or is_network_file(name) else None
            options = {
                **study.load_options(model),
                "checkpoint": None if model.checkpoint is None else here / model.checkpoint,
                "settings": {key: _text(value) for key, value in model.options.items()},
                "output": kind,
            }
            maps = None if model.predictions is None else here / model.predictions
            if maps is not None:
                session.common = {**common, "keep_predictions": False}
            session.score(Wanted(name, options, maps), recipes, named)
            session.common = common
    runs = session.runs
    if runs:
        results().print(results_table(runs))
        with suppress(shutil.SameFileError):
            shutil.copyfile(file, folder / "study.toml")
        for path in _write_pages(study, runs, folder, data, session):
            stderr.print(f"wrote {path}", markup=False, soft_wrap=True)
    for text in failures(runs):
        stderr.print(text, markup=False, soft_wrap=True)
    if session.problems:
        raise typer.Exit(1 if runs else session.problems[0].exit_code)
    raise typer.Exit(0 if all(run.ok for run in runs) else 1)


def _path_or_name(model: Model, here: Path) -> str:
    """A network file relative to the study's file, or a name."""
    from dabench.registry import is_network_file

    if model.predictions is None and is_network_file(model.name):
        return str(here / model.name)
    return model.name


def _text(value: bool | int | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _write_pages(
    study: StudyFile, runs: Sequence[Run], folder: Path, data_root: Path | None, session: Any
) -> list[Path]:
    from dabench.cli.console import messages
    from dabench.cli.leaderboard import FILE_NAMES, Format, licences, render
    from dabench.reporting.expected import published
    from dabench.reporting.leaderboard.build import board
    from dabench.reporting.loaded import load_record
    from dabench.reporting.report import build_report

    records = [load_record(run.folder) for run in runs if run.folder is not None]
    tables = board(records, published(), licences=licences(), everything=False)
    mine = {record.protocol_id for record in records}
    tables = [table for table in tables if mine & set(table.protocols.values())]
    written = []
    for kind in (Format.md, Format.html):
        path = folder / FILE_NAMES[kind]
        path.write_text(render(tables, kind, heading=study.title or "Leaderboard"), encoding="utf-8", newline="\n")
        written.append(path)
    if study.reports:
        pages = folder / "reports"
        pages.mkdir(exist_ok=True)
        for record in records:
            path = pages / f"{record.model}-{record.protocol_id.replace('@', '-')}.html"
            try:
                with messages().status(f"report of {record.title}"):
                    build_report([record], data_root).write(path)
                written.append(path)
            except DabenchError as error:
                session.report(f"report of {record.title}", error)
    return written
