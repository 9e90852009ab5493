"""One pass, many protocols: what is shared, and that sharing changes no number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dabench.datasets import registry
from dabench.errors import ProtocolError, UsageError
from dabench.evaluate import evaluate, evaluate_many
from dabench.run import PassProgress, Run
from dabench.types import DepthModel, ModelInfo, Output, Prediction


def depth_of(image: np.ndarray) -> np.ndarray:
    """The depth that the pixels of a toy image tell, in metres, with an error that depends on the frame."""
    codes = image[..., 0].astype(np.float64) + 256.0 * image[..., 1]
    return (1.0 + codes / 1000.0 + 0.01 * (1 + image[..., 2]) * np.sin(codes)).astype(np.float32)


class Watched(DepthModel):
    """A model that remembers which images it was shown, by their blue value, and in what company."""

    info = ModelInfo("watched", Output.DISPARITY)

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def predict(self, image: np.ndarray) -> Prediction:
        return self.predict_batch([image])[0]

    def predict_batch(self, images: Sequence[np.ndarray], sample_ids: Any = None) -> list[Prediction]:
        self.shown.append(tuple(int(image[0, 0, 2]) for image in images))
        return [Prediction(1.0 / depth_of(image), Output.DISPARITY) for image in images]

    @property
    def images(self) -> list[int]:
        return sorted(blue for batch in self.shown for blue in batch)


def content(run: Run) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Summary and samples, less what a clock says."""
    lines = [{k: v for k, v in line.items() if k != "seconds"} for line in run.samples]
    return {k: v for k, v in run.summary.items() if k != "timing"}, lines


class TestSharing:
    def test_each_image_is_predicted_once_for_all_protocols(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root, model = toy(), Watched()
        chosen = [
            recipe("toy-even", split="even"),
            recipe("toy-all", valid="max = 4.0"),
            recipe("toy-far", field="far", split="even"),
            recipe("toy-rows", top="[crop]\nregion = [2, 10, 3, 12]"),
        ]
        runs = evaluate_many(model, chosen, data_root=root, out=tmp_path / "out")
        assert model.images == [0, 1, 2, 10, 11, 12, 13], "the union of the splits, once each"
        assert [run.summary["protocol"]["id"] for run in runs] == [p.id for p in chosen]
        assert [run.summary["counts"]["ok"] for run in runs] == [4, 7, 4, 7]
        for run, protocol in zip(runs, chosen, strict=True):
            alone = evaluate(Watched(), protocol, data_root=root)
            assert content(run) == content(alone)
            assert run.folder == tmp_path / "out" / "watched" / protocol.id and (run.folder / "summary.json").is_file()
        assert len({run.metrics["rmse"].value for run in runs}) == 4, "the recipes do differ"

    def test_image_and_ground_truth_are_read_once(self, toy: Any, recipe: Any) -> None:
        root = toy()
        reads: list[tuple[str, str]] = registry().get("toy").reads  # type: ignore[attr-defined]
        evaluate_many(
            Watched(),
            [
                recipe("a"),
                recipe("b", valid="max = 4.0"),
                recipe("c", split="even"),
                recipe("d", field="far", split="even"),
            ],
            data_root=root,
        )
        counted = Counter(reads)
        assert set(counted.values()) == {1}
        assert Counter(kind for kind, _ in counted) == {"image": 7, "near": 7, "far": 4}

    def test_pairs_and_depth_of_one_set_share_predictions(self, tmp_path: Path) -> None:
        calls = 0

        def model(image: np.ndarray) -> np.ndarray:
            nonlocal calls
            calls += 1
            return np.arange(image.shape[0] * image.shape[1], dtype=np.float32).reshape(image.shape[:2])

        runs = evaluate_many(model, ["mini-pairs", "mini-depth"], output="disparity", limit=3)
        assert calls == 3 and [set(run.metrics) >= {m} for run, m in zip(runs, ("accuracy", "abs_rel"), strict=True)]
        alone = evaluate(model, "mini-depth", output="disparity", limit=3)
        assert content(runs[1]) == content(alone) and runs[0].summary["counts"]["ok"] == 3

    def test_batches_depend_on_no_other_protocol(self, toy: Any, recipe: Any) -> None:
        """With batches, protocols share a pass only where their samples are the same."""
        root, model = toy(), Watched()
        chosen = [recipe("a"), recipe("b", split="even"), recipe("c", valid="max = 4.0")]
        evaluate_many(model, chosen, data_root=root, batch_size=2)
        assert model.shown == [(0, 1), (2, 10), (11, 12), (13,), (0, 2), (10, 12)]
        alone = Watched()
        evaluate(alone, chosen[1], data_root=root, batch_size=2)
        assert alone.shown == [(0, 2), (10, 12)]

    def test_an_unknown_size_of_batch_or_no_protocol(self, toy: Any, recipe: Any) -> None:
        with pytest.raises(UsageError, match="batch_size"):
            evaluate_many(Watched(), [recipe()], data_root=toy(), batch_size=0)
        assert evaluate_many(Watched(), [], data_root=toy()) == []

    def test_one_protocol_that_cannot_be_scored_is_told(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        told: list[tuple[str, str]] = []
        chosen = [recipe("a"), recipe("b", split="nights"), recipe("c", alignment='disparity = "refuse"')]
        runs = evaluate_many(
            Watched(), chosen, data_root=toy(), out=tmp_path / "o", on_error=lambda p, e: told.append((p.id, str(e)))
        )
        assert [run.summary["protocol"]["id"] for run in runs] == ["a@1"]
        assert [p for p, _ in told] == ["b@1", "c@1"] and "nights" in told[0][1]
        with pytest.raises(ProtocolError, match="nights"):
            evaluate_many(Watched(), chosen, data_root=toy(), out=tmp_path / "other")
        assert not (tmp_path / "other").exists()

    def test_progress_shows_all_protocols(self, toy: Any, recipe: Any) -> None:
        seen: list[PassProgress] = []
        evaluate_many(Watched(), [recipe("a"), recipe("b", split="even")], data_root=toy(), progress=seen.append)
        assert [s.done for s in seen] == sorted(s.done for s in seen) and (seen[0].done, seen[-1].done) == (0, 7)
        assert {s.total for s in seen} == {7} and {s.title for s in seen} == {"toy"}
        assert {i: (r.done, r.total, r.metric) for i, r in seen[-1].runs.items()} == {
            "a@1": (7, 7, "abs_rel"),
            "b@1": (4, 4, "abs_rel"),
        }
        assert len(seen) == 1 + 7 + 4


class TestResume:
    def test_a_sample_is_predicted_again_only_for_who_lacks_it(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root, out = toy(), tmp_path / "out"
        a, b = recipe("a", split="even"), recipe("b", field="far")
        first = evaluate(Watched(), a, data_root=root, out=out)
        before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.rglob("*") if p.is_file()}
        model = Watched()
        runs = evaluate_many(model, [a, b], data_root=root, out=out)
        assert model.images == [0, 1, 2, 10, 11, 12, 13]
        assert runs[0].samples == first.samples
        assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before
        assert content(runs[1]) == content(evaluate(Watched(), b, data_root=root))
        again = Watched()
        evaluate_many(again, [a, b], data_root=root, out=out)
        assert again.shown == []

    @pytest.mark.parametrize("batch_size", [1, 3])
    def test_an_interrupted_pass_ends_as_an_uninterrupted_one(
        self, toy: Any, recipe: Any, tmp_path: Path, batch_size: int
    ) -> None:
        root = toy()
        chosen = [recipe("a"), recipe("b", split="even"), recipe("c", field="far")]

        def interrupt(state: PassProgress) -> None:
            if state.runs["a@1"].done == 4 and state.latest == "a@1":
                raise KeyboardInterrupt

        common: dict[str, Any] = {"data_root": root, "out": tmp_path / "out", "batch_size": batch_size}
        with pytest.raises(KeyboardInterrupt):
            evaluate_many(Watched(), chosen, progress=interrupt, **common)
        lines = (tmp_path / "out/watched/a@1/samples.jsonl").read_text().count("\n")
        assert lines == 4 and not (tmp_path / "out/watched/a@1/summary.json").exists()
        resumed = evaluate_many(Watched(), chosen, **common)
        whole = evaluate_many(Watched(), chosen, data_root=root, batch_size=batch_size)
        assert [content(r) for r in resumed] == [content(r) for r in whole]


class TestSizes:
    def test_ground_truth_of_another_size(self, toy: Any, recipe: Any) -> None:
        """As ETH3D's undistorted images: the prediction is brought to the ground truth."""
        root = toy(clips=(2,), depth_size=(24, 32))
        run = evaluate(Watched(), recipe(), data_root=root)
        assert run.ok and run.summary["counts"]["ok"] == 2
        smaller = evaluate(lambda i: 1 / depth_of(i), recipe(), output="disparity", data_root=toy(clips=(2,)))
        assert run.samples[0]["n_valid"] > 3 * smaller.samples[0]["n_valid"]

    def test_ground_truth_of_another_shape_fails_its_sample(self, toy: Any, recipe: Any) -> None:
        root, model = toy(clips=(3,)), Watched()
        path = root / "toy" / "near" / "clip0" / "01.npy"
        np.save(path, np.ones((16, 12), np.float32))
        run = evaluate(model, recipe(), data_root=root)
        [failed] = [line for line in run.samples if line["status"] == "failed"]
        assert "SampleError" in failed["error"] and "16x12" in failed["error"] and failed["abs_rel"] is None
        assert model.images == [0, 2], "there is nothing to score it against"


class TestFailures:
    def test_damage_to_one_ground_truth_costs_only_its_protocols(self, toy: Any, recipe: Any) -> None:
        root = toy(clips=(3,))
        (root / "toy" / "far" / "clip0" / "01.npy").write_bytes(b"")
        near, far = evaluate_many(Watched(), [recipe("a"), recipe("b", field="far")], data_root=root)
        assert near.ok and far.summary["counts"] == {"expected": 3, "ok": 2, "empty": 0, "failed": 1}
        assert far.summary["coverage"] == pytest.approx(2 / 3)

    def test_a_model_that_fails_is_counted_by_each_protocol(self, toy: Any, recipe: Any) -> None:
        def model(image: np.ndarray) -> np.ndarray:
            if image[0, 0, 2] == 1:
                raise RuntimeError("out of ideas")
            return 1 / depth_of(image)

        runs = evaluate_many(
            model, [recipe("a"), recipe("b", field="far")], output="disparity", data_root=toy(clips=(3,))
        )
        for run in runs:
            [failed] = [line for line in run.samples if line["status"] == "failed"]
            assert "out of ideas" in failed["error"] and failed["delta1"] == 0 and failed["n_valid"] > 100
            assert run.metrics["delta1"].value <= 2 / 3


class TestInferenceSettings:
    def test_a_flip_is_the_mean_of_both(self, toy: Any, recipe: Any) -> None:
        root = toy(clips=(2,))

        def skewed(image: np.ndarray) -> np.ndarray:
            return 1 / depth_of(image) * np.linspace(0.5, 2.0, image.shape[1])

        def mean(image: np.ndarray) -> np.ndarray:
            return (0.5 * (skewed(image).astype("f4") + skewed(image[:, ::-1])[:, ::-1].astype("f4"))).astype("f4")

        flipped = recipe("flipped", top="[inference]\nflip = true")
        got, plain = evaluate_many(skewed, [flipped, recipe("plain")], output="disparity", data_root=root)
        expected = evaluate(mean, recipe("plain"), output="disparity", data_root=root)
        assert [line["abs_rel"] for line in got.samples] == [line["abs_rel"] for line in expected.samples]
        assert got.metrics["abs_rel"].value != plain.metrics["abs_rel"].value
        model = Watched()
        seen: list[PassProgress] = []
        evaluate_many(model, [flipped, recipe("plain"), recipe("other")], data_root=root, progress=seen.append)
        assert model.images == [0, 0, 0, 1, 1, 1], "twice for the flip, once for the two plain ones"
        assert {s.title for s in seen} == {"toy (full-flip)", "toy"}

    def test_a_saved_map_is_neither_flipped_nor_resized_twice(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        from model_zoo.predictions import SavedPredictions

        root = toy(clips=(2,))
        maps = tmp_path / "maps" / "images" / "clip0"
        maps.mkdir(parents=True)
        for frame in range(2):
            image = np.asarray(Image.open(root / "toy" / "images" / "clip0" / f"{frame:02}.png"))
            np.save(maps / f"{frame:02}.npy", 1 / depth_of(image))
        model = SavedPredictions(tmp_path / "maps", Output.DISPARITY)
        plain = evaluate(lambda i: 1 / depth_of(i), recipe(), output="disparity", data_root=root)
        for path in (root / "toy" / "images").rglob("*.png"):
            path.write_bytes(b"")  # the maps are enough
        for top in ("", "[inference]\nflip = true"):
            run = evaluate(model, recipe(top=top), data_root=root)
            assert [line["abs_rel"] for line in run.samples] == [line["abs_rel"] for line in plain.samples]

    @pytest.mark.parametrize("image_size", [(375, 1242), (376, 1241), (352, 1216)])
    def test_kitti_crop(self, toy: Any, recipe: Any, image_size: tuple[int, int]) -> None:
        root = toy(clips=(1,), size=image_size)
        shown: list[np.ndarray] = []

        def model(image: np.ndarray) -> np.ndarray:
            shown.append(image)
            return depth_of(image)

        cropped = recipe("kb", top='[crop]\nimage = "kb"\nframe = "kb"')
        run = evaluate(model, cropped, output="metric", data_root=root)
        height, width = image_size
        top, left = height - 352, int((width - 1216) / 2)
        whole = np.asarray(Image.open(root / "toy" / "images" / "clip0" / "00.png"))
        assert np.array_equal(shown[0], whole[top : top + 352, left : left + 1216])
        truth = np.load(root / "toy" / "near" / "clip0" / "00.npy")[top : top + 352, left : left + 1216]
        depth = np.clip(depth_of(shown[0]).astype(np.float64), 1e-3, 100.0)
        known = truth > 0
        expected = np.abs(depth - truth)[known] / truth[known]
        assert run.samples[0]["n_valid"] == known.sum()
        assert run.samples[0]["abs_rel"] == pytest.approx(expected.mean(), rel=1e-6)

    def test_saved_maps_of_the_crop_and_of_the_image_are_told_apart(
        self, toy: Any, recipe: Any, tmp_path: Path
    ) -> None:
        from model_zoo.predictions import SavedPredictions

        root = toy(clips=(1,), size=(375, 1242))
        whole = np.asarray(Image.open(root / "toy" / "images" / "clip0" / "00.png"))
        (tmp_path / "maps" / "images" / "clip0").mkdir(parents=True)
        path = tmp_path / "maps" / "images" / "clip0" / "00.npy"
        kb, full = recipe("kb", top='[crop]\nimage = "kb"\nframe = "kb"'), recipe("full")
        told: list[str] = []
        for values in (depth_of(whole), depth_of(whole)[23:375, 13:1229]):
            np.save(path, values)
            for protocol in (kb, full):
                [line] = evaluate(SavedPredictions(tmp_path / "maps", Output.METRIC), protocol, data_root=root).samples
                told.append(line.get("error", line["status"]))
        of_the_whole, ok, ok_too, of_the_crop = told
        assert (ok, ok_too) == ("ok", "ok")
        assert "of the whole image" in of_the_whole and "352x1216 crop" in of_the_crop

    def test_an_image_smaller_than_the_crop_fails(self, toy: Any, recipe: Any) -> None:
        cropped = recipe("kb", top='[crop]\nimage = "kb"\nframe = "kb"')
        run, plain = evaluate_many(Watched(), [cropped, recipe("plain")], data_root=toy(clips=(2,)))
        assert run.summary["counts"]["failed"] == 2 and plain.ok
        assert "smaller than the KB crop" in run.samples[0]["error"] and run.samples[0]["abs_rel"] is None


def refusing(model_output: str) -> Callable[[np.ndarray], Prediction]:
    return lambda image: Prediction(depth_of(image), Output(model_output))


class TestRefusals:
    @pytest.mark.parametrize("output", ["disparity", "depth"])
    def test_affine_output_is_not_scored_unaligned(self, toy: Any, recipe: Any, output: str) -> None:
        unaligned = recipe("raw", alignment=f'{output} = "none"')
        with pytest.raises(UsageError) as caught:
            evaluate(refusing(output), unaligned, output=output, name="m", data_root=toy())
        told = str(caught.value)
        assert f"gives affine-invariant {output}" in told and "raw@1 aligns nothing" in told
        assert evaluate(refusing("metric"), unaligned, output="metric", name="m", data_root=toy()).ok

    def test_the_protocol_may_refuse_an_output_and_another_is_named(self) -> None:
        from dataclasses import replace

        from dabench import protocols
        from dabench.job import refuse

        base = protocols.get("mini-depth")
        text = base.text.replace('disparity = "least-squares-disparity"', 'disparity = "refuse"')
        strict = protocols.parse(text, "strict")
        info = ModelInfo("m", Output.DISPARITY)
        with pytest.raises(UsageError) as caught:
            refuse(strict, info)
        assert "does not score it" in str(caught.value) and "-p mini-depth@1" in str(caught.value)
        refuse(strict, replace(info, output=Output.DEPTH))
        refuse(protocols.get("mini-pairs"), info)
