"""From scores of images under seeds to intervals, and from intervals to verdicts.

Arms are compared image by image and seed by seed. The interval is a percentile bootstrap that draws seeds, and
independently images, with replacement: both are samples of something larger (Efron and Tibshirani, 1993, chapter 8).
With three seeds the interval of a mean always reaches to the worst of them, and is somewhat too narrow all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.errors import RecordError

from .arms import ERRORS, TRIMS, WEIGHTS, name_with_errors, name_with_weight
from .measure import HIGHER_IS_BETTER, UNIT

DRAWS = 4000
CONFIDENCE = 0.95
CHUNK = 1 << 22

HOLDS, FAILS, UNDECIDED, REPORTED = "direction holds", "does not hold", "undecided", "no claim to compare with"

Scores = npt.NDArray[np.float64]
"""[seeds, images]; NaN where undefined."""

Results = Mapping[str, Sequence[Mapping[str, Any]]]
"""Arm -> its results by seed."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, and the mean under each seed."""

    mean: float
    low: float
    high: float
    seeds: tuple[float, ...]

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True)
class Comparison:
    """One number that decides. direction: 1 where the claim says that `estimate` is above 0."""

    what: str
    metric: str
    test: str
    estimate: Estimate
    direction: int = 1

    @property
    def verdict(self) -> str:
        """HOLDS, FAILS or UNDECIDED."""
        return {1: HOLDS, -1: FAILS, 0: UNDECIDED}[self.estimate.sign * self.direction]


@dataclass(frozen=True)
class Finding:
    """The verdict on a hypothesis: from `deciding`; `beside` is told too, and decides nothing."""

    hypothesis: str
    verdict: str
    deciding: tuple[Comparison, ...]
    beside: tuple[Comparison, ...] = ()


def estimate_of(values: Scores, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Mean over seeds and images of [seeds, images], with its interval. Images without a number anywhere are left out.

    Raises:
        RecordError: no image is left.
    """
    values = values[:, np.isfinite(values).all(axis=0)]
    seeds, images = values.shape
    if images == 0 or seeds == 0:
        raise RecordError("no image has a score under all seeds", hint="run the arms again")
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, draws, step := max(1, CHUNK // (seeds * images))):
        count = min(step, draws - start)
        rows, columns = rng.integers(0, seeds, (count, seeds)), rng.integers(0, images, (count, images))
        means.append(values[rows[:, :, None], columns[:, None, :]].mean(axis=(1, 2)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Estimate(float(values.mean()), float(low), float(high), tuple(values.mean(axis=1).tolist()))


def scores_of(results: Results, arm: str, test: str, metric: str) -> Scores:
    """The scores of an arm on a test set."""
    rows = [result["scores"][test][metric] for result in results[arm]]
    return np.array([[np.nan if value is None else value * UNIT for value in row] for row in rows], np.float64)


def level(results: Results, arm: str, test: str, metric: str) -> Estimate:
    """How good an arm is."""
    return estimate_of(scores_of(results, arm, test, metric))


def better(results: Results, arm: str, than: str, test: str, metric: str, direction: int = 1) -> Comparison:
    """By how much one arm is better than another (above 0: better, whatever the metric)."""
    gain = scores_of(results, arm, test, metric) - scores_of(results, than, test, metric)
    if not HIGHER_IS_BETTER[metric]:
        gain = -gain
    return Comparison(f"{arm} better than {than}", metric, test, estimate_of(gain), direction)


def combined(comparisons: Sequence[Comparison]) -> str:
    """HOLDS where all hold, FAILS where one is on the other side, else UNDECIDED."""
    verdicts = {comparison.verdict for comparison in comparisons}
    if FAILS in verdicts:
        return FAILS
    return HOLDS if verdicts == {HOLDS} else UNDECIDED


def slope(curve: Sequence[Scores]) -> Scores:
    """Least-squares slope per step over equally spaced points, image by image; [seeds, images]."""
    places = np.arange(len(curve)) - (len(curve) - 1) / 2
    return np.asarray(np.tensordot(places, np.stack(curve), axes=1) / (places**2).sum())


def h1(results: Results) -> Finding:
    """All three measures on R better with pseudo-labels."""
    deciding = tuple(better(results, "R-pseudo", "S", "R", metric) for metric in ("delta1", "abs_rel", "pairs"))
    beside = [better(results, "R-pseudo", "S", "R", "boundary_f1")]
    beside += [better(results, "R-pseudo", "S", test, "delta1") for test in ("R-seen", "S")]
    return Finding("H1", combined(deciding), deciding, tuple(beside))


def h4(results: Results) -> Finding:
    """Depth and edges on R both better with pseudo-labels than with a sensor's."""
    deciding = tuple(better(results, "R-pseudo", "R-noisy", "R", metric) for metric in ("delta1", "boundary_f1"))
    beside = [better(results, "R-pseudo", "R-noisy", "R", metric) for metric in ("abs_rel", "pairs")]
    beside += [better(results, "R-pseudo", "R-noisy", "R-seen", metric) for metric in ("delta1", "boundary_f1")]
    return Finding("H4", combined(deciding), deciding, tuple(beside))


def gradient_curve(results: Results, kind: str, test: str, metric: str) -> list[Scores]:
    """Scores over `WEIGHTS`, of arms trained on `kind`."""
    return [scores_of(results, name_with_weight(kind, weight), test, metric) for weight in WEIGHTS]


def h5(results: Results) -> Finding:
    """Edges: rising with the weight on S, with no step of it clearly down; on R-noisy, not clearly rising.

    Arms on S are measured on S, and those on R-noisy on R, the domains that they are trained on.
    """
    clean = slope(gradient_curve(results, "S", "S", "boundary_f1"))
    noisy = slope(gradient_curve(results, "R-noisy", "R", "boundary_f1"))
    rises = Comparison("edges per step of the weight, clean labels", "boundary_f1", "S", estimate_of(clean))
    noisy_rises = Comparison(
        "edges per step of the weight, noisy labels", "boundary_f1", "R", estimate_of(noisy), direction=-1
    )
    steps = []
    for before, after in pairwise(WEIGHTS):
        steps.append(better(results, name_with_weight("S", after), name_with_weight("S", before), "S", "boundary_f1"))
    verdict = UNDECIDED
    if rises.verdict == FAILS or noisy_rises.verdict == FAILS or any(step.verdict == FAILS for step in steps):
        verdict = FAILS
    elif rises.verdict == HOLDS:
        verdict = HOLDS
    beside = list(steps)
    for kind, test in (("S", "S"), ("R-noisy", "R")):
        gain = -slope(gradient_curve(results, kind, test, "abs_rel"))
        beside.append(Comparison(f"gain per step of the weight, {kind}", "abs_rel", test, estimate_of(gain)))
    return Finding("H5", verdict, (rises, noisy_rises), tuple(beside))


def h6(results: Results) -> Finding:
    """Edges on S worse with 5 % of coarse labels."""
    deciding = (better(results, "S", "S+R-noisy", "S", "boundary_f1"),)
    beside = [better(results, "S", "S+R-noisy", "R", "boundary_f1")]
    beside += [better(results, "S", "S+R-noisy", test, "delta1") for test in ("S", "R")]
    return Finding("H6", combined(deciding), deciding, tuple(beside))


def h9(results: Results) -> Finding:
    """Trimming against none at each share of wrong labels, on R."""
    found = [
        better(results, name_with_errors(errors, trim), name_with_errors(errors, 0.0), "R", metric)
        for metric in ("delta1", "boundary_f1")
        for errors in ERRORS
        for trim in TRIMS[1:]
    ]
    return Finding("H9", REPORTED, (), tuple(found))


RULES = {"H1": h1, "H4": h4, "H5": h5, "H6": h6, "H9": h9}
