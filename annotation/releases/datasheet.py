"""The page that goes with a release: what it holds and how it was made, every number counted from it.

The questions follow Gebru et al., Datasheets for Datasets, Communications of the ACM 64 (12), 2021.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]
UNPRINTABLE = {ord(character): f"\\{character}" for character in "\\`*_{}[]<>#|"}


def datasheet(meta: Json, pairs: Sequence[Json], responses: Sequence[Json], licences: Sequence[Json]) -> str:
    """The text of ``DATASHEET.md``.

    Args:
        meta: what ``meta.json`` will hold, but for the digests of files.
        pairs: rows of ``pairs.csv``.
        responses: rows of ``responses.csv``.
        licences: rows of ``licences.csv``.
    """
    counts = meta["counts"]
    title = f"{meta['study'] or meta['project']}, release {meta['name']}"
    lines = [
        f"# {_text(title)}",
        "",
        f"{counts['pairs']} pairs of points on {counts['images']} images, each with the answer which of the two is "
        f"closer to the camera. Made {meta['made_at']} with {meta['tool']}; digest `{meta['digest']}`.",
        "",
        "## What is in it",
        "",
        *_table(
            ["scene", "pairs", "images", "all answers agree", "median seconds an answer"],
            _scene_rows(meta, pairs, responses),
        ),
        "",
        *_table(["route", "pairs", "share"], _shares(counts["routes"])),
        "",
        *_table(
            ["points come from", "points", "share"],
            [[_text(source), n["points"], _percent(n["share"])] for source, n in meta["point_sources"].items()],
        ),
        "",
        _left_out(counts["left_out"]),
        "",
        "## How the labels came about",
        "",
        f"- Policy: `{meta['policy']}`; answers were collected under `{meta['collected_under']['policy']}`, checks "
        f"were {meta['collected_under']['check_mode']}.",
        *_about_answers(responses),
        *(
            f"- {rule[0].upper()}{rule[1:]}."
            for name, rule in meta["rules"].items()
            if name in ("pairs", "label", "layers")
        ),
        "",
        "## How it is scored",
        "",
        f"- `dabench eval -d pairs --data-root FOLDER -m MODEL`. {_sentence(meta['rules']['tie'])}",
        f"- {_sentence(meta['rules']['coordinates'])} {_sentence(meta['rules']['orientation'])}",
        f"- {_sentence(meta['rules']['order'])}",
        *_about_drawing(meta, pairs),
        *_about_priors(pairs),
        "",
        "## Rights",
        "",
        *_table(["licence", "images"], _counted(row["licence"].strip() or "none stated" for row in licences)),
        "",
        "Author and source of every image are in `licences.csv`."
        + (f" **{counts['without_licence']} images have no licence.**" if counts["without_licence"] else ""),
        "",
        "People appear by pseudonym only.",
        "",
        "## Changes",
        "",
        _changes(meta),
        "",
    ]
    return "\n".join(lines)


def _scene_rows(meta: Json, pairs: Sequence[Json], responses: Sequence[Json]) -> list[list[Any]]:
    seconds: dict[str, list[float]] = defaultdict(list)
    scene_of = {row["id"]: row["scene"] for row in pairs}
    for row in responses:
        if row["active_ms"] is not None:
            seconds[scene_of[row["pair"]]].append(row["active_ms"] / 1000)
    rows: list[list[Any]] = []
    for scene, count in meta["counts"]["scenes"].items():
        own = [row for row in pairs if row["scene"] == scene]
        answered = [row for row in own if row["answers"]]
        same = sum(row["answers"] == row["agreeing"] for row in answered)
        images = len({row["image"] for row in own})
        median = f"{statistics.median(seconds[scene]):.1f}" if seconds[scene] else "-"
        rows.append([_text(scene or "(none)"), count, images, _share(same, len(answered)), median])
    return rows


def _about_answers(responses: Sequence[Json]) -> list[str]:
    people = {row["person"] for row in responses}
    work = [row for row in responses if row["kind"] in ("label", "check") and row["round"] == 1]
    first = sum(row["shown"] == "first" for row in work)
    ordered = sum(row["shown"] in ("first", "second") for row in work)
    repeats = sum(row["kind"] == "repeat" for row in responses)
    return [
        f"- {len(responses)} answers of {len(people)} people, {repeats} of them to hidden repeats; "
        f"{_share(sum(row['shown'] == 'skip' for row in work), len(work))} skipped.",
        f"- Which point a person saw as A was random. A was chosen in {_share(first, ordered)} of the answers that "
        "chose one.",
    ]


def _about_drawing(meta: Json, pairs: Sequence[Json]) -> list[str]:
    drawn = [row["probability"] for row in pairs if row["probability"] is not None]
    if not drawn:
        return ["- No pair was drawn with a known probability, so accuracy speaks of these pairs alone."]
    lines = [
        f"- {len(drawn)} of {len(pairs)} pairs were drawn with a known probability ({min(drawn):.4g} to "
        f"{max(drawn):.4g}); `accuracy_weighted` weighs them by its inverse and speaks of the candidates that people "
        "could decide. The other pairs take no part in it.",
    ]
    if meta["experts"]:
        named = ", ".join(f"`{model}`" for model in meta["experts"])
        lines.append(
            f"- {named} voted in the choice of the pairs. On the plain accuracy they are at a disadvantage wherever "
            "their disagreement chose a pair."
        )
    return lines


def _about_priors(pairs: Sequence[Json]) -> list[str]:
    """How far position alone gets: the two cues that a model without eyes could use."""
    lower, central = [0, 0], [0, 0]
    for row in pairs:
        right, wrong = ("pa", "pb") if row["closer"] == "A" else ("pb", "pa")
        by_row = row[f"{right}_row"] - row[f"{wrong}_row"]
        lower[0] += by_row > 0
        lower[1] += by_row != 0
        distance = {
            name: math.hypot(row[f"{name}_row"] - (row["height"] - 1) / 2, row[f"{name}_col"] - (row["width"] - 1) / 2)
            for name in (right, wrong)
        }
        central[0] += distance[right] < distance[wrong]
        central[1] += distance[right] != distance[wrong]
    return [
        f"- Position alone: the lower point is the closer one in {_share(*lower)} of the pairs, the one nearer to the "
        f"centre in {_share(*central)}."
    ]


def _left_out(left_out: Mapping[str, int]) -> str:
    if not left_out:
        return "Every pair of the project is in it."
    said = ", ".join(f"{count} {_text(why)}" for why, count in left_out.items())
    return f"Not in it: {sum(left_out.values())} pairs of the project ({said})."


def _changes(meta: Json) -> str:
    if meta["previous"] is None:
        return "This is the first release."
    changed = meta["changes"]
    said = ", ".join(f"{len(changed[kind])} {kind}" for kind in ("added", "removed", "relabelled"))
    return f"Against `{meta['previous']}`: {said}. Their ids are in `manifest.json`."


def _counted(values: Any) -> list[list[Any]]:
    return [[_text(value), count] for value, count in sorted(Counter(values).items())]


def _shares(counts: Mapping[str, int]) -> list[list[Any]]:
    total = sum(counts.values())
    return [[_text(name), count, _percent(count / total)] for name, count in counts.items()]


def _share(part: int, whole: int) -> str:
    return f"{_percent(part / whole)} ({part} of {whole})" if whole else "- (of 0)"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    return [f"| {' | '.join(map(str, cells))} |" for cells in (header, ["---"] * len(header), *rows)]


def _text(value: str) -> str:
    """Somebody's words as plain text in Markdown: no markup, no line break."""
    return " ".join(str(value).split()).translate(UNPRINTABLE)
