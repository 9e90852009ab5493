"""One pass of a model over a dataset: read ahead, predict in batches, score, and let no sample end the run."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from dabench.datasets.base import Dataset
from dabench.errors import ModelError, UsageError
from dabench.protocols import Protocol
from dabench.protocols.rule import dense_rule
from dabench.records import Json
from dabench.scoring.dense import score_dense
from dabench.scoring.pairs import score_pairs
from dabench.scoring.rule import DenseRule
from dabench.types import (
    DepthModel,
    Image,
    ModelInfo,
    Output,
    PairSample,
    Prediction,
    Sample,
    checked_prediction,
)

Loaded = Sample | PairSample | Exception


class CallableModel(DepthModel):
    """Any function of an image as a model.

    Args:
        function: ``uint8 [H, W, 3]`` RGB -> array ``[H, W]`` (or a Prediction).
        output: what the values mean.
        name: folder name of its records.
    """

    def __init__(self, function: Callable[[Image], Any], output: Output | str, name: str | None = None) -> None:
        if output not in tuple(Output):
            raise UsageError(f"output '{output}' is not one of {', '.join(Output)}")
        self._function = function
        name = name or getattr(function, "__name__", type(function).__name__).strip("<>_")
        self.info = ModelInfo(name=name, output=Output(output), source="callable")

    def predict(self, image: Image) -> Prediction:
        result = self._function(image)
        return result if isinstance(result, Prediction) else Prediction(np.asarray(result), self.info.output)


def score_samples(
    recipe: Protocol,
    model: DepthModel,
    dataset: Dataset,
    ids: Sequence[str],
    finished: Mapping[str, Json],
    batch_size: int,
    workers: int,
) -> Iterator[Json]:
    """Lines of ``samples.jsonl``, one for each of ``ids`` that is not in ``finished``.

    Batches are cut from ``ids`` as a whole, so that a resumed run predicts each image in the same company as an
    uninterrupted one.
    """
    rule = dense_rule(recipe) if recipe.task == "depth" else None
    batches = [ids[start : start + batch_size] for start in range(0, len(ids), batch_size)]
    wanted = [batch for batch in batches if any(i not in finished for i in batch)]
    for batch, loaded in _read_ahead(dataset, wanted, workers):
        good = [(i, s) for i, s in zip(batch, loaded, strict=True) if not isinstance(s, Exception)]
        outcomes, seconds = _predict(model, [s.image for _, s in good], [i for i, _ in good])
        predicted = {i: outcome for (i, _), outcome in zip(good, outcomes, strict=True)}
        for sample_id, sample in zip(batch, loaded, strict=True):
            if sample_id in finished:
                continue
            outcome = sample if isinstance(sample, Exception) else predicted[sample_id]
            line: Json = {"id": sample_id, "group": dataset.group(sample_id)}
            try:
                if isinstance(outcome, Exception):
                    raise outcome
                assert not isinstance(sample, Exception)
                line |= _score(recipe, rule, sample, outcome)
            except Exception as error:
                line |= _failed(recipe, rule, sample, model.info.output, dataset.targets(sample_id), error)
            line["seconds"] = seconds
            yield line


def _read_ahead(
    dataset: Dataset, batches: Sequence[Sequence[str]], workers: int
) -> Iterator[tuple[Sequence[str], list[Loaded]]]:
    """Load batches in threads, a bounded number of samples ahead of the model."""

    def load(sample_id: str) -> Loaded:
        try:
            return dataset.load(sample_id)
        except Exception as error:  # whatever is wrong with one sample must not end the run
            return error

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="read") as pool:
        waiting: deque[tuple[Sequence[str], list[Future[Loaded]]]] = deque()
        upcoming = iter(batches)
        try:
            while True:
                while sum(len(futures) for _, futures in waiting) <= 2 * workers:
                    batch = next(upcoming, None)
                    if batch is None:
                        break
                    waiting.append((batch, [pool.submit(load, i) for i in batch]))
                if not waiting:
                    return
                batch, futures = waiting.popleft()
                yield batch, [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _predict(
    model: DepthModel, images: Sequence[Image], ids: Sequence[str]
) -> tuple[list[Prediction | Exception], float]:
    """Predictions or what went wrong, and the seconds an image took."""
    if not images:
        return [], 0.0
    start = time.perf_counter()
    try:
        results = model.predict_batch(images, ids)
        if len(results) != len(images):
            raise ModelError(f"model '{model.info.name}' returned {len(results)} predictions for {len(images)} images")
        outcomes: list[Prediction | Exception] = [_checked(r, i, model) for r, i in zip(results, images, strict=True)]
    except Exception as error:
        # One bad image must not take its batch with it.
        if len(images) > 1:
            outcomes = [_predict(model, [image], [i])[0][0] for image, i in zip(images, ids, strict=True)]
        else:
            outcomes = [error]
    return outcomes, (time.perf_counter() - start) / len(images)


def _checked(result: object, image: Image, model: DepthModel) -> Prediction | Exception:
    try:
        prediction = checked_prediction(result, image, model.info.name)
    except ModelError as error:
        return error
    declared = model.info.output
    if prediction.output is not declared:
        # The record says what the model declares; scoring the other kind would align in the wrong space.
        return ModelError(f"model '{model.info.name}' declares {declared} output and returned {prediction.output}")
    return prediction


def _score(recipe: Protocol, rule: DenseRule | None, sample: Sample | PairSample, prediction: Any) -> Json:
    if isinstance(sample, PairSample):
        verdicts = score_pairs(prediction, sample.pairs)
        n, correct, usable = len(sample.pairs), int(verdicts.correct.sum()), int(verdicts.usable.sum())
        return {
            "status": "ok" if n else "empty",
            "n_valid": n,
            "n_usable": usable,
            "coverage": usable / n if n else None,
            "fit": None,
            "n_correct": correct,
            "accuracy": correct / n if n else None,
            "correct": [int(c) for c in verdicts.correct],
        }
    assert rule is not None
    score = score_dense(prediction, sample.depth, sample.valid, rule)
    return {
        "status": "ok" if score.n_valid else "empty",
        "n_valid": score.n_valid,
        "n_usable": score.n_usable,
        "coverage": score.n_usable / score.n_valid if score.n_valid else None,
        "fit": None if score.fit is None else {"scale": score.fit.scale, "shift": score.fit.shift},
        **score.metrics,
    }


def _failed(
    recipe: Protocol, rule: DenseRule | None, sample: Loaded, output: Output, targets: int, error: Exception
) -> Json:
    """The line of a sample that failed: its pairs are wrong, its pixels unusable.

    Where not even the ground truth could be read there is nothing to score against, and the metrics are NaN.
    """
    message = str(error) or traceback.format_exception_only(error)[-1].strip()
    line: Json = {
        "status": "failed",
        "error": f"{type(error).__name__}: {message}",
        "n_valid": targets,
        "n_usable": 0,
        "coverage": 0.0,
        "fit": None,
    }
    if recipe.task == "pairs":
        return {**line, "n_correct": 0, "accuracy": 0.0 if targets else None, "correct": [0] * targets}
    if isinstance(sample, Sample) and rule is not None:
        nothing = Prediction(np.full(sample.depth.shape, np.nan, np.float32), output)
        score = score_dense(nothing, sample.depth, sample.valid, rule)
        return {**line, "n_valid": score.n_valid, **score.metrics}
    return {**line, **dict.fromkeys(recipe.metrics)}
