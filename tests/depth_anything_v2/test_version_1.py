"""Depth Anything V1: V1's blocks of the encoder, told from V2 by whatever tells it, and transformers' own numbers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import model_zoo
from dabench.errors import CheckpointError
from dabench.registry import models
from dabench.types import ModelInfo, Output
from model_zoo.catalog import depth_anything_v1
from model_zoo.depth_anything_v2.checkpoint import build, load_state, save_state
from model_zoo.depth_anything_v2.config import CONFIGS, VERSION_1
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.predictor import DepthAnythingV2Predictor
from model_zoo.depth_anything_v2.preprocess import network_size, prepare

TINY = VERSION_1["tiny-v1"]
ENTRIES = {entry.name: entry for entry in depth_anything_v1.entries()}


def _load(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    __import__("sys").modules[name] = module
    spec.loader.exec_module(module)
    return module


def _transformers_model() -> Any:
    """transformers' own V1: its configuration's default taps are those of V1."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(0)
    taps: dict[str, Any] = {"out_indices": [5, 6, 7, 8]}
    backbone = Dinov2Config(
        hidden_size=TINY.embed_dim,
        num_hidden_layers=TINY.depth,
        num_attention_heads=TINY.num_heads,
        image_size=TINY.input_size,
        patch_size=14,
        reshape_hidden_states=False,
        apply_layernorm=True,
        **taps,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=TINY.embed_dim,
        neck_hidden_sizes=list(TINY.out_channels),
        fusion_hidden_size=TINY.features,
    )
    model = DepthAnythingForDepthEstimation(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, (parameter.shape[0] / parameter.numel()) ** 0.5)
        model.state_dict()["head.conv3.bias"].fill_(2.0)
    return model.eval()


@pytest.fixture(scope="module")
def theirs() -> Any:
    return _transformers_model()


def test_taps_are_those_of_the_first_version() -> None:
    from transformers import AutoConfig

    # transformers' default configuration of Depth Anything is V1 small; its indices count the embedding as 0
    default = AutoConfig.for_model("depth_anything").backbone_config
    assert [tap + 1 for tap in VERSION_1["small-v1"].taps] == list(default.out_indices) == [9, 10, 11, 12]
    assert VERSION_1["base-v1"].taps == (8, 9, 10, 11) and VERSION_1["large-v1"].taps == (20, 21, 22, 23)
    for name, config in CONFIGS.items():
        first = VERSION_1[f"{name}-v1"]
        assert (first.taps != config.taps, first.version, config.version) == (True, 1, 2)
        assert first.out_channels == config.out_channels and first.table_size == config.table_size


def test_hf_file_in_our_network_equals_transformers(theirs: Any, tmp_path: Path) -> None:
    theirs.save_pretrained(tmp_path)
    state = load_state(tmp_path / "model.safetensors", version=1)
    assert (state.format, state.kind, state.taps, state.notes) == ("huggingface", "relative", TINY.taps, ())
    x = torch.randn(1, 3, 168, 168, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours, expected = build(state, TINY)(x), theirs(x).predicted_depth
        others = build(state, CONFIGS["tiny"])(x)
    spread = expected.max() - expected.min()
    assert expected.std() > 0.02 * spread > 0
    assert (ours - expected).abs().max() <= 1e-5 * spread
    assert (others - expected).abs().max() > 0.01 * spread, "V2's blocks would give another map without an error"
    with pytest.raises(CheckpointError, match="weights of Depth Anything V1"):
        load_state(tmp_path / "model.safetensors")


def test_map_is_enlarged_without_aligned_corners() -> None:
    torch.manual_seed(1)
    network = DepthAnythingV2(TINY).eval()
    network.state_dict()["depth_head.scratch.output_conv2.2.bias"].fill_(2.0)
    image = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    model = DepthAnythingV2Predictor(network, ModelInfo("v1", Output.DISPARITY), device="cpu")
    assert model.info.settings["version"] == 1
    size = network_size(60, 100, TINY.input_size)
    with torch.no_grad():
        raw = network(torch.from_numpy(prepare(image, size))[None])
    expected = F.interpolate(raw[None], (60, 100), mode="bilinear", align_corners=False)[0, 0].numpy()
    np.testing.assert_allclose(model.predict(image).values, expected, rtol=1e-4, atol=1e-5 * float(np.ptp(expected)))


def test_files_of_the_second_version_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    second = save_state(DepthAnythingV2(CONFIGS["tiny"]), tmp_path / "second.safetensors")
    with pytest.raises(CheckpointError, match="weights of Depth Anything V2, which reads other blocks"):
        load_state(second, version=1)
    first = save_state(DepthAnythingV2(TINY), tmp_path / "first.safetensors")
    assert load_state(first, version=1).notes == ()
    with pytest.raises(CheckpointError, match="weights of Depth Anything V1, which reads other blocks"):
        load_state(first)
    named = tmp_path / "depth_anything_v2_vits.pth"
    torch.save(load_state(first, version=1).tensors, named)
    with pytest.raises(CheckpointError, match="weights of Depth Anything V2"):
        load_state(named, version=1)
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "depth_anything", "backbone_config": {"out_indices": [2, 4, 6, 8]}})
    )
    with pytest.raises(CheckpointError, match="weights of Depth Anything V2"):
        load_state(named.rename(tmp_path / "model.pth"), version=1)


def test_official_file_by_name_from_the_space(hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny = _load(Path(__file__).parents[1] / "model_zoo" / "tiny" / "depth_anything.py", "tiny_depth_anything")
    name = "depth-anything-v1-small"
    entry = tiny.publish(hub, ENTRIES[name], tmp_path)
    monkeypatch.setitem(models()._items, name, entry)
    model = model_zoo.load(name, device="cpu")
    assert any(request.path.startswith("/spaces/LiheYoung/Depth-Anything/resolve/") for request in hub.log)
    assert (
        model.info.source == f"spaces/LiheYoung/Depth-Anything@{entry.revision}/checkpoints/depth_anything_vits14.pth"
    )
    assert (model.info.settings["version"], model.info.notes, model.info.licence) == (1, (), "Apache-2.0")
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    values = model.predict(image).values
    assert values.shape == (40, 60) and np.ptp(values) > 0.01 * values.max()
    hub.log.clear()
    assert (model_zoo.load(name, device="cpu").predict(image).values == values).all()
    assert hub.log == [], "the second time it comes from the cache"


def test_checksum_says_the_version(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "renamed.pth"
    tensors = load_state(save_state(DepthAnythingV2(TINY), tmp_path / "first.safetensors"), version=1).tensors
    torch.save(tensors, path)
    sha256 = ENTRIES["depth-anything-v1-large"].sha256
    assert load_state(path, sha256=sha256, version=1).notes == ()
    with pytest.raises(CheckpointError, match="weights of Depth Anything V1"):
        load_state(path, sha256=sha256)


def test_metric_models_are_listed_with_the_reason() -> None:
    assert {name for name, entry in ENTRIES.items() if entry.status == "published-only"} == {
        "depth-anything-v1-metric-indoor",
        "depth-anything-v1-metric-outdoor",
    }
    assert all("fork of ZoeDepth" in str(e.reason) for e in ENTRIES.values() if e.status == "published-only")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    module = _load(Path(__file__).parents[1] / "loopback_hub.py", "loopback_hub_v1")
    for variable in ("HF_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with module.LoopbackHub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
