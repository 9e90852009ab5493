"""Weight files: every supported layout gives the same network; everything else is refused with a way out."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dabench.errors import CheckpointError
from model_zoo.catalog import entries
from model_zoo.depth_anything_v2 import checkpoint
from model_zoo.depth_anything_v2.checkpoint import UNUSED, build, load_state, save_state
from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.model import DepthAnythingV2

TINY = CONFIGS["tiny"]


@pytest.fixture
def file(tiny_state: dict[str, Tensor], tmp_path: Path) -> Path:
    """An official-style file under a name that says nothing."""
    path = tmp_path / "weights.pth"
    torch.save(tiny_state, path)
    return path


def assert_same(network: DepthAnythingV2, state: dict[str, Tensor]) -> None:
    ours = network.state_dict()
    assert ours.keys() == {key for key in state if not UNUSED.fullmatch(key)}
    for key, value in ours.items():
        assert value.dtype == torch.float32 and torch.equal(value, state[key]), key


def refusal(path: Path, config: Any = TINY) -> str:
    with pytest.raises(CheckpointError) as caught:
        build(load_state(path), config)
    assert str(path) in caught.value.message and caught.value.hint
    return str(caught.value)


# --- layouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", ["plain", "model", "state_dict", "module", "legacy"])
def test_official_layouts(tiny_state: dict[str, Tensor], tmp_path: Path, wrap: str) -> None:
    path = tmp_path / "w.pth"
    content: Any = tiny_state
    if wrap in ("model", "state_dict"):
        content = {wrap: tiny_state, "epoch": 3}
    elif wrap == "module":
        content = {"model": {f"module.{key}": value for key, value in tiny_state.items()}}
    torch.save(content, path, _use_new_zipfile_serialization=wrap != "legacy")
    state = load_state(path)
    assert (state.format, state.encoder, state.kind) == ("official", "tiny", None)
    assert len(state.notes) == 2
    assert_same(build(state, TINY), tiny_state)


def test_safetensors_of_official_names(tiny_state: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(tiny_state, tmp_path / "w.bin")  # the format is read from the bytes, not the name
    assert_same(build(load_state(tmp_path / "w.bin"), TINY), tiny_state)


@pytest.mark.parametrize(
    ("name", "kind", "max_depth"),
    [
        ("depth_anything_v2_vits.pth", "relative", None),
        ("depth_anything_v2_metric_hypersim_vits.pth", "metric", 20.0),
        ("depth_anything_v2_metric_vkitti_vits.pth", "metric", 80.0),
        ("my_finetune_vits.pth", None, None),
    ],
)
def test_official_names_speak(
    tiny_state: dict[str, Tensor], tmp_path: Path, name: str, kind: str | None, max_depth: float | None
) -> None:
    torch.save(tiny_state, tmp_path / name)
    state = load_state(tmp_path / name)
    assert (state.kind, state.max_depth, bool(state.notes)) == (kind, max_depth, kind is None)


def test_known_checksum_speaks(file: Path) -> None:
    known = next(entry for entry in entries() if entry.options.get("max_depth") == 80.0)
    state = load_state(file, sha256=known.sha256)
    assert (state.kind, state.max_depth, state.notes) == ("metric", 80.0, ())
    assert load_state(file, sha256="0" * 64).kind is None


@pytest.mark.parametrize("max_depth", [None, 20.0])
@pytest.mark.parametrize("complete", [False, True])
def test_saved_files_come_back(
    tiny_state: dict[str, Tensor], make_network: Any, tmp_path: Path, max_depth: float | None, complete: bool
) -> None:
    config = replace(TINY, max_depth=max_depth)
    path = save_state(
        make_network(tiny_state, config), tmp_path / "new" / "w.safetensors", complete=complete, metadata={"seed": "1"}
    )
    state = load_state(path)
    assert state.kind == ("relative" if max_depth is None else "metric") and state.max_depth == max_depth
    assert state.notes == () and state.metadata["seed"] == "1"
    assert_same(build(state, config), tiny_state)
    saved = load_file(path)
    assert {key: value.shape for key, value in saved.items()} == {
        key: value.shape for key, value in tiny_state.items() if complete or not UNUSED.fullmatch(key)
    }
    assert [p.name for p in path.parent.iterdir()] == ["w.safetensors"]


def test_half_precision_file(tiny_state: dict[str, Tensor], make_network: Any, tmp_path: Path) -> None:
    path = save_state(make_network(tiny_state, TINY), tmp_path / "w.safetensors", dtype=torch.float16)
    assert_same(build(load_state(path), TINY), {key: value.half().float() for key, value in tiny_state.items()})


# --- Hugging Face -----------------------------------------------------------------------------------------------------


def transformers_model(config: Any, **metric: Any) -> Any:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=config.embed_dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.num_heads,
        image_size=config.input_size,
        patch_size=14,
        out_indices=[tap + 1 for tap in config.taps],
        reshape_hidden_states=False,
        apply_layernorm=True,
        use_swiglu_ffn=config.mlp == "swiglu",
    )
    model = DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=config.embed_dim,
            neck_hidden_sizes=list(config.out_channels),
            fusion_hidden_size=config.features,
            **metric,
        )
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                fan_in = parameter[0].numel() if parameter.ndim == 4 else parameter.shape[-1]
                parameter.copy_(torch.randn_like(parameter) / fan_in**0.5)
            else:
                parameter.copy_(torch.randn_like(parameter) * 0.1 + (name.endswith(("norm1.weight", "norm2.weight"))))
        model.head.conv3.bias.fill_(1.0)
        model.backbone.layernorm.weight.fill_(1.0)
    return model.eval()


OLD_NAMES = (
    (r"attention\.q_proj", "attention.attention.query"),
    (r"attention\.k_proj", "attention.attention.key"),
    (r"attention\.v_proj", "attention.attention.value"),
    (r"attention\.o_proj", "attention.output.dense"),
    (r"mlp\.down_proj", "mlp.weights_out"),
)


def hub_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names that hub files have, from those of a version-5 module."""
    old = {}
    for key, value in state.items():
        for new, name in OLD_NAMES:
            key = re.sub(new, name, key)
        if ".gate_proj." in key:
            up = state[key.replace("gate_proj", "up_proj")]
            key, value = key.replace("gate_proj", "weights_in"), torch.cat([value, up])
        if ".up_proj." not in key:
            old[key] = value.contiguous()
    return old


@pytest.fixture(params=["mlp", "swiglu"])
def hf_config(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "mlp":
        return TINY
    config = replace(TINY, encoder="gated", embed_dim=96, depth=4, mlp="swiglu", taps=(0, 1, 2, 3))
    monkeypatch.setitem(checkpoint.CONFIGS, "gated", config)
    return config


@pytest.mark.parametrize("names", ["new", "old"])
def test_hugging_face_files(hf_config: Any, tmp_path: Path, names: str) -> None:
    theirs = transformers_model(hf_config)
    state = dict(theirs.state_dict())
    state = hub_names(state) if names == "old" else {key: value.contiguous() for key, value in state.items()}
    assert any("attention.attention.query" in key for key in state) == (names == "old")
    save_file(state, tmp_path / "model.safetensors")
    theirs.config.save_pretrained(tmp_path)
    loaded = load_state(tmp_path / "model.safetensors")
    assert (loaded.format, loaded.kind, loaded.taps, loaded.notes) == ("huggingface", "relative", hf_config.taps, ())
    x = torch.randn(1, 3, 168, 168)
    with torch.no_grad():
        ours, expected = build(loaded, hf_config)(x), theirs(x).predicted_depth
    spread = expected.max() - expected.min()
    assert expected.std() > 0.02 * spread > 0
    assert (ours - expected).abs().max() <= 1e-5 * spread


def test_hugging_face_as_saved_by_transformers(tmp_path: Path) -> None:
    theirs = transformers_model(TINY, depth_estimation_type="metric", max_depth=20)
    theirs.save_pretrained(tmp_path)
    state = load_state(tmp_path / "model.safetensors")
    assert (state.kind, state.max_depth) == ("metric", 20.0)
    x = torch.randn(1, 3, 168, 168)
    with torch.no_grad():
        ours, expected = build(state, TINY.metric(20.0))(x), theirs(x).predicted_depth
    assert expected.std() > 0 and (ours - expected).abs().max() <= 1e-5 * (expected.max() - expected.min())
    with pytest.raises(CheckpointError, match="holds metric weights, but the model is relative"):
        build(state, TINY)
    with pytest.raises(CheckpointError, match="up to 20 m, the model is for 80 m"):
        build(state, TINY.metric(80.0))


def test_hugging_face_incomplete_attention_is_refused(tmp_path: Path) -> None:
    state = dict(transformers_model(TINY).state_dict())
    del state["backbone.encoder.layer.3.attention.k_proj.weight"]
    save_file(state, tmp_path / "model.safetensors")
    assert "blocks.3.attn.qkv.weight has shape" in refusal(tmp_path / "model.safetensors")


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_version_1_is_refused_where_it_can_be_told(file: Path, tmp_path: Path) -> None:
    assert "taken for 2" in load_state(file).notes[0]
    named = file.rename(tmp_path / "depth_anything_vits14.pth")
    assert "Depth Anything V1" in refusal(named)
    silent = named.rename(tmp_path / "model.pth")
    config = {"model_type": "depth_anything", "backbone_config": {"out_indices": [9, 10, 11, 12]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "Depth Anything V1" in refusal(silent)


def test_relative_weights_are_refused_by_the_metric_model(tiny_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "depth_anything_v2_vits.pth"
    torch.save(tiny_state, path)
    assert "holds relative weights, but the model is metric" in refusal(path, TINY.metric(20.0))


def test_other_encoder_is_named(file: Path) -> None:
    assert "holds the tiny encoder, but the model is small" in refusal(file, CONFIGS["small"])


def test_unknown_encoder_is_described(tiny_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({key: value for key, value in tiny_state.items() if f".blocks.{TINY.depth - 1}." not in key}, path)
    assert f"width 192, {TINY.depth - 1} blocks, a positional table of 12x12" in refusal(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("depth_head.scratch.output_conv1.bias"), "missing depth_head.scratch.output_conv1.bias"),
        (lambda s: s.update({"depth_head.extra": torch.zeros(1)}), "unexpected depth_head.extra"),
        (lambda s: s.update({"pretrained.norm.bias": torch.zeros(7)}), "pretrained.norm.bias has shape [7], not [192]"),
        (lambda s: s.update({"pretrained.norm.bias": torch.full((192,), torch.nan)}), "norm.bias holds NaN"),
        (lambda s: s.update({"pretrained.cls_token": [1, 2]}), "'pretrained.cls_token' is not a tensor"),
        (lambda s: s.pop("pretrained.pos_embed"), "no complete DINOv2 encoder"),
    ],
)
def test_misfits_are_listed(tiny_state: dict[str, Tensor], tmp_path: Path, change: Any, message: str) -> None:
    state: dict[str, Any] = dict(tiny_state)
    change(state)
    torch.save(state, tmp_path / "w.pth")
    assert message in refusal(tmp_path / "w.pth")


def test_other_networks_are_refused(tiny_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"core.pretrained.model.cls_token": torch.zeros(1)}, path)
    assert "is not a Depth Anything V2 checkpoint" in refusal(path)
    encoder = {k.removeprefix("pretrained."): v for k, v in tiny_state.items() if k.startswith("pretrained.")}
    torch.save(encoder, path)
    assert "an encoder without a depth head" in refusal(path)
    torch.save([1, 2], path)
    assert "holds list, not named tensors" in refusal(path)


@pytest.mark.parametrize("kind", ["pth", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_truncated_files_are_refused(tiny_state: dict[str, Tensor], tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / "w.pth"
    if kind == "safetensors":
        save_file(tiny_state, path)
    else:
        torch.save(tiny_state, path, _use_new_zipfile_serialization=kind == "pth")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "damaged" in refusal(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 99218434\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\x00\x01 nothing of the kind", "damaged or not a weight file"),
        (b"PK\x03\x04 half an archive", "damaged or not a weight file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    assert message in refusal(path)


def test_absent_files_and_folders_are_refused(file: Path, tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "absent.pth")
    assert "it holds weights.pth" in refusal(tmp_path)


class _Payload:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


def test_nothing_in_a_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pth"
    torch.save({"model": _Payload()}, path)
    assert "would run code" in refusal(path)
    path.write_bytes(pickle.dumps(_Payload()))
    refusal(path)
    assert not (tmp_path / "executed").exists()
