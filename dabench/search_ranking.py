"""Ranking recipes by how well they explain published numbers, with ties told apart from differences by a bootstrap."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.errors import UsageError
from dabench.recipe_grid import Grid
from dabench.records import SCHEMA, write_json
from dabench.scoring.metrics import HIGHER_IS_BETTER
from dabench.scoring.statistics import BOOTSTRAP_SEED
from dabench.search import GridScores
from dabench.search_targets import Target

DRAWS = 400
CHUNK = 50
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranked:
    """One recipe and how far its numbers are from the published ones.

    Attributes:
        number: its place in the grid.
        distance: root mean square over the published numbers of the relative difference (errors, as a logarithm) or
            of the difference (delta1 and other shares, 0 to 1), beyond what rounding explains.
        tied: no distance from the best that another draw of images could not turn around (95 %).
        ours: value by model and metric, NaN where nothing could be scored.
    """

    number: int
    distance: float
    tied: bool
    ours: dict[tuple[str, str], float]


def rank(grid: Grid, scores: Mapping[str, GridScores], targets: Sequence[Target]) -> list[Ranked]:
    """The recipes, nearest first; recipes that could not score every number come last, with an infinite distance.

    The bootstrap draws images, the same for all recipes and models, and looks at the difference of each recipe's
    distance from that of the best recipe.

    Raises:
        UsageError: no recipe could score every number.
    """
    metrics = grid.recipes[0].rule.metrics
    ids = list(dict.fromkeys(i for found in scores.values() for i in found.ids))
    aligned = {name: _rows(found, ids) for name, found in scores.items()}
    whole = np.ones((1, len(ids)))
    means = {name: _means(whole, values)[0] for name, values in aligned.items()}
    distances = _distances(means, metrics, targets)
    if not np.isfinite(distances).any():
        raise UsageError("no recipe of the grid could score all of the published numbers")
    best = int(np.argmin(distances))
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    gaps = []
    for start in range(0, DRAWS, CHUNK):
        count = min(CHUNK, DRAWS - start)
        drawn = generator.multinomial(len(ids), [1.0 / len(ids)] * len(ids), size=count).astype(np.float64)
        resampled = {name: _means(drawn, values) for name, values in aligned.items()}
        for draw in range(count):
            there = _distances({name: values[draw] for name, values in resampled.items()}, metrics, targets)
            with np.errstate(invalid="ignore"):
                gaps.append(there - there[best])
    with np.errstate(invalid="ignore"):
        low = np.nanquantile(np.array(gaps), 0.025, axis=0)
    order = sorted(range(len(grid.recipes)), key=lambda n: (distances[n], n))
    return [
        Ranked(
            number=n,
            distance=float(distances[n]),
            tied=bool(np.isfinite(distances[n]) and (n == best or low[n] <= 0.0 or distances[n] == distances[best])),
            ours={(t.model, t.metric): float(means[t.model][n, metrics.index(t.metric)]) for t in targets},
        )
        for n in order
    ]


def _rows(found: GridScores, ids: Sequence[str]) -> Values:
    """``[sample, recipe, metric]`` in the order of ``ids``."""
    if list(found.ids) == list(ids):
        return found.values
    place = {sample_id: row for row, sample_id in enumerate(found.ids)}
    nothing = np.full(found.values.shape[1:], np.nan)
    return np.stack([found.values[place[i]] if i in place else nothing for i in ids])


def _means(weights: Values, values: Values) -> Values:
    """Weighted means over the samples that each recipe could score: ``[draw, recipe, metric]``."""
    known = np.isfinite(values)
    flat = np.where(known, values, 0.0).reshape(len(values), -1)
    top, bottom = weights @ flat, weights @ known.reshape(len(values), -1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Values = (top / bottom).reshape(len(weights), *values.shape[1:])
    return means


def _distances(means: Mapping[str, Values], metrics: Sequence[str], targets: Sequence[Target]) -> Values:
    """Distance of every recipe; infinite where it lacks a number."""
    total: Values | float = 0.0
    for target in targets:
        ours = means[target.model][:, metrics.index(target.metric)]
        # What a table rounds to its printed digits is no difference.
        nearest = np.clip(ours, target.value - target.half_unit, target.value + target.half_unit)
        with np.errstate(invalid="ignore", divide="ignore"):
            error = ours - nearest if target.metric in HIGHER_IS_BETTER else np.log(ours / nearest)
        total = total + np.where(np.isfinite(error), error, np.inf) ** 2
    return np.sqrt(np.asarray(total) / len(targets))


def profile(grid: Grid, ranking: Sequence[Ranked]) -> dict[str, dict[str, tuple[float, bool]]]:
    """How near each choice gets with the best of everything else: axis -> choice -> distance, and whether it ties."""
    found: dict[str, dict[str, tuple[float, bool]]] = {axis: {} for axis in grid.axes}
    for ranked in ranking:
        for axis, choices in grid.recipes[ranked.number].choices.items():
            for choice in choices:
                found[axis].setdefault(choice, (ranked.distance, ranked.tied))
    return {axis: {c: found[axis][c] for c in choices if c in found[axis]} for axis, choices in grid.axes.items()}


def write_ranking(folder: Path, grid: Grid, ranking: Sequence[Ranked], targets: Sequence[Target]) -> tuple[Path, Path]:
    """``ranking.json`` with everything and ``ranking.csv`` with a row a recipe. Returns both paths."""
    pairs = [(t.model, t.metric) for t in targets]
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "dataset": grid.dataset,
        "grid": grid.sha256,
        "axes": {axis: list(choices) for axis, choices in grid.axes.items()},
        "published": [
            {"model": t.model, "metric": t.metric, "value": t.value, "half_unit": t.half_unit, "source": t.source}
            for t in targets
        ],
        "profile": {
            axis: {choice: {"distance": d, "tied": tied} for choice, (d, tied) in choices.items()}
            for axis, choices in profile(grid, ranking).items()
        },
        "recipes": [
            {
                "choices": {axis: list(c) for axis, c in grid.recipes[r.number].choices.items()},
                "distance": r.distance,
                "tied": r.tied,
                "ours": [{"model": m, "metric": k, "value": r.ours[m, k]} for m, k in pairs],
            }
            for r in ranking
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "ranking.json", content)
    path = folder / "ranking.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["rank", "distance", "tied", *grid.axes, *(f"{m} {k}" for m, k in pairs)])
        for place, r in enumerate(ranking, start=1):
            chosen = ["|".join(grid.recipes[r.number].choices[axis]) for axis in grid.axes]
            values = [r.ours[pair] for pair in pairs]
            writer.writerow([place, r.distance, "yes" if r.tied else "no", *chosen, *values])
    return folder / "ranking.json", path
