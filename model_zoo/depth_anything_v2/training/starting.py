"""What a network starts training from, and the frozen encoder that a student's features stay near to.

Encoder-only files are official DINOv2 ones (`dinov2_vits14_pretrain.pth` and its sisters,
github.com/facebookresearch/dinov2); whole ones are anything that `checkpoint.load_state` reads.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from dabench.errors import CheckpointError, UsageError
from model_zoo.catalog import entries
from model_zoo.hub import resolve_weights

from ..checkpoint import UNUSED, load_state, read_tensors
from ..config import CONFIGS, DepthAnythingV2Config
from ..encoder import DinoV2Encoder, resample_table
from ..model import DepthAnythingV2
from .initialise import initialise
from .network import widen_last
from .output import open_output
from .recipe import Model, Recipe

ENCODER = "pretrained."


def config_of(model: Model) -> DepthAnythingV2Config:
    """The network that a recipe trains."""
    config = CONFIGS[model.size]
    if model.table_size is not None:
        config = dataclasses.replace(config, table_size=model.table_size)
    return config if model.max_depth is None else config.metric(model.max_depth)


def start_network(recipe: Recipe, data_root: Path) -> DepthAnythingV2:
    """The recipe's network with its start weights, in float32, every parameter trainable; random parts by data.seed.

    Raises:
        CheckpointError: the weight file is absent, damaged, or of another size.
        UsageError: the recipe names no weights for a start that needs them.
    """
    model = recipe.model
    network = DepthAnythingV2(config_of(model), drop_path_rate=model.drop_path)
    # The middle of the sigmoid, where its slope is largest; a last ReLU instead must start above zero.
    initialise(network, recipe.data.seed, output_bias=1.0 if model.max_depth is None else 0.0)
    if model.start != "random":
        tensors = start_tensors(model, data_root)
        if model.load == "encoder" or not any(key.startswith("depth_head.") for key in tensors):
            tensors = {key: value for key, value in tensors.items() if key.startswith(ENCODER)}
        else:
            tensors = _with_head(tensors, model)
        _load(network, tensors, str(model.weights))
    if model.open_output:
        open_output(network)
    widen_last(network)
    return network.train().requires_grad_(True)


def frozen_encoder(recipe: Recipe, data_root: Path) -> DinoV2Encoder:
    """The encoder as it was before training (arXiv 2401.10891, section 3.3: DINOv2 of the same size), frozen.

    Raises UsageError when the network starts from random weights, which hold nothing to stay near to.
    """
    model = recipe.model
    if model.start == "random":
        raise UsageError(
            "loss.feature_weight is above 0, but the encoder starts from random weights",
            hint="set model.start to dinov2 and model.weights to its file, or loss.feature_weight to 0",
        )
    network = DepthAnythingV2(config_of(model))
    tensors = start_tensors(model, data_root)
    _load(network, {k: v for k, v in tensors.items() if k.startswith(ENCODER)}, str(model.weights))
    return network.pretrained.eval().requires_grad_(False)


def start_tensors(model: Model, data_root: Path) -> dict[str, Tensor]:
    """Tensors of the start weights under official names, with `depth_head.*` where the file has a head."""
    path = _find(model, data_root)
    if model.start != "depth-anything-v2":
        tensors = read_tensors(path)[0]
        tensors = {key.removeprefix("module.").removeprefix("backbone."): value for key, value in tensors.items()}
        if "patch_embed.proj.weight" in tensors:
            return _from_dinov2(tensors, path)
        if model.start == "dinov2":
            raise CheckpointError(
                f"{path} is no DINOv2 encoder (it has no patch_embed.proj.weight)",
                hint="give dinov2_vit*14_pretrain.pth, or set model.start to depth-anything-v2",
            )
    state = load_state(path)
    if state.encoder != model.size:
        raise CheckpointError(
            f"{path} holds the {state.encoder} encoder, but the recipe trains {model.size}",
            hint=f"--set model.size={state.encoder}, or give weights of the {model.size} model",
        )
    return {key: value for key, value in state.tensors.items() if not UNUSED.fullmatch(key)}


def _find(model: Model, data_root: Path) -> Path:
    """The weight file: a path from the data root or from here, or a name of the catalogue."""
    if model.weights is None:
        raise UsageError(f'model.start is "{model.start}", but model.weights is not set', hint="--set model.weights=F")
    for path in (data_root / model.weights, Path(model.weights)):
        if path.is_file():
            return path
    known = {entry.name: entry for entry in entries()}
    if model.weights in known:
        return resolve_weights(known[model.weights]).path
    hint = "give a file, or a name from `dabench ls models`"
    if model.start == "dinov2":
        letter = {"small": "s", "base": "b", "large": "l", "giant": "g"}.get(model.size, "s")
        hint = (
            f"https://dl.fbaipublicfiles.com/dinov2/dinov2_vit{letter}14/dinov2_vit{letter}14_pretrain.pth "
            f"is the official file; put it there"
        )
    raise CheckpointError(f"model.weights: {data_root / model.weights} does not exist", hint=hint)


def _from_dinov2(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Official encoder names -> ours. Blocks in chunks (`blocks.2.17.`, as in training checkpoints) are renumbered."""
    if "register_tokens" in tensors:
        raise CheckpointError(
            f"{path} is a DINOv2 with registers, which Depth Anything V2 does not use",
            hint="give the file without _reg4 in its name",
        )
    known = re.compile(r"cls_token|pos_embed|patch_embed\.proj\.\w+|blocks\.\d+\..+|norm\.\w+")
    names = {key: re.sub(r"blocks\.\d+\.(\d+\.)", r"blocks.\1", key) for key in tensors if known.fullmatch(key)}
    return {ENCODER + name: tensors[key] for key, name in names.items()}


def _with_head(tensors: dict[str, Tensor], model: Model) -> dict[str, Tensor]:
    if model.max_depth is None:
        return tensors
    # The last convolution of a relative model gives disparity, the metric one the logit of depth: nothing to reuse.
    return {key: value for key, value in tensors.items() if "output_conv2.2." not in key}


def _load(network: nn.Module, tensors: dict[str, Tensor], origin: str) -> None:
    """Load what `tensors` has; all of the encoder must be there, and every shape must fit."""
    own = network.state_dict()
    table = tensors.get(ENCODER + "pos_embed")
    if table is not None and table.shape[1] != own[ENCODER + "pos_embed"].shape[1] and table.ndim == 3:
        side = int((own[ENCODER + "pos_embed"].shape[1] - 1) ** 0.5)
        tensors = {**tensors, ENCODER + "pos_embed": resample_table(table, side, side)}
    problems = [f"missing {key}" for key in own if key.startswith(ENCODER) and key not in tensors]
    problems += [f"unexpected {key}" for key in tensors if key not in own]
    problems += [
        f"{key} has shape {list(value.shape)}, not {list(own[key].shape)}"
        for key, value in tensors.items()
        if key in own and own[key].shape != value.shape
    ]
    problems += [f"{key} is not finite" for key, value in tensors.items() if not torch.isfinite(value).all()]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(
            f"{origin} does not fit the network: {'; '.join(problems[:3])}{more}",
            hint="check model.size against the weights",
        )
    network.load_state_dict({key: value.float() for key, value in tensors.items()}, strict=False)
