"""Regenerate docs/models.md from the model catalogue.

python docs/build_models.py            write
python docs/build_models.py --check    fail when docs/models.md and the catalogue disagree
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from types import ModuleType

from dabench.cli.show_model import OUTPUT_WORDS, SETTING_WORDS
from dabench.reporting.names import numbers_of
from dabench.types import ModelEntry
from model_zoo.catalog import FAMILIES

PAGE = Path(__file__).resolve().parent / "models.md"
SECTIONS = {
    "depth_anything_v2": (
        "Depth Anything V2",
        "short side brought to 518 px, sides to multiples of 14, OpenCV's cubic on floats, ImageNet mean and standard "
        "deviation; the map enlarged bilinearly with aligned corners. `--input-size` changes the short side",
    ),
    "depth_anything_v1": (
        "Depth Anything V1",
        "as Depth Anything V2",
    ),
    "midas": (
        "MiDaS",
        "the axis that changes least brought to the size in the name, both sides to multiples of 32 (v3.0 and Swin "
        "square the image), cubic, mean and standard deviation 0.5; the map enlarged bicubically",
    ),
    "zoedepth": (
        "ZoeDepth",
        "reflect padding, 384 x 512 kept in ratio, sides to multiples of 32, mean and standard deviation 0.5; image "
        "and mirror image averaged",
    ),
    "depth_pro": (
        "Depth Pro",
        "squared to 1536 x 1536, bilinear, mean and standard deviation 0.5; the network gives the focal length",
    ),
    "glpn": ("GLPN", "values from 0 to 1 without normalisation, sides rounded down to multiples of 32"),
    "marigold": (
        "Marigold",
        "long side at `processing_resolution`, bilinear with antialiasing, padded to multiples of 8, values from -1 to "
        "1; the noise is the same for every image",
    ),
    "lotus": ("Lotus", "as Marigold; one step"),
    "e2e_ft": ("End-to-end fine-tuned diffusion (E2E-FT)", "as Marigold; one step without noise"),
    "external": (
        "Models in their own environment",
        "that of the authors' own package, which runs in a Python environment of its own and is driven as a "
        "subprocess; `dabench setup NAME` makes it",
    ),
    "vlm": (
        "Multimodal language models",
        "the picture with two marked points, A and B, in both orders; only pairs can be scored",
    ),
    "published_only": ("Numbers only", ""),
    "baselines": ("Baselines", "the image's size and, for noise, its pixels"),
}  # fmt: skip
"""By module of the catalogue: title, and what is done to an image."""

INTRODUCTION = """# Models

<!-- Made by docs/build_models.py from model_zoo/catalog. Do not edit by hand. -->

Every model that `dabench eval -m NAME` knows. `dabench ls models` shows which of them run on this machine as it is,
`dabench show NAME` everything about one, with the numbers that it should score. Weights are downloaded on first use
from the repository named here, into the ordinary Hugging Face cache, after their licence is shown. A row without a
revision or SHA-256 is pinned on first use: other bytes are refused from then on. `--checkpoint` takes your own files.

Weights marked **NC** may not be used commercially. A model of yours is added by an entry point:
[your-own-model.md](your-own-model.md). Maps from anywhere are scored with `--predictions DIR`.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows),
    ]


def size(entry: ModelEntry) -> str:
    bytes_ = entry.options.get("bytes")
    parameters = f"{entry.parameters / 1e6:.1f} M" if entry.parameters else "-"
    return parameters + (f", {bytes_ / 1e6:.0f} MB" if bytes_ else "")


def licence(entry: ModelEntry) -> str:
    return (entry.licence or "not stated") + (" **NC**" if entry.non_commercial else "")


def origin(entry: ModelEntry) -> str:
    """Where the weights come from, and how much of that is pinned."""
    if entry.status == "bundled":
        return f"in the package, SHA-256 `{str(entry.sha256)[:12]}`"
    if entry.status in ("baseline", "endpoint") or not entry.source:
        return "-"
    unknown = "not pinned" if "environment" in entry.options else "pinned on first use"
    revision = f"`@{entry.revision[:12]}`" if entry.revision else f"revision {unknown}"
    content = f"SHA-256 `{entry.sha256[:12]}`" if entry.sha256 else f"SHA-256 {unknown}"
    return f"`{entry.source}` {revision}, {content}"


def how_to_get(entries: Sequence[ModelEntry]) -> list[str]:
    """The commands that come before the first run."""
    commands = [f"pip install 'dabench[{extra}]'" for extra in dict.fromkeys(e.extra for e in entries) if extra]
    environments = dict.fromkeys(str(e.options["environment"]) for e in entries if "environment" in e.options)
    return [*commands, *(f"dabench setup {name}" for name in environments)]


def settings(entries: Sequence[ModelEntry]) -> list[str]:
    """Each option once, with the defaults of the models that have it."""
    found: dict[str, dict[str, list[str]]] = {}
    for entry in entries:
        for key, value in entry.settable.items():
            found.setdefault(key, {}).setdefault(f"{value}", []).append(entry.name)
    rows = []
    for key, defaults in found.items():
        said = [f"`{value}`" if value else "none" for value in defaults]
        if len(defaults) > 1:
            said = [f"{text} ({', '.join(names)})" for text, names in zip(said, defaults.values(), strict=True)]
        rows.append((f"`-o {key}=`", "; ".join(said), SETTING_WORDS.get(key, "")))
    return [*table(("option", "default", "meaning"), rows), ""] if rows else []


def section(family: ModuleType) -> list[str]:
    name = family.__name__.rpartition(".")[2]
    title, rule = SECTIONS.get(name, (name, ""))
    entries = list(family.entries())
    runs = [entry for entry in entries if entry.status != "published-only"]
    told = [entry for entry in entries if entry.status == "published-only"]
    lines = [f"## {title}", ""]
    if rule:
        lines += [f"Input: {rule}.", ""]
    if runs:
        head = ("name", "output", "size", "licence", "weights", "")
        rows = [(f"`{e.name}`", str(e.output), size(e), licence(e), origin(e), e.summary) for e in runs]
        lines += [*table(head, rows), ""]
        lines += settings(runs)
        chosen = runs[0].name
        run = {"endpoint": "-d da-2k --endpoint URL -o model=NAME"}.get(runs[0].status, "-d da-2k --data-root data")
        lines += ["```sh", *how_to_get(runs), f"dabench eval -m {chosen} {run}", "```", ""]
    if told:
        head = ("name", "output", "size", "licence", "numbers", "why it does not run")
        rows = [
            (
                f"`{e.name}`",
                str(e.output),
                size(e),
                licence(e) if e.licence else "-",
                str(len(numbers_of(e.name))),
                e.reason or "",
            )
            for e in told
        ]
        lines += [*table(head, rows), ""]
    papers = dict.fromkeys(e.paper for e in entries if e.paper)
    sources = dict.fromkeys(chain.from_iterable(e.sources for e in entries))
    if papers:
        lines += ["Papers:", "", *(f"- {paper}" for paper in papers), ""]
    return [*lines, "Sources of these facts:", "", *(f"- {source}" for source in sources), ""]


def page() -> str:
    """The whole of docs/models.md."""
    meanings = [(f"`{output}`", text) for output, text in OUTPUT_WORDS.items()]
    lines = [*INTRODUCTION.splitlines(), "", *table(("output", "meaning"), meanings), ""]
    return "\n".join(chain(lines, *(section(family) for family in FAMILIES))).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail when the page is out of date")
    if not parser.parse_args().check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stderr.write(f"{PAGE.name} is out of date; run python docs/build_models.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
