"""Rank sets of measured runs from their samples: the same images, so a difference is told apart far better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dabench.protocols import Protocol
from dabench.reporting.leaderboard.table import higher_is_better
from dabench.reporting.loaded import Record
from dabench.scoring.statistics import rank_sets

Rank = tuple[float, float]


def sample_ranks(records: Sequence[Record]) -> list[Rank] | None:
    """Lowest and highest rank of each run by its protocol's primary metric, all of them together at 95 %.

    Args:
        records: complete runs under one protocol.

    Returns:
        Ranks from 1, in the order of the runs; None where the runs do not have the same samples with a value each, and
        only their intervals can be compared.
    """
    if not records:
        return []
    recipe = records[0].protocol
    metric = recipe.primary_metric
    found = [_values(recipe, metric, record.samples()) for record in records]
    if any(values is None or values.keys() != (found[0] or {}).keys() for values in found):
        return None
    first = found[0]
    assert first is not None
    ids = sorted(first)
    weights = np.array([first[i][1] for i in ids])
    scores: dict[str, Any] = {}
    for place, values in enumerate(found):
        assert values is not None
        if not np.array_equal(weights, [values[i][1] for i in ids]):
            return None
        scores[str(place)] = np.array([values[i][0] for i in ids])
    ranks = rank_sets(scores, weights=weights, higher_is_better=higher_is_better(metric))
    return [ranks[str(place)] for place in range(len(records))]


def _values(recipe: Protocol, metric: str, lines: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float]] | None:
    """Value and weight of each image, or sequence, that the interval draws; None where one has no value."""
    found: dict[str, tuple[float, float]] = {}
    sequences: dict[str, list[float]] = {}
    for line in lines:
        if recipe.task == "pairs":
            if line["n_valid"]:
                share = line["n_correct"] / line["n_valid"]
                found[line["id"]] = (1.0 - share if metric == "whdr" else share, float(line["n_valid"]))
            continue
        if line["status"] == "empty":
            continue
        if line[metric] is None:
            return None
        if recipe.aggregation.total == "mean-of-sequences":
            sequences.setdefault(line["sequence"], []).append(line[metric])
        else:
            weighted = recipe.aggregation.total == "valid-weighted-mean"
            found[line["id"]] = (line[metric], float(line["n_valid"]) if weighted else 1.0)
    return found | {name: (sum(values) / len(values), 1.0) for name, values in sequences.items()}
