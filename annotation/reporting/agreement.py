"""Agreement of the people of a project, and the error that follows from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotation.agreement import agreement, dawid_skene, in_reference_order
from annotation.agreement.bootstrap import Coefficient
from annotation.agreement.coefficients import Ratings
from annotation.agreement.presentation import UNDECIDED

from .estimates import Estimate, clustered_share, estimate, share
from .reading import SETTLED, WORK, AnswerRow, Material

VIEWS = (
    ("binary", 2, "closer point, undecided answers left out"),
    ("three", 3, "closer point or undecided (equal, cannot tell)"),
)
CODING = (
    "Answers are compared in one order of the two points for each pair, which is drawn from a hash of the pair's id, "
    "so that both labels are about equally frequent; blind first answers only."
)


@dataclass(frozen=True)
class Table:
    """Blind first answers of a project.

    Attributes:
        items: ``[N]`` (pair, relation).
        people: ``[R]`` ids.
        ratings: ``[N, R]`` codes of :mod:`annotation.agreement.presentation`, -1: none.
        images: ``[N]`` image of each item.
        scenes: ``[N]``.
        first_two: ``[N, 2]`` codes of the first two answers by different people, -1 where there are fewer.
    """

    items: list[tuple[str, str]]
    people: list[int]
    ratings: Ratings
    images: list[str]
    scenes: list[str]
    first_two: Ratings


def counted(material: Material) -> Iterable[AnswerRow]:
    """Blind first answers on pairs that are to be labelled, in the order in which they came."""
    for answer in material.answers:
        if answer.round == 1 and answer.mode == "blind" and material.pairs[answer.pair].purpose == "label":
            yield answer


def table(material: Material) -> Table:
    """Arrange the answers; empty where there are none."""
    given = list(counted(material))
    items = list(dict.fromkeys((answer.pair, answer.relation) for answer in given))
    people = sorted({answer.person for answer in given})
    row = {item: number for number, item in enumerate(items)}
    column = {person: number for number, person in enumerate(people)}
    ratings = np.full((len(items), len(people)), -1, dtype=np.int64)
    first_two = np.full((len(items), 2), -1, dtype=np.int64)
    seen = np.zeros(len(items), dtype=np.int64)
    for answer in given:
        at, code = row[answer.pair, answer.relation], in_reference_order(answer.pair, answer.answer)
        ratings[at, column[answer.person]] = code
        if seen[at] < 2:
            first_two[at, seen[at]] = code
        seen[at] += 1
    first_two[seen < 2] = -1
    pairs = [material.pairs[pair] for pair, _ in items]
    return Table(items, people, ratings, [p.image for p in pairs], [p.scene for p in pairs], first_two)


def decided(ratings: Ratings) -> Ratings:
    """The binary view: undecided answers count as missing."""
    return np.where(ratings == UNDECIDED, -1, ratings)


def agreement_report(material: Material, answers: Table, level: float, draws: int, seed: int) -> dict[str, Any]:
    aliases = [material.people[person].alias for person in answers.people]
    views = []
    for name, categories, title in VIEWS:
        ratings = decided(answers.ratings) if name == "binary" else answers.ratings
        found = agreement(ratings, answers.images, categories, level=level, draws=draws, seed=seed)
        views.append(
            {
                "view": name,
                "title": title,
                "items": found.items,
                "answers": found.ratings,
                "people": int(((ratings >= 0) & ((ratings >= 0).sum(axis=1) >= 2)[:, None]).any(axis=0).sum()),
                "raw": _shown(found.raw),
                "fleiss": _shown(found.fleiss),
                "alpha": _shown(found.alpha),
                "ac1": _shown(found.ac1),
                "cohen": [
                    {
                        "people": [aliases[couple.first], aliases[couple.second]],
                        "raw": _shown(couple.raw),
                        "kappa": _shown(couple.kappa),
                    }
                    for couple in found.cohen
                ],
            }
        )
    return {
        "coding": CODING,
        "open_checks": _open_checks(material, level),
        "views": views,
        "dawid_skene": _second_opinion(material, answers, aliases),
    }


def _shown(found: Coefficient) -> Estimate:
    return estimate(found.value, found.interval, found.items)


def _open_checks(material: Material, level: float) -> dict[str, Any]:
    """How often somebody who saw the first answer confirmed it; such answers say nothing about agreement.

    Skips aside.
    """
    first: dict[tuple[str, str], str] = {}
    confirmed = n = 0
    for answer in material.answers:
        item = (answer.pair, answer.relation)
        if answer.kind not in WORK or answer.answer == "skip":
            continue
        if answer.mode == "open" and item in first:
            n += 1
            confirmed += answer.answer == first[item]
        first.setdefault(item, answer.answer)
    return {"n": n, "confirmed": share(confirmed, n, level)}


def _second_opinion(material: Material, answers: Table, aliases: Sequence[str]) -> dict[str, Any] | None:
    ratings = decided(answers.ratings)
    kept = (ratings >= 0).sum(axis=1) >= 2
    if not kept.any():
        return None
    fit = dawid_skene(ratings[kept], 2)
    labels = fit.posterior.argmax(axis=1)
    differs = 0
    for label, item in zip(labels, [i for i, k in zip(answers.items, kept, strict=True) if k], strict=True):
        result = material.labels.get(item, "")
        settled = material.pairs[item[0]].state in SETTLED and result in ("a", "b")
        differs += settled and in_reference_order(item[0], result) != int(label)
    given = (ratings[kept] >= 0).sum(axis=0)
    return {
        "items": int(kept.sum()),
        "rounds": fit.rounds,
        "people": [
            {"alias": alias, "accuracy": float(right), "answers": int(n)}
            for alias, right, n in zip(aliases, fit.accuracy, given, strict=True)
            if n
        ],
        "differs": differs,
    }


def first_two_agreement(
    answers: Table, level: float, draws: int, seed: int, *, scene: str | None = None
) -> tuple[Estimate, Estimate]:
    """Raw agreement of the first two decided answers, and the error of one answer that gives it.

    Only the first two answers of a pair count: whether a third is asked depends on them, which would bias the share.
    Two people who err independently with probability e agree with ``Po = e^2 + (1 - e)^2``, so that kappa of balanced
    labels is ``2 Po - 1 = (1 - 2 e)^2``.
    """
    both = decided(answers.first_two)
    here = np.array([scene in (None, s) for s in answers.scenes], dtype=bool)
    chosen = np.flatnonzero((both >= 0).all(axis=1) & here)
    images = [answers.images[number] for number in chosen]
    raw = clustered_share(both[chosen, 0] == both[chosen, 1], images, level, draws, seed)
    error = estimate(
        error_of_agreement(raw["value"]),
        (error_of_agreement(raw["high"]), error_of_agreement(raw["low"])),
        raw["n"],
    )
    return raw, error


def error_of_agreement(raw: float) -> float:
    """Error e of one answer from the share ``raw`` of agreeing couples; 0.5 where they agree no more than by chance."""
    return 0.5 * (1.0 - math.sqrt(max(2.0 * raw - 1.0, 0.0))) if math.isfinite(raw) else math.nan
