"""From sample lines to ``summary.json``. A pure function of the lines, so that a resumed run gives the same bytes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dabench.protocols import Protocol
from dabench.records import SCHEMA, STATUSES, Json
from dabench.scoring.statistics import (
    Interval,
    cluster_bootstrap_interval,
    cluster_bootstrap_intervals,
    wilson_interval,
)
from dabench.types import Output, PairAnswer

Lines = Sequence[Mapping[str, Any]]
Values = Sequence[float]
WEIGHTED = "accuracy_weighted"


def summarise(protocol: Protocol, lines: Lines, *, model: Json, dataset: Json, partial: bool) -> Json:
    """The content of ``summary.json``.

    Args:
        protocol: what the lines were scored under.
        lines: one mapping a sample, in the order of the dataset.
        model, dataset: what the record says of them.
        partial: only a part of the split was scored; such a summary is never ranked.
    """
    status = [line["status"] for line in lines]
    counts: Json = {"expected": len(lines)} | {s: status.count(s) for s in STATUSES}
    if protocol.task == "pairs":
        counts["pairs"] = sum(line["n_valid"] for line in lines)
    by_sequence = protocol.aggregation.total == "mean-of-sequences"
    if by_sequence:
        counts["sequences"] = len({line["sequence"] for line in lines})
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        groups.setdefault(line["group"], []).append(line)
    if set(groups) <= {""}:
        groups = {}
    seconds = [line["seconds"] for line in lines if line["status"] != "failed"]
    total = sum(seconds)
    return {
        "schema": SCHEMA,
        "model": model,
        "protocol": {"id": protocol.id, "sha256": protocol.sha256},
        "dataset": dataset,
        "counts": counts,
        "coverage": _coverage(lines),
        "partial": partial,
        **({"interval": "bootstrap-by-sequence"} if by_sequence else {}),
        "metrics": _metrics(protocol, lines, wilson=False),
        "groups": {
            name: {
                "images": len(members),
                **({"pairs": sum(line["n_valid"] for line in members)} if protocol.task == "pairs" else {}),
                "coverage": _coverage(members),
                "metrics": _metrics(protocol, members, wilson=protocol.aggregation.group_interval == "wilson"),
            }
            for name, members in sorted(groups.items())
        },
        **({"weighting": _weighting(lines)} if _is_weighted(lines) else {}),
        **({"answers": _answers(lines)} if model["output"] == Output.ORDER else {}),
        "timing": {
            "seconds": total,
            "median_seconds": statistics.median(seconds) if seconds else None,
            "images_per_second": len(seconds) / total if total > 0 else None,
        },
    }


def _answers(lines: Lines) -> Json:
    """How a model without maps answered: times of asking, and pairs that it was asked more than once.

    ``consistency`` is the share of those pairs that were answered alike every time, of those answered every time.
    """
    pairs = [said for line in lines for said in line.get("answers", ())]
    words = [word for said in pairs for word in said]
    compared = [said for said in pairs if len(said) > 1 and not any(isinstance(word, str) for word in said)]
    inconsistent = sum(len(set(said)) > 1 for said in compared)
    usage: dict[str, float] = {}
    for line in lines:
        for name, amount in line.get("usage", {}).items():
            usage[name] = usage.get(name, 0) + amount
    return {
        "asked": len(words),
        **{reason: words.count(reason) for reason in PairAnswer.REASONS},
        "inconsistent": inconsistent,
        "consistency": 1 - inconsistent / len(compared) if compared else None,
        "usage": usage,
    }


def _coverage(lines: Lines) -> float:
    """Usable predictions over valid pixels or pairs.

    A dense sample whose ground truth could not be read counts as an uncovered image of the mean size.
    """
    valid = sum(line["n_valid"] for line in lines)
    usable = sum(line["n_usable"] for line in lines)
    uncounted = sum(line["status"] == "failed" and not line["n_valid"] for line in lines)
    counted = sum(bool(line["n_valid"]) for line in lines)
    if uncounted:
        valid += uncounted * (valid / counted if counted else 1.0)
    return usable / valid if valid else 0.0


def _metrics(protocol: Protocol, lines: Lines, *, wilson: bool) -> Json:
    """Totals and intervals. The bootstrap draws images, or sequences where the protocol averages over those."""
    found: dict[str, tuple[Values, Values]] = {}
    for name in protocol.metrics:
        if protocol.task == "pairs":
            pairs = [line["n_valid"] for line in lines]
            correct = [line["n_correct"] for line in lines]
            counted = [n - c for n, c in zip(pairs, correct, strict=True)] if name == "whdr" else correct
            found[name] = counted, pairs
        else:
            found[name] = _dense(protocol.aggregation.total, name, lines)
    intervals = (
        {name: wilson_interval(sum(top), int(sum(bottom))) for name, (top, bottom) in found.items()}
        if wilson
        else _bootstrap(found)
    )
    metrics: Json = {
        name: {"value": sum(top) / sum(bottom) if sum(bottom) else float("nan"), "ci95": list(intervals[name])}
        for name, (top, bottom) in found.items()
    }
    if _is_weighted(lines):
        metrics[WEIGHTED] = _weighted_accuracy(lines)
    return metrics


def _is_weighted(lines: Lines) -> bool:
    return any("weights" in line for line in lines)


def _weighted_accuracy(lines: Lines) -> Json:
    """Accuracy on the candidates that the pairs were drawn from: the ratio of sums weighted by 1 / probability.

    The ratio estimator of J. Hájek (1971). Pairs without a probability take no part. The bootstrap draws images.
    """
    tops, bottoms = [], []
    for line in lines:
        weights = line.get("weights") or ()
        known = [(w, c) for w, c in zip(weights, line["correct"][: len(weights)], strict=True) if w is not None]
        if known:
            tops.append(sum(w * c for w, c in known))
            bottoms.append(sum(w for w, _ in known))
    if not bottoms:
        return {"value": float("nan"), "ci95": [float("nan")] * 2}
    return {"value": sum(tops) / sum(bottoms), "ci95": list(cluster_bootstrap_interval(tops, bottoms))}


def _weighting(lines: Lines) -> Json:
    """On how much the weighted accuracy rests.

    ``effective_pairs`` is the number of equally weighted pairs that would tell as much (Kish, Survey Sampling, 1965).
    """
    weights = [weight for line in lines for weight in line.get("weights", ())]
    known = [weight for weight in weights if weight is not None]
    squares = sum(weight**2 for weight in known)
    return {
        "pairs": len(known),
        "without_probability": len(weights) - len(known),
        "effective_pairs": sum(known) ** 2 / squares if squares else 0.0,
    }


def _bootstrap(found: Mapping[str, tuple[Values, Values]]) -> dict[str, Interval]:
    """Intervals; metrics over the same clusters are drawn together, which takes a fraction of the time."""
    together: dict[int, list[str]] = {}
    for name, (top, _) in found.items():
        together.setdefault(len(top), []).append(name)
    intervals: dict[str, Interval] = {}
    for names in together.values():
        tops, bottoms = (np.array([found[name][part] for name in names], dtype=np.float64).T for part in (0, 1))
        intervals |= zip(names, cluster_bootstrap_intervals(tops, bottoms), strict=True)
    return intervals


def _dense(total: str, name: str, lines: Lines) -> tuple[Values, Values]:
    """Numerators and denominators of one metric, one each for every cluster that the bootstrap draws."""
    known = [line for line in lines if line[name] is not None]
    if total == "valid-weighted-mean":
        return [line["n_valid"] * line[name] for line in known], [float(line["n_valid"]) for line in known]
    if total == "mean-of-sequences":
        sequences: dict[str, list[float]] = {}
        for line in known:
            sequences.setdefault(line["sequence"], []).append(line[name])
        return [sum(values) / len(values) for values in sequences.values()], [1.0] * len(sequences)
    return [line[name] for line in known], [1.0] * len(known)
