"""Would something simpler than depth give the labels? Accuracy of single cues on the final pairs.

A set in which the lower point is nearly always the closer one measures knowledge of that rule (in DIW's unconstrained
pairs it is right in most). Each cue is scored where it can tell the two points apart; ties are left out and ``n`` shows
how many pairs remain. Accuracy far below one half is as bad as far above.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .brightness import Brightness
from .estimates import clustered_share, share
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
            parts[getattr(pair, by)].append((pair, label))
        if len(parts) > 1:
            groups += [(by, name, parts[name]) for name in sorted(parts)]
    shown = [
        {
            "by": by,
            "name": name,
            "pairs": len(labels),
            "cues": [
                _cue(cue, [preferred(cue, pair, values) for pair, _ in labels], labels, level, draws, seed, limit)
                for cue in CUES
            ],
            "experts": _experts(material.votes, labels, level, draws, seed),
        }
        for by, name, labels in groups
    ]
    return {"limit": limit, "least": LEAST, "groups": shown, "pictures_left": left}


def _cue(
    cue: str, said: Sequence[str], labels: Sequence[Label], level: float, draws: int, seed: int, limit: float
) -> dict[str, Any]:
    told = [(s == label, pair.image) for s, (pair, label) in zip(said, labels, strict=True) if s]
    accuracy = clustered_share([hit for hit, _ in told], [image for _, image in told], level, draws, seed)
    strength = max(accuracy["value"], 1.0 - accuracy["value"])
    beyond = accuracy["low"] > 0.5 or accuracy["high"] < 0.5
    warn = bool(accuracy["n"] >= LEAST and strength > limit and beyond)
    return {"cue": cue, "title": CUES[cue], "accuracy": accuracy, "warn": warn}


def _experts(
    votes: Mapping[str, Mapping[str, str]], labels: Sequence[Label], level: float, draws: int, seed: int
) -> list[dict[str, Any]]:
    """A tie counts as wrong."""
    of: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for pair, label in labels:
        for model, vote in votes.get(pair.id, {}).items():
            of[model].append((vote, label, pair.image))
    return [
        {
            "model": model,
            "accuracy": clustered_share(
                np.array([vote == label for vote, label, _ in given]), [i for _, _, i in given], level, draws, seed
            ),
            "ties": sum(vote == "tie" for vote, _, _ in given),
        }
        for model, given in sorted(of.items())
    ]


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
