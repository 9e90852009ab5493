"""Which rank can a model have, when the samples might have been others?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dabench.scoring.intervals import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, cluster_sums, resampled_sums


def rank_sets(
    scores: Mapping[str, npt.ArrayLike],
    clusters: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    *,
    higher_is_better: bool,
    level: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = BOOTSTRAP_SEED,
) -> dict[str, tuple[int, int]]:
    """The lowest and the highest rank that each model can have; all of them hold together at ``level``.

    Simultaneous confidence sets of ranks (Mogstad, Romano, Shaikh and Wilhelm, Review of Economic Studies 91, 2024,
    section 3): intervals of all differences between models from the bootstrap of the largest studentised one; a model
    that is surely worse than k others has at best rank k + 1. Whoever can have rank 1 can be the best.

    Args:
        scores: ``[N]`` values of each model on the same samples, without NaN.
        clusters: ``[N]`` labels, drawn as wholes; None: every sample is a cluster of its own.
        weights: ``[N]``; None: all ones.

    Returns:
        ``(lowest, highest)``, from 1; with fewer than two clusters nothing can be told apart.
    """
    names = list(scores)
    if not names:
        return {}
    values = np.stack([np.asarray(scores[name], dtype=np.float64) for name in names], axis=1)
    if not np.isfinite(values).all():
        raise ValueError("scores hold a value that is not finite; rank on the samples that all models have")
    w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    sums = cluster_sums(np.column_stack([w[:, None] * (values if higher_is_better else -values), w]), clusters)
    count, models = len(sums), len(names)
    if count < 2:
        return dict.fromkeys(names, (1, models))
    total = sums.sum(axis=0)
    means = total[:-1] / total[-1]
    residuals = (sums[:, :-1] - means * sums[:, -1:]) / total[-1]
    drawn = resampled_sums(sums, draws, seed)
    deviations = drawn[:, :-1] / drawn[:, -1:] - means
    rounding = 1e-12 * float(np.abs(means).max())
    gaps, errors, largest = np.zeros((models, models)), np.zeros((models, models)), np.zeros(draws)
    for model in range(models):
        gaps[model] = means[model] - means
        spread = residuals[:, [model]] - residuals
        errors[model] = np.sqrt(count / (count - 1) * (spread**2).sum(axis=0))
        vary = errors[model] > rounding
        if vary.any():
            studentised = np.abs(deviations[:, [model]] - deviations[:, vary]) / errors[model, vary]
            largest = np.maximum(largest, studentised.max(axis=1))
    critical = float(np.quantile(largest, level, method="higher"))
    surely_better = gaps > np.maximum(critical * errors, rounding)
    ahead, behind = surely_better.sum(axis=0), surely_better.sum(axis=1)
    return {name: (int(1 + ahead[i]), int(models - behind[i])) for i, name in enumerate(names)}
