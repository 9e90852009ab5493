"""Read ahead in threads, predict in the calling thread, score in threads; few samples alive, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Loaded = TypeVar("Loaded")
Predicted = TypeVar("Predicted")
Result = TypeVar("Result")

READ_AHEAD_BYTES = 512 * 1024 * 1024


def pipeline(
    batches: Sequence[Sequence[str]],
    read: Callable[[str], Loaded],
    predict: Callable[[Sequence[str], list[Loaded]], Sequence[Predicted]],
    score: Callable[[Predicted], Result],
    *,
    workers: int,
    weigh: Callable[[Loaded], int] | None = None,
) -> Iterator[Result]:
    """What ``score`` gives for each sample, in the order of the batches.

    The three stages overlap: while one batch is predicted, the next ones are read and the last ones scored. At most
    ``2 * workers`` samples and a batch are read ahead, fewer where ``READ_AHEAD_BYTES`` hold fewer, and ``workers`` and
    a batch wait to be scored.

    Args:
        batches: sample ids that are predicted together.
        read: called in a thread for each id; what it raises ends the run.
        predict: called in this thread for each batch; its answer says of each sample all that ``score`` needs.
        score: called in a thread for each answer.
        workers: threads that read, and threads that score.
        weigh: bytes that a sample takes when it is read.

    Raises:
        Exception, KeyboardInterrupt: whatever a stage raised, after the results of what was predicted before it.
    """
    reading = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="read")
    scoring = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="score")
    results: deque[Future[Result]] = deque()
    try:
        for batch, loaded in _read_ahead(batches, read, reading, 2 * workers, weigh):
            predicted = predict(batch, loaded)
            del loaded
            results.extend(scoring.submit(score, answer) for answer in predicted)
            del predicted
            # In order, whichever is ready first; what is ready is handed on at once, so that a kill loses little.
            while results and (results[0].done() or len(results) > workers + len(batch)):
                yield results.popleft().result()
        while results:
            yield results.popleft().result()
    except (Exception, KeyboardInterrupt):
        # An interrupt must not cost what was finished before it.
        while results:
            yield results.popleft().result()
        raise
    finally:
        reading.shutdown(wait=False, cancel_futures=True)
        scoring.shutdown(wait=False, cancel_futures=True)


def _read_ahead(
    batches: Sequence[Sequence[str]],
    read: Callable[[str], Loaded],
    pool: ThreadPoolExecutor,
    most: int,
    weigh: Callable[[Loaded], int] | None,
) -> Iterator[tuple[Sequence[str], list[Loaded]]]:
    """Batches and what was read of them, at most ``most`` samples and one batch before they are asked for."""
    waiting: deque[tuple[Sequence[str], list[Future[Loaded]]]] = deque()
    upcoming = iter(batches)
    heaviest = 1
    while True:
        ahead = min(most, READ_AHEAD_BYTES // heaviest)
        while sum(len(futures) for _, futures in waiting) <= ahead:
            batch = next(upcoming, None)
            if batch is None:
                break
            waiting.append((batch, [pool.submit(read, sample_id) for sample_id in batch]))
        if not waiting:
            return
        batch, futures = waiting.popleft()
        loaded = [future.result() for future in futures]
        del futures
        if weigh is not None:
            heaviest = max(heaviest, *map(weigh, loaded))
        yield batch, loaded
        del loaded
