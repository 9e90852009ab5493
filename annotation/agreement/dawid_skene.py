"""Labels and raters' errors estimated together: a second opinion, never the label itself.

A. P. Dawid and A. M. Skene, Maximum likelihood estimation of observer error-rates using the EM algorithm, Applied
Statistics 28, 1979. Each rater has a matrix of what they say given the truth; ratings are independent given the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DawidSkene:
    """The fit.

    Attributes:
        posterior: ``[N, K]`` probability of each class; rows of items without a rating are the prior.
        confusion: ``[R, K, K]`` what a rater says (last axis) given the truth.
        prior: ``[K]`` share of each class.
        log_likelihood: of the ratings, with the smoothing counted.
        rounds: of expectation and maximisation.
    """

    posterior: Array
    confusion: Array
    prior: Array
    log_likelihood: float
    rounds: int

    @property
    def accuracy(self) -> Array:
        """``[R]`` chance that a rater is right, over the estimated shares of the classes."""
        return np.asarray(np.einsum("k,rkk->r", self.prior, self.confusion))


def dawid_skene(
    ratings: npt.ArrayLike, categories: int, *, smoothing: float = 1.0, rounds: int = 100, tolerance: float = 1e-6
) -> DawidSkene:
    """Fit the model by expectation and maximisation, from the shares of the votes.

    Args:
        ratings: ``int [N, R]``, 0 to ``categories - 1``, -1: none.
        smoothing: right answers that each rater is given beforehand in each class (a tenth of it for each wrong one);
            it keeps a rater with few answers from being believed blindly, and the classes from changing places.
        tolerance: stop when the log-likelihood per item gains less.
    """
    table = np.asarray(ratings, dtype=np.int64)
    items, raters = table.shape
    said = np.stack([table == k for k in range(categories)], axis=2).astype(np.float64)  # [N, R, K]
    votes = said.sum(axis=1) + 1e-3
    posterior = votes / votes.sum(axis=1, keepdims=True)
    start = smoothing * (0.1 + 0.9 * np.eye(categories))
    previous, done = -np.inf, 0
    likelihood = previous
    prior = np.full(categories, 1.0 / categories)
    confusion = np.broadcast_to(start, (raters, categories, categories)).copy()
    while done < rounds:
        done += 1
        prior = (posterior.sum(axis=0) + 1.0) / (items + categories)
        confusion = np.einsum("nk,nrj->rkj", posterior, said) + start
        confusion /= confusion.sum(axis=2, keepdims=True)
        joint = np.log(prior) + np.einsum("nrj,rkj->nk", said, np.log(confusion))
        top = joint.max(axis=1, keepdims=True) if items else joint
        scaled = np.exp(joint - top)
        posterior = scaled / scaled.sum(axis=1, keepdims=True)
        likelihood = float((top[:, 0] + np.log(scaled.sum(axis=1))).sum()) if items else 0.0
        likelihood += float((start * np.log(confusion)).sum() + np.log(prior).sum())
        if likelihood - previous < tolerance * max(items, 1):
            break
        previous = likelihood
    return DawidSkene(posterior, confusion, prior, likelihood, done)
