"""Would something simpler than depth give the labels? Accuracy of single cues on the final pairs.

A set in which the lower point is nearly always the closer one measures knowledge of that rule (in DIW's unconstrained
pairs it is right in most). Each cue is scored where it can tell the two points apart; ties are left out and ``n`` shows
how many pairs remain. Accuracy far below one half is as bad as far above.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from .brightness import Brightness
from .estimates import Estimate, clustered_shares, share
from .reading import Material, PairRow

LIMIT = 0.70
"""A single cue that is right (or wrong) more often than this gives the labels away."""
LEAST = 20
"""Fewer pairs in a group raise no warning."""
CUES = {
    "lower": "lower in the picture",
    "centre": "nearer the centre",
    "bigger": "in the bigger region",
    "brighter": "brighter",
    "left": "left",
    "point a": "stored first",
}
SIDE = re.compile(r"/(lower|other|all)$")
Label = tuple[PairRow, str]


def preferred(cue: str, pair: PairRow, brightness: Mapping[tuple[str, int, int], float]) -> str:
    """The point that a cue calls closer, ``a`` or ``b``; empty where it cannot tell."""
    first, second = _strengths(cue, pair, brightness)
    if first is None or second is None or first == second:
        return ""
    return "a" if first > second else "b"


def _strengths(
    cue: str, pair: PairRow, brightness: Mapping[tuple[str, int, int], float]
) -> tuple[float | None, float | None]:
    a, b = pair.a, pair.b
    if cue == "lower":
        return a[0], b[0]
    if cue == "left":
        return -a[1], -b[1]
    if cue == "centre":
        row, col = (pair.height - 1) / 2.0, (pair.width - 1) / 2.0
        return -((a[0] - row) ** 2 + (a[1] - col) ** 2), -((b[0] - row) ** 2 + (b[1] - col) ** 2)
    if cue == "bigger":
        return pair.a_area, pair.b_area
    if cue == "brighter":
        return brightness.get((pair.image, *a)), brightness.get((pair.image, *b))
    return 1.0, 0.0  # point a


def shortcut_report(
    material: Material, brightness: Brightness, level: float, draws: int, seed: int, limit: float = LIMIT
) -> dict[str, Any]:
    """Accuracy of each cue and each expert, over all final pairs and by scene, stratum and route."""
    final = material.final
    values, left = brightness.of([pair for pair, _ in final])
    groups: list[tuple[str, str, list[Label]]] = [("all", "all", final)]
    for by in ("scene", "stratum", "route"):
        parts: dict[str, list[Label]] = defaultdict(list)
        for pair, label in final:
            parts[both_sides(pair.stratum) if by == "stratum" else getattr(pair, by)].append((pair, label))
        known = {name for _, name, _ in groups}
        if len(parts) > 1 and not known.issuperset(parts):  # strata may be the scenes
            groups += [(by, name, parts[name]) for name in sorted(parts)]
    models = sorted({model for pair, _ in final for model in material.votes.get(pair.id, {})})
    said = {
        pair.id: [preferred(cue, pair, values) for cue in CUES]
        + [material.votes.get(pair.id, {}).get(model, "") for model in models]
        for pair, _ in final
    }
    looks = len(CUES) * len(groups)
    shown = [
        {"by": by, "name": name, "pairs": len(labels), **_group(said, labels, models, level, draws, seed, limit, looks)}
        for by, name, labels in groups
    ]
    return {"limit": limit, "least": LEAST, "groups": shown, "pictures_left": left}


def _group(
    said: Mapping[str, Sequence[str]],
    labels: Sequence[Label],
    models: Sequence[str],
    level: float,
    draws: int,
    seed: int,
    limit: float,
    looks: int,
) -> dict[str, Any]:
    """Cues and experts of some pairs. An expert's tie counts as wrong; a model without a vote on any is left out."""
    hits = np.array(
        [[math.nan if not s else float(s == label) for s in said[pair.id]] for pair, label in labels], dtype=np.float64
    ).reshape(len(labels), len(CUES) + len(models))
    found = clustered_shares(hits, [pair.image for pair, _ in labels], level, draws, seed)
    ties = [sum(said[pair.id][len(CUES) + number] == "tie" for pair, _ in labels) for number in range(len(models))]
    return {
        "cues": [
            {"cue": cue, "title": title, "accuracy": accuracy, "warn": gives_away(accuracy, limit, level, looks)}
            for (cue, title), accuracy in zip(CUES.items(), found, strict=False)
        ],
        "experts": [
            {"model": model, "accuracy": accuracy, "ties": tied}
            for model, accuracy, tied in zip(models, found[len(CUES) :], ties, strict=True)
            if accuracy["n"]
        ],
    }


def both_sides(stratum: str) -> str:
    """A stratum without its side: pairs are drawn half and half where experts see the lower point closer and where they
    do not, and in one half alone the cue "lower" is right by design.
    """
    return SIDE.sub("", stratum)


def gives_away(accuracy: Estimate, limit: float, level: float, looks: int) -> bool:
    """Whether a cue is right, or wrong, more often than ``limit``, on enough pairs and beyond chance.

    Beyond chance: farther from one half than ``looks`` cues of no worth would come at this level (Bonferroni), by the
    standard error of independent pairs or that of the interval over images, whichever is larger.
    """
    value, n = accuracy["value"], accuracy["n"]
    if n < LEAST or not math.isfinite(accuracy["low"]) or max(value, 1.0 - value) <= limit:
        return False
    normal = NormalDist()
    error = (accuracy["high"] - accuracy["low"]) / 2.0 / normal.inv_cdf(0.5 + level / 2.0)
    farthest = normal.inv_cdf(1.0 - (1.0 - level) / (2.0 * looks)) * max(error, math.sqrt(0.25 / n))
    return bool(abs(value - 0.5) > farthest)


def control_report(material: Material, level: float) -> dict[str, Any]:
    """Control pairs, on which all experts agreed: how often are they all wrong together?"""
    labels = []
    for pair, label in material.final:
        votes = set(material.votes.get(pair.id, {}).values())
        if pair.route == "control" and len(votes) == 1 and votes <= {"a", "b"}:
            labels.append((next(iter(votes)) != label, pair.image))
    return {
        "pairs": sum(pair.route == "control" for pair in material.wanted),
        "wrong": share(sum(wrong for wrong, _ in labels), len(labels), level, exact=True),
    }
