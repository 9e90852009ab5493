"""Where the time went, and what one kept pair cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from .estimates import quantile
from .reading import Material
from .scenes import IDLE_MS

KINDS = ("label", "check", "gold", "repeat", "qualification")
LONGEST_DECISION_MS = 120_000


def time_ledger(material: Material) -> dict[str, Any]:
    """Hours by kind of work.

    Active time of all answers counts, also of undone ones, each cut at a minute. Adjudication has no clock of its own:
    a decision is taken to last from the one before it by the same person, or the median of these where that is more
    than two minutes ago.
    """
    kinds = []
    idle = 0.0
    for kind in KINDS:
        spent = [min(active, IDLE_MS) / 1000.0 for k, active, _ in material.spent if k == kind and active is not None]
        kinds.append(_line(kind, sum(k == kind for k, _, _ in material.spent), spent, estimated=False))
    for _, active, wall in material.spent:
        if active is not None and wall is not None:
            idle += (wall - min(active, IDLE_MS)) / 1000.0
    decisions = decision_seconds(material.decided)
    kinds.append(_line("adjudicate", len(decisions), decisions, estimated=True))
    hours = sum(kind["hours"] for kind in kinds)
    kept = len(material.final)
    return {
        "kinds": kinds,
        "hours": hours,
        "idle_hours": idle / 3600.0,
        "kept": kept,
        "seconds_per_kept": hours * 3600.0 / kept if kept else None,
    }


def _line(kind: str, n: int, seconds: list[float], *, estimated: bool) -> dict[str, Any]:
    return {
        "kind": kind,
        "n": n,
        "hours": sum(seconds) / 3600.0,
        "median": quantile(seconds, 0.5),
        "estimated": estimated,
    }


def decision_seconds(decided: list[tuple[str, int]]) -> list[float]:
    """Estimated seconds of each decision; empty when no two follow each other within two minutes."""
    last: dict[str, int] = {}
    gaps: list[float | None] = []
    for person, at in decided:
        gap = at - last[person] if person in last else LONGEST_DECISION_MS + 1
        gaps.append(gap / 1000.0 if gap <= LONGEST_DECISION_MS else None)
        last[person] = at
    known = [gap for gap in gaps if gap is not None]
    if not known:
        return []
    usual = float(np.median(known))
    return [usual if gap is None else gap for gap in gaps]
