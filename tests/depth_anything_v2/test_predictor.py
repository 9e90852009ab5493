"""The predictor: sizes, batches, precisions, devices, and what it says of itself."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dabench.errors import ImageError, ModelError, UsageError
from dabench.types import ModelInfo, Output
from model_zoo.depth_anything_v2 import predictor as predictor_module
from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.predictor import DepthAnythingV2Predictor
from model_zoo.depth_anything_v2.preprocess import network_size, prepare

INFO = ModelInfo("some-model", Output.DISPARITY, licence="Apache-2.0")


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random picture: noise would leave nothing of it after resizing."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.float32)
    rows, columns = np.linspace(0, 3, height).round().astype(int), np.linspace(0, 3, width).round().astype(int)
    return coarse[rows][:, columns].astype(np.uint8)


@pytest.fixture(scope="module")
def predictor(tiny: DepthAnythingV2) -> DepthAnythingV2Predictor:
    return DepthAnythingV2Predictor(tiny, INFO, device="cpu")


def test_prediction_follows_the_official_path(
    predictor: DepthAnythingV2Predictor, official: Any, make_size: Any, tiny_state: dict[str, torch.Tensor]
) -> None:
    picture = image(100, 170)
    size = network_size(100, 170, 168)
    x = torch.from_numpy(prepare(picture, size))[None]
    expected = official.predict(tiny_state, make_size(official, CONFIGS["tiny"]), x)
    expected = F.interpolate(expected[None], (100, 170), mode="bilinear", align_corners=True)[0, 0].numpy()
    ours = predictor.predict(picture)
    assert ours.output is Output.DISPARITY
    assert ours.values.shape == (100, 170) and ours.values.dtype == np.float32
    assert expected.std() > 0
    assert np.abs(ours.values - expected).max() <= 1e-5 * np.ptp(expected)


def test_batch_of_many_sizes_equals_single_images_to_the_bit(predictor: DepthAnythingV2Predictor) -> None:
    shapes = [(60, 80), (80, 60), (60, 80), (1, 1), (30, 90), (120, 160)]
    pictures = [image(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    together = predictor.predict_batch(pictures)
    for picture, prediction in zip(pictures, together, strict=True):
        assert prediction.values.shape == picture.shape[:2]
        assert np.array_equal(prediction.values, predictor.predict(picture).values)
    assert predictor.predict_batch([]) == []


def test_stacked_batches_equal_single_images(tiny: DepthAnythingV2, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator, where images of one size share a forward pass and large groups are split."""
    model = DepthAnythingV2Predictor(tiny, INFO, device="cpu")
    pictures = [image(60, 80, seed=seed) for seed in range(3)]
    single = [model.predict(picture).values for picture in pictures]
    batches = []
    run = model._run
    monkeypatch.setattr(model, "_run", lambda batch: batches.append(len(batch)) or run(batch))
    monkeypatch.setattr(model, "_images_at_once", lambda size: 2)
    for ours, expected in zip(model.predict_batch(pictures), single, strict=True):
        assert np.abs(ours.values - expected).max() <= 1e-5 * np.ptp(expected)
    assert batches == [2, 1]


def test_bad_images_are_refused(predictor: DepthAnythingV2Predictor) -> None:
    with pytest.raises(ImageError, match=r"uint8 \[H, W, 3\]"):
        predictor.predict(np.zeros((8, 8), np.uint8))
    with pytest.raises(ImageError, match="above the limit"):
        predictor.predict(np.zeros((2, 4000, 3), np.uint8))


@pytest.mark.parametrize("input_size", [14, 100, 210])
def test_input_size(tiny: DepthAnythingV2, input_size: int) -> None:
    model = DepthAnythingV2Predictor(tiny, INFO, device="cpu", input_size=input_size)
    assert model.info.settings["input_size"] == input_size
    assert np.isfinite(model.predict(image(50, 70)).values).all()


def test_default_input_size_is_the_trained_one(predictor: DepthAnythingV2Predictor) -> None:
    assert predictor.info.settings["input_size"] == 168 == CONFIGS["tiny"].input_size
    assert CONFIGS["small"].input_size == CONFIGS["giant"].input_size == 518


def test_bf16_is_close_and_not_coarse(predictor: DepthAnythingV2Predictor, tiny: DepthAnythingV2) -> None:
    picture = image(150, 200)
    exact = predictor.predict(picture).values
    half = DepthAnythingV2Predictor(tiny, INFO, device="cpu", precision="bf16").predict(picture).values
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.1 * np.ptp(exact)
    assert np.corrcoef(half.ravel(), exact.ravel())[0, 1] > 0.999
    assert len(np.unique(half)) > 5000, "the map has only as many levels as bf16"


def test_metric_network(tiny_state: dict[str, torch.Tensor], make_network: Any) -> None:
    network = make_network(tiny_state, CONFIGS["tiny"].metric(20.0))
    model = DepthAnythingV2Predictor(network, INFO, device="cpu")
    prediction = model.predict(image(60, 80))
    assert prediction.output is model.info.output is Output.METRIC
    assert model.info.settings["max_depth"] == 20.0
    assert prediction.values.min() >= 0 and prediction.values.max() <= 20


def test_info_describes_the_model(predictor: DepthAnythingV2Predictor, tiny: DepthAnythingV2) -> None:
    info = predictor.info
    assert (info.name, info.licence) == ("some-model", "Apache-2.0")
    assert info.parameters == sum(p.numel() for p in tiny.parameters())
    assert info.settings == {"encoder": "vitt", "input_size": 168, "precision": "fp32", "compile": "off"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device 'tpu' is unknown"),
        ({"device": "cpu:1"}, "device 'cpu:1' is unknown"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not available"),
        ({"precision": "int8"}, "precision 'int8' is unknown"),
        ({"precision": "fp16", "device": "cpu"}, "fp16 is for cuda and mps"),
        ({"compile": "maybe"}, "compile mode 'maybe' is unknown"),
        ({"input_size": 7}, "smaller than a patch"),
    ],
)
def test_wrong_options_are_refused(tiny: DepthAnythingV2, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        DepthAnythingV2Predictor(tiny, INFO, **{"device": "cpu", **options})
    assert caught.value.hint


def test_network_is_left_as_it_was(tiny: DepthAnythingV2, tiny_state: dict[str, torch.Tensor]) -> None:
    DepthAnythingV2Predictor(tiny, INFO, device="cpu").predict(image(60, 80))
    for key, value in tiny.state_dict().items():
        assert torch.equal(value, tiny_state[key])


def test_closed_model_says_so(tiny: DepthAnythingV2) -> None:
    model = DepthAnythingV2Predictor(tiny, INFO, device="cpu")
    model.close()
    with pytest.raises(ModelError, match="was closed"):
        model.predict(image(60, 80))


def test_several_threads(predictor: DepthAnythingV2Predictor) -> None:
    pictures = [image(60 + 14 * index, 80, seed=index) for index in range(4)]
    expected = [predictor.predict(picture).values for picture in pictures]
    found: dict[int, np.ndarray] = {}

    def work(index: int) -> None:
        found[index] = predictor.predict(pictures[index]).values

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(4):
        assert np.abs(found[index] - expected[index]).max() <= 1e-5 * np.ptp(expected[index])


def test_compile_without_a_compiler_falls_back(tiny: DepthAnythingV2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module.shutil, "which", lambda name: None)
    with pytest.warns(RuntimeWarning, match="no C\\+\\+ compiler"):
        model = DepthAnythingV2Predictor(tiny, INFO, device="cpu", compile="on")
    assert np.isfinite(model.predict(image(60, 80)).values).all()


def test_failing_compilation_falls_back(
    tiny: DepthAnythingV2, predictor: DepthAnythingV2Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_options: object) -> Any:
        def call(*_inputs: object) -> Any:
            raise RuntimeError("no such instruction")

        return call

    monkeypatch.setattr(predictor_module.shutil, "which", lambda name: "/usr/bin/c++")
    monkeypatch.setattr(torch, "compile", broken)
    model = DepthAnythingV2Predictor(tiny, INFO, device="cpu", compile="on")
    with pytest.warns(RuntimeWarning, match="no such instruction"):
        ours = model.predict(image(60, 80)).values
    assert np.array_equal(ours, predictor.predict(image(60, 80)).values)


@pytest.mark.slow
def test_compiled_network_gives_the_same_map() -> None:
    """Four blocks: the compiler takes as long for each of them."""
    if predictor_module.shutil.which("c++") is None and predictor_module.shutil.which("g++") is None:
        pytest.skip("torch.compile on the CPU needs a C++ compiler")
    torch.manual_seed(0)
    network = DepthAnythingV2(replace(CONFIGS["tiny"], depth=4, taps=(0, 1, 2, 3))).eval()
    network.depth_head.scratch.output_conv2[2].bias.data.fill_(1.0)
    compiled, plain = (DepthAnythingV2Predictor(network, INFO, device="cpu", compile=on) for on in ("on", "off"))
    ours, expected = compiled.predict(image(60, 80)).values, plain.predict(image(60, 80)).values
    assert np.ptp(expected) > 0
    assert np.abs(ours - expected).max() <= 1e-5 * np.ptp(expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_cuda(tiny: DepthAnythingV2, predictor: DepthAnythingV2Predictor, precision: str) -> None:
    model = DepthAnythingV2Predictor(tiny, INFO, device="cuda", precision=precision)
    pictures = [image(60, 80, seed=seed) for seed in range(3)]
    for ours, picture in zip(model.predict_batch(pictures), pictures, strict=True):
        expected = predictor.predict(picture).values
        assert np.abs(ours.values - expected).max() <= (1e-4 if precision == "fp32" else 0.1) * np.ptp(expected)
