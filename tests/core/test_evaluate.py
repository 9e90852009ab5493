"""The run: what it returns and writes, and how it survives bad models, bad images and the end of a disk."""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dabench
from dabench.datasets import pairs as pairs_module
from dabench.errors import DatasetError, ModelError, RecordError, UnknownNameError, UsageError
from dabench.evaluate import evaluate
from dabench.run import Metric, Progress, Run
from dabench.types import DepthModel, ModelInfo, Output, Prediction

SUMMARY_KEYS = {
    "schema", "model", "protocol", "dataset", "counts", "coverage", "partial", "metrics", "groups", "timing",
}  # fmt: skip


def brightness(image: np.ndarray) -> np.ndarray:
    """Right on every pair of the small set."""
    return image[..., 0].astype(np.float32)


def without_time(run: Run | Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Summary and samples, less what a clock says."""
    if isinstance(run, Run):
        summary, lines = run.summary, list(run.samples)
    else:
        summary = json.loads((run / "summary.json").read_text())
        lines = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    lines = sorted(({k: v for k, v in line.items() if k != "seconds"} for line in lines), key=lambda line: line["id"])
    return {k: v for k, v in summary.items() if k != "timing"}, lines


class Counting:
    """A right model that counts its calls, and misbehaves on the images of ``faults``: id number -> what to do."""

    def __init__(self, **faults: Callable[[np.ndarray], Any]) -> None:
        self.calls = 0
        self.faults = {int(k.removeprefix("on")): v for k, v in faults.items()}

    def __call__(self, image: np.ndarray) -> Any:
        self.calls += 1
        number = int(image.min()) // 10
        return self.faults.get(number, brightness)(image)


def run_pairs(root: Path, model: Any = brightness, **options: Any) -> Run:
    options = {"output": "disparity", "name": "model", "data_root": root, "workers": 1, **options}
    if isinstance(model, DepthModel):
        options.pop("output")
    return evaluate(model, "pairs", **options)


class TestResult:
    def test_any_callable_can_be_scored(self, pair_set: Any) -> None:
        run = dabench.evaluate(brightness, "pairs", output="disparity", data_root=pair_set(4))
        assert run.metrics["accuracy"] == Metric(1.0, (1.0, 1.0)) and run.ok and run.folder is None
        assert run.summary["model"]["name"] == "brightness" and run.summary["model"]["output"] == "disparity"
        reverse = dabench.evaluate(brightness, "pairs@1", output=Output.DEPTH, data_root=str(pair_set(4, "other")))
        assert reverse.metrics["accuracy"].value == 0.0

    def test_summary_is_the_contract(self, pair_set: Any, tmp_path: Path) -> None:
        run = run_pairs(pair_set(6), lambda image: -brightness(image), out=tmp_path / "out")
        assert run.folder == tmp_path / "out" / "model" / "pairs@1"
        assert {p.name for p in run.folder.iterdir()} == {"run.json", "samples.jsonl", "summary.json"}
        summary = json.loads((run.folder / "summary.json").read_text())
        assert summary == run.summary and set(summary) == SUMMARY_KEYS
        assert summary["schema"] == 1 and summary["partial"] is False and summary["coverage"] == 1.0
        assert set(summary["protocol"]) == {"id", "sha256"} and summary["protocol"]["id"] == "pairs@1"
        assert summary["counts"] == {"expected": 6, "ok": 6, "empty": 0, "failed": 0, "pairs": 18}
        assert summary["metrics"] == {"accuracy": {"value": 0.0, "ci95": [0.0, 0.0]}}
        assert set(summary["groups"]) == {"aerial", "indoor"}
        indoor = summary["groups"]["indoor"]
        assert indoor["images"] == 3 and indoor["pairs"] == 9 and indoor["metrics"]["accuracy"]["value"] == 0.0
        assert indoor["metrics"]["accuracy"]["ci95"][1] > 0.2, "Wilson says more than zero about nine pairs"
        assert run.groups["indoor"]["accuracy"].value == 0.0
        assert set(summary["timing"]) == {"seconds", "median_seconds", "images_per_second"}

    def test_run_json_says_what_was_run(self, pair_set: Any, tmp_path: Path) -> None:
        run = run_pairs(pair_set(2), out=tmp_path / "out", settings={"device": "cpu"})
        assert run.folder is not None
        content = json.loads((run.folder / "run.json").read_text())
        assert {"schema", "dabench", "commit", "protocol", "model", "dataset", "settings", "environment"} <= set(
            content
        )
        assert set(content["protocol"]) == {"id", "sha256", "text"} and "closer" in content["protocol"]["text"]
        assert {"name", "output", "weights_sha256", "parameters", "licence"} <= set(content["model"])
        assert len(content["dataset"]["fingerprint"]) == 64
        assert content["settings"] == {"device": "cpu", "batch_size": 1, "workers": 1}

    def test_lines_are_the_contract(self, pair_set: Any) -> None:
        [line, _] = run_pairs(pair_set(2)).samples
        assert set(line) == {
            "id", "group", "n_valid", "n_usable", "coverage", "fit", "status", "seconds", "accuracy", "n_correct",
            "correct",
        }  # fmt: skip
        assert line["id"] == "images/aerial/rgb_000" and line["group"] == "aerial" and line["correct"] == [1, 1, 1]

    def test_pairs_are_pooled_not_averaged_over_images(self, pair_set: Any) -> None:
        root = pair_set(2)
        path = root / "annotations.json"
        annotations = json.loads(path.read_text())
        first, _ = annotations
        annotations[first] = annotations[first][:1]
        path.write_text(json.dumps(annotations))
        run = run_pairs(root, Counting(on0=lambda image: -brightness(image)))
        assert run.metrics["accuracy"].value == 3 / 4 and run.groups["indoor"]["accuracy"].value == 1.0

    def test_nan_is_null_in_the_file_and_nan_in_python(self, pair_set: Any, tmp_path: Path) -> None:
        run = run_pairs(pair_set(1), out=tmp_path / "out")
        assert run.folder is not None
        assert run.summary["metrics"]["accuracy"]["ci95"] == [None, None], "one image says nothing about the spread"
        assert "NaN" not in "".join(p.read_text() for p in run.folder.iterdir())
        assert all(math.isnan(v) for v in run.metrics["accuracy"].ci95)

    def test_progress(self, pair_set: Any) -> None:
        seen: list[Progress] = []
        run_pairs(pair_set(3), Counting(on1=lambda image: np.zeros((1, 1))), progress=seen.append)
        assert [(p.done, p.total, p.failed) for p in seen] == [(0, 3, 0), (1, 3, 0), (2, 3, 1), (3, 3, 1)]
        assert (
            math.isnan(seen[0].score) and seen[-1].score == pytest.approx(2 / 3) and seen[2].line["status"] == "failed"
        )


class TestBadModels:
    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            (lambda image: 1 / 0, "ZeroDivisionError: division by zero"),
            (lambda image: np.zeros((3, 3)), "shape [3, 3] for an image of [24, 32]"),
            (lambda image: np.zeros((1, *image.shape[:2])), "shape [1, 24, 32]"),
            (lambda image: image.transpose(1, 0, 2)[..., 0], "shape [32, 24]"),
            (lambda image: None, "not numbers"),
            (lambda image: "depth", "not numbers"),
            (lambda image: brightness(image).astype(complex), "not numbers"),
            (
                lambda image: Prediction(brightness(image), Output.METRIC),
                "declares disparity output and returned metric",
            ),
            (lambda image: Prediction(brightness(image), "upside-down"), "upside-down"),  # type: ignore[arg-type]
            (lambda image: (_ for _ in ()).throw(MemoryError()), "MemoryError"),
            (lambda image: (_ for _ in ()).throw(AssertionError()), "AssertionError"),
        ],
    )
    @pytest.mark.parametrize("batch_size", [1, 4])
    def test_a_fault_fails_its_sample_only(self, pair_set: Any, fault: Any, told: str, batch_size: int) -> None:
        run = run_pairs(pair_set(6), Counting(on2=fault), batch_size=batch_size)
        assert run.summary["counts"] == {"expected": 6, "ok": 5, "empty": 0, "failed": 1, "pairs": 18}
        [failed] = [line for line in run.samples if line["status"] == "failed"]
        assert failed["id"] == "images/aerial/rgb_002" and told in failed["error"]
        assert (failed["n_valid"], failed["n_usable"], failed["n_correct"]) == (3, 0, 0)
        assert run.metrics["accuracy"].value == 15 / 18, "a failed image's pairs are wrong, not left out"
        assert run.summary["coverage"] == 15 / 18 and not run.ok

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_non_finite_values_are_wrong_and_uncovered(self, pair_set: Any, bad: float) -> None:
        run = run_pairs(pair_set(6), Counting(on3=lambda image: np.full(image.shape[:2], bad)))
        assert run.summary["counts"]["ok"] == 6 and run.metrics["accuracy"].value == run.summary["coverage"] == 15 / 18
        assert not run.ok

    def test_a_constant_is_wrong_but_covered(self, pair_set: Any) -> None:
        run = run_pairs(pair_set(6), Counting(on3=lambda image: np.ones(image.shape[:2])))
        assert run.metrics["accuracy"].value == 15 / 18 and run.summary["coverage"] == 1.0 and run.ok

    def test_lists_integers_and_booleans_are_numbers(self, pair_set: Any) -> None:
        for convert in (lambda x: x.tolist(), lambda x: x.astype(np.int64), lambda x: x.astype(np.float16)):
            run = run_pairs(pair_set(2, f"set{id(convert)}"), lambda image, c=convert: c(brightness(image)))
            assert run.metrics["accuracy"].value == 1.0
        assert run_pairs(pair_set(2, "bool"), lambda image: brightness(image) > 15).ok

    def test_a_batch_of_the_wrong_length(self, pair_set: Any) -> None:
        class Short(DepthModel):
            info = ModelInfo("short", Output.DISPARITY)

            def predict(self, image: np.ndarray) -> Prediction:
                return Prediction(brightness(image), Output.DISPARITY)

            def predict_batch(self, images: Any, sample_ids: Any = None) -> list[Prediction]:
                return [self.predict(images[0])]

        run = evaluate(Short(), "pairs", data_root=pair_set(5), batch_size=2)
        assert run.ok and run.metrics["accuracy"].value == 1.0, "images are then predicted one by one"

    def test_every_sample_failing_is_still_a_record(self, pair_set: Any, tmp_path: Path) -> None:
        run = run_pairs(pair_set(3), lambda image: 1 / 0, out=tmp_path / "out")
        assert run.summary["counts"]["failed"] == 3 and run.metrics["accuracy"].value == 0.0
        assert run.summary["timing"]["images_per_second"] is None


class TestBadImages:
    def test_a_damaged_image_is_a_failed_sample(self, pair_set: Any, tmp_path: Path) -> None:
        root = pair_set(6)
        victim = root / "images" / "indoor" / "rgb_003.png"
        whole = victim.read_bytes()
        victim.write_bytes(whole[:150])
        model = Counting()
        run = run_pairs(root, model, out=tmp_path / "out", batch_size=2)
        [failed] = [line for line in run.samples if line["status"] == "failed"]
        assert failed["error"].startswith("ImageError") and "rgb_003.png" in failed["error"]
        assert model.calls == 5 and run.metrics["accuracy"].value == 15 / 18 and not run.ok
        victim.write_bytes(whole)
        mended = run_pairs(root, model, out=tmp_path / "out", batch_size=2)
        assert mended.ok and mended.metrics["accuracy"].value == 1.0
        assert without_time(mended) == without_time(run_pairs(root, batch_size=2))

    @pytest.mark.parametrize("size", [(1, 2), (20, 10000)])
    def test_extreme_sizes(self, tmp_path: Path, size: tuple[int, int]) -> None:
        pixels = np.tile(np.linspace(0, 255, size[1]).astype(np.uint8), (size[0], 1))
        Image.fromarray(pixels).save(tmp_path / "a.png")
        pair = {"point1": [0, 0], "point2": [size[0] - 1, size[1] - 1], "closer_point": "point2"}
        (tmp_path / "annotations.json").write_text(json.dumps({"a.png": [pair]}))
        assert run_pairs(tmp_path).metrics["accuracy"].value == 1.0


class TestResume:
    def test_a_second_identical_call_predicts_nothing_and_writes_nothing(self, pair_set: Any, tmp_path: Path) -> None:
        root, model = pair_set(6), Counting()
        first = run_pairs(root, model, out=tmp_path / "out")
        assert first.folder is not None
        before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in first.folder.iterdir()}
        second = run_pairs(root, model, out=tmp_path / "out")
        assert model.calls == 6 and second.summary == first.summary and second.samples == first.samples
        assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in first.folder.iterdir()} == before

    @pytest.mark.parametrize("after", [1, 3, 5])
    @pytest.mark.parametrize("batch_size", [1, 4])
    def test_an_interrupted_run_ends_as_an_uninterrupted_one(
        self, pair_set: Any, tmp_path: Path, after: int, batch_size: int
    ) -> None:
        """The model's answer depends on the company an image is predicted in, so batches must be cut the same way."""

        class Company(DepthModel):
            info = ModelInfo("company", Output.DISPARITY)

            def predict(self, image: np.ndarray) -> Prediction:
                return self.predict_batch([image])[0]

            def predict_batch(
                self, images: Sequence[np.ndarray], sample_ids: Sequence[str] | None = None
            ) -> list[Prediction]:
                total = sum(float(image.mean()) for image in images)
                right = len(images) == batch_size
                return [Prediction((brightness(i) - total) * (1 if right else -1), Output.DISPARITY) for i in images]

        def interrupt(state: Progress) -> None:
            if state.done == after:
                raise KeyboardInterrupt

        root = pair_set(10)
        whole = evaluate(Company(), "pairs", data_root=root, batch_size=batch_size, out=tmp_path / "whole")
        parts = {"data_root": root, "batch_size": batch_size, "out": tmp_path / "parts"}
        with pytest.raises(KeyboardInterrupt):
            evaluate(Company(), "pairs", progress=interrupt, **parts)
        resumed = evaluate(Company(), "pairs", **parts)
        assert resumed.folder is not None and whole.folder is not None
        assert without_time(resumed.folder) == without_time(whole.folder)
        assert (whole.metrics["accuracy"].value == 1.0) is (batch_size == 1)

    @pytest.mark.slow
    def test_a_killed_process_loses_nothing(self, pair_set: Any, tmp_path: Path) -> None:
        root = pair_set(8)
        script = tmp_path / "slow.py"
        script.write_text(
            textwrap.dedent(
                """
                import sys, time
                from dabench.evaluate import evaluate

                def model(image):
                    time.sleep(0.15)
                    return image[..., 0] * (-1.0 if int(image.min()) == 50 else 1.0)

                evaluate(model, "pairs", output="disparity", name="model", data_root=sys.argv[1], out=sys.argv[2],
                         progress=lambda state: print(state.done, flush=True))
                """
            )
        )
        command = [sys.executable, str(script), str(root), str(tmp_path / "killed")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "3":
                process.kill()
                break
        process.wait(30)
        process.stdout.close()
        folder = tmp_path / "killed" / "model" / "pairs@1"
        kept = (folder / "samples.jsonl").read_text().count("\n")
        assert 3 <= kept < 8 and not (folder / "summary.json").exists()
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[0] == str(kept), "finished samples are not predicted again"
        command[-1] = str(tmp_path / "whole")
        assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
        assert without_time(folder) == without_time(tmp_path / "whole" / "model" / "pairs@1")
        assert json.loads((folder / "summary.json").read_text())["metrics"]["accuracy"]["value"] == 21 / 24

    @pytest.mark.slow
    def test_a_full_disk_keeps_what_was_scored(self, pair_set: Any, tmp_path: Path) -> None:
        """The kernel refuses to let any file grow past a limit, in the middle of a line: a full disk, exactly."""
        root, limit = pair_set(40), 6000
        script = tmp_path / "full.py"
        script.write_text(
            textwrap.dedent(
                f"""
                import resource, sys
                from dabench.errors import DabenchError
                from dabench.evaluate import evaluate

                if sys.argv[3] == "full":
                    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
                try:
                    evaluate(lambda image: image[..., 0], "pairs", output="disparity", data_root=sys.argv[1],
                             out=sys.argv[2])
                except DabenchError as error:
                    print(error)
                    sys.exit(error.exit_code)
                """
            )
        )
        command = [sys.executable, str(script), str(root), str(tmp_path / "out"), "full"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and done.stderr == ""
        assert "cannot write" in done.stdout and "samples.jsonl" in done.stdout and "same command again" in done.stdout
        folder = tmp_path / "out" / "lambda" / "pairs@1"
        assert (folder / "samples.jsonl").stat().st_size == limit, "the last line is torn"
        kept = (folder / "samples.jsonl").read_text().count("\n")
        assert kept > 10 and {p.name for p in folder.iterdir()} == {"run.json", "samples.jsonl"}
        command[-1] = "roomy"
        assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
        assert without_time(folder) == without_time(run_pairs(root, name="lambda"))

    def test_another_model_or_dataset_is_not_continued(self, pair_set: Any, tmp_path: Path) -> None:
        root, out = pair_set(4), tmp_path / "out"
        run_pairs(root, out=out)
        with pytest.raises(RecordError, match=r"model\.output: 'disparity' there, 'metric' now"):
            run_pairs(root, out=out, output="metric")
        with pytest.raises(RecordError, match=r"dataset\.fingerprint"):
            run_pairs(pair_set(3, "other"), out=out)
        with pytest.raises(RecordError, match=r"settings\.device"):
            run_pairs(root, out=out, settings={"device": "cuda"})
        with pytest.raises(RecordError, match=r"settings\.batch_size: 1 there, 2 now"):
            run_pairs(root, out=out, batch_size=2)
        assert run_pairs(root, out=out, workers=5).ok, "threads change no number"
        model = Counting()
        assert run_pairs(root, model, out=out, fresh=True).ok and model.calls == 4


class TestSelection:
    def test_limit_and_subset_are_partial(self, pair_set: Any) -> None:
        root = pair_set(6)
        ids = [line["id"] for line in run_pairs(root).samples]
        few = run_pairs(root, limit=2)
        assert [line["id"] for line in few.samples] == ids[:2] and few.summary["partial"] is True
        chosen = run_pairs(root, subset=[ids[4], ids[1], ids[4]])
        assert [line["id"] for line in chosen.samples] == [ids[1], ids[4]] and chosen.summary["partial"] is True
        assert chosen.summary["counts"]["expected"] == 2
        assert run_pairs(root, limit=99).summary["partial"] is run_pairs(root, subset=ids).summary["partial"] is False

    def test_only_the_subset_need_be_on_disk(self, pair_set: Any) -> None:
        root = pair_set(6)
        (root / "images" / "indoor" / "rgb_001.png").unlink()
        with pytest.raises(DatasetError, match=r"missing images/indoor/rgb_001\.png"):
            run_pairs(root)
        assert run_pairs(root, subset=["images/aerial/rgb_000"]).ok

    def test_another_selection_reuses_what_is_finished(self, pair_set: Any, tmp_path: Path) -> None:
        root, model, out = pair_set(6), Counting(), tmp_path / "out"
        assert run_pairs(root, model, out=out, limit=2).summary["partial"] is True
        whole = run_pairs(root, model, out=out)
        assert model.calls == 6 and whole.summary["partial"] is False
        assert without_time(whole) == without_time(run_pairs(root))
        again = run_pairs(root, model, out=out, limit=3)
        assert model.calls == 6 and again.summary["counts"]["expected"] == 3 and again.summary["partial"] is True
        assert again.folder is not None
        manifest = json.loads((again.folder / "run.json").read_text())
        assert manifest["selection"] == {"partial": True, "samples": 3}

    def test_a_summary_never_outlives_its_selection(self, pair_set: Any, tmp_path: Path) -> None:
        root, out = pair_set(6), tmp_path / "out"
        few = run_pairs(root, out=out, limit=2)
        assert few.folder is not None and (few.folder / "summary.json").exists()

        def interrupt(state: Progress) -> None:
            if state.done == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_pairs(root, out=out, progress=interrupt)
        assert not (few.folder / "summary.json").exists()

    def test_in_batches_another_selection_is_another_run(self, pair_set: Any, tmp_path: Path) -> None:
        root, out = pair_set(6), tmp_path / "out"
        run_pairs(root, out=out, limit=3, batch_size=2)
        with pytest.raises(RecordError, match=r"selection\.samples: 3 there, 6 now"):
            run_pairs(root, out=out, batch_size=2)


class TestUsage:
    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
            ({"workers": 0}, "workers"),
            ({"limit": 0}, "limit"),
            ({"subset": []}, "names no sample"),
            ({"subset": ["images/indoor/rgb_99"]}, "rgb_99"),
            ({"output": None}, "say what the callable's values mean"),
            ({"output": "inverse"}, "output 'inverse' is not one of disparity, depth, metric"),
            ({"model": 3}, "callable, not int"),
            ({"name": "../elsewhere"}, "cannot be the name of a folder"),
            ({"name": ".."}, "cannot be the name of a folder"),
        ],
    )
    def test_a_wrong_call_scores_nothing(self, pair_set: Any, tmp_path: Path, options: Any, told: str) -> None:
        options = {"model": brightness, "out": tmp_path / "out", **options}
        with pytest.raises(UsageError, match=told) as caught:
            run_pairs(pair_set(2), **options)
        assert caught.value.exit_code == 2 and not (tmp_path / "out").exists()

    def test_unknown_protocol(self, pair_set: Any) -> None:
        with pytest.raises(UnknownNameError, match="did you mean 'pairs"):
            evaluate(brightness, "pair", output="disparity", data_root=pair_set(1))

    def test_a_dataset_names_its_default_protocol(self, pair_set: Any, tmp_path: Path) -> None:
        pair_set(2, "data/mini")
        run = evaluate(brightness, "mini", output="disparity", data_root=tmp_path / "data")
        assert run.summary["protocol"]["id"] == "mini-pairs@1"

    def test_a_protocol_defined_on_another_count(self, pair_set: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from dabench import protocols

        text = protocols.get("pairs").text.replace('name = "pairs"\n\n', 'name = "pairs"\nexpected = 7\n\n')
        with pytest.raises(DatasetError, match="has 2 images; pairs@1 is defined on 7"):
            evaluate(brightness, protocols.parse(text, "f"), output="disparity", data_root=pair_set(2))

    def test_model_errors_before_the_first_sample_are_raised(self, pair_set: Any) -> None:
        class Broken(DepthModel):
            @property
            def info(self) -> ModelInfo:  # type: ignore[override]
                raise ModelError("no weights")

            def predict(self, image: np.ndarray) -> Prediction:
                raise NotImplementedError

        with pytest.raises(ModelError, match="no weights"):
            evaluate(Broken(), "pairs", data_root=pair_set(1))


def test_memory_does_not_grow_with_the_dataset(pair_set: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many images a set has, only those read ahead and the batch in hand are alive."""
    live: list[weakref.ref[Any]] = []
    most = 0
    read = pairs_module.read_image

    def watched(path: Path) -> np.ndarray:
        image = read(path)
        live.append(weakref.ref(image))
        return image

    def model(image: np.ndarray) -> np.ndarray:
        nonlocal most
        most = max(most, sum(ref() is not None for ref in live))
        values = brightness(image)
        live.append(weakref.ref(values))
        return values

    monkeypatch.setattr(pairs_module, "read_image", watched)
    run_pairs(pair_set(60), model, batch_size=3, workers=2)
    assert len(live) == 120 and most <= 24
    gc.collect()
    assert not any(ref() is not None for ref in live)


def test_dense_runs_count_failed_images_as_uncovered(tmp_path: Path) -> None:
    import cv2

    rng = np.random.default_rng(0)
    annotations: dict[str, Any] = {}
    samples = {}
    for number in range(4):
        key = f"images/indoor/{number}.png"
        depth = rng.integers(500, 5000, (12, 16), dtype=np.uint16)
        for folder in ("images", "depth"):
            (tmp_path / "mini" / folder / "indoor").mkdir(parents=True, exist_ok=True)
        if number == 3:
            depth[:] = 0
        cv2.imwrite(str(tmp_path / "mini" / "depth" / "indoor" / f"{number}.png"), depth)
        Image.fromarray(np.dstack([depth // 256, depth % 256, depth * 0 + number]).astype(np.uint8)).save(
            tmp_path / "mini" / key
        )
        annotations[key] = [{"point1": [0, 0], "point2": [1, 1], "closer_point": "point1"}]
        samples[key] = {"depth_scale": 0.001}
    (tmp_path / "mini" / "annotations.json").write_text(json.dumps(annotations))
    (tmp_path / "mini" / "metadata.json").write_text(json.dumps({"samples": samples}))

    def truth(image: np.ndarray) -> np.ndarray:
        if image[0, 0, 2] == 1:
            raise RuntimeError("out of ideas")
        return (image[..., 0].astype(np.float32) * 256 + image[..., 1]) * 0.001 + 1e-9

    run = evaluate(truth, "mini-depth", output="metric", data_root=tmp_path)
    assert run.summary["counts"] == {"expected": 4, "ok": 2, "empty": 1, "failed": 1}
    failed = next(line for line in run.samples if line["status"] == "failed")
    assert (
        failed["n_valid"] == 12 * 16 and failed["coverage"] == 0 and failed["delta1"] == 0 and failed["abs_rel"] > 100
    )
    perfect = [line["abs_rel"] for line in run.samples if line["status"] == "ok"]
    assert max(perfect) < 1e-6 and run.metrics["abs_rel"].value == pytest.approx(failed["abs_rel"] / 3)
    assert run.metrics["delta1"].value == pytest.approx(2 / 3)
    assert run.summary["coverage"] == pytest.approx(2 / 3) and not run.ok
    empty = next(line for line in run.samples if line["status"] == "empty")
    assert empty["coverage"] is None and empty["abs_rel"] is None
    assert run.samples[0]["fit"] is None
    fitted = evaluate(lambda i: 1 / truth(i), "mini-depth", output="disparity", name="d", data_root=tmp_path)
    assert set(fitted.samples[0]["fit"]) == {"scale", "shift"}
    assert fitted.samples[0]["fit"]["scale"] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("first", ["", "import dabench.evaluate", "from dabench.evaluate import evaluate"])
def test_dabench_evaluate_is_callable_however_it_is_imported(pair_set: Any, first: str) -> None:
    """The submodule of the same name must not hide the function, before or after either was used."""
    code = f"""
import sys, dabench
{first}
for _ in range(2):
    run = dabench.evaluate(lambda i: i[..., 0], "pairs", output="disparity", data_root=sys.argv[1])
    assert run.ok and run.metrics["accuracy"].value == 1.0
from dabench.evaluate import evaluate
from dabench import evaluate as exported
assert evaluate(lambda i: i[..., 0], "pairs", output="disparity", data_root=sys.argv[1]).summary["counts"]["ok"] == 2
assert callable(exported) and callable(dabench.evaluate)
"""
    done = subprocess.run([sys.executable, "-c", code, str(pair_set(2))], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
