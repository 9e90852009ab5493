"""What the finished set will be worth: how wrong its labels are, and how exactly it will measure a model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.policy import POLICIES, Policy
from dabench.scoring.statistics import wilson_interval

from .agreement import Table, first_two_agreement
from .estimates import Estimate, share
from .reading import SETTLED, WORK, Material, PairRow

ACCURACIES = (0.85, 0.90, 0.95, 0.97)
RHO = 0.3
"""Assumed correlation of a model's success on two pairs of one image."""
AMBIGUOUS = (0.0, 0.02, 0.05, 0.10)
LEAST = 20
"""An error estimated from fewer answers or pairs is shown but not built on."""
ASSUMED_ERROR = 0.05
"""Stands in until there is an estimate; only the expected number of answers rests on it."""


@dataclass(frozen=True)
class ErrorEstimate:
    """Chance that one answer of one person is wrong, seen in two ways.

    ``used`` is the larger of those that rest on :data:`LEAST` or more: agreement cannot see mistakes that people share,
    and hidden test pairs are often the easy ones. NaN when there is neither.
    """

    agreement: Estimate
    gold: Estimate
    used: float
    source: str | None


def answer_error(material: Material, answers: Table, level: float, draws: int, seed: int) -> ErrorEstimate:
    _, by_agreement = first_two_agreement(answers, level, draws, seed)
    wrong = n = 0
    for answer in material.answers:
        pair = material.pairs[answer.pair]
        if answer.kind == "gold" and answer.round == 1 and pair.gold is not None and answer.shown != "skip":
            n += 1
            wrong += answer.answer != pair.gold
    by_gold = share(wrong, n, level, exact=True)
    usable = {
        name: found["value"]
        for name, found in (("agreement", by_agreement), ("gold", by_gold))
        if found["n"] >= LEAST and math.isfinite(found["value"])
    }
    source = max(usable, key=lambda name: usable[name]) if usable else None
    return ErrorEstimate(by_agreement, by_gold, usable[source] if source else math.nan, source)


def design_effect(pairs: Iterable[PairRow], rho: float = RHO) -> float:
    """``1 + (m - 1) rho``; ``m`` is the mean number of pairs in the image of a pair (Kish, Survey Sampling, 1965).

    1 without pairs.
    """
    sizes = Counter(pair.image for pair in pairs if pair.state != "dropped").values()
    return 1.0 + (sum(n * n for n in sizes) / sum(sizes) - 1.0) * rho if sizes else 1.0


def accuracy_intervals(pairs: float, effect: float, level: float) -> list[dict[str, float]]:
    """Wilson's interval of a model's accuracy on ``pairs`` pairs, for models of several accuracies.

    The pairs count as ``pairs / effect`` independent ones. Empty without pairs.
    """
    independent = pairs / effect
    if independent <= 0:
        return []
    found = []
    for accuracy in ACCURACIES:
        low, high = wilson_interval(accuracy * independent, independent, level)  # type: ignore[arg-type]
        found.append({"accuracy": accuracy, "low": low, "high": high, "half_width": (high - low) / 2.0})
    return found


def scene_forecast(
    scene: dict[str, Any], pairs: Sequence[PairRow], answers: Table, policy: Policy, level: float, draws: int, seed: int
) -> dict[str, Any]:
    """Agreement of a scene, the label error that follows from it, and the interval the scene will give."""
    raw, error = first_two_agreement(answers, level, draws, seed, scene=scene["scene"])
    effect = design_effect(pairs)
    known = error["n"] >= LEAST
    return {
        "agreement": raw,
        "expected_error": policy.expected(error["value"]).wrong if known else None,
        "design_effect": effect,
        "interval": accuracy_intervals(scene["expected"], effect, level),
    }


def forecast(
    material: Material, scenes: Sequence[dict[str, Any]], error: ErrorEstimate, policy: Policy, level: float
) -> dict[str, Any]:
    """The whole set."""
    effect = design_effect(material.wanted)
    expected = sum(scene["expected"] for scene in scenes)
    known = math.isfinite(error.used)
    settled = [pair for pair in material.wanted if pair.state in SETTLED]
    ids = {pair.id for pair in settled}
    given = sum(a.pair in ids and a.kind in WORK for a in material.answers)
    return {
        "rho": RHO,
        "design_effect": effect,
        "pairs": expected,
        "interval": accuracy_intervals(expected, effect, level),
        "error": {
            "agreement": error.agreement, "gold": error.gold, "used": error.used, "from": error.source,
        },
        "policies": [
            {"policy": name, "title": other.title, "chosen": name == policy.name, **_expected(other, error.used)}
            for name, other in POLICIES.items()
        ]
        if known
        else [],
        "ambiguous": [{"share": part, **_expected(policy, error.used, part)} for part in AMBIGUOUS] if known else [],
        "observed": {
            "decided": len(settled),
            "kept": share(len(material.final), len(settled), level),
            "answers": given / len(settled) if settled else None,
        },
    }  # fmt: skip


def _expected(policy: Policy, error: float, ambiguous: float = 0.0) -> dict[str, float]:
    found = policy.expected(error, ambiguous)
    return {"kept": found.kept, "wrong": found.wrong, "answers": found.answers}
