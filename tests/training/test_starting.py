"""Start weights: official encoders and whole checkpoints, and refusals that name the file."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from dabench.errors import CheckpointError, UsageError
from model_zoo.depth_anything_v2.checkpoint import save_state
from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.training.recipe import Model, Recipe
from model_zoo.depth_anything_v2.training.starting import config_of, frozen_encoder, start_network


def _load(name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


worker = _load("loop_worker")


def recipe(tmp_path: Path, **model: Any) -> Recipe:
    base: Recipe = worker.recipe_of(tmp_path / "recipes")
    return dataclasses.replace(base, model=dataclasses.replace(Model("tiny", "random"), **model))


def official_encoder(depth: int = 8, width: int = 192, side: int = 12) -> dict[str, Tensor]:
    """A DINOv2 file as dinov2/models/vision_transformer.py names its tensors (no head, no registers)."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    tensors = {
        "cls_token": draw(1, 1, width),
        "pos_embed": draw(1, 1 + side * side, width),
        "mask_token": draw(1, width),
        "patch_embed.proj.weight": draw(width, 3, 14, 14),
        "patch_embed.proj.bias": draw(width),
        "norm.weight": draw(width),
        "norm.bias": draw(width),
    }
    for index in range(depth):
        shapes = {
            "norm1.weight": (width,), "norm1.bias": (width,), "norm2.weight": (width,), "norm2.bias": (width,),
            "attn.qkv.weight": (3 * width, width), "attn.qkv.bias": (3 * width,),
            "attn.proj.weight": (width, width), "attn.proj.bias": (width,),
            "ls1.gamma": (width,), "ls2.gamma": (width,),
            "mlp.fc1.weight": (4 * width, width), "mlp.fc1.bias": (4 * width,),
            "mlp.fc2.weight": (width, 4 * width), "mlp.fc2.bias": (width,),
        }  # fmt: skip
        tensors |= {f"blocks.{index}.{name}": draw(*shape) for name, shape in shapes.items()}
    return tensors


@pytest.fixture
def encoder_file(tmp_path: Path) -> Path:
    torch.save(official_encoder(), tmp_path / "dinov2.pth")
    return tmp_path / "dinov2.pth"


@pytest.mark.parametrize("start", ["dinov2", "file"])
def test_a_dinov2_file_fills_the_encoder_and_the_head_is_random(encoder_file: Path, start: str) -> None:
    chosen = recipe(encoder_file.parent, start=start, weights="dinov2.pth")
    network = start_network(chosen, encoder_file.parent)
    official = official_encoder()
    state = network.state_dict()
    encoder = {key.removeprefix("pretrained."): value for key, value in state.items() if key.startswith("pretrained.")}
    assert encoder.keys() == official.keys() - {"mask_token"}
    assert all(torch.equal(value, official[key]) for key, value in encoder.items())
    fresh = start_network(recipe(encoder_file.parent), encoder_file.parent).state_dict()
    heads = [key for key in state if key.startswith("depth_head.")]
    assert heads and all(torch.equal(state[key], fresh[key]) for key in heads)
    assert network.training and all(value.requires_grad for value in network.parameters())


def test_the_frozen_encoder_is_the_start_and_stays(encoder_file: Path) -> None:
    chosen = recipe(encoder_file.parent, start="dinov2", weights="dinov2.pth")
    frozen = frozen_encoder(chosen, encoder_file.parent)
    network = start_network(chosen, encoder_file.parent)
    assert not frozen.training and not any(value.requires_grad for value in frozen.parameters())
    images = torch.randn(1, 3, 28, 42)
    with torch.no_grad():
        before = frozen(images)[-1]
        torch.testing.assert_close(before, network.pretrained(images)[-1])
        for value in network.parameters():
            value.add_(1.0)
        assert torch.equal(frozen(images)[-1], before)


@pytest.mark.slow
def test_a_student_near_its_frozen_encoder_pays_nothing_and_a_far_one_does(encoder_file: Path) -> None:
    """Two steps: at the first the features are those of the frozen encoder."""
    folder = encoder_file.parent
    settings = {"model__start": "dinov2", "model__weights": "dinov2.pth", "loss__feature_weight": 1.0,
                "model__table_size": "none", "optim__encoder_rate": 0.5, "run__steps": 2}  # fmt: skip
    trainer = worker.trainer_of(worker.recipe_of(folder / "recipes", **settings), folder)
    trainer.run()
    values = [record["loss/feature"] for record in map(json.loads, (folder / "log.jsonl").open())]
    assert values[0] == 0 and values[1] > 0.1


@pytest.mark.parametrize("load", ["encoder", "all"])
def test_a_whole_checkpoint(tmp_path: Path, load: str) -> None:
    torch.manual_seed(3)
    source = DepthAnythingV2(CONFIGS["tiny"])
    save_state(source, tmp_path / "whole.safetensors", complete=True)
    chosen = recipe(tmp_path, start="depth-anything-v2", weights="whole.safetensors", load=load)
    state = start_network(chosen, tmp_path).state_dict()
    for key, value in source.state_dict().items():
        if value.ndim > 1:
            assert torch.equal(state[key], value) == (load == "all" or key.startswith("pretrained.")), key


def test_a_metric_network_takes_all_but_the_last_convolution(tmp_path: Path) -> None:
    source = DepthAnythingV2(CONFIGS["tiny"])
    save_state(source, tmp_path / "whole.safetensors")
    start = {"start": "depth-anything-v2", "weights": "whole.safetensors", "load": "all", "max_depth": 20.0}
    network = start_network(recipe(tmp_path, **start), tmp_path)
    same = {key for key, value in source.state_dict().items() if torch.equal(network.state_dict()[key], value)}
    assert source.state_dict().keys() - same == {f"depth_head.scratch.output_conv2.2.{k}" for k in ("weight", "bias")}
    assert network.config.max_depth == 20.0


def test_a_name_of_the_catalogue(tmp_path: Path) -> None:
    chosen = recipe(tmp_path, start="depth-anything-v2", weights="depth-anything-v2-tiny", load="all")
    network = start_network(chosen, tmp_path)
    assert network.get_parameter("depth_head.scratch.output_conv2.2.bias").item() != 1.0


def test_random_starts_follow_the_seed_and_the_table_size(tmp_path: Path) -> None:
    base = recipe(tmp_path, table_size=5)
    other = dataclasses.replace(base, data=dataclasses.replace(base.data, seed=1))
    one, same, different = (start_network(r, tmp_path).state_dict() for r in (base, base, other))
    key = "pretrained.blocks.0.mlp.fc1.weight"
    assert torch.equal(one[key], same[key]) and not torch.equal(one[key], different[key])
    assert one["pretrained.pos_embed"].shape == (1, 26, 192)
    assert config_of(base.model).table_size == 5


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_every_size_starts_with_an_output_that_lives(tmp_path: Path, size: str) -> None:
    network = start_network(recipe(tmp_path, size=size, table_size=2), tmp_path)
    image = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        values = network(image)
    assert (values > 0).all() and values.std() > 1e-4


def corrupt(tensors: dict[str, Tensor], what: str) -> dict[str, Tensor]:
    if what == "registers":
        return {**tensors, "register_tokens": torch.zeros(1, 4, 192)}
    if what == "missing":
        del tensors["blocks.3.attn.qkv.weight"]
    if what == "nan":
        tensors["norm.bias"][0] = torch.nan
    return tensors


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("registers", "registers"),
        ("missing", r"missing pretrained\.blocks\.3\.attn\.qkv\.weight"),
        ("nan", r"pretrained\.norm\.bias is not finite"),
    ],
)
def test_damaged_encoders_are_refused(tmp_path: Path, what: str, message: str) -> None:
    torch.save(corrupt(official_encoder(), what), tmp_path / "dinov2.pth")
    with pytest.raises(CheckpointError, match=message):
        start_network(recipe(tmp_path, start="dinov2", weights="dinov2.pth"), tmp_path)


def test_another_size_is_refused(tmp_path: Path) -> None:
    torch.save(official_encoder(depth=2, width=96), tmp_path / "dinov2.pth")
    with pytest.raises(CheckpointError, match="does not fit"):
        start_network(recipe(tmp_path, start="dinov2", weights="dinov2.pth"), tmp_path)
    save_state(DepthAnythingV2(CONFIGS["tiny"]), tmp_path / "whole.safetensors")
    start = {"size": "small", "start": "depth-anything-v2", "weights": "whole.safetensors"}
    with pytest.raises(CheckpointError, match="holds the tiny encoder"):
        start_network(recipe(tmp_path, **start), tmp_path)


def test_absent_weights_say_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"dinov2_vits14_pretrain\.pth"):
        start_network(recipe(tmp_path, size="small", start="dinov2", weights="dinov2.pth"), tmp_path)
    with pytest.raises(UsageError, match=r"model\.weights"):
        start_network(recipe(tmp_path, start="dinov2"), tmp_path)
    with pytest.raises(UsageError, match="random weights"):
        frozen_encoder(recipe(tmp_path), tmp_path)
    save_state(DepthAnythingV2(CONFIGS["tiny"]), tmp_path / "whole.safetensors")
    with pytest.raises(CheckpointError, match="no DINOv2 encoder"):
        start_network(recipe(tmp_path, start="dinov2", weights="whole.safetensors"), tmp_path)
