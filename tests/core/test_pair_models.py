"""Models that answer pairs instead of predicting maps: how they are asked, scored and resumed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dabench.errors import DabenchError, SampleError, UsageError
from dabench.evaluate import evaluate, evaluate_many
from dabench.scoring.pairs import score_answers
from dabench.types import ModelInfo, Output, Pair, PairAnswer, PairModel

PairSet = Callable[..., Path]


class Answering(PairModel):
    """Says what it is told to, and remembers what it was asked."""

    def __init__(self, say: Callable[[np.ndarray, Any], tuple[Any, ...]], at_once: int = 1, gather: int = 1) -> None:
        self.info = ModelInfo("talker", Output.ORDER, settings={"version": 1})
        self.at_once, self.say, self.gather = at_once, say, gather
        self.asked: list[str] = []
        self.folder: tuple[Path, bool] | None = None
        self.under_way = self.most = 0
        self.lock, self.gathered = threading.Lock(), threading.Event()

    def answer_pairs(self, image: np.ndarray, points: Sequence[Any], sample_id: str) -> list[PairAnswer]:
        with self.lock:
            self.asked.append(sample_id)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            if self.most >= self.gather:
                self.gathered.set()
        try:
            self.gathered.wait(60)  # a busy machine starts threads late: whoever comes first waits for the others
            time.sleep(0.01)
            return [PairAnswer(self.say(image, pair), {"requests": 2, "cost": 0.25}) for pair in points]
        finally:
            with self.lock:
                self.under_way -= 1

    def keep_in(self, folder: Path, *, fresh: bool) -> None:
        self.folder = (folder, fresh)


def bright(image: np.ndarray, pair: Any) -> tuple[int, int]:
    """The fixture's pictures are brighter where they are nearer."""
    one, two = (int(image[point][0]) for point in pair)
    answer = 1 if one > two else 2
    return answer, answer


def test_a_pair_is_worth_the_share_of_its_right_answers() -> None:
    pairs = [Pair((0, 0), (1, 1), closer) for closer in (1, 1, 2, 2, 1)]
    said: list[tuple[Any, ...]] = [(1, 1), (1, 2), (1, 1), ("refused", 2), ("unparsable",)]
    verdicts = score_answers([PairAnswer(words) for words in said], pairs)
    assert verdicts.correct.tolist() == [1.0, 0.5, 0.0, 0.5, 0.0]
    assert verdicts.usable.tolist() == [True, True, True, False, False]
    with pytest.raises(ValueError, match="zip"):
        score_answers([PairAnswer((1,))], pairs)


@pytest.mark.parametrize("at_once", [1, 4])
def test_answers_are_scored_and_recorded(pair_set: PairSet, tmp_path: Path, at_once: int) -> None:
    model = Answering(bright, at_once, gather=at_once)
    run = evaluate(model, "pairs", data_root=pair_set(), out=tmp_path / "runs")
    assert run.metrics["accuracy"].value == 1.0 and run.ok
    assert run.summary["answers"] == {
        "asked": 36, "refused": 0, "unparsable": 0, "inconsistent": 0, "consistency": 1.0,
        "usage": {"requests": 36, "cost": 4.5},
    }  # fmt: skip
    assert run.summary["model"]["output"] == "order" and model.folder == (tmp_path / "runs" / "talker", False)
    assert model.most == at_once
    lines = [json.loads(line) for line in (tmp_path / "runs/talker/pairs@1/samples.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [line["id"] for line in run.samples], "in the order of the dataset"
    assert lines[0]["correct"] == [1, 1, 1] and lines[0]["usage"] == {"requests": 6, "cost": 0.75}
    assert all(isinstance(value, int) for value in [lines[0]["n_correct"], *lines[0]["correct"]])


def test_halves_and_refusals_in_totals_and_groups(pair_set: PairSet) -> None:
    def say(image: np.ndarray, pair: Any) -> tuple[Any, ...]:
        return (1, 2) if image.mean() > 45 else ("refused", bright(image, pair)[0])

    run = evaluate(Answering(say), "pairs", data_root=pair_set())
    assert run.metrics["accuracy"].value == 0.5 and not run.ok
    told = run.summary["answers"]
    assert told["refused"] + told["inconsistent"] == 18 and told["consistency"] == 0.0 and told["refused"] > 0
    assert run.summary["coverage"] == told["inconsistent"] / 18 and run.summary["counts"]["failed"] == 0
    for group in run.groups.values():
        low, high = group["accuracy"].ci95
        assert group["accuracy"].value == 0.5 and low < 0.5 < high and low + high == pytest.approx(1.0)


def test_failed_samples_are_asked_again_and_finished_ones_are_not(pair_set: PairSet, tmp_path: Path) -> None:
    root = pair_set()
    whole = evaluate(Answering(bright), "pairs", data_root=root)

    def moody(image: np.ndarray, pair: Any) -> tuple[int, int]:
        if 35 < image.mean() < 55:
            raise SampleError("the line is dead")
        return bright(image, pair)

    first = evaluate(Answering(moody), "pairs", data_root=root, out=tmp_path / "runs")
    failed = [line["id"] for line in first.samples if line["status"] == "failed"]
    assert 0 < len(failed) < 6 and not first.ok and "the line is dead" in str(first.samples)
    again = Answering(bright, 4)
    second = evaluate(again, "pairs", data_root=root, out=tmp_path / "runs")
    assert again.asked == failed and second.ok
    assert {k: v for k, v in second.summary.items() if k != "timing"} == {
        k: v for k, v in whole.summary.items() if k != "timing"
    }


def test_other_errors_of_ours_end_the_run_and_keep_what_is_finished(pair_set: PairSet, tmp_path: Path) -> None:
    def broke(image: np.ndarray, pair: Any) -> tuple[int, int]:
        if image.mean() > 45:
            raise DabenchError("no money left")
        return bright(image, pair)

    with pytest.raises(DabenchError, match="no money left"):
        evaluate(Answering(broke), "pairs", data_root=pair_set(), out=tmp_path / "runs")
    folder = tmp_path / "runs/talker/pairs@1"
    assert (folder / "samples.jsonl").read_text() and not (folder / "summary.json").exists()


def test_a_defect_fails_its_sample_only(pair_set: PairSet) -> None:
    def clumsy(image: np.ndarray, pair: Any) -> tuple[int, int]:
        return bright(image, pair) if image.mean() < 45 else (0, 7)

    run = evaluate(Answering(clumsy), "pairs", data_root=pair_set())
    bad = [line for line in run.samples if line["status"] == "failed"]
    assert 0 < len(bad) < 6 and all("an answer is 1, 2" in line["error"] for line in bad)


def test_the_label_is_not_shown(pair_set: PairSet) -> None:
    def look(image: np.ndarray, pair: Any) -> tuple[int, int]:
        (_, _), (_, _) = pair
        assert type(pair) is tuple
        return 1, 1

    assert evaluate(Answering(look), "pairs", data_root=pair_set()).summary["counts"]["failed"] == 0


def test_what_it_cannot_be_used_for(pair_set: PairSet, tmp_path: Path) -> None:
    model = Answering(bright)
    with pytest.raises(UsageError, match="gives no map, only which of two points is closer; nyu-eigen-raw@1 scores"):
        evaluate(model, "nyu-eigen-raw", data_root=tmp_path)
    with pytest.raises(UsageError, match="no map that could be kept"):
        evaluate(model, "pairs", data_root=pair_set(), out=tmp_path, keep_predictions=True)
    told: list[str] = []
    runs = evaluate_many(
        model, ["mini-depth", "mini-pairs"], limit=2, on_error=lambda recipe, error: told.append(recipe.id)
    )
    assert told == ["mini-depth@1"] and [run.summary["protocol"]["id"] for run in runs] == ["mini-pairs@1"]
