"""``dabench show NAME``: one model, dataset or protocol, in full, with its sources."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dabench.errors import UnknownNameError

if TYPE_CHECKING:
    from dabench.protocols import Protocol


def show_command(
    name: Annotated[str, typer.Argument(help="A model, dataset or protocol.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one entry in full, with its sources. A name shared by a dataset and its protocol shows both."""
    entries = find(name)
    if as_json:
        typer.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    from dabench.cli.console import results

    console = results()
    for number, entry in enumerate(entries):
        if number:
            console.print()
        for line in describe(entry):
            console.print(line, markup=False, soft_wrap=True)


def find(name: str) -> list[dict[str, Any]]:
    """Every entry called ``name``.

    Raises:
        UnknownNameError: none is; lists the nearest names of all three kinds.
    """
    from dabench import protocols
    from dabench.datasets import registry as readers
    from dabench.registry import models

    found: list[dict[str, Any]] = []
    if name in models():
        found.append({"kind": "model", **asdict(models().get(name))})
    if name in readers():
        found.append({"kind": "dataset", **asdict(readers().get(name).info)})
    try:
        found.append(_protocol(protocols.get(name)))
    except UnknownNameError:
        known = protocols.all_protocols()
        if not found:
            raise UnknownNameError(
                "name", name, [*models(), *readers(), *known, *{p.name for p in known.values()}]
            ) from None
    return found


def _protocol(protocol: Protocol) -> dict[str, Any]:
    import msgspec

    return {"kind": "protocol", "id": protocol.id, **msgspec.to_builtins(protocol)}


def describe(entry: dict[str, Any]) -> list[str]:
    """An entry in plain words, as lines."""
    return {"model": _describe_model, "dataset": _describe_dataset, "protocol": _describe_protocol}[entry["kind"]](
        entry
    )


OUTPUT_WORDS = {
    "disparity": "affine-invariant disparity: larger is nearer, no unit",
    "depth": "affine-invariant depth: larger is farther, no unit",
    "metric": "metric depth: metres, larger is farther",
}


def _fields(pairs: list[tuple[str, Any]]) -> list[str]:
    return [f"  {title + ':':<16}{value}" for title, value in pairs if value not in (None, "", (), [])]


def _describe_model(entry: dict[str, Any]) -> list[str]:
    parameters = f"{entry['parameters'] / 1e6:.3f} M" if entry["parameters"] else None
    sources = entry["sources"]
    return [
        f"model {entry['name']}",
        f"  {entry['summary']}",
        *_fields(
            [
                ("status", entry["status"]),
                ("output", OUTPUT_WORDS[str(entry["output"])]),
                ("parameters", parameters),
                ("licence", entry["licence"]),
                ("weights", entry["source"]),
                ("file", entry["file"]),
                ("revision", entry["revision"]),
                ("SHA-256", entry["sha256"]),
                ("paper", entry["paper"]),
                ("reason", entry["reason"]),
                *((key.replace("_", " "), value) for key, value in entry["options"].items()),
                *(("source", s) for s in sources),
            ]
        ),
        *([] if entry["status"] == "published-only" else [f"  score it:       dabench eval -m {entry['name']}"]),
    ]


def _describe_dataset(entry: dict[str, Any]) -> list[str]:
    from dabench import protocols

    return [
        f"dataset {entry['name']}",
        f"  {entry['summary']}",
        *_fields(
            [
                ("size", entry["expected"]),
                ("ground truth", ", ".join(entry["tasks"])),
                ("licence", entry["licence"]),
                ("source", entry["source"]),
                ("layout", entry["layout"].removeprefix("layout: ")),
                ("how to get it", entry["how_to_get"]),
                (
                    "protocols",
                    ", ".join(i for i, p in protocols.all_protocols().items() if p.dataset.name == entry["name"]),
                ),
            ]
        ),
    ]


def _describe_protocol(entry: dict[str, Any]) -> list[str]:
    dataset = entry["dataset"]
    size = f"{dataset['expected']} {dataset['expected_of']}" if dataset.get("expected") else "any number of samples"
    steps = [("samples", f"{dataset['name']}, split {dataset['split']}, {size}")]
    if entry["task"] == "pairs":
        steps += [
            ("read at", "the pixel [row, col] of the map at the size of the original image"),
            ("closer is", "the strictly larger disparity, or the strictly smaller depth"),
            ("counts wrong", "a tie, a non-finite value, every pair of a failed image"),
            ("total", "pairs pooled over all images; interval by a bootstrap over images"),
            ("groups", "pairs pooled within a group; Wilson interval"),
        ]
    else:
        valid, alignment = entry["valid"], entry["alignment"]
        upper = f" < {valid['max']} m" if valid.get("max") else ""
        low, high = alignment["depth_range"]
        at = {"max-ground-truth": "max(g) of the image"}
        floor = alignment["disparity_floor"]
        floor_words = f"1 / {at[floor]}" if floor in at else f"{floor} 1/m"
        steps += [
            ("ground truth", f"field '{valid['field']}', {valid['min']} < g{upper}"),
            (
                "disparity",
                f"{_alignment_words(alignment['disparity'])}, floor {floor_words}",
            ),
            ("depth", _alignment_words(alignment["depth"])),
            ("metric", _alignment_words(alignment["metric"])),
            ("then", f"clipped to [{low} m, {at.get(high, f'{high} m')}]"),
            ("unusable value", "counts, for each metric, as the worse end of that range"),
            ("total", "mean over images of per-image metrics; interval by a bootstrap over images"),
        ]
    expected = [
        f"  expected:       {e['model']} {e['metric']} {e['value']} ({e['kind']}: {e['by']})" for e in entry["expected"]
    ]
    return [
        f"protocol {entry['id']}  ({entry['status']})",
        f"  {entry['title']}",
        *("  " + line for line in entry["description"].strip().splitlines()),
        *_fields([*steps, ("metrics", ", ".join(entry["metrics"])), ("SHA-256", entry["sha256"])]),
        *_fields([("source", s) for s in entry["sources"]]),
        *expected,
    ]


def _alignment_words(method: str) -> str:
    return {
        "least-squares-disparity": "scale and shift by least squares to 1/g, per image, then inverted",
        "least-squares-depth": "scale and shift by least squares to g, per image",
        "none": "taken as it is",
        "refuse": "not scored",
    }[method]
