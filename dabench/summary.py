"""From sample lines to ``summary.json``. A pure function of the lines, so that a resumed run gives the same bytes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dabench.protocols import Protocol
from dabench.records import SCHEMA, STATUSES, Json
from dabench.scoring.statistics import Interval, cluster_bootstrap_interval, wilson_interval

Lines = Sequence[Mapping[str, Any]]


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
        "timing": {
            "seconds": total,
            "median_seconds": statistics.median(seconds) if seconds else None,
            "images_per_second": len(seconds) / total if total > 0 else None,
        },
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
    result: Json = {}
    for name in protocol.metrics:
        interval: Interval
        if protocol.task == "pairs":
            correct = [line["n_correct"] for line in lines]
            pairs = [line["n_valid"] for line in lines]
            value = sum(correct) / sum(pairs) if sum(pairs) else float("nan")
            if wilson:
                interval = wilson_interval(sum(correct), sum(pairs))
            else:
                interval = cluster_bootstrap_interval(correct, pairs)
        else:
            values = [line[name] for line in lines if line[name] is not None]
            value = sum(values) / len(values) if values else float("nan")
            interval = cluster_bootstrap_interval(values, [1.0] * len(values))
        result[name] = {"value": value, "ci95": list(interval)}
    return result
