"""From a prediction to its lines of ``samples.jsonl``, one for each protocol that wants the sample."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from dabench.errors import DabenchError
from dabench.inference import Answers, Predicted
from dabench.job import Job
from dabench.kept import Shelf
from dabench.passes import Pass
from dabench.records import Json
from dabench.scoring.alignment import Fit
from dabench.scoring.dense import DenseScore, FitPixels, Prepared, Workers, fit_pixels_of_many
from dabench.scoring.pairs import score_answers, score_pairs
from dabench.types import GroundTruth, Output, Pair, PairAnswer, Prediction

Lines = list[tuple[Job, Json]]
Found = TypeVar("Found")


@dataclass(eq=False)
class _Waiting:
    """A sample whose sequence is not yet complete; or, without ``prepared``, one that failed."""

    line: Json
    prepared: Prepared | None
    pixels: FitPixels | None


class Scorer:
    """Scores predictions under all protocols of a pass. Called from several threads.

    Args:
        work: the pass.
        output: what the model's values mean.
        shelf: where fresh predictions are kept, or None.
    """

    def __init__(self, work: Pass, output: Output, shelf: Shelf | None) -> None:
        self._jobs, self._output, self._shelf = work.jobs, output, shelf
        self._waiting: dict[tuple[str, str], dict[str, _Waiting]] = {}
        self._lock = threading.Lock()
        self._workers = Workers()  # one for the run: arrays are used again from image to image

    def __call__(self, predicted: Predicted) -> Lines:
        """The lines that this sample completes: its own, and those of its sequence when it is the last of it."""
        outcome, loaded = predicted.outcome, predicted.loaded
        if self._shelf is not None and predicted.fresh and isinstance(outcome, Prediction):
            self._shelf.write(predicted.sample_id, loaded.checksum, outcome, predicted.seconds)
        lines: Lines = []
        prepared: dict[str, Prepared] = {}
        for job in self._jobs:
            if not job.wants(predicted.sample_id):
                continue
            line = self._start(job, predicted)
            try:
                if isinstance(outcome, Exception):
                    raise outcome
                if job.rule is None:
                    split = job.dataset.split
                    line |= _pair_line(job, _known(loaded.pairs[split]), outcome, split)
                    line |= _weights(job, predicted.sample_id)
                else:
                    assert isinstance(outcome, Prediction)
                    field = job.dataset.field
                    truth = _known(loaded.truths[field])
                    if field not in prepared:
                        prepared[field] = Prepared(outcome, truth.depth, truth.valid, loaded.window, self._workers)
                    if job.fits_sequences:
                        lines += self._wait(job, line, prepared[field])
                        continue
                    line |= _dense_line(prepared[field].score(job.rule))
            except Exception as error:
                line |= _failed(job, predicted, self._output, error)
                if job.fits_sequences:
                    lines += self._wait(job, line, None)
                    continue
            lines.append((job, _in_order(line)))
        return lines

    def _start(self, job: Job, predicted: Predicted) -> Json:
        line: Json = {"id": predicted.sample_id, "group": job.dataset.group(predicted.sample_id)}
        if job.names_sequences:
            line["sequence"] = job.dataset.sequence(predicted.sample_id)
        line["seconds"] = predicted.seconds
        return line

    def _wait(self, job: Job, line: Json, prepared: Prepared | None) -> Lines:
        """Hold a sample until its sequence is complete, then fit the sequence and score all of it."""
        assert job.rule is not None
        fitted = job.rule.method[self._output] != "none"
        pixels = prepared.fit_pixels(job.rule) if prepared is not None and fitted else None
        if prepared is not None:
            prepared.release()
        key, members = (job.recipe.id, line["sequence"]), job.together(line["id"])
        with self._lock:
            waiting = self._waiting.setdefault(key, {})
            waiting[line["id"]] = _Waiting(line, prepared, pixels)
            if len(waiting) < len(members):
                return []
            del self._waiting[key]
        chosen = [found.pixels for i in members if (found := waiting[i]).pixels is not None]
        fit: Fit | None = fit_pixels_of_many(chosen, job.rule) if chosen else None
        lines: Lines = []
        for member in members:
            found = waiting.pop(member)
            if found.prepared is not None:
                found.line |= _dense_line(found.prepared.score(job.rule, fit))
            lines.append((job, _in_order(found.line)))
        return lines


def _known(found: Found | Exception) -> Found:
    if isinstance(found, Exception):
        raise found
    return found


def _pair_line(job: Job, pairs: tuple[Pair, ...], outcome: Prediction | Answers, split: str) -> Json:
    if isinstance(outcome, Answers):
        kept, verdicts = _answers(outcome.of[split]), score_answers(outcome.of[split], pairs)
    else:
        kept, verdicts = {}, score_pairs(outcome, pairs)
    n, correct, usable = len(pairs), _whole(float(verdicts.correct.sum())), int(verdicts.usable.sum())
    return {
        "status": "ok" if n else "empty",
        "n_valid": n,
        "n_usable": usable,
        "coverage": usable / n if n else None,
        "fit": None,
        "n_correct": correct,
        "accuracy": correct / n if n else None,
        **({"whdr": (n - correct) / n if n else None} if "whdr" in job.recipe.metrics else {}),
        "correct": [_whole(float(c)) for c in verdicts.correct],
        **kept,
    }


def _weights(job: Job, sample_id: str) -> Json:
    weights = job.dataset.weights(sample_id)
    return {} if weights is None else {"weights": list(weights)}


def _answers(answers: Sequence[PairAnswer]) -> Json:
    """What a record keeps of the answers that no map stands behind."""
    usage: dict[str, float] = {}
    for answer in answers:
        for name, amount in answer.usage.items():
            usage[name] = usage.get(name, 0) + amount
    return {
        "answers": [list(answer.said) for answer in answers],
        "usage": usage,
        "details": [dict(answer.details) for answer in answers],
    }


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def _dense_line(score: DenseScore) -> Json:
    return {
        "status": "ok" if score.n_valid else "empty",
        "n_valid": score.n_valid,
        "n_usable": score.n_usable,
        "coverage": score.n_usable / score.n_valid if score.n_valid else None,
        "fit": None if score.fit is None else {"scale": score.fit.scale, "shift": score.fit.shift},
        **score.metrics,
    }


def _failed(job: Job, predicted: Predicted, output: Output, error: Exception) -> Json:
    """The line of a sample that failed: its pairs are wrong, its pixels unusable.

    Where the image or its ground truth could not be read there is nothing to score against, and the metrics are NaN.
    """
    message = str(error) or traceback.format_exception_only(error)[-1].strip()
    targets = job.dataset.targets(predicted.sample_id)
    line: Json = {
        "status": "failed",
        "error": f"{type(error).__name__}: {message}",
        "n_valid": targets,
        "n_usable": 0,
        "coverage": 0.0,
        "fit": None,
    }
    if job.rule is None:
        wrong = {"whdr": 1.0 if targets else None} if "whdr" in job.recipe.metrics else {}
        line |= {"n_correct": 0, "accuracy": 0.0 if targets else None, **wrong, "correct": [0] * targets}
        return {**line, **_weights(job, predicted.sample_id)}
    truth = predicted.loaded.truths.get(job.dataset.field)
    if isinstance(truth, GroundTruth) and not isinstance(predicted.loaded.image, Exception):
        # A prediction of any size is resized, and every pixel of it is as unusable.
        nothing = Prediction(np.full(truth.depth.shape, np.nan, np.float32), output)
        try:
            score = Prepared(nothing, truth.depth, truth.valid, predicted.loaded.window).score(job.rule)
            return {**line, "n_valid": score.n_valid, **score.metrics}
        except DabenchError:  # the ground truth is smaller than the crop that counts
            pass
    return {**line, **dict.fromkeys(job.recipe.metrics)}


def _in_order(line: Json) -> Json:
    """The clock last, as a reader of the file expects it."""
    return {**{k: v for k, v in line.items() if k != "seconds"}, "seconds": line["seconds"]}
