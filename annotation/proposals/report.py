"""What a proposal did: counts, strata, and position priors before anybody has labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .batch import StratumCount
from .filters import Left
from .population import Candidates

PRIORS = ("lower", "centre", "left")


@dataclass(frozen=True)
class Prior:
    """How often most experts see a point as closer because of where it lies.

    Attributes:
        cue: ``lower`` in the picture, nearer to the ``centre``, or ``left``.
        pairs: those with a majority whose points differ in the cue.
        share: of them, where the point with the cue is the one that most experts call closer; None without pairs.
        candidates: the same share over all candidates.
    """

    cue: str
    pairs: int
    share: float | None
    candidates: float | None


@dataclass
class ProposalReport:
    """What :func:`annotation.proposals.propose` did.

    Attributes:
        project: of the pairs.
        listed, added, known: images in the list; new in the study; there before or the same as another.
        proposed_before: images of the list that this project has drawn from before; nothing is drawn from them again.
        failed: name and reason of the images that could not be used.
        sources: where key points come from, and of how many images.
        experts: names of the voters.
        stages: points and pairs left after each filter, over the new images.
        strata: of this draw.
        pairs, total: new ones, and all of the project.
        priors: of the new pairs.
        notes: what a person should know.
    """

    project: str
    listed: int = 0
    added: int = 0
    known: int = 0
    proposed_before: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    sources: dict[str, int] = field(default_factory=dict)
    experts: list[str] = field(default_factory=list)
    stages: dict[str, Left] = field(default_factory=dict)
    strata: list[StratumCount] = field(default_factory=list)
    pairs: int = 0
    total: int = 0
    priors: list[Prior] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def position_priors(candidates: Sequence[Candidates], drawn: Sequence[Mapping[str, Any]]) -> list[Prior]:
    """Priors of the drawn pairs, and of all candidates, by the votes of the experts that look at the picture.

    Args:
        candidates: of each image.
        drawn: pairs with the ``image`` and the number of the ``candidate`` in it.
    """
    chosen: dict[str, list[int]] = {}
    for pair in drawn:
        chosen.setdefault(pair["image"], []).append(pair["candidate"])
    found = []
    for cue in PRIORS:
        agreeing, pairs, all_agreeing, all_pairs = 0, 0, 0, 0
        for item in candidates:
            agrees = item.majority * item.cue(cue)
            some = agrees[chosen.get(item.image.sha256, [])]
            agreeing, pairs = agreeing + int((some > 0).sum()), pairs + int((some != 0).sum())
            all_agreeing, all_pairs = all_agreeing + int((agrees > 0).sum()), all_pairs + int((agrees != 0).sum())
        share = agreeing / pairs if pairs else None
        found.append(Prior(cue, pairs, share, all_agreeing / all_pairs if all_pairs else None))
    return found


def by_scene(strata: Sequence[StratumCount]) -> dict[str, dict[str, int]]:
    """scene -> candidates, and pairs drawn by each route."""
    scenes: dict[str, dict[str, int]] = {}
    for stratum in strata:
        row = scenes.setdefault(stratum.scene, {"candidates": 0})
        row["candidates"] += stratum.candidates
        row[stratum.route] = row.get(stratum.route, 0) + stratum.drawn
    return scenes
