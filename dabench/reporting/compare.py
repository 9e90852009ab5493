"""Models on the same samples: differences, their intervals, whether they are more than chance, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from dabench.protocols import Protocol
from dabench.records import Json, to_json
from dabench.reporting.loaded import Record
from dabench.reporting.matching import Aligned, Matched, align, match
from dabench.scoring.metrics import HIGHER_IS_BETTER
from dabench.scoring.statistics import (
    BOOTSTRAP_DRAWS,
    BOOTSTRAP_SEED,
    PERMUTATIONS,
    POWER,
    Interval,
    cluster_bootstrap_interval,
    difference_sums,
    holm,
    mcnemar_exact,
    minimum_detectable_difference,
    paired_bootstrap,
    paired_permutation,
    standard_error,
)

COMPARISON_SCHEMA = 1
LEVEL = 0.95
Lines = Sequence[Json]


@dataclass(frozen=True)
class McNemar:
    """Pairs that only one model gets right, or more nearly right, and the exact p of their numbers.

    ``graded``: some answers are half right; then this is the sign test of the pairs on which the models differ.
    """

    only_a: int
    only_b: int
    p: float
    graded: bool


@dataclass(frozen=True)
class Difference:
    """One metric of two models.

    Attributes:
        a, b: values of the models; ``difference`` is ``b - a`` and ``ci95`` its interval by bootstrap over clusters.
        clusters: images or sequences that were drawn.
        missing: images left out because one of the models has no value there.
        p: that clusters swapped by chance give such a difference; ``p_holm``: adjusted for the number of comparisons.
        minimum_detectable_difference: true difference that a set like this one would show four times in five.
        better: ``a`` or ``b`` where ``p_holm`` is at most 0.05, else None.
        mcnemar: for pairs.
    """

    a: float
    b: float
    difference: float
    ci95: Interval
    clusters: int
    missing: int
    p: float
    p_holm: float
    minimum_detectable_difference: float
    better: str | None
    mcnemar: McNemar | None


@dataclass(frozen=True)
class GroupDifference:
    """The primary metric in one group; the interval is not adjusted for the number of groups."""

    group: str
    images: int
    a: float
    b: float
    difference: float
    ci95: Interval


@dataclass(frozen=True)
class SampleDifference:
    """One image: the primary metric, or the number of correct pairs of ``pairs``."""

    id: str
    group: str
    a: float
    b: float
    difference: float
    pairs: int | None = None


@dataclass(frozen=True)
class Comparison:
    """Two of the runs, by their number.

    Attributes:
        metrics: by name, the primary one first.
        groups: where they differ most first.
        a_better, b_better: the samples on which one is most ahead of the other.
    """

    a: int
    b: int
    metrics: dict[str, Difference]
    groups: Sequence[GroupDifference]
    a_better: Sequence[SampleDifference]
    b_better: Sequence[SampleDifference]


@dataclass(frozen=True)
class Compared:
    """What :func:`compare` returns."""

    matched: Matched = field(repr=False)
    comparisons: Sequence[Comparison]

    @property
    def primary_metric(self) -> str:
        return self.matched.protocol.primary_metric

    @property
    def unit(self) -> str:
        """What the bootstrap draws and the permutation swaps."""
        return unit_of(self.matched.protocol)

    def to_json(self) -> Json:
        """The stable form, described in ``docs/compare.md``."""
        matched, protocol = self.matched, self.matched.protocol
        pairs = sum(line["n_valid"] for line in matched.lines[0]) if protocol.task == "pairs" else None
        found: dict[str, Any] = {
            "schema": COMPARISON_SCHEMA,
            "protocol": {"id": protocol.id, "sha256": protocol.sha256},
            "primary_metric": protocol.primary_metric,
            "samples": len(matched.lines[0]),
            "pairs": pairs,
            "partial": matched.partial,
            "notes": matched.notes,
            "method": {
                "unit": self.unit,
                "level": LEVEL,
                "power": POWER,
                "bootstrap_draws": BOOTSTRAP_DRAWS,
                "permutations": PERMUTATIONS,
                "seed": BOOTSTRAP_SEED,
                "correction": "holm",
            },
            "runs": [
                {"path": record.path.as_posix(), "model": record.model, "metrics": metrics}
                for record, metrics in zip(matched.records, run_metrics(matched), strict=True)
            ],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
        }
        stable: Json = to_json(found)
        return stable


def compare(records: Sequence[Record], *, common: bool = False, all_pairs: bool = False, top: int = 5) -> Compared:
    """Compare each run with the first, or each with each.

    Args:
        records: two or more complete runs of one protocol on the same samples.
        common: where the samples differ, compare on those that all have.
        all_pairs: each with each.
        top: how many samples to name on either side.

    Raises:
        UsageError, RecordError: they cannot be compared; the message says why (see :func:`matching.match`).
    """
    matched = match(records, common=common)
    numbers = range(len(records))
    chosen = list(combinations(numbers, 2)) if all_pairs else [(0, other) for other in numbers[1:]]
    protocol = matched.protocol
    rows = [[matched.lines[a], matched.lines[b]] for a, b in chosen]
    metrics = [{name: difference(protocol, name, lines) for name in protocol.metrics} for lines in rows]
    for name in protocol.metrics:
        for found, adjusted in zip(metrics, holm([m[name].p for m in metrics]), strict=True):
            found[name] = _judged(name, found[name], adjusted)
    comparisons = []
    for (a, b), lines, found in zip(chosen, rows, metrics, strict=True):
        samples = sample_differences(protocol, lines)
        ahead = -1.0 if protocol.task == "depth" and protocol.primary_metric not in HIGHER_IS_BETTER else 1.0
        by_gain = sorted(samples, key=lambda s: (-abs(s.difference), s.id))
        comparisons.append(
            Comparison(
                a,
                b,
                found,
                group_differences(protocol, lines),
                [s for s in by_gain if ahead * s.difference < 0][:top],
                [s for s in by_gain if ahead * s.difference > 0][:top],
            )
        )
    return Compared(matched, comparisons)


def unit_of(protocol: Protocol) -> str:
    """``image`` or ``sequence``: what is drawn, by the protocol's rule of aggregation."""
    return "sequence" if protocol.aggregation.total == "mean-of-sequences" else "image"


def difference(protocol: Protocol, metric: str, lines: Sequence[Lines]) -> Difference:
    """One metric of two runs whose ``lines`` are of the same samples, before any correction."""
    aligned = align(protocol, metric, lines)
    first, second = aligned.values
    a, b = (float(mean) for mean in aligned.means)
    tops, bottoms = difference_sums(first, second, aligned.clusters, aligned.weights)
    known = len(bottoms) > 0
    return Difference(
        a,
        b,
        b - a,
        _interval(aligned),
        len(bottoms),
        aligned.missing,
        paired_permutation(first, second, aligned.clusters, aligned.weights) if known else float("nan"),
        float("nan"),
        minimum_detectable_difference(standard_error(tops, bottoms), LEVEL, POWER),
        None,
        _mcnemar(metric, aligned) if protocol.task == "pairs" else None,
    )


def group_differences(protocol: Protocol, lines: Sequence[Lines]) -> list[GroupDifference]:
    """The primary metric in each group, the largest difference first; nothing where there is one group."""
    groups: dict[str, list[int]] = {}
    for number, line in enumerate(lines[0]):
        groups.setdefault(line["group"], []).append(number)
    if len(groups) < 2:
        return []
    found = []
    for name, members in groups.items():
        aligned = align(protocol, protocol.primary_metric, [[run[n] for n in members] for run in lines])
        a, b = (float(mean) for mean in aligned.means)
        found.append(GroupDifference(name, len(members), a, b, b - a, _interval(aligned)))
    return sorted(found, key=lambda g: (-abs(g.difference) if g.difference == g.difference else 1.0, g.group))


def sample_differences(protocol: Protocol, lines: Sequence[Lines]) -> list[SampleDifference]:
    """The primary metric of every image that both models have a value for; for pairs the number of correct ones."""
    found = []
    for first, second in zip(*lines, strict=True):
        if protocol.task == "pairs":
            a, b, pairs = first["n_correct"], second["n_correct"], first["n_valid"]
        else:
            a, b, pairs = first[protocol.primary_metric], second[protocol.primary_metric], None
        if a is not None and b is not None:
            found.append(SampleDifference(first["id"], first["group"], a, b, b - a, pairs))
    return found


def run_metrics(matched: Matched) -> list[Json]:
    """Value and interval of every metric of each run: as its summary says, or of the compared samples."""
    if not matched.reduced:
        return [record.summary["metrics"] for record in matched.records]
    found = []
    for lines in matched.lines:
        metrics: Json = {}
        for name in matched.protocol.metrics:
            aligned = align(matched.protocol, name, [lines])
            tops, bottoms = difference_sums(
                np.zeros(len(aligned.weights)), aligned.values[0], aligned.clusters, aligned.weights
            )
            metrics[name] = {"value": float(aligned.means[0]), "ci95": cluster_bootstrap_interval(tops, bottoms)}
        found.append(metrics)
    return found


def _interval(aligned: Aligned) -> Interval:
    first, second = aligned.values
    return paired_bootstrap(first, second, aligned.clusters, aligned.weights, level=LEVEL)


def _mcnemar(metric: str, aligned: Aligned) -> McNemar:
    first, second = 1.0 - aligned.values if metric == "whdr" else aligned.values
    only_a, only_b = int((first > second).sum()), int((second > first).sum())
    graded = bool(((aligned.values > 0.0) & (aligned.values < 1.0)).any())
    return McNemar(only_a, only_b, mcnemar_exact(only_a, only_b), graded)


def _judged(metric: str, found: Difference, p_holm: float) -> Difference:
    better = None
    if p_holm <= 1.0 - LEVEL and found.difference != 0.0:
        better = "b" if (found.difference > 0.0) == (metric in HIGHER_IS_BETTER) else "a"
    return replace(found, p_holm=p_holm, better=better)
