"""From images to predictions: batches, KITTI's crop, flips, and no bad image or model answer that ends the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dabench.errors import ModelError, UsageError
from dabench.kept import KeptMap, KeptModel
from dabench.loading import Loaded, SavedMaps
from dabench.passes import Setting
from dabench.types import MAP_OUTPUTS, DepthModel, Image, ModelInfo, Output, PairAnswer, Prediction, checked_prediction


class CallableModel(DepthModel):
    """Any function of an image as a model.

    Args:
        function: ``uint8 [H, W, 3]`` RGB -> array ``[H, W]`` (or a Prediction).
        output: what the values mean.
        name: folder name of its records.
    """

    def __init__(self, function: Callable[[Image], Any], output: Output | str, name: str | None = None) -> None:
        if output not in MAP_OUTPUTS:
            raise UsageError(f"output '{output}' is not one of {', '.join(MAP_OUTPUTS)}")
        self._function = function
        name = name or getattr(function, "__name__", type(function).__name__).strip("<>_")
        self.info = ModelInfo(name=name, output=Output(output), source="callable")

    def predict(self, image: Image) -> Prediction:
        result = self._function(image)
        return result if isinstance(result, Prediction) else Prediction(np.asarray(result), self.info.output)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model without maps says of the pairs of a sample, by the split that they are labelled in."""

    of: Mapping[str, Sequence[PairAnswer]]


@dataclass(eq=False)
class Predicted:
    """A sample on its way from the model to the scores.

    Attributes:
        outcome: the prediction (of a model without maps, its answers), or what went wrong in reading or predicting.
        seconds: time that the prediction took; of a batch, its share.
        fresh: it was computed now, and not kept or saved before.
    """

    sample_id: str
    loaded: Loaded
    outcome: Prediction | Answers | Exception
    seconds: float
    fresh: bool


class Predictor:
    """Predicts the batches of one pass.

    Args:
        model: what predicts. Saved maps are final and are not flipped.
        setting: what the protocols ask of inference.
    """

    def __init__(self, model: DepthModel, setting: Setting) -> None:
        self._model = model
        self._flip = setting.flip and not isinstance(model, SavedMaps)

    def __call__(self, ids: Sequence[str], loaded: list[Loaded]) -> list[Predicted]:
        """What the model says of each sample. The images are let go, so that they do not wait for the scores."""
        images = {i: found.image for i, found in zip(ids, loaded, strict=True) if isinstance(found.image, np.ndarray)}
        computed: dict[str, Prediction | Exception] = {}
        seconds = 0.0
        # A batch is predicted in its whole company or not at all.
        if any(found.ready is None for i, found in zip(ids, loaded, strict=True) if i in images):
            if isinstance(self._model, KeptModel):
                self._model.load()  # outside of what may fail a sample: the wrong model ends the run
            outcomes, seconds = self._predict(list(images.values()), list(images))
            computed = dict(zip(images, outcomes, strict=True))
        answers = []
        for sample_id, found in zip(ids, loaded, strict=True):
            ready, image = found.ready, found.image
            if isinstance(ready, KeptMap):
                answers.append(Predicted(sample_id, found, ready.prediction, ready.seconds, fresh=False))
            elif isinstance(ready, Exception):
                answers.append(Predicted(sample_id, found, ready, 0.0, fresh=False))
            elif isinstance(image, Exception):
                answers.append(Predicted(sample_id, found, image, seconds, fresh=False))
            else:
                answers.append(Predicted(sample_id, found, computed[sample_id], seconds, fresh=True))
                found.image = None
        return answers

    def _predict(self, images: list[Image], ids: list[str]) -> tuple[list[Prediction | Exception], float]:
        """Predictions or what went wrong, and the seconds an image took."""
        start = time.perf_counter()
        try:
            outcomes = self._batch(images, ids)
            if self._flip:
                mirrored = self._batch([np.ascontiguousarray(image[:, ::-1]) for image in images], ids)
                outcomes = [_mean(a, b) for a, b in zip(outcomes, mirrored, strict=True)]
        except Exception as error:
            # One bad image must not take its batch with it.
            if len(images) > 1:
                outcomes = [self._predict([image], [i])[0][0] for image, i in zip(images, ids, strict=True)]
            else:
                outcomes = [error]
        return outcomes, (time.perf_counter() - start) / len(images)

    def _batch(self, images: list[Image], ids: list[str]) -> list[Prediction | Exception]:
        results = self._model.predict_batch(images, ids)
        if len(results) != len(images):
            raise ModelError(
                f"model '{self._model.info.name}' returned {len(results)} predictions for {len(images)} images"
            )
        return [self._checked(result, image) for result, image in zip(results, images, strict=True)]

    def _checked(self, result: object, image: Image) -> Prediction | Exception:
        declared = self._model.info.output
        try:
            prediction = checked_prediction(result, image, self._model.info.name)
        except Exception as error:
            return error
        if prediction.output is not declared:
            # The record says what the model declares; scoring the other kind would align in the wrong space.
            return ModelError(
                f"model '{self._model.info.name}' declares {declared} output and returned {prediction.output}"
            )
        return prediction


def _mean(straight: Prediction | Exception, mirrored: Prediction | Exception) -> Prediction | Exception:
    """Mean of an image's prediction and its mirror image's, turned back (BTS, ZoeDepth: flip augmentation)."""
    if isinstance(straight, Exception):
        return straight
    if isinstance(mirrored, Exception):
        return mirrored
    return Prediction(0.5 * (straight.values + mirrored.values[:, ::-1]), straight.output)
