"""Two runs of one protocol, compared on the samples that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.errors import UsageError
from dabench.protocols import Protocol
from dabench.reporting.loaded import Record
from dabench.scoring.statistics import Interval, cluster_bootstrap_interval

Line = Mapping[str, Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairedDifference:
    """The second run's value minus the first one's, on the same samples.

    Attributes:
        values: of both runs on these samples.
        ci95: percentile bootstrap over what the protocol averages: images or sequences.
        clusters: how many of those there are.
    """

    metric: str
    values: tuple[float, float]
    difference: float
    ci95: Interval
    clusters: int


def check_alike(a: Record, b: Record) -> None:
    """Refuse two runs that do not answer the same question.

    Raises:
        UsageError: they differ in protocol or data.
    """
    if a.protocol_sha256 != b.protocol_sha256:
        raise UsageError(
            f"{a.title} and {b.title} were scored under unlike protocols",
            hint=f"dabench show --compare {a.protocol_id} {b.protocol_id}; score both under one of them",
        )
    if a.info["dataset"].get("fingerprint") != b.info["dataset"].get("fingerprint"):
        raise UsageError(
            f"{a.title} and {b.title} were scored on different data: the dataset's fingerprint differs",
            hint="score both on the same copy of the dataset",
        )


def common(a: Sequence[Line], b: Sequence[Line]) -> list[tuple[Line, Line]]:
    """The lines of samples that both runs have, by id."""
    theirs = {line["id"]: line for line in b}
    return [(line, theirs[line["id"]]) for line in a if line["id"] in theirs]


def value(protocol: Protocol, metric: str, line: Line) -> float | None:
    """A metric of one sample; None where it has none."""
    if protocol.task == "pairs":
        if not line["n_valid"]:
            return None
        right = float(line["n_correct"]) / float(line["n_valid"])
        return 1.0 - right if metric == "whdr" else right
    found = line.get(metric)
    return None if found is None else float(found)


def difference(protocol: Protocol, metric: str, lines: Sequence[tuple[Line, Line]]) -> PairedDifference | None:
    """The paired difference of one metric; None where no sample has a value in both runs."""
    known = [(line, value(protocol, metric, line), value(protocol, metric, other)) for line, other in lines]
    both = [(line, x, y) for line, x, y in known if x is not None and y is not None]
    if not both:
        return None
    weighted = protocol.aggregation.total in ("pooled-pairs", "valid-weighted-mean")
    weight = np.array([line["n_valid"] if weighted else 1.0 for line, _, _ in both], dtype=np.float64)
    x, y = (np.array([entry[at] for entry in both], dtype=np.float64) for at in (1, 2))
    if protocol.aggregation.total == "mean-of-sequences":
        names = [line["sequence"] for line, _, _ in both]
        order = {name: at for at, name in enumerate(dict.fromkeys(names))}
        place = np.array([order[name] for name in names])
        images = np.bincount(place)
        x, y = np.bincount(place, x) / images, np.bincount(place, y) / images
        weight = np.ones(len(order))
    total = weight.sum()
    first, second = float((weight * x).sum() / total), float((weight * y).sum() / total)
    bounds = cluster_bootstrap_interval(weight * (y - x), weight)
    return PairedDifference(metric, (first, second), float((weight * (y - x)).sum() / total), bounds, len(x))
