"""Candidates of one image, and the strata they fall into."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.keypoints.types import KeyPoints

from .drawing import generator_for
from .filters import Left, candidate_pairs, counted, in_band, usable_points
from .intake import StudyImage
from .settings import ProposalSettings
from .voting import Ballots, Reading, disagreement, gaps, vote


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidate pairs of one image.

    Attributes:
        image: where they are.
        points: int32 [n, 2], (row, col) of its key points.
        readings: of each expert, at all key points.
        first, second: int16 [m], numbers of the points of each pair.
        unanimous: bool [m], all experts name the same point.
        majority: int8 [m], 1 or -1: most experts that look at the picture name the first or the second point; 0: none.
        score, gap: float64 [m]; a gap is NaN when no expert looks.
        left: points and pairs left after each stage.
    """

    image: StudyImage
    points: NDArray[np.int32]
    readings: tuple[Reading, ...]
    first: NDArray[np.int16]
    second: NDArray[np.int16]
    unanimous: NDArray[np.bool_]
    majority: NDArray[np.int8]
    score: NDArray[np.float64]
    gap: NDArray[np.float64]
    left: dict[str, Left]

    def __len__(self) -> int:
        return len(self.first)

    def cue(self, name: str) -> NDArray[np.int8]:
        """int8 [m], 1 or -1: the first or the second point lies ``lower``, nearer to the ``centre`` or more to the
        ``left``; 0: they are level.
        """
        rows, cols = self.points[:, 0].astype(np.int64), self.points[:, 1].astype(np.int64)
        centre = (2 * rows + 1 - self.image.height) ** 2 + (2 * cols + 1 - self.image.width) ** 2
        value = {"lower": rows, "centre": -centre, "left": -cols}[name]
        return np.sign(value[self.first] - value[self.second]).astype(np.int8)

    @property
    def lower(self) -> NDArray[np.bool_]:
        """bool [m], most experts that look at the picture name the lower point."""
        return self.majority * self.cue("lower") > 0


@dataclass(frozen=True)
class Stratum:
    """A column of the draw: route, band of the gap as (from, to) or None for all, and side (lower, other or all)."""

    route: str
    band: tuple[float, float] | None
    side: str

    def name(self, scene: str) -> str:
        """As stored with each pair: ``scene/gap 0.1-0.25/lower``."""
        parts = [scene or "no scene"]
        if self.band is not None:
            low, high = self.band
            parts.append(f"gap {low:g}-{high:g}" if high < float("inf") else f"gap {low:g}+")
        if self.side != "all":
            parts.append(self.side)
        return "/".join(parts)


def candidates_of(
    image: StudyImage,
    keypoints: KeyPoints,
    readings: Sequence[Reading],
    baseline: Sequence[bool],
    settings: ProposalSettings,
    seed: int,
) -> Candidates:
    """Filter the pairs of an image's key points and let the experts vote on those that are left.

    Args:
        readings: of each expert, at all key points.
        baseline: of each expert, whether it does not look at the picture. Its vote counts; its values are neither held
            to be smooth nor part of the gap.
    """
    looking = [reading for reading, blind in zip(readings, baseline, strict=True) if not blind]
    kept, left = usable_points(keypoints, looking, settings, generator_for("thin", seed, image.sha256))
    first, second, more = candidate_pairs(keypoints, kept, settings)
    ballots = vote(readings, first, second, settings.tie)
    gap = gaps(ballots, settings.gap, [not blind for blind in baseline])
    inside = in_band(gap, settings) if looking else np.ones(len(first), bool)
    first, second, gap = first[inside], second[inside], gap[inside]
    ballots = Ballots(ballots.votes[:, inside], ballots.differences[:, inside], ballots.ranks[:, inside])
    if looking:
        more["gap"] = counted(first, second)
    points = np.array([(p.row, p.col) for p in keypoints.points], np.int32).reshape(len(keypoints), 2)
    seeing = ballots if not any(baseline) else vote(looking, first, second, settings.tie)
    return Candidates(
        image, points, tuple(readings), first.astype(np.int16), second.astype(np.int16), ballots.unanimous,
        seeing.majority, disagreement(ballots, settings.margin_weight), gap, {**left, **more},
    )  # fmt: skip


def strata(settings: ProposalSettings, experts: int, looking: int) -> list[Stratum]:
    """The columns of a draw. Without two experts there is nothing to disagree on, and without one that looks at the
    picture there is no gap and no side.
    """
    if settings.uniform or experts == 0:
        return [Stratum("uniform", None, "all")]
    routes = ["uniform"]
    if experts > 1:
        shares = {"disagreement": 1 - settings.control_share, "control": settings.control_share}
        routes = [route for route, share in shares.items() if share > 0]
    if looking == 0:
        return [Stratum(route, None, "all") for route in routes]
    upper = float("inf") if settings.gap_max is None else settings.gap_max
    edges = [settings.gap_min, *(edge for edge in settings.gap_edges if edge < upper), upper]
    sides = ["lower", "other"] if settings.balance else ["all"]
    return [Stratum(route, band, side) for route in routes for band in itertools.pairwise(edges) for side in sides]


def stratum_numbers(candidates: Candidates, columns: Sequence[Stratum]) -> NDArray[np.int64]:
    """int64 [m], the column of each candidate; -1: none, as a unanimous one where no control share is wanted."""
    numbers, lower = np.full(len(candidates), -1, np.int64), candidates.lower
    for number, column in enumerate(columns):
        fits = np.ones(len(candidates), bool)
        if column.route != "uniform":
            fits &= candidates.unanimous == (column.route == "control")
        if column.band is not None:
            low, high = column.band
            fits &= (candidates.gap >= low) & (candidates.gap < high)
        if column.side != "all":
            fits &= lower == (column.side == "lower")
        numbers[fits] = number
    return numbers
