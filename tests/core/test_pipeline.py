"""Reading, predicting and scoring overlap, in order, with few samples alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from dabench.pipeline import READ_AHEAD_BYTES, pipeline


def batches(count: int, size: int) -> list[list[str]]:
    names = [f"{i:05}" for i in range(count)]
    return [names[start : start + size] for start in range(0, count, size)]


def numbers(ids: Sequence[str], loaded: list[int]) -> list[int]:
    assert [int(i) for i in ids] == loaded
    return loaded


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("workers", [1, 4])
def test_results_come_in_order_however_long_each_takes(size: int, workers: int) -> None:
    def read(name: str) -> int:
        time.sleep(0.002 * (int(name) % 3))
        return int(name)

    def score(number: int) -> int:
        time.sleep(0.002 * (-number % 4))
        return number

    found = list(pipeline(batches(40, size), read, numbers, score, workers=workers))
    assert found == list(range(40))


def test_nothing_to_do() -> None:
    assert list(pipeline([], lambda n: n, lambda i, x: x, lambda x: x, workers=2)) == []


class Alive:
    """Counts samples between reading and scoring."""

    now = most = 0
    lock = threading.Lock()

    def __init__(self, name: str) -> None:
        self.name = name
        with self.lock:
            Alive.now += 1
            Alive.most = max(Alive.most, Alive.now)

    def __del__(self) -> None:
        with self.lock:
            Alive.now -= 1


@pytest.mark.parametrize(("slow", "size"), [("model", 1), ("score", 1), ("score", 4), ("none", 1)])
def test_few_samples_are_alive_whichever_stage_is_slow(slow: str, size: int) -> None:
    """10,000 samples would take no more memory than these 300."""
    Alive.now = Alive.most = 0
    pause = 0.001

    def predict(ids: Sequence[str], loaded: list[Alive]) -> list[Alive]:
        if slow == "model":
            time.sleep(pause)
        return loaded

    def score(sample: Alive) -> str:
        if slow == "score":
            time.sleep(pause)
        return sample.name

    workers = 2
    found = sum(1 for _ in pipeline(batches(300, size), Alive, predict, score, workers=workers))
    # read ahead, in hand, and waiting for their scores
    assert found == 300 and Alive.most <= (2 * workers + size) + size + (workers + 2 * size) + workers
    assert Alive.now == 0


@pytest.mark.parametrize(("weight", "ahead"), [(1, 16), (READ_AHEAD_BYTES // 3, 3), (2 * READ_AHEAD_BYTES, 0)])
def test_heavy_samples_are_read_fewer_ahead(weight: int, ahead: int) -> None:
    """Counted while the model holds still, from the first sample on whose weight is known."""
    started: list[str] = []
    seen: list[int] = []

    def read(name: str) -> str:
        started.append(name)
        return name

    def predict(ids: Sequence[str], loaded: list[str]) -> list[str]:
        if 20 <= int(ids[0]) < 23:
            deadline = time.monotonic() + 0.2
            while len(started) < int(ids[0]) + 2 + ahead and time.monotonic() < deadline:
                time.sleep(0.001)
            seen.append(len(started) - int(ids[0]) - 1)
        return loaded

    list(pipeline(batches(60, 1), read, predict, str, workers=8, weigh=lambda name: weight))
    assert set(seen) == {ahead}, "samples that were read beyond the one in hand"


def test_stages_overlap() -> None:
    """While the model works, the next samples are read and the last ones scored, in other threads."""
    threads: dict[str, set[str]] = {"read": set(), "predict": set(), "score": set()}
    both_ahead = threading.Event()
    read_count = score_count = 0

    def read(name: str) -> str:
        nonlocal read_count
        threads["read"].add(threading.current_thread().name.split("_")[0])
        read_count += 1
        return name

    def predict(ids: Sequence[str], loaded: list[str]) -> list[str]:
        threads["predict"].add(threading.current_thread().name)
        if ids == ["00005"]:  # the model holds still here until the others have gone on without it
            deadline = time.monotonic() + 30
            while not (read_count > 7 and score_count == 5) and time.monotonic() < deadline:
                time.sleep(0.001)
            if read_count > 7 and score_count == 5:
                both_ahead.set()
        return loaded

    def score(name: str) -> str:
        nonlocal score_count
        threads["score"].add(threading.current_thread().name.split("_")[0])
        score_count += 1
        return name

    list(pipeline(batches(20, 1), read, predict, score, workers=1))
    assert both_ahead.is_set()
    assert threads == {"read": {"read"}, "predict": {threading.current_thread().name}, "score": {"score"}}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_was_predicted_before_an_interrupt_is_handed_on(error: type[BaseException]) -> None:
    def predict(ids: Sequence[str], loaded: list[str]) -> list[str]:
        if ids == ["00007"]:
            raise error
        return loaded

    found: list[str] = []
    with pytest.raises(error):
        found.extend(
            pipeline(batches(20, 1), lambda n: n, predict, lambda n: time.sleep(0.01) or n, workers=2)  # type: ignore[func-returns-value]
        )
    assert found == [f"{i:05}" for i in range(7)]


@pytest.mark.parametrize("stage", ["read", "score"])
def test_an_error_of_a_stage_ends_the_run(stage: str) -> None:
    def fail(name: str) -> str:
        if name == "00003":
            raise OSError("full")
        return name

    read, score = (fail, str) if stage == "read" else (str, fail)
    with pytest.raises(OSError, match="full"):
        list(pipeline(batches(10, 1), read, lambda i, x: x, score, workers=2))
