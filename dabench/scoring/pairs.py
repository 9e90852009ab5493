"""Which of two points does a model call closer (Depth Anything V2, arXiv 2406.09414, section 6: DA-2K)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dabench.types import Output, Pair, PairAnswer, Prediction


@dataclass(frozen=True, eq=False)
class PairVerdicts:
    """Verdicts of one image's pairs.

    Attributes:
        correct: ``[N]``, whether the point labelled closer is predicted strictly closer (bool); for answers, the
            share of the times of asking that named it (float, 0 to 1).
        usable: ``bool [N]``, whether both values are finite (and positive, for depth and metric output); for answers,
            whether every time of asking was answered.
    """

    correct: npt.NDArray[np.bool_] | npt.NDArray[np.float64]
    usable: npt.NDArray[np.bool_]


def score_pairs(prediction: Prediction, pairs: Sequence[Pair]) -> PairVerdicts:
    """Compare the predicted values at the pixels ``[row, col]`` of each pair.

    Disparity: the larger value is closer; depth and metric: the smaller one. The comparison is strict, so a tie is
    wrong, and a non-finite value is wrong: a prediction never chooses its own denominator.

    Args:
        prediction: values ``[H, W]`` at the size of the original image.
        pairs: points inside ``[0, H) x [0, W)``.
    """
    if not pairs:
        empty = np.zeros(0, dtype=bool)
        return PairVerdicts(empty, empty)
    points = np.array([(pair.point1, pair.point2) for pair in pairs], dtype=np.intp)
    at = np.asarray(prediction.values)[points[..., 0], points[..., 1]]
    closer_is_first = np.array([pair.closer == 1 for pair in pairs])
    closer = np.where(closer_is_first, at[:, 0], at[:, 1])
    farther = np.where(closer_is_first, at[:, 1], at[:, 0])
    finite = np.isfinite(at).all(axis=1)
    with np.errstate(invalid="ignore"):
        ordered = closer > farther if prediction.output.larger_is_nearer else closer < farther
        positive = np.ones_like(finite) if prediction.output is Output.DISPARITY else (at > 0).all(axis=1)
    return PairVerdicts(np.logical_and(finite, ordered), np.logical_and(finite, positive))


def score_answers(answers: Sequence[PairAnswer], pairs: Sequence[Pair]) -> PairVerdicts:
    """Compare the answers of a model that gives no map with the labels.

    A pair counts with the share of its times of asking that named the closer point. So a model that names the same
    letter whatever it is shown scores exactly one half once both orders are asked; no answer is a wrong one.
    """
    shares = [
        sum(word == pair.closer for word in answer.said) / len(answer.said)
        for answer, pair in zip(answers, pairs, strict=True)
    ]
    usable = [answer.answered for answer in answers]
    return PairVerdicts(np.array(shares, dtype=np.float64), np.array(usable, dtype=bool))
