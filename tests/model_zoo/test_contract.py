"""One contract for every registered model that can run here: a new one is tested with no new test code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import model_zoo
from dabench.registry import models
from dabench.types import DepthModel, ModelEntry, Output, Prediction

SIZES = [(48, 64), (64, 48), (37, 200), (201, 30), (1, 1), (5, 3)]
"""Height and width: usual ones, long ones, and ones smaller than a patch."""

RUNNABLE = [name for name in models() if models().get(name).status in ("bundled", "baseline")]


def _images() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in SIZES]


@pytest.fixture(scope="module", params=RUNNABLE)
def model(request: pytest.FixtureRequest) -> Iterator[DepthModel]:
    loaded = model_zoo.load(request.param, device="cpu")
    yield loaded
    loaded.close()


def test_there_is_something_to_test() -> None:
    assert {"depth-anything-v2-tiny", "location-prior", "constant", "random"} <= set(RUNNABLE)


def check_prediction(prediction: Prediction, image: np.ndarray, model: DepthModel) -> None:
    """What every prediction has to be."""
    assert isinstance(prediction, Prediction)
    assert prediction.values.shape == image.shape[:2]
    assert prediction.values.dtype == np.float32
    assert np.isfinite(prediction.values).all()
    assert prediction.output is model.info.output
    if prediction.output is Output.METRIC:
        assert (prediction.values >= 0).all()


def test_info_matches_the_catalogue(model: DepthModel) -> None:
    entry = models().get(model.info.name)
    assert model.info.output is entry.output
    assert model.info.licence == entry.licence
    assert model.info.parameters == entry.parameters
    assert model.info.source
    has_weights = entry.status == "bundled"
    assert (model.info.weights_sha256 is not None) == has_weights
    if entry.sha256:
        assert model.info.weights_sha256 == entry.sha256


@pytest.mark.parametrize("image", _images(), ids=lambda image: f"{image.shape[0]}x{image.shape[1]}")
def test_prediction(model: DepthModel, image: np.ndarray) -> None:
    kept = image.copy()
    first, second = model.predict(image), model.predict(image)
    check_prediction(first, image, model)
    assert (first.values == second.values).all(), "the same image gives the same map"
    assert (image == kept).all(), "the image is not written to"


def test_batch_is_the_same_as_one_by_one(model: DepthModel) -> None:
    images = [image for image in _images() for _ in range(2)]
    together = model.predict_batch(images, [f"images/any/{i}" for i in range(len(images))])
    assert len(together) == len(images)
    for image, prediction in zip(images, together, strict=True):
        check_prediction(prediction, image, model)
        alone = model.predict(image).values
        spread = float(np.ptp(alone)) or 1.0
        assert np.abs(prediction.values - alone).max() <= 1e-5 * spread


def test_empty_batch(model: DepthModel) -> None:
    assert list(model.predict_batch([])) == []


def test_views_and_read_only_images(model: DepthModel) -> None:
    image = _images()[0]
    mirrored = image[:, ::-1]
    frozen = image[:, ::-1].copy()
    frozen.flags.writeable = False
    assert (model.predict(mirrored).values == model.predict(frozen).values).all()


@pytest.mark.slow
def test_end_to_end_by_name(hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A name, a hub and a file of the real architecture with random weights: a model, checked and described."""
    import torch

    from dabench.errors import CheckpointError, DownloadError
    from model_zoo.depth_anything_v2.checkpoint import save_state
    from model_zoo.depth_anything_v2.config import CONFIGS
    from model_zoo.depth_anything_v2.model import DepthAnythingV2

    torch.manual_seed(0)
    network = DepthAnythingV2(CONFIGS["tiny"])
    content = save_state(network, tmp_path / "weights.safetensors").read_bytes()
    entry = ModelEntry(
        name="depth-anything-v2-loopback",
        output=Output.DISPARITY,
        summary="random weights",
        factory="model_zoo.depth_anything_v2.factory:load",
        licence="CC-BY-NC-4.0",
        source="depth-anything/Loopback",
        revision="c" * 40,
        file="weights.safetensors",
        sha256=hub.add("depth-anything/Loopback", "c" * 40, "weights.safetensors", content),
        options={"config": "tiny"},
    )
    monkeypatch.setitem(models()._items, entry.name, entry)
    hub.corrupt_byte = 1000
    with pytest.raises(DownloadError, match="damaged and was deleted"):
        model_zoo.load(entry.name, device="cpu")
    hub.corrupt_byte = None
    model = model_zoo.load(entry.name, device="cpu")
    assert model.info.name == entry.name
    assert model.info.weights_sha256 == entry.sha256
    assert model.info.source == f"depth-anything/Loopback@{'c' * 40}/weights.safetensors"
    assert any("CC-BY-NC-4.0" in note for note in model.info.notes)
    image = _images()[0]
    check_prediction(model.predict(image), image, model)

    own = tmp_path / "weights.safetensors"
    given = model_zoo.load(entry.name, checkpoint=own, device="cpu")
    assert given.info.source == str(own)
    assert (given.predict(image).values == model.predict(image).values).all()
    own.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        model_zoo.load(entry.name, checkpoint=own, device="cpu")


def test_wrong_options_are_found_before_a_download(hub: Any) -> None:
    from dabench.errors import UsageError

    wrong: list[dict[str, Any]] = [{"device": "tpu"}, {"precision": "fp8"}, {"device": "cpu", "input_size": 3}]
    for options in wrong:
        with pytest.raises(UsageError):
            model_zoo.load("depth-anything-v2-large", **options)
    assert hub.log == []


def test_official_name_on_a_mirror_with_other_bytes_is_refused(hub: Any) -> None:
    from dabench.errors import DownloadError

    entry = models().get("depth-anything-v2-small")
    assert entry.source and entry.revision and entry.file
    hub.add(entry.source, entry.revision, entry.file, b"not the official bytes")
    with pytest.raises(DownloadError, match="the hub offers other bytes than the catalogue knows"):
        model_zoo.load(entry.name, device="cpu")
    assert hub.content_requests() == []
