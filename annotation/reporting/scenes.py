"""Progress of each scene: states of its pairs, how full it is, and what is left to do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from .estimates import quantile, share
from .reading import STATES, WORK, AnswerRow, Material, PairRow, targets

OPEN = ("queued", "answered")
IDLE_MS = 60_000
"""A single answer is not counted with more active time than this; whoever takes longer has gone away."""


def active_seconds(answers: Sequence[AnswerRow]) -> list[float]:
    """Active time of each answer that has one, in seconds, cut at :data:`IDLE_MS`."""
    return [min(a.active_ms, IDLE_MS) / 1000.0 for a in answers if a.active_ms is not None]


def states_of(pairs: Sequence[PairRow]) -> dict[str, int]:
    found = Counter(pair.state for pair in pairs)
    return {state: found[state] for state in STATES}


def answers_left(pairs: Sequence[PairRow], given: Counter[str], per_pair: float, still_wanted: float) -> float:
    """Answers that are still to be given.

    Args:
        given: answers of each pair so far.
        per_pair: expected answers of a pair under the policy; a layered pair takes twice as many.
        still_wanted: pairs that are still to be decided; a scene that has enough asks no more.
    """
    open_pairs = sorted((p for p in pairs if p.state in OPEN), key=lambda p: -given[p.id])
    left = [max(per_pair * (1 + p.layered) - given[p.id], 1.0) for p in open_pairs]
    whole = int(min(len(left), math.ceil(still_wanted)))
    return float(sum(left[:whole]))


def scene_progress(material: Material, per_pair: float, kept: float, level: float) -> list[dict[str, Any]]:
    """One entry a scene, in the order of their names.

    Args:
        per_pair: expected answers of a pair under the policy.
        kept: expected share of pairs that become final.

    ``hours_left`` includes the hidden tests and repeats that come between; it is of one person.
    """
    wanted = targets(material)
    pairs_of: dict[str, list[PairRow]] = {scene: [] for scene in sorted({*wanted, *material.images})}
    for pair in material.wanted:
        pairs_of.setdefault(pair.scene, []).append(pair)
    scene_of = {pair.id: pair.scene for pair in material.wanted}
    answers_of: dict[str, list[AnswerRow]] = {scene: [] for scene in pairs_of}
    for answer in material.answers:
        if answer.pair in scene_of and answer.kind in WORK:
            answers_of[scene_of[answer.pair]].append(answer)
    anywhere = active_seconds(material.answers)
    hidden = material.settings.repeat_share
    if any(pair.purpose == "gold" for pair in material.pairs.values()):
        hidden += material.settings.gold_share
    overhead = 1.0 / max(1.0 - hidden, 0.1)
    return [
        _scene(
            scene,
            pairs,
            answers_of[scene],
            wanted.get(scene),
            material.images[scene],
            per_pair,
            kept,
            anywhere,
            overhead,
            level,
        )
        for scene, pairs in pairs_of.items()
    ]


def _scene(
    scene: str,
    pairs: list[PairRow],
    answers: list[AnswerRow],
    target: int | None,
    images: int,
    per_pair: float,
    kept: float,
    anywhere: list[float],
    overhead: float,
    level: float,
) -> dict[str, Any]:
    states = states_of(pairs)
    done = states["final"]
    open_pairs = sum(states[state] for state in OPEN)
    missing = None if target is None else max(target - done, 0)
    still_wanted = float(open_pairs) if missing is None else missing / max(kept, 1e-9)
    given = Counter(answer.pair for answer in answers)
    left = answers_left(pairs, given, per_pair, still_wanted)
    seconds = active_seconds(answers)
    each = seconds or anywhere
    sizes = Counter(pair.image for pair in pairs if pair.state != "dropped")
    coming = open_pairs * kept + states["agreed"] + states["disputed"] * kept + states["adjudicated"]
    return {
        "scene": scene,
        "images": images,
        "pairs": len(pairs),
        "states": states,
        "done": done,
        "target": target,
        "fill": None if not target else min(done / target, 1.0),
        "short": 0 if missing is None else max(math.ceil(missing - coming), 0),
        "answers": len(answers),
        "answers_left": math.ceil(left),
        "hours_left": 0.0 if not left else overhead * left * float(np.mean(each)) / 3600.0 if each else math.nan,
        "skip_rate": share(sum(a.shown == "skip" for a in answers), len(answers), level),
        "seconds": quantile(seconds, 0.5),
        "pairs_per_image": len(pairs) / len(sizes) if sizes else math.nan,
        "expected": int(done + coming) if target is None else min(target, int(done + coming)),
    }


def total_progress(material: Material, scenes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The scenes together. A target counts only when every scene with pairs has one."""
    aims = [scene["target"] for scene in scenes if scene["pairs"] or scene["target"]]
    target = sum(aims) if aims and None not in aims else None
    done = sum(scene["done"] for scene in scenes)
    counted = sum(min(scene["done"], scene["target"] or 0) for scene in scenes)
    return {
        "states": states_of(material.wanted),
        "pairs": len(material.wanted),
        "done": done,
        "target": target,
        "fill": counted / target if target else None,
        "answers": sum(scene["answers"] for scene in scenes),
        "answers_left": sum(scene["answers_left"] for scene in scenes),
        "hours_left": sum(scene["hours_left"] for scene in scenes),
    }
