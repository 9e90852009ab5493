"""``dabench reproduce``: measure published numbers again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dabench.cli.options import Device, Precision
from dabench.errors import DabenchError

if TYPE_CHECKING:
    from rich.table import Table

    from dabench.protocols import Protocol
    from dabench.reporting.reproduction import Verdict
    from dabench.types import ModelEntry

DEFAULT_OUT = Path("runs")
COLOURS = {"agrees": "green", "differs": "red", "not run": "dim"}


def reproduce_command(
    what: Annotated[
        str | None,
        typer.Argument(help="A model, a protocol or pattern, or a table of Depth Anything V2: 2, 3, 4 or 14."),
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(envvar="DABENCH_DATA", help="Folder with one folder a dataset.")
    ] = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    workers: Annotated[int, typer.Option(help="Threads that read ahead, and threads that score.")] = 2,
    out: Annotated[
        Path, typer.Option(help="Folder for the records; runs that are there are not repeated.")
    ] = DEFAULT_OUT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list models, data, downloads and time.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run every protocol for which a number is known, and say whether the measured one agrees with it.

    Exit code 0: every number agrees; 1: one differs or could not be measured; 2: the call was wrong.
    """
    from dabench.cli.console import messages, results
    from dabench.cli.scoring import Session, Wanted, interruptible
    from dabench.registry import models
    from dabench.reporting.expected import published
    from dabench.reporting.reproduction import choose, expectations, judge, runs_of

    registry = models()
    catalogue = {name: registry.get(name) for name in registry}
    runnable = [name for name, entry in catalogue.items() if entry.status not in ("published-only", "endpoint")]
    chosen = choose(expectations(published(), runnable), what)
    wanted = runs_of(chosen)
    absent = _absent_data([recipe for recipes in wanted.values() for recipe in recipes], data_root)
    if dry_run:
        plan = _plan(wanted, catalogue, absent, out)
        if as_json:
            typer.echo(json.dumps(plan, indent=2, ensure_ascii=False))
        else:
            results().print(_plan_table(plan))
            for name, reason in _by_dataset(wanted, absent).items():
                messages().print(f"{name}: {reason}", markup=False, soft_wrap=True)
        return
    session = Session(out, None, {"data_root": data_root, "workers": workers})
    stderr = messages()
    for name, reason in _by_dataset(wanted, absent).items():
        stderr.print(f"not run, no data: {name}: {reason}", markup=False, soft_wrap=True)
    options: dict[str, Any] = {
        "checkpoint": None, "device": device, "precision": precision, "input_size": None, "compile": "auto",
        "settings": {}, "output": None,
    }  # fmt: skip
    with interruptible():
        for name, recipes in wanted.items():
            present = [recipe for recipe in recipes if recipe.id not in absent]
            if present:
                session.score(Wanted(name, options), present, frozenset(recipe.id for recipe in present))
    summaries = {(run.summary["model"]["name"], run.summary["protocol"]["id"]): run.summary for run in session.runs}
    verdicts = judge(chosen, summaries)
    if as_json:
        typer.echo(json.dumps([_as_json(verdict) for verdict in verdicts], indent=2, ensure_ascii=False))
    else:
        results().print(_verdict_table(verdicts))
        for place, (kind, source) in enumerate(_sources(verdicts), start=1):
            results().print(f"{place:>3}  {kind}: {source}", markup=False, soft_wrap=True)
    counted = {word: sum(v.verdict == word for v in verdicts) for word in COLOURS}
    stderr.print(", ".join(f"{count} {word}" for word, count in counted.items()), markup=False)
    raise typer.Exit(0 if counted["agrees"] == len(verdicts) else 1)


def _absent_data(recipes: Sequence[Protocol], data_root: Path | None) -> dict[str, str]:
    """Protocol ids whose data is not there, with the reason."""
    from dabench.job import open_for

    opened: Any = {}
    absent: dict[str, str] = {}
    for recipe in {recipe.id: recipe for recipe in recipes}.values():
        try:
            open_for(recipe, data_root, None, opened)
        except DabenchError as error:
            absent[recipe.id] = error.message.partition("\n")[0]
    return absent


def _by_dataset(wanted: Mapping[str, Sequence[Protocol]], absent: Mapping[str, str]) -> dict[str, str]:
    """One reason a dataset."""
    return {
        recipe.dataset.name: absent[recipe.id]
        for recipes in wanted.values()
        for recipe in recipes
        if recipe.id in absent
    }


def _plan(
    wanted: Mapping[str, Sequence[Protocol]], catalogue: Mapping[str, ModelEntry], absent: Mapping[str, str], out: Path
) -> list[dict[str, Any]]:
    """One entry a run: what it needs and how long it may take."""
    from dabench.bench import read_cards
    from dabench.cli.availability import availability

    plan = []
    for name, recipes in wanted.items():
        entry = catalogue[name]
        state = availability(entry)
        times = [t["median_seconds"] / t["batch_size"] for card in read_cards(out / name) for t in card["timings"]]
        for recipe in recipes:
            images = recipe.dataset.expected if recipe.dataset.expected_of == "images" else None
            plan.append(
                {
                    "model": name,
                    "state": state.state,
                    "needs": state.needs,
                    "download_mb": _megabytes(entry) if state.state == "downloadable" else 0,
                    "protocol": recipe.id,
                    "status": recipe.status,
                    "images": images,
                    "data": "missing" if recipe.id in absent else "found",
                    "seconds": min(times) * images if times and images else None,
                }
            )
    return plan


def _megabytes(entry: ModelEntry) -> int | None:
    """Size of the weights in float32, from the count of parameters."""
    return None if entry.parameters is None else round(4 * entry.parameters / 1e6)


def _plan_table(plan: Sequence[Mapping[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("model", "protocol", "data", "model is", "download", "images", "time"):
        table.add_column(title, justify="right" if title in ("download", "images", "time") else "left", overflow="fold")
    seen = ""
    for line in plan:
        first = line["model"] != seen
        seen = line["model"]
        size = "?" if line["download_mb"] is None else f"{line['download_mb']} MB" if line["download_mb"] else ""
        table.add_row(
            line["model"] if first else "",
            line["protocol"],
            line["data"],
            line["state"] if first else "",
            size if first else "",
            "" if line["images"] is None else str(line["images"]),
            "" if line["seconds"] is None else f"{line['seconds'] / 60:.0f} min",
        )
    return table


def _verdict_table(verdicts: Sequence[Verdict]) -> Table:
    from rich import box
    from rich.table import Table

    from dabench.cli.table import TITLES

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for title in ("expected", "measured", "difference", "tolerance"):
        table.add_column(title, justify="right")
    table.add_column("verdict")
    table.add_column("source", justify="right")
    sources = _sources(verdicts)
    model = protocol = ""
    for verdict in verdicts:
        expected = verdict.expectation
        if expected.model != model:
            table.add_row(f"[bold]{expected.model}[/]")
        if (expected.model, expected.protocol) != (model, protocol):
            table.add_row(f"  {expected.protocol}")
        model, protocol = expected.model, expected.protocol
        missing = verdict.measured is None
        table.add_row(
            f"    {TITLES.get(expected.metric, expected.metric)}",
            f"{expected.value:.4g}",
            "-" if missing else f"{verdict.measured:.4f}",
            "-" if missing else f"{verdict.difference:+.4f}",
            f"{expected.tolerance:.4f}",
            f"[{COLOURS[verdict.verdict]}]{verdict.verdict}[/]",
            str(sources.index((expected.number.kind, expected.number.source)) + 1),
        )
    return table


def _sources(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """Kind and source of the numbers, each once."""
    return list(dict.fromkeys((v.expectation.number.kind, v.expectation.number.source) for v in verdicts))


def _as_json(verdict: Verdict) -> dict[str, Any]:
    from dabench.protocols import get
    from dabench.reporting.reproduction import WHY

    expected, status = verdict.expectation, get(verdict.expectation.protocol).status
    return {
        "model": expected.model,
        "protocol": expected.protocol,
        "metric": expected.metric,
        "expected": expected.value,
        "measured": verdict.measured,
        "difference": verdict.difference,
        "tolerance": expected.tolerance,
        "verdict": verdict.verdict,
        "kind": expected.number.kind,
        "source": expected.number.source,
        "note": expected.number.note,
        "status": status,
        "about_status": WHY[status],
    }
