"""Regenerate docs/protocols.md from the protocol files.

python docs/build_protocols.py            write
python docs/build_protocols.py --check    fail when docs/protocols.md and the files disagree
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from dabench.protocols import Protocol, all_protocols
from dabench.protocols.describe import STATUS_WORDS, description, references, steps

PAGE = Path(__file__).resolve().parent / "protocols.md"
TITLES = {
    "kitti": "KITTI", "nyu-d": "NYU Depth V2", "sintel": "Sintel", "eth3d": "ETH3D", "diode": "DIODE",
    "moge-eval": "MoGe's evaluation files", "da-2k": "DA-2K", "diw": "Depth in the Wild", "md-3k": "MD-3K",
    "mini": "The bundled benchmark", "folder": "Your own images and depth maps", "pairs": "Your own pairs",
}  # fmt: skip
SHOWCASE = "depth-anything-v2-large"
INTRODUCTION = """# Protocols

<!-- Made by docs/build_protocols.py from dabench/protocols/*.toml. Do not edit by hand. -->

A protocol states everything that changes a number: which images, which ground truth, which pixels, how a prediction is
aligned and clipped, in which space the error is measured and how images are averaged. Every score carries the name of
its protocol, `name@version`; a released file is never edited. `dabench show NAME` prints one in plain words,
`dabench show --compare P1 P2` what two of them do differently, and `dabench eval -m MODEL -p 'kitti-*'` scores one
prediction pass under all that match.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows),
    ]


def anchor(protocol: Protocol) -> str:
    return protocol.id.replace("@", "").replace(".", "")


def link(protocol: Protocol) -> str:
    return f"[`{protocol.id}`](#{anchor(protocol)})"


def spread(known: dict[str, Protocol]) -> list[str]:
    """One model, one metric, every protocol with a number for it: how much the recipe alone changes."""
    rows = []
    for protocol in known.values():
        for entry in protocol.expected:
            if entry.model == SHOWCASE and entry.metric == "abs_rel":
                dataset = TITLES[protocol.dataset.name]
                if protocol.dataset.name == "moge-eval":
                    dataset = protocol.title.removeprefix("MoGe evaluation set ").partition(":")[0]
                rows.append((dataset, f"{entry.value:.3f}", link(protocol), entry.kind, entry.by))
    order = [TITLES[name] for name in ("kitti", "nyu-d", "sintel", "eth3d", "diode")]
    alias = {"NYU": "NYU Depth V2"}
    rows = [(alias.get(row[0], row[0]), *row[1:]) for row in rows]
    rows = sorted((row for row in rows if row[0] in order), key=lambda row: (order.index(row[0]), row[1]))
    return [
        "## One model, one dataset, different numbers",
        "",
        f"AbsRel of `{SHOWCASE}` in the literature and in independent reruns. Only the recipe differs.",
        "",
        *table(("dataset", "AbsRel", "protocol", "kind", "source"), rows),
        "",
    ]


def section(protocol: Protocol) -> list[str]:
    parts = description(protocol)
    lines = [f"### {protocol.id}", "", f"{protocol.title}. Status: {protocol.status}.", ""]
    lines += [line for paragraph in parts.summary for line in (paragraph, "")]
    for title, paragraphs in (("Evidence", parts.evidence), ("Traps", parts.traps)):
        lines += [f"{title}:", "", *(f"- {p}" for p in paragraphs), ""] if paragraphs else []
    told = table(("step", "what is done"), [(step.title, step.text) for step in steps(protocol)])
    lines += ["<details><summary>The recipe, step by step</summary>", "", *told, "", "</details>", ""]
    if parts.differs:
        lines += ["Differs from its source:", "", *(f"- {p}" for p in parts.differs), ""]
    if protocol.expected:
        rows = [
            (
                f"`{r.model}`",
                ", ".join(f"{metric} {value:.5g}" for metric, value in r.values),
                f"{r.kind}: {r.by}",
                f"{100 * r.tolerance:g} %" if r.tolerance else "",
                r.note,
            )
            for r in references(protocol)
        ]
        lines += [*table(("model", "value", "source", "agrees within", "note"), rows), ""]
    return [*lines, "Sources:", "", *(f"- {source}" for source in protocol.sources), ""]


def page() -> str:
    """The whole of docs/protocols.md."""
    known = all_protocols()
    ordered = sorted(
        known.values(),
        key=lambda p: (list(TITLES).index(p.dataset.name), not p.default, p.status != "house", p.id),
    )
    lines = [*INTRODUCTION.splitlines(), "", *table(("status", "meaning"), STATUS_WORDS.items()), ""]
    lines += [*spread(known)]
    for dataset, group in groupby(ordered, key=lambda p: p.dataset.name):
        protocols = list(group)
        rows = [
            (link(p) + (" (default)" if p.default else ""), p.status, str(p.dataset.expected or ""), p.title)
            for p in protocols
        ]
        counted = "pairs" if protocols[0].task == "pairs" else "images"
        lines += [f"## {TITLES[dataset]}", "", *table(("protocol", "status", counted, ""), rows), ""]
        for protocol in protocols:
            lines += section(protocol)
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail when the page is out of date")
    if not parser.parse_args().check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stderr.write(f"{PAGE.name} is out of date; run python docs/build_protocols.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
