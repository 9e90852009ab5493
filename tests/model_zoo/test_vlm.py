"""A multimodal model as a model of pairs: fair questions, strict reading, patience, and nothing asked or lost twice."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import model_zoo
from dabench import datasets, evaluate
from dabench.errors import DabenchError, ModelError, UsageError
from dabench.run import Run
from dabench.types import PairAnswer
from model_zoo.vlm.marking import COLOURS, SMALLEST_SIDE, marked, resized
from model_zoo.vlm.parsing import parse, reply_of
from model_zoo.vlm.questions import first_letter

KEY = "sk-secret-0123456789"


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("vlm_server", Path(__file__).parents[1] / "vlm_server.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["vlm_server"] = module
    spec.loader.exec_module(module)
    return module


vlm_server = _module()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with vlm_server.VlmServer() as running:
        yield running


@pytest.fixture(scope="module")
def pair_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pair_set(tmp_path_factory.mktemp("pairs"))


def make_pair_set(root: Path, closer: str = "point1") -> Path:
    """Five pictures of noise, two pairs each."""
    annotations = {}
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        key = f"images/{'indoor' if number % 2 else 'outdoor'}/{number}.png"
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / key)
        annotations[key] = [
            {"point1": [10, 12], "point2": [30, 50], "closer_point": closer},
            {"point1": [40, 5 + number], "point2": [3, 60], "closer_point": closer},
        ]
    (root / "annotations.json").write_text(json.dumps(annotations))
    return root


def load(url: str, **settings: Any) -> Any:
    quick = {"model": "seer", "backoff": 0.01, "attempts": 4, "side": 96, "endpoint": url}
    return model_zoo.load("vlm", settings={**quick, **settings})


def score(url: str, root: Path | None, protocol: str = "pairs", **options: Any) -> Run:
    names = ("out", "limit", "fresh", "progress", "subset")
    model = load(url, **{name: value for name, value in options.items() if name not in names})
    try:
        return evaluate(model, protocol, data_root=root, **{n: options[n] for n in names if n in options})
    finally:
        model.close()


def without_times(run: Run) -> Any:
    summary = {key: value for key, value in run.summary.items() if key != "timing"}
    return summary, [{k: v for k, v in line.items() if k != "seconds"} for line in run.samples]


class TestMarking:
    def pictures(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        checks = 255 * (np.indices((48, 64)).sum(0) % 2).astype(np.uint8)
        return {
            "bright": np.full((192, 256, 3), 255, np.uint8),
            "dark": np.zeros((192, 256, 3), np.uint8),
            "busy": np.dstack([np.kron(checks, np.ones((4, 4), np.uint8))] * 3),
            "noise": rng.integers(0, 256, (192, 256, 3), dtype=np.uint8),
        }

    POINTS = (
        ((0, 0), (191, 255)), ((0, 255), (191, 0)), ((96, 128), (96, 129)), ((96, 128), (97, 128)), ((0, 0), (0, 1)),
        ((50, 60), (50, 66)), ((50, 60), (58, 60)), ((190, 254), (191, 255)), ((96, 3), (96, 250)),
        ((3, 100), (15, 112)), ((0, 0), (1, 1)), ((191, 0), (189, 1)),
    )  # fmt: skip

    @pytest.mark.parametrize("points", POINTS)
    def test_nothing_covers_the_points_and_everything_is_inside(self, points: Any) -> None:
        for image in self.pictures().values():
            plain = resized(image, 1024)
            picture, markers = marked(image, points, 1024)
            height, width = picture.shape[:2]
            assert picture.shape == plain.shape == (384, 512, 3) and max(height, width) == SMALLEST_SIDE
            for marker, (row, col) in zip(markers, points, strict=True):
                assert (marker.x, marker.y) == pytest.approx((2 * col + 0.5, 2 * row + 0.5))
                for y, x in product(range(2 * row, 2 * row + 2), range(2 * col, 2 * col + 2)):
                    assert (picture[y, x] == plain[y, x]).all(), "the pixel that is asked about stays as it is"
                x, y = marker.label
                assert 9 <= x <= width - 10 and 9 <= y <= height - 10, "the letter is inside"
            a, b = (np.array(marker.label) for marker in markers)
            assert np.abs(a - b).max() >= 22, "the letters do not overlap"

    @pytest.mark.parametrize("name", ["bright", "dark", "busy", "noise"])
    def test_markers_show_on_anything(self, name: str) -> None:
        image = self.pictures()[name]
        picture, markers = marked(image, ((96, 60), (40, 200)), 1024)
        for marker in markers:
            angles = np.linspace(0, 2 * np.pi, 64)
            ring = [
                picture[round(marker.y + marker.radius * np.sin(a)), round(marker.x + marker.radius * np.cos(a))]
                for a in angles
            ]
            colour = np.array(COLOURS[marker.letter])
            assert np.mean([np.abs(pixel.astype(int) - colour).max() < 60 for pixel in ring]) > 0.8
            y, x = round(marker.y), round(marker.x)
            near = picture[y - 16 : y + 17, x - 16 : x + 17].reshape(-1, 3).astype(int)
            assert (near.max(1) < 60).any() and (near.min(1) > 195).any(), "a dark and a bright line go with it"

    def test_swapping_the_letters_leaves_the_points_where_they_are(self) -> None:
        image = self.pictures()["noise"]
        _, (a, b) = marked(image, ((20, 30), (150, 90)), 1024)
        _, (c, d) = marked(image, ((150, 90), (20, 30)), 1024)
        assert (a.x, a.y, a.radius) == (d.x, d.y, d.radius) and (b.x, b.y) == (c.x, c.y)

    def test_large_pictures_are_made_smaller_before_they_are_marked(self) -> None:
        picture, markers = marked(np.zeros((1500, 3000, 3), np.uint8), ((0, 0), (1499, 2999)), 1024)
        assert picture.shape == (512, 1024, 3)
        assert (markers[1].x, markers[1].y) == pytest.approx((2999.5 * 1024 / 3000 - 0.5, 1499.5 * 512 / 1500 - 0.5))

    @pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (200, 2, 3)])
    def test_pictures_of_any_shape_can_be_marked(self, shape: tuple[int, int, int]) -> None:
        image = np.zeros(shape, np.uint8)
        picture, _ = marked(image, ((0, 0), (shape[0] - 1, shape[1] - 1)), 96)
        assert picture.dtype == np.uint8 and not (image != 0).any(), "the image is not written to"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Answer: A", "A"), ("answer: b", "B"), ("**Answer: B**", "B"), ("Final answer: A.", "A"), ("B", "B"),
        ("The rug at A is near.\n\nAnswer: A\n", "A"), ('{"answer": "B"}', "B"), ('```json\n{"answer": "A"}\n```', "A"),
        ('A is lower.\n{"answer": "a"}', "A"), ("<think>Answer: B? no</think>\nAnswer: A", "A"), ("Point B.", "B"),
        ("My answer is A", "A"), ("Answer: A\nAnswer: A", "A"), ("", "unparsable"), ("Answer: A or B", "unparsable"),
        ("Answer: C", "unparsable"), ("Answer: B\nAnswer: A", "unparsable"), ("A is closer than B", "unparsable"),
        ("I think A. Answer: B, but A", "unparsable"), ('{"answer": "A", "answer": "B"}', "unparsable"),
        ('{"answer": "A or B"}', "unparsable"), ('{"answer": 1}', "unparsable"), ("a", "unparsable"),
        ("Answer: A\nbut it may be B", "unparsable"), ("I'm sorry, but I can't help with that.", "refused"),
        ("I cannot determine the depth.", "refused"), ("I am unable to view images.\n", "refused"),
        ("I can't be sure, but:\nAnswer: B", "B"), ('{"answer": "B"}\nAnswer: A', "unparsable"),
    ],
)  # fmt: skip
def test_replies_are_read_strictly(text: str, meaning: str) -> None:
    assert parse(text) == meaning


def test_refusals_are_told_by_the_fields_that_say_so() -> None:
    def choice(message: Any, finish: str = "stop") -> Any:
        return {"choices": [{"message": message, "finish_reason": finish}]}

    assert reply_of(choice({"content": None, "refusal": "No."}))[1] == "refused"
    assert reply_of(choice({"content": [{"type": "refusal", "refusal": "No."}]}))[1] == "refused"
    assert reply_of(choice({"content": "Answer: A"}, "content_filter"))[1] == "refused"
    assert reply_of({"choices": [{"finish_reason": "content_filter"}]})[1] == "refused"
    assert reply_of(choice({"content": None}))[1] == "unparsable"
    assert (
        reply_of(choice({"content": [{"type": "text", "text": "Answer:"}, {"type": "text", "text": " B"}]}))[1] == "B"
    )


class TestFairness:
    @pytest.mark.parametrize("letter", ["A", "B"])
    def test_one_letter_for_everything_is_worth_exactly_a_half(self, server: Any, letter: str) -> None:
        server.reply = lambda body: f"Answer: {letter}"
        run = score(server.url, None, "mini-pairs", limit=10)
        assert run.metrics["accuracy"].value == 0.5
        assert all(group["accuracy"].value == 0.5 for group in run.groups.values())
        assert {tuple(line["correct"]) for line in run.samples} <= {(0.5,) * n for n in range(1, 9)}
        told = run.summary["answers"]
        assert (told["consistency"], told["refused"], told["unparsable"]) == (0.0, 0, 0)
        assert told["asked"] == len(server.log) == 2 * run.summary["counts"]["pairs"] > 40
        assert run.summary["coverage"] == 1.0 and run.ok

    @pytest.mark.parametrize(("truthful", "accuracy"), [(True, 1.0), (False, 0.0)])
    def test_one_who_sees_the_markers_scores_all_or_nothing(self, server: Any, truthful: bool, accuracy: float) -> None:
        server.reply = oracle(6, truthful)
        run = score(server.url, None, "mini-pairs", limit=6, side=512)
        assert run.metrics["accuracy"].value == accuracy
        assert run.summary["answers"]["consistency"] == 1.0
        assert run.summary["counts"]["pairs"] >= 12

    def test_letters_are_drawn_evenly_and_from_the_seed(self) -> None:
        drawn = [first_letter(0, f"images/{i}", i % 3) for i in range(2000)]
        assert 900 < drawn.count(1) < 1100 and set(drawn) == {1, 2}
        assert drawn == [first_letter(0, f"images/{i}", i % 3) for i in range(2000)]
        assert drawn != [first_letter(1, f"images/{i}", i % 3) for i in range(2000)]

    def test_the_label_changes_nothing_that_is_sent(self, server: Any, pair_set: Path, tmp_path: Path) -> None:
        sent = []
        for root in (pair_set, make_pair_set(tmp_path, "point2")):
            score(server.url, root)
            sent.append(sorted(json.dumps(request["body"]) for request in server.log))
            server.log.clear()
        assert sent[0] == sent[1] and len(sent[0]) == 20
        assert "closer_point" not in sent[0][0] and "point1" not in sent[0][0]

    def test_one_order_asks_half_and_follows_the_draw(self, server: Any, pair_set: Path) -> None:
        run = score(server.url, pair_set, orders=1)
        right = [first_letter(0, line["id"], pair) == 1 for line in run.samples for pair in range(2)]
        assert len(server.log) == 10 and run.metrics["accuracy"].value == sum(right) / 10
        assert run.summary["answers"]["consistency"] is None


def oracle(images: int, truthful: bool) -> Callable[[Any], str]:
    """Finds the picture by its looks, the markers by their colour, and compares the known depth at the points."""
    pairs, dense = (datasets.open_dataset("mini", None, task=task, split="heldout") for task in ("pairs", "depth"))
    known = []
    for sample_id in pairs.ids[:images]:
        sample = pairs.load(sample_id)
        known.append((sample.image, [(p.point1, p.point2) for p in sample.pairs], dense.ground_truth(sample_id).depth))
    small = [image[::16, ::16].astype(int) for image, *_ in known]

    def amount(picture: np.ndarray, letter: str, point: tuple[int, int]) -> float:
        """How much of a circle around a point has the letter's colour."""
        best = 0.0
        for radius in range(5, 11):
            angles = np.linspace(0, 2 * np.pi, 40)
            y = np.clip(np.rint(2 * point[0] + 0.5 + radius * np.sin(angles)), 0, picture.shape[0] - 1).astype(int)
            x = np.clip(np.rint(2 * point[1] + 0.5 + radius * np.cos(angles)), 0, picture.shape[1] - 1).astype(int)
            near = np.abs(picture[y, x].astype(int) - np.array(COLOURS[letter])).max(1) < 70
            best = max(best, float(near.mean()))
        return best

    def reply(body: Any) -> str:
        picture = vlm_server.picture_of(body)
        seen = picture[::32, ::32].astype(int)
        which = int(np.argmin([np.median(np.abs(seen - candidate)) for candidate in small]))
        _, points, depth = known[which]
        options = [order for one, two in points for order in ((one, two), (two, one))]
        a, b = max(options, key=lambda order: amount(picture, "A", order[0]) + amount(picture, "B", order[1]))
        return "Answer: " + ("A" if bool(depth[a] < depth[b]) == truthful else "B")

    return reply


class TestMisbehaviour:
    FAULTS = (
        "cut", "nonsense", "list", "empty", "stall", 500, 502, 503, 429, 408, (429, {"Retry-After": "0"}, {}),
        (503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, "busy"),
    )  # fmt: skip

    def test_every_passing_fault_is_waited_out(self, server: Any, pair_set: Path) -> None:
        plain = score(server.url, pair_set)
        server.log.clear()
        server.faults = list(self.FAULTS)
        spoilt = score(server.url, pair_set, timeout=0.3, attempts=20)
        assert without_times(spoilt) == without_times(plain)
        assert len(server.log) == 20 + len(self.FAULTS)

    def test_retry_after_is_kept_to_by_all(self, server: Any, pair_set: Path) -> None:
        server.faults = [(429, {"Retry-After": "0.4"}, {"message": "slow down"})]
        start = time.perf_counter()
        run = score(server.url, pair_set, limit=1, concurrency=1)
        assert time.perf_counter() - start >= 0.4 and run.ok and len(server.log) == 5

    def test_a_wait_beyond_patience_fails_the_question(self, server: Any, pair_set: Path) -> None:
        server.faults = [(429, {"Retry-After": "86400"}, {"message": "daily limit"})]
        run = score(server.url, pair_set, limit=1, concurrency=1)
        assert "asks to wait 86400 s" in run.samples[0]["error"] and not run.ok

    def test_what_fails_for_good_is_failed_and_tried_again(self, server: Any, pair_set: Path, tmp_path: Path) -> None:
        server.faults = [500] * 4
        first = score(server.url, pair_set, out=tmp_path, concurrency=1)
        [bad] = [line for line in first.samples if line["status"] == "failed"]
        assert "gave no answer after 4 attempts: 500" in bad["error"] and not first.ok
        assert first.summary["counts"]["failed"] == 1 and first.summary["answers"]["refused"] == 0
        asked = len(server.log)
        second = score(server.url, pair_set, out=tmp_path, concurrency=1)
        assert second.ok and len(server.log) == asked + 1, "only the question that failed is asked again"

    def test_an_endpoint_that_is_down_ends_the_run(self, server: Any, pair_set: Path, tmp_path: Path) -> None:
        server.always = 503
        with pytest.raises(DabenchError, match=r"failed 10 requests in a row, the last with: 503") as caught:
            score(server.url, pair_set, out=tmp_path, attempts=1, concurrency=1)
        assert caught.value.exit_code == 1
        server.always = None
        assert score(server.url, pair_set, out=tmp_path, concurrency=1).ok

    def test_nobody_listens(self, pair_set: Path, server: Any) -> None:
        run = score("http://127.0.0.1:9/v1", pair_set, limit=1, attempts=2)
        assert "127.0.0.1:9" in run.samples[0]["error"] and "cannot connect" in run.samples[0]["error"]

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            ({"key": "another"}, r"answers 401 .*Incorrect API key provided: \[key\][\s\S]*key_variable"),
            ({"models": ("other",)}, r"answers 404 .*`seer` does not exist"),
            ({"always": (402, {}, {"message": "no credit"})}, "402 .*no credit"),
            ({"always": (429, {}, {"message": "over quota", "code": "insufficient_quota"})}, "no credit left: 429"),
            ({"always": (400, {}, {"message": "unsupported parameter: max_tokens"})}, r"400 [\s\S]*limit_field"),
            ({"always": (308, {"Location": "/v2"}, {})}, "308 .*a redirect to /v2"),
        ],
    )  # fmt: skip
    def test_what_no_patience_helps_against_stops_at_once(
        self, server: Any, pair_set: Path, spoil: dict[str, Any], message: str
    ) -> None:
        for name, value in spoil.items():
            setattr(server, name, value)
        with pytest.raises(ModelError, match=message) as caught:
            score(server.url, pair_set, concurrency=1)
        assert len(server.log) == 1 and KEY not in str(caught.value)

    def test_filters_refusals_and_nonsense_are_wrong_and_counted(self, server: Any, pair_set: Path) -> None:
        server.faults = [(400, {}, {"message": "filtered", "code": "content_filter"})]
        said = iter(["I'm sorry, I can't help.", "purple", "purple", "hm", "Answer: A", {"message": {"refusal": "no"}}])
        server.reply = lambda body: next(said, "Answer: A")
        server.tokens = None
        run = score(server.url, pair_set, concurrency=1, out=None)
        told = run.summary["answers"]
        assert (told["refused"], told["unparsable"], told["asked"]) == (3, 1, 20)
        assert told["usage"] == {"requests": 22, "requests_without_tokens": 22}
        assert not run.ok and run.summary["counts"]["failed"] == 0, "wrong, and not failed"
        [first, *_] = run.samples
        assert first["answers"][0] == ["refused", "refused"] and first["answers"][1][0] == "unparsable"
        assert first["n_usable"] == 0 and first["coverage"] == 0.0
        reminded = [request["body"]["messages"] for request in server.log if len(request["body"]["messages"]) > 1]
        assert [messages[1]["content"] for messages in reminded] == ["purple", "hm"]

    def test_odd_characters_are_kept_or_replaced(self, server: Any, pair_set: Path, tmp_path: Path) -> None:
        said = iter(["half a character \ud83d", "a line\u2028separator \U0001f600\nAnswer: A"])
        server.reply = lambda body: next(said, "Answer: A")
        run = score(server.url, pair_set, out=tmp_path, concurrency=1)
        assert run.ok and "half a character ?" in json.dumps(run.samples)
        server.log.clear()
        (tmp_path / "vlm-seer" / "pairs@1" / "samples.jsonl").unlink()
        assert without_times(score(server.url, pair_set, out=tmp_path)) == without_times(run) and server.log == []

    def test_one_question_that_does_not_pass_fails_alone(self, server: Any, pair_set: Path) -> None:
        server.faults = [None, None, (413, {}, {"message": "picture too large"})]
        run = score(server.url, pair_set, concurrency=1)
        assert [line["status"] for line in run.samples].count("failed") == 1
        assert "picture too large" in next(line["error"] for line in run.samples if line["status"] == "failed")


class TestKeeping:
    def test_a_stopped_run_goes_on_without_asking_twice(self, server: Any, pair_set: Path, tmp_path: Path) -> None:
        whole = score(server.url, pair_set, out=tmp_path / "whole", price_in=2.0, price_out=4.0)
        server.log.clear()

        def stop(state: Any) -> None:
            if state.done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            score(server.url, pair_set, out=tmp_path / "cut", progress=stop, price_in=2.0, price_out=4.0)
        asked = len(server.log)
        cache = tmp_path / "cut" / "vlm-seer" / "answers.jsonl"
        kept = cache.read_bytes()
        cache.write_bytes(kept[:-40])  # torn by the kill
        again = score(server.url, pair_set, out=tmp_path / "cut", price_in=2.0, price_out=4.0)
        assert without_times(again) == without_times(whole)
        bodies = [json.dumps(request["body"]) for request in server.log]
        lost = len(bodies) - len(set(bodies))
        assert asked < 20 and lost <= 1, "nothing but the torn answer is asked again"
        usage = again.summary["answers"]["usage"]
        assert usage["tokens_in"] == 2000 and usage["tokens_out"] == 200
        assert usage["cost"] == pytest.approx(20 * (100 * 2.0 + 10 * 4.0) / 1e6)

    def test_records_are_made_anew_from_kept_answers(self, server: Any, pair_set: Path, tmp_path: Path) -> None:
        first = score(server.url, pair_set, out=tmp_path)
        for name in ("samples.jsonl", "summary.json", "run.json"):
            (tmp_path / "vlm-seer" / "pairs@1" / name).unlink()
        server.always = 500
        assert without_times(score(server.url, pair_set, out=tmp_path)) == without_times(first)
        server.always = None
        server.log.clear()
        assert score(server.url, pair_set, out=tmp_path, fresh=True).ok
        assert len(server.log) == 20 and (tmp_path / "vlm-seer" / "answers.1.jsonl").is_file()

    def test_other_questions_are_other_answers(self, server: Any, pair_set: Path, tmp_path: Path) -> None:
        score(server.url, pair_set, out=tmp_path)
        with pytest.raises(DabenchError, match=r"settings\.side: 96 there, 128 now"):
            score(server.url, pair_set, out=tmp_path, side=128)
        assert len(server.log) == 20

    def test_the_key_is_in_no_file(self, server: Any, pair_set: Path, tmp_path: Path) -> None:
        server.key = KEY
        run = score(server.url, pair_set, out=tmp_path)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert run.ok and len(files) >= 4 and not any(KEY in path.read_text() for path in files)
        assert {request["key"] for request in server.log} == {f"Bearer {KEY}"}
        assert not any("base64" in path.read_text() for path in files), "pictures are not kept"

    def test_details_say_what_was_asked_and_answered(self, server: Any, pair_set: Path) -> None:
        [line, *_] = score(server.url, pair_set, limit=1).samples
        assert line["answers"][0] in ([1, 2], [2, 1]) and line["correct"] == [0.5, 0.5] and line["n_correct"] == 1
        asked = line["details"][0]["asked"]
        assert [one["A"] for one in asked] == line["answers"][0]
        assert asked[0]["replies"][0]["reply"] == "Answer: A" and asked[0]["replies"][0]["served"] == "seer-1"


class TestBounds:
    @pytest.mark.parametrize("concurrency", [1, 3])
    def test_no_more_requests_than_allowed_are_under_way(self, server: Any, pair_set: Path, concurrency: int) -> None:
        server.delay = 0.02
        score(server.url, pair_set, concurrency=concurrency)
        assert server.most == concurrency

    def test_the_budget_ends_the_run_and_a_larger_one_goes_on(
        self, server: Any, pair_set: Path, tmp_path: Path
    ) -> None:
        prices = {"price_in": 100.0, "price_out": 0.0, "concurrency": 1, "out": tmp_path}  # 0.01 an answer
        with pytest.raises(DabenchError, match=r"0\.0500 of max_cost=0\.045 is spent") as caught:
            score(server.url, pair_set, max_cost=0.045, **prices)
        assert len(server.log) == 5 and caught.value.exit_code == 1
        with pytest.raises(DabenchError, match=r"0\.0500 of max_cost=0\.045"):
            score(server.url, pair_set, max_cost=0.045, **prices)
        assert len(server.log) == 5, "what was spent before counts"
        run = score(server.url, pair_set, max_cost=1.0, **prices)
        assert run.ok and len(server.log) == 20
        assert run.summary["answers"]["usage"]["cost"] == pytest.approx(0.2)

    def test_a_budget_needs_token_counts(self, server: Any, pair_set: Path) -> None:
        server.tokens = None
        with pytest.raises(DabenchError, match="how many tokens"):
            score(server.url, pair_set, max_cost=1.0, price_in=1.0, concurrency=1)
        assert len(server.log) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": ""}, "which model to ask"),
        ({"endpoint": ""}, "nobody to ask"),
        ({"orders": 3}, "orders=3 is not from 1 to 2"),
        ({"picture": "gif"}, "picture=gif is not one of jpeg, png"),
        ({"max_cost": 1.0}, "without prices"),
        ({"timeout": float("nan")}, "timeout"),
        ({"endpoint": "api.example.org/v1"}, "no http or https address"),
        ({"endpoint": "http://api.example.org/v1"}, "unencrypted"),
        ({"endpoint": "http://127.0.0.1.example.org/v1"}, "unencrypted"),
        ({"endpoint": "https://me:secret@example.org/v1"}, "'https://example.org/v1': an address holds no user"),
        ({"endpoint": "https://example.org/v1?key=secret"}, "'https://example.org/v1': an address holds no user"),
        ({"wings": 2}, "has no option 'wings'"),
    ],
)
def test_wrong_options_are_one_clear_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load(**{"url": "http://127.0.0.1:9/v1", **({"url": settings["endpoint"]} if "endpoint" in settings else {})},
             **{k: v for k, v in settings.items() if k != "endpoint"})  # fmt: skip
    assert "secret" not in str(caught.value)


def test_a_missing_key_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ModelError, match="MY_KEY holds no key for https://api"):
        load("https://api.example.org/v1", key_variable="MY_KEY")
    load("https://api.example.org/v1", key_variable="").close()
    monkeypatch.setenv("MY_KEY", "two words")
    with pytest.raises(ModelError, match="something that is no key") as caught:
        load("https://api.example.org/v1", key_variable="MY_KEY")
    assert "two words" not in str(caught.value)


def test_dense_protocols_refuse_it(server: Any) -> None:
    with pytest.raises(UsageError, match=r"vlm-seer' gives no map.*mini-depth@1 scores depth maps"):
        score(server.url, None, "mini-depth")
    assert server.log == []
    for options in ({"checkpoint": Path("w.pth")}, {"input_size": 518}, {"precision": "fp16"}):
        with pytest.raises(UsageError):
            model_zoo.load("vlm", settings={"model": "seer", "endpoint": server.url}, **options)


def test_answers_are_checked_where_they_are_made() -> None:
    assert PairAnswer((1, 1)).consistent and not PairAnswer((1, 2)).consistent and not PairAnswer(("refused",)).answered
    for wrong in ((), (3,), ("A",), (None,)):
        with pytest.raises(ValueError, match="an answer is"):
            PairAnswer(wrong)  # type: ignore[arg-type]


def test_closing_ends_all_threads(server: Any, pair_set: Path) -> None:
    before = {thread for thread in threading.enumerate() if thread.name.startswith("vlm")}
    score(server.url, pair_set, limit=1)
    assert {thread for thread in threading.enumerate() if thread.name.startswith("vlm")} <= before


def test_keys_name_pixels_and_not_files() -> None:
    """The same marked picture has the same key, however a later encoder writes it."""
    from model_zoo.vlm.questions import questions_of
    from model_zoo.vlm.settings import Settings

    image, settings = np.zeros((30, 40, 3), np.uint8), Settings(model="seer", side=96)
    one, two = questions_of(image, [((1, 1), (20, 30))], "a", 0, settings)
    again, _ = questions_of(image.copy(), [((1, 1), (20, 30))], "a", 0, settings)
    assert one.key == again.key != two.key and {one.first, two.first} == {1, 2}
    assert len(one.key) == 40 and int(one.key, 16)
    assert hashlib.sha256(one.picture.tobytes()).digest() != hashlib.sha256(two.picture.tobytes()).digest()
