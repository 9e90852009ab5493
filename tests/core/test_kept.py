"""Kept predictions: stored exactly, scored again to the last bit, and never taken for another model's."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from dabench import kept, protocols
from dabench.errors import ModelError, RecordError, UsageError
from dabench.evaluate import evaluate, evaluate_many
from dabench.kept import FOLDER, KeptModel, PredictionStore, Shelf, decode, encode, image_checksum
from dabench.run import Run
from dabench.types import DepthModel, ModelInfo, Output, Prediction
from model_zoo.predictions import SavedPredictions

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 65504.0, 65520.0, 1e-8, 3.4e38, -1e-45]


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    equal = a.view(np.uint32) == b.view(np.uint32)
    return a.dtype == b.dtype == np.float32 and a.shape == b.shape and bool((equal | (np.isnan(a) & np.isnan(b))).all())


class TestStorage:
    @settings(max_examples=150, deadline=None)
    @given(
        arrays.arrays(
            np.float32,
            arrays.array_shapes(min_dims=2, max_dims=2, max_side=6),
            elements=st.one_of(
                st.floats(width=32), st.sampled_from(SPECIAL), st.integers(-70000, 70000).map(float),
                st.floats(width=16), st.integers(0, 65535).map(lambda n: float(np.float32(n / 256))),
            ),
        )
    )  # fmt: skip
    def test_any_map_comes_back_bit_for_bit(self, values: np.ndarray) -> None:
        suffix, content = encode(values)
        assert same_bits(decode(content, f"a{suffix}"), values)

    @pytest.mark.parametrize("hole", [None, np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize(
        ("values", "form"),
        [
            (np.arange(600) / 8, "float16"),
            (np.linspace(0, 1, 600), "float32"),
            (np.arange(600) * 100.0, "png"),
            (7.5 + np.arange(600) * 109 / 256, "png"),
            (-5000 + np.arange(600) * 108.0, "png"),
            (np.append(np.arange(599) * 200.0, 1.0), "float32"),
        ],
    )
    def test_the_smallest_exact_form_is_chosen(self, values: np.ndarray, form: str, hole: float | None) -> None:
        array = np.random.default_rng(0).permutation(values).astype(np.float32).reshape(20, 30)
        if hole is not None:
            array[3, 4:9] = hole
        suffix, content = encode(array)
        found = "png" if suffix == ".png" else str(np.load(io.BytesIO(content)).dtype)
        assert found == form and same_bits(decode(content, f"a{suffix}"), array)

    @pytest.mark.parametrize("scale", [1 / 256, 100.0, 0.1])
    def test_saved_predictions_read_what_is_kept(self, tmp_path: Path, scale: float) -> None:
        """The folder of a kept dataset is a folder of saved maps, in whatever form each was kept."""
        values = (np.random.default_rng(1).permutation(65533)[: 40 * 50].reshape(40, 50) * scale).astype(np.float32)
        values[0, :3] = np.nan, np.inf, -np.inf
        Shelf(tmp_path, "metric").write("images/a", "-", Prediction(values, Output.METRIC), 0.1)
        read = SavedPredictions(tmp_path, Output.METRIC).saved("images/a")
        assert same_bits(read.values, values)

    def test_what_cannot_be_trusted_is_not_read(self, tmp_path: Path) -> None:
        image = np.zeros((4, 5, 3), np.uint8)
        made = Prediction(np.random.default_rng(0).random((4, 5), np.float32), Output.DISPARITY)
        Shelf(tmp_path, "disparity").write("a/b", image_checksum(image), made, 0.25)
        found = Shelf(tmp_path, "disparity").read("a/b", image)
        assert found is not None and found.seconds == 0.25 and same_bits(found.prediction.values, made.values)
        assert found.prediction.output is Output.DISPARITY
        assert Shelf(tmp_path, "disparity").read("a/b", image + 1) is None, "other pixels"
        assert Shelf(tmp_path, "disparity").read("a/b", image[:2]) is None
        assert Shelf(tmp_path, "disparity").read("a/c", image) is None
        [path] = tmp_path.rglob("*.npy")
        whole = path.read_bytes()
        for damage in (b"", whole[:-4], whole[:-1] + b"\1"):
            path.write_bytes(damage)
            assert Shelf(tmp_path, "disparity").read("a/b", image) is None
        path.write_bytes(whole)
        index = tmp_path / "index.jsonl"
        index.write_bytes(index.read_bytes() + index.read_bytes()[:30])
        assert Shelf(tmp_path, "disparity").read("a/b", image) is not None, "a torn line costs only itself"
        path.unlink()
        assert Shelf(tmp_path, "disparity").read("a/b", image) is None

    @pytest.mark.parametrize("sample_id", ["../a", "/a", "a/../../b"])
    def test_a_sample_id_does_not_leave_the_folder(self, tmp_path: Path, sample_id: str) -> None:
        with pytest.raises(RecordError, match="not a path inside"):
            Shelf(tmp_path, "depth").write(sample_id, "-", Prediction(np.ones((2, 2), "f4"), Output.DEPTH), 0.0)


def values_of(image: np.ndarray) -> np.ndarray:
    codes = image[..., 0].astype(np.float64) + 256.0 * image[..., 1]
    values = (1.0 / (1.0 + codes / 1000.0 + 0.01 * np.sin(codes))).astype(np.float32)
    values[0, 0] = np.nan
    return values


class Counting(DepthModel):
    """Counts the images it was shown."""

    def __init__(self, name: str = "model", sha: str = "ab", output: Output = Output.DISPARITY) -> None:
        self.info = ModelInfo(name, output, weights_sha256=sha, settings={"input_size": 518})
        self.calls = 0
        self.device = "cpu"

    def predict(self, image: np.ndarray) -> Prediction:
        self.calls += 1
        return Prediction(values_of(image), self.info.output)

    def predict_batch(self, images: Sequence[np.ndarray], sample_ids: Any = None) -> list[Prediction]:
        return [self.predict(image) for image in images]


def content(run: Run) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return (
        {k: v for k, v in run.summary.items() if k != "timing"},
        [{k: v for k, v in line.items() if k != "seconds"} for line in run.samples],
    )


class TestRescoring:
    def test_another_protocol_is_scored_without_the_model(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root, model = toy(), Counting()
        first = evaluate(model, recipe("a"), data_root=root, out=tmp_path, keep_predictions=True)
        assert model.calls == 7 and first.kept == 0
        files = {
            p.relative_to(tmp_path / "model" / FOLDER).as_posix() for p in (tmp_path / "model" / FOLDER).rglob("*")
        }
        assert {"manifest.json", "toy/full/index.jsonl", "toy/full/images/clip1/03.npy"} <= files
        b, c = recipe("b", field="far", split="even"), recipe("c", alignment='disparity = "median-ratio"')
        again = evaluate_many(model, [b, c], data_root=root, out=tmp_path)
        assert model.calls == 7 and [run.kept for run in again] == [4, 7]
        fresh = evaluate_many(Counting(), [b, c], data_root=root)
        assert [content(run) for run in again] == [content(run) for run in fresh]
        assert again[1].samples[0]["seconds"] == first.samples[0]["seconds"], "the time it took when it was made"
        assert again[0].summary["model"] == first.summary["model"]

    def test_the_model_is_loaded_only_when_a_prediction_is_missing(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root = toy()
        evaluate(Counting(), recipe("a", split="even"), data_root=root, out=tmp_path, keep_predictions=True)
        store = PredictionStore(tmp_path / "model" / FOLDER)
        loads: list[Counting] = []

        def load() -> Counting:
            loads.append(Counting())
            return loads[-1]

        standin = KeptModel(store, load)
        b = recipe("b", split="even", field="far")
        run = evaluate(standin, b, data_root=root, out=tmp_path)
        assert loads == [] and not standin.was_loaded and run.kept == 4
        assert content(run) == content(evaluate(Counting(), b, data_root=root))
        whole = evaluate(standin, recipe("c"), data_root=root, out=tmp_path, keep_predictions=True)
        assert len(loads) == 1 and loads[0].calls == 3 and whole.kept == 4
        assert content(whole) == content(evaluate(Counting(), recipe("c"), data_root=root))
        assert evaluate(KeptModel(store, load), recipe("d"), data_root=root, out=tmp_path).kept == 7 and len(loads) == 1

    def test_a_stand_in_that_loads_another_model_ends_the_run(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root = toy()
        evaluate(Counting(), recipe("a", split="even"), data_root=root, out=tmp_path, keep_predictions=True)
        standin = KeptModel(PredictionStore(tmp_path / "model" / FOLDER), lambda: Counting(sha="cd"))
        with pytest.raises(ModelError, match=r"model\.weights_sha256: 'ab' there, 'cd' now"):
            evaluate(standin, recipe("b"), data_root=root, out=tmp_path)
        lines = (tmp_path / "model" / "b@1" / "samples.jsonl").read_text()
        assert "failed" not in lines

    @pytest.mark.parametrize(
        ("other", "told"),
        [
            ({"model": Counting(sha="cd")}, r"model\.weights_sha256: 'ab' there, 'cd' now"),
            ({"model": Counting(output=Output.DEPTH)}, r"model\.output"),
            ({"settings": {"device": "cuda"}}, r"settings\.device: 'cpu' there, 'cuda' now"),
        ],
    )
    def test_predictions_of_something_else_are_refused(
        self, toy: Any, recipe: Any, tmp_path: Path, other: dict[str, Any], told: str
    ) -> None:
        root = toy()
        common: dict[str, Any] = {"data_root": root, "out": tmp_path, "settings": {"device": "cpu"}}
        evaluate(Counting(), recipe("a"), keep_predictions=True, **common)
        options = {**common, **{k: v for k, v in other.items() if k != "model"}}
        model = other.get("model", Counting())
        for keep in (False, True):
            with pytest.raises(RecordError, match=told) as caught:
                evaluate(model, recipe("b"), keep_predictions=keep, **options)
            assert "--fresh" in str(caught.value) and "--out" in str(caught.value)
        assert not (tmp_path / "model" / "b@1").exists()
        calls = model.calls
        assert evaluate(model, recipe("b"), fresh=True, **options).kept == 0 and model.calls == calls + 7
        assert evaluate(Counting(), recipe("c"), **common).kept == 7, "fresh without keeping leaves what is kept alone"
        evaluate(model, recipe("b"), fresh=True, keep_predictions=True, **options)
        assert evaluate(model, recipe("d"), **options).kept == 7

    def test_another_version_of_dabench_is_another_model(
        self, toy: Any, recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = toy()
        evaluate(Counting(), recipe("a"), data_root=root, out=tmp_path, keep_predictions=True)
        monkeypatch.setattr(kept, "provenance", lambda: {"dabench": "99.0", "commit": None})
        with pytest.raises(RecordError, match=r"dabench: .* '99\.0' now"):
            evaluate(Counting(), recipe("b"), data_root=root, out=tmp_path)

    def test_a_changed_image_is_predicted_again(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root, model = toy(), Counting()
        evaluate(model, recipe("a"), data_root=root, out=tmp_path, keep_predictions=True)
        path = root / "toy" / "images" / "clip0" / "01.png"
        pixels = np.asarray(Image.open(path)).copy()
        pixels[5, 5] += 1
        Image.fromarray(pixels).save(path)
        run = evaluate(model, recipe("b"), data_root=root, out=tmp_path, keep_predictions=True)
        assert model.calls == 8 and run.kept == 6
        assert content(run) == content(evaluate(Counting(), recipe("b"), data_root=root))
        assert evaluate(model, recipe("c"), data_root=root, out=tmp_path).kept == 7

    def test_each_inference_setting_keeps_its_own(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root, model = toy(clips=(2,)), Counting()
        flipped = recipe("flipped", top="[inference]\nflip = true")
        common: dict[str, Any] = {"data_root": root, "out": tmp_path}
        evaluate_many(model, [recipe("a"), flipped], keep_predictions=True, **common)
        assert model.calls == 6 and {p.name for p in (tmp_path / "model" / FOLDER / "toy").iterdir()} == {
            "full",
            "full-flip",
        }
        again = recipe("again", top="[inference]\nflip = true")
        run = evaluate(model, again, **common)
        assert model.calls == 6 and run.kept == 2
        assert content(run)[1] == content(evaluate(Counting(), flipped, data_root=root))[1]

    def test_batches_keep_their_own(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        """In a batch a prediction may differ in the last bits, so it stands only for one of the same batch."""
        root, model = toy(), Counting()
        common: dict[str, Any] = {"data_root": root, "out": tmp_path, "keep_predictions": True}
        evaluate(model, recipe("a"), batch_size=2, **common)
        assert evaluate(model, recipe("b"), batch_size=2, **common).kept == 7 and model.calls == 7
        assert evaluate(model, recipe("c"), batch_size=3, **common).kept == 0 and model.calls == 14
        assert evaluate(model, recipe("d"), **common).kept == 0 and model.calls == 21
        assert evaluate(model, recipe("e", split="even"), batch_size=2, **common).kept == 0 and model.calls == 25

    def test_an_interrupted_run_that_keeps(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root, model = toy(), Counting()

        def interrupt(state: Any) -> None:
            if state.done == 3:
                raise KeyboardInterrupt

        common: dict[str, Any] = {"data_root": root, "out": tmp_path, "keep_predictions": True}
        with pytest.raises(KeyboardInterrupt):
            evaluate(model, recipe("a"), progress=interrupt, **common)
        (tmp_path / "model" / "a@1" / "samples.jsonl").unlink()
        run = evaluate(model, recipe("a"), **common)
        assert run.kept >= 3 and model.calls >= 7
        assert content(run) == content(evaluate(Counting(), recipe("a"), data_root=root))

    def test_failed_predictions_are_not_kept(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        def model(image: np.ndarray) -> np.ndarray:
            if image[0, 0, 2] == 1:
                raise RuntimeError("no")
            return values_of(image)

        evaluate(model, recipe("a"), output="disparity", name="m", data_root=toy(), out=tmp_path, keep_predictions=True)
        index = (tmp_path / "m" / FOLDER / "toy" / "full" / "index.jsonl").read_text().splitlines()
        assert len(index) == 6 and not any("clip0/01" in json.loads(line)["id"] for line in index)

    def test_nowhere_to_keep(self, toy: Any, recipe: Any) -> None:
        with pytest.raises(UsageError, match="no folder"):
            evaluate(Counting(), recipe(), data_root=toy(), keep_predictions=True)

    def test_pairs_are_scored_from_kept_predictions(self, tmp_path: Path) -> None:
        model = Counting()
        evaluate(model, "mini-depth", limit=3, out=tmp_path, keep_predictions=True)
        run = evaluate(model, "mini-pairs", limit=3, out=tmp_path)
        assert model.calls == 3 and run.kept == 3
        assert content(run) == content(evaluate(Counting(), protocols.get("mini-pairs"), limit=3))
