"""How each person works: pace, accuracy on hidden pairs, consistency, habits, and what changes during a sitting."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from .estimates import Estimate, plain, quantile, share
from .reading import AnswerRow, Material, Person
from .scenes import active_seconds

FAST_MS = 400
"""Nobody compares two points in less."""
PAUSE_MS = 30 * 60_000
"""A longer pause starts a new sitting."""
BLOCK = 50
FEW = 20
"""Fewer answers raise no flag."""
LOW_GOLD, LOW_REPEAT = 0.90, 0.85
"""Somebody is flagged once the whole interval of their accuracy or consistency lies below."""
Item = tuple[str, str]


def people_report(material: Material, level: float) -> list[dict[str, Any]]:
    """One entry a person who answered or may answer, in the order of their ids."""
    of: dict[int, list[AnswerRow]] = defaultdict(list)
    first: dict[tuple[Item, int], str] = {}
    others: dict[Item, dict[int, str]] = defaultdict(dict)
    for answer in material.answers:
        of[answer.person].append(answer)
        item = (answer.pair, answer.relation)
        if answer.round == 1:
            first[item, answer.person] = answer.answer
            if answer.mode == "blind" and material.pairs[answer.pair].purpose == "label":
                others[item][answer.person] = answer.answer
    return [
        _person(person, of[number], material, first, others, level)
        for number, person in material.people.items()
        if of[number] or (person.active and person.role == "annotator")
    ]


def _person(
    person: Person,
    answers: list[AnswerRow],
    material: Material,
    first: dict[tuple[Item, int], str],
    others: dict[Item, dict[int, str]],
    level: float,
) -> dict[str, Any]:
    seconds = active_seconds(answers)
    timed = [answer for answer in answers if answer.active_ms is not None]
    decided = [answer for answer in answers if answer.shown in ("first", "second")]
    repeats = [
        answer.answer == first[(answer.pair, answer.relation), answer.person]
        for answer in answers
        if answer.kind == "repeat" and ((answer.pair, answer.relation), answer.person) in first
    ]
    found: dict[str, Any] = {
        "alias": person.alias,
        "name": person.name,
        "role": person.role,
        "active": person.active,
        "answers": len(answers),
        "by_kind": dict(Counter(answer.kind for answer in answers)),
        "seconds": {
            "median": quantile(seconds, 0.5),
            "p90": quantile(seconds, 0.9),
            "mean": float(np.mean(seconds)) if seconds else None,
        },
        "hours": sum(seconds) / 3600.0,
        "gold": gold_accuracy(material, answers, level),
        "qualification": gold_accuracy(material, answers, level, kind="qualification"),
        "repeat": share(sum(repeats), len(repeats), level, exact=True),
        "skip_rate": share(sum(a.shown == "skip" for a in answers), len(answers), level),
        "equal_rate": share(sum(a.shown == "equal" for a in answers), len(answers), level),
        "first_rate": share(sum(a.shown == "first" for a in decided), len(decided), level),
        "fast": share(sum((a.active_ms or 0) < FAST_MS for a in timed), len(timed), level),
        "agreement": with_others(answers, others, level),
        "curve": [quantile(seconds[i : i + BLOCK], 0.5) for i in range(0, len(seconds), BLOCK)],
        "drift": _drift(answers, others, level),
        "last": answers[-1].received_at if answers else None,
    }
    return {**found, "flags": flags(found)}


def gold_accuracy(material: Material, answers: Sequence[AnswerRow], level: float, *, kind: str = "gold") -> Estimate:
    """Share of right answers to pairs with a known answer; a skip is no answer."""
    tried = [
        answer.answer == material.pairs[answer.pair].gold
        for answer in answers
        if answer.kind == kind and answer.round == 1 and answer.shown != "skip"
        if material.pairs[answer.pair].gold is not None
    ]
    return share(sum(tried), len(tried), level, exact=True)


def with_others(answers: Sequence[AnswerRow], others: dict[Item, dict[int, str]], level: float) -> Estimate:
    """Share of couples (this answer, another person's on the same pair) that agree where both chose a point."""
    hits = n = 0
    for answer in answers:
        there = others.get((answer.pair, answer.relation), {})
        if answer.round != 1 or there.get(answer.person) not in ("a", "b"):
            continue
        for other, said in there.items():
            if other != answer.person and said in ("a", "b"):
                n += 1
                hits += said == answer.answer
    return share(hits, n, level)


def sittings(answers: Sequence[AnswerRow]) -> list[list[AnswerRow]]:
    """Answers of one person, parted at pauses of more than half an hour."""
    found: list[list[AnswerRow]] = []
    for answer in answers:
        if not found or answer.received_at - found[-1][-1].received_at > PAUSE_MS:
            found.append([])
        found[-1].append(answer)
    return found


def _drift(answers: Sequence[AnswerRow], others: dict[Item, dict[int, str]], level: float) -> dict[str, Any]:
    """The first third of each sitting beside its last."""
    parts = sittings(answers)
    early = [answer for part in parts for answer in part[: len(part) // 3]]
    late = [answer for part in parts for answer in part[len(part) - len(part) // 3 :]]

    def half(some: list[AnswerRow]) -> dict[str, Any]:
        return {
            "seconds": quantile(active_seconds(some), 0.5),
            "skip_rate": share(sum(a.shown == "skip" for a in some), len(some), level),
            "agreement": with_others(some, others, level),
        }

    return {"sessions": len(parts), "early": half(early), "late": half(late)}


def flags(person: dict[str, Any]) -> list[str]:
    """What somebody should look at, in words. Nothing is flagged that chance explains."""
    said = []
    shown = plain(person)
    gold, fast, first, repeat = (shown[key] for key in ("gold", "fast", "first_rate", "repeat"))
    if gold["n"] >= 5 and gold["high"] < LOW_GOLD:
        said.append(f"{gold['value']:.0%} right on {gold['n']} hidden pairs with a known answer")
    if repeat["n"] >= 5 and repeat["high"] < LOW_REPEAT:
        said.append(f"only {repeat['value']:.0%} of {repeat['n']} repeated pairs answered as before")
    if first["n"] >= FEW and not first["low"] <= 0.5 <= first["high"] and abs(first["value"] - 0.5) > 0.1:
        said.append(f"answers A in {first['value']:.0%} of {first['n']} answers, where half is expected")
    if fast["n"] >= FEW and fast["value"] > 0.05:
        said.append(f"{fast['value']:.0%} of the answers took less than {FAST_MS} ms")
    early, late = shown["drift"]["early"], shown["drift"]["late"]
    if min(early["agreement"]["n"], late["agreement"]["n"]) >= FEW and (
        late["agreement"]["high"] < early["agreement"]["low"]
    ):
        said.append("agrees less with the others towards the end of a sitting")
    return said
