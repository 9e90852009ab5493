"""From images with pairs to the answers of a model that gives no map."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from dabench.errors import DabenchError, ModelError, SampleError
from dabench.inference import Answers, Predicted
from dabench.loading import Loaded
from dabench.passes import Pass
from dabench.types import PairAnswer, PairModel, Points


class Asker:
    """Asks the samples of one pass; stands in the place of :class:`dabench.inference.Predictor`.

    Args:
        work: the pass. What none of its protocols wants is not asked.
        model: what answers.
    """

    def __init__(self, work: Pass, model: PairModel) -> None:
        self._jobs, self._model = work.jobs, model

    def __call__(self, ids: Sequence[str], loaded: list[Loaded]) -> list[Predicted]:
        """What the model says of the pairs of each sample, as many of them at once as it allows.

        Raises:
            DabenchError: the model cannot go on.
        """
        wanted = [(i, found) for i, found in zip(ids, loaded, strict=True) if any(job.wants(i) for job in self._jobs)]
        pool = ThreadPoolExecutor(max_workers=max(1, len(wanted)), thread_name_prefix="ask")
        try:
            asking = [pool.submit(self._ask, sample_id, found) for sample_id, found in wanted]
            return [future.result() for future in asking]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, sample_id: str, found: Loaded) -> Predicted:
        start = time.perf_counter()
        image = found.image
        outcome: Answers | Exception
        if isinstance(image, Exception):
            outcome = image
        else:
            try:
                outcome = self._answers(sample_id, found)
            except SampleError as error:
                outcome = error
            except DabenchError:
                raise
            except Exception as error:  # a defect of the model must not end the run
                outcome = error
        found.image = None
        return Predicted(sample_id, found, outcome, time.perf_counter() - start, fresh=True)

    def _answers(self, sample_id: str, found: Loaded) -> Answers:
        """Answers for each split; splits that label the same points share them."""
        assert found.image is not None and not isinstance(found.image, Exception)
        answered: dict[tuple[Points, ...], Sequence[PairAnswer]] = {}
        by_split: dict[str, Sequence[PairAnswer]] = {}
        for split, pairs in found.pairs.items():
            if isinstance(pairs, Exception):
                continue
            points = tuple((pair.point1, pair.point2) for pair in pairs)
            if points not in answered:
                answers = self._model.answer_pairs(found.image, points, sample_id)
                if len(answers) != len(points):
                    raise ModelError(
                        f"model '{self._model.info.name}' returned {len(answers)} answers for {len(points)} pairs"
                    )
                answered[points] = answers
            by_split[split] = answered[points]
        return Answers(by_split)
