"""Depth networks of transformers with tiny random weights, in the layout and file format of the real repositories."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dabench.types import ModelEntry

FACTORIES = ("model_zoo.transformers_depth:load",)

SIDE = 64
"""Input size in pixels, in place of sizes that cost seconds on a CPU."""

LAST_BIASES = {"head.head.4.bias": 5.0, "head.layers.4.bias": 5.0, "fov_model.head.layers.4.bias": 60.0}
"""Of heads whose last step is a ReLU, which would cut off half of a random map; the field of view is in degrees."""


def publish(hub: Any, entry: ModelEntry, folder: Path) -> ModelEntry:
    """Write the files of ``entry`` into ``folder``, offer them on the hub, and return the row that finds them."""
    entry = replace(entry, parameters=write(entry, folder), options=small_options(entry))
    commit = entry.revision or hashlib.sha1(entry.name.encode()).hexdigest()
    hashes: dict[str | None, str] = {}
    for name in entry.files:
        hashes[name] = hub.add(entry.source, commit, name, (folder / name).read_bytes())
    return replace(entry, revision=commit, sha256=hashes[entry.file])


def small_options(entry: ModelEntry) -> Mapping[str, Any]:
    """The row's options for the small input."""
    processor = dict(entry.options["processor"])
    if "size" in processor:
        wide = SIDE * processor["size"]["width"] // processor["size"]["height"]
        processor["size"] = {"height": SIDE, "width": wide}
    return {**entry.options, "processor": processor}


def write(entry: ModelEntry, folder: Path) -> int:
    """Write a folder of the row's layout; returns the number of parameters."""
    import torch
    import transformers

    architecture = entry.options["architecture"]
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(int.from_bytes(hashlib.sha256(entry.name.encode()).digest()[:4]))
    network = getattr(transformers, architecture)(_config(entry)).eval()
    with torch.no_grad():  # weights that keep the size of what passes, so that maps use a good part of their range
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, (2 * parameter.shape[0] / parameter.numel()) ** 0.5)
            elif name in LAST_BIASES:
                parameter.fill_(LAST_BIASES[name])
    processor = getattr(transformers, architecture.replace("ForDepthEstimation", "ImageProcessor"))
    processor().save_pretrained(folder)  # with its class's settings, as some of the hub's files have; the row overrides
    network.save_pretrained(folder)
    if entry.file == "pytorch_model.bin":
        torch.save(network.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return sum(parameter.numel() for parameter in network.parameters())


def _config(entry: ModelEntry) -> Any:
    import transformers as t

    architecture = entry.options["architecture"]
    vit: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "patch_size": 16,
        "image_size": SIDE,
    }
    taps: dict[str, Any] = {"out_indices": [1, 2, 3, 4]}
    beit = t.BeitConfig(**vit, **taps, use_relative_position_bias=True, reshape_hidden_states=False)
    neck: dict[str, Any] = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16}
    if architecture == "GLPNForDepthEstimation":
        return t.GLPNConfig(
            depths=[1, 1, 1, 1],
            hidden_sizes=[8, 8, 16, 16],
            num_attention_heads=[1, 1, 2, 2],
            mlp_ratios=[2, 2, 2, 2],
            decoder_hidden_size=8,
        )
    if architecture == "ZoeDepthForDepthEstimation":
        bins = [{"name": "nyu", "n_bins": 16, "min_depth": 1e-3, "max_depth": 10.0}]
        router: dict[str, Any] = {}
        if entry.name.endswith("-nk"):
            bins.append({"name": "kitti", "n_bins": 16, "min_depth": 1e-3, "max_depth": 80.0})
            router = {
                "num_patch_transformer_layers": 4,
                "patch_transformer_hidden_size": 128,
                "patch_transformer_intermediate_size": 32,
                "patch_transformer_num_attention_heads": 2,
            }
        return t.ZoeDepthConfig(
            backbone_config=beit,
            **neck,
            num_relative_features=8,
            bottleneck_features=16,
            bin_embedding_dim=16,
            num_attractors=[4, 2, 1, 1],
            bin_configurations=bins,
            bin_centers_type="normed" if entry.name.endswith("-k") else "softplus",
            **router,
        )
    if architecture == "DepthProForDepthEstimation":
        dino = t.Dinov2Config(**{**vit, "num_hidden_layers": 2, "image_size": SIDE // 4, "patch_size": 4}, mlp_ratio=2)
        return t.DepthProConfig(
            patch_size=SIDE // 4,
            fusion_hidden_size=16,
            intermediate_hook_ids=[1, 0],
            intermediate_feature_dims=[16, 16],
            scaled_images_feature_dims=[16, 16, 16],
            merge_padding_value=1,
            image_model_config=dino,
            patch_model_config=dino,
            fov_model_config=dino,
            use_fov_model=True,
        )
    if entry.name.endswith("dpt-large"):
        return t.DPTConfig(**vit, **neck, backbone_out_indices=[0, 1, 2, 3])
    if entry.name.endswith("dpt-hybrid"):
        stages: dict[str, Any] = {"out_features": ["stage1", "stage2", "stage3"]}
        bit = t.BitConfig(
            embedding_size=8,
            hidden_sizes=[16, 32, 64],
            depths=[1, 1, 1],
            num_groups=4,
            layer_type="bottleneck",
            global_padding="same",
            embedding_dynamic_padding=True,
            **stages,
        )
        return t.DPTConfig(
            **vit,
            is_hybrid=True,
            backbone_config=bit,
            backbone_featmap_shape=[1, 64, SIDE // 16, SIDE // 16],
            backbone_out_indices=[0, 1, 2, 3],
            reassemble_factors=[1, 1, 1, 0.5],
            neck_hidden_sizes=[16, 32, 16, 16],
            fusion_hidden_size=16,
        )
    if "-beit-" in entry.name:
        return t.DPTConfig(backbone_config=beit, **neck)
    swin = t.Swinv2Config(
        image_size=SIDE,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        **taps,
    )
    return t.DPTConfig(backbone_config=swin, neck_hidden_sizes=[8, 16, 32, 64], fusion_hidden_size=16)
