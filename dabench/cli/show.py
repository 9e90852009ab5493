"""``dabench show NAME``: one model, dataset or protocol, in full; ``--compare``: how two protocols differ."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dabench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from dabench.protocols import Protocol

WIDEST = 100
LABEL = 18


def show_command(
    name: Annotated[str | None, typer.Argument(help="A model, dataset or protocol.")] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option("--compare", metavar="P1 P2", help="Show how two protocols differ.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one entry in full, with its sources. A name shared by a dataset and its protocol shows both."""
    from dabench.cli.console import results

    if (name is None) == (compare is None):
        raise UsageError("dabench show takes either a NAME or --compare with two protocols")
    console = results()
    width = min(console.width, WIDEST)
    if compare is not None:
        from dabench import protocols
        from dabench.protocols.describe import differences

        first, second = (protocols.get(p) for p in compare)
        if as_json:
            rows = [asdict(d) for d in differences(first, second)]
            typer.echo(json.dumps({"first": first.id, "second": second.id, "differences": rows}, indent=2))
            return
        lines = describe_difference(first, second, width)
    else:
        assert name is not None
        if as_json:
            typer.echo(json.dumps(find(name), indent=2, ensure_ascii=False))
            return
        lines = []
        for entry in find(name):
            lines += ([""] if lines else []) + describe(entry, width)
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def find(name: str) -> list[dict[str, Any]]:
    """Every entry called ``name``.

    Raises:
        UnknownNameError: none is; lists the nearest names of all three kinds.
    """
    from dabench import protocols
    from dabench.cli.show_model import model_record
    from dabench.datasets import registry as readers
    from dabench.registry import models

    found: list[dict[str, Any]] = []
    if name in models():
        found.append(model_record(models().get(name)))
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


def describe(entry: dict[str, Any], width: int = WIDEST) -> list[str]:
    """An entry of :func:`find` in plain words, as lines; a protocol's are at most ``width`` characters long."""
    if entry["kind"] == "protocol":
        from dabench import protocols

        return describe_protocol(protocols.get(entry["id"]), width)
    if entry["kind"] == "model":
        from dabench.cli.show_model import describe_model

        return describe_model(entry, width)
    return _describe_dataset(entry)


def _fields(pairs: list[tuple[str, Any]]) -> list[str]:
    return [f"  {title + ':':<16}{value}" for title, value in pairs if value not in (None, "", (), [])]


def _describe_dataset(entry: dict[str, Any]) -> list[str]:
    from dabench import protocols

    scored = [p for p in protocols.all_protocols().values() if p.dataset.name == entry["name"]]
    scored.sort(key=lambda p: (not p.default, p.status != "house", p.id))
    column = max((len(p.id) for p in scored), default=0) + 2
    return [
        f"dataset {entry['name']}",
        f"  {entry['summary']}",
        *_fields(
            [
                ("size", entry["expected"]),
                ("splits", ", ".join(entry["splits"]) if len(entry["splits"]) > 1 else None),
                ("ground truth", ", ".join(entry["tasks"])),
                ("kinds of depth", ", ".join(entry["fields"]) if len(entry["fields"]) > 1 else None),
                ("licence", entry["licence"]),
                ("source", entry["source"]),
                ("layout", entry["layout"].removeprefix("layout: ")),
                ("how to get it", entry["how_to_get"]),
            ]
        ),
        *(["  protocols:"] if scored else []),
        *(f"    {p.id:<{column}}{p.title}{' (default)' if p.default else ''}" for p in scored),
    ]


def describe_protocol(protocol: Protocol, width: int = WIDEST) -> list[str]:
    """A protocol in plain words: what it is, its traps, the recipe in order, expected numbers, sources."""
    from dabench.protocols.describe import STATUS_WORDS, description, steps

    parts = description(protocol)
    status = f"status: {protocol.status} ({STATUS_WORDS[protocol.status]})"
    lines = [
        line for text in (f"protocol {protocol.id}", protocol.title, status) for line in textwrap.wrap(text, width)
    ]
    for paragraph in parts.summary:
        lines += ["", *textwrap.wrap(paragraph, width, break_on_hyphens=False)]
    sections = (("evidence", parts.evidence), ("traps", parts.traps), ("differs from its source", parts.differs))
    for title, paragraphs in sections[:2]:
        lines += _list(title, paragraphs, width)
    lines += ["", "recipe, for each image in this order" if protocol.task == "depth" else "recipe"]
    for step in steps(protocol):
        lines += _labelled(step.title, step.text, width)
    lines += _list(*sections[2], width)
    lines += _expected(protocol, width)
    lines += _list("sources", protocol.sources, width)
    run = f"dabench eval -m MODEL -p {protocol.id} --data-root DIR"
    return [*lines, "", "score a model", f"  {run}", "SHA-256 of the file", f"  {protocol.sha256}"]


def _list(title: str, paragraphs: Iterable[str], width: int) -> list[str]:
    lines = [
        line
        for text in paragraphs
        for line in textwrap.wrap(
            text, width, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False, break_long_words=False
        )
    ]
    return ["", title, *lines] if lines else []


def _labelled(label: str, text: str, width: int) -> list[str]:
    """``label`` and a hanging ``text``; where it does not fit on one line, what ``; `` separates starts its own."""
    body = _clauses(text, width - LABEL)
    return [f"{'  ' + label if not number else '':<{LABEL}}{line}" for number, line in enumerate(body)]


def _clauses(text: str, room: int) -> list[str]:
    parts = [text] if len(text) <= room else text.split("; ")
    parts = [part + ";" for part in parts[:-1]] + parts[-1:]
    return [line for part in parts for line in textwrap.wrap(part, room, break_on_hyphens=False)]


def _expected(protocol: Protocol, width: int) -> list[str]:
    from dabench.protocols.describe import references

    found = references(protocol)
    if not found:
        return []
    lines = ["", "numbers to expect"]
    column = max(len(reference.model) for reference in found) + 2
    for (kind, by, tolerance), entries in groupby(found, key=lambda r: (r.kind, r.by, r.tolerance)):
        group = list(entries)
        band = f"; a run agrees within {100 * tolerance:g} %" if tolerance else ""
        shared = group[0].note if len({reference.note for reference in group}) == 1 else ""
        heading = f"{kind}: {by}{f' ({shared})' if shared else ''}{band}"
        lines += textwrap.wrap(heading, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
        for reference in group:
            values = "  ".join(f"{metric} {_number(value)}" for metric, value in reference.values)
            note = f"  ({reference.note})" if reference.note and not shared else ""
            lines += textwrap.wrap(
                f"{reference.model:<{column}}{values}{note}",
                width,
                initial_indent="    ",
                subsequent_indent=" " * (column + 4),
                break_on_hyphens=False,
                drop_whitespace=True,
            )
    return lines


def _number(value: float) -> str:
    """As tables print it: at least three decimals below ten."""
    text = f"{value:.5f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(3 if value < 10 else 1, '0')}"


def describe_difference(first: Protocol, second: Protocol, width: int = WIDEST) -> list[str]:
    """How two protocols differ, in words."""
    from dabench.protocols.describe import differences

    found = differences(first, second)
    if not found:
        return [
            f"{first.id} and {second.id} compute the same.",
            "Only their names, descriptions, sources and expected numbers differ.",
        ]
    steps = "one of their steps" if len(found) == 1 else f"{len(found)} of their steps"
    lines = textwrap.wrap(
        f"{first.id} and {second.id} differ in {steps}; everything else is the same.", width, break_on_hyphens=False
    )
    column = min(max(len(first.id), len(second.id)) + 4, width // 3)
    for difference in found:
        lines += ["", difference.title]
        for protocol, text in ((first, difference.first), (second, difference.second)):
            body = _clauses(text, width - column)
            heads = [f"  {protocol.id}"] + [""] * (len(body) - 1)
            if len(heads[0]) >= column:
                lines.append(heads.pop(0))
                heads.append("")
            lines += [f"{head:<{column}}{line}" for head, line in zip(heads, body, strict=True)]
    return lines
