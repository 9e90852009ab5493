"""Depth Anything with random weights in the smallest of its sizes, in the file format of the real repositories."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from dabench.types import ModelEntry

FACTORIES = ("model_zoo.depth_anything_v2.factory:load",)


def publish(hub: Any, entry: ModelEntry, folder: Path) -> ModelEntry:
    """Write the file of ``entry`` into ``folder``, offer it on the hub, and return the row that finds it."""
    version = "-v1" if str(entry.options["config"]).endswith("-v1") else ""
    entry = replace(entry, options={**entry.options, "config": f"tiny{version}"}, status="downloadable")
    path = folder / str(entry.file)
    parameters = write(entry, path)
    commit = entry.revision or hashlib.sha1(entry.name.encode()).hexdigest()
    sha256 = hub.add(entry.source, commit, entry.file, path.read_bytes())
    return replace(entry, revision=commit, sha256=sha256, parameters=parameters)


def write(entry: ModelEntry, path: Path) -> int:
    """Write an official file of the row's network; returns the number of parameters."""
    import torch
    from safetensors.torch import load_file

    from model_zoo.depth_anything_v2.checkpoint import save_state
    from model_zoo.depth_anything_v2.config import CONFIGS, VERSION_1
    from model_zoo.depth_anything_v2.model import DepthAnythingV2

    config = (CONFIGS | VERSION_1)[entry.options["config"]]
    if entry.options.get("max_depth"):
        config = config.metric(entry.options["max_depth"])
    torch.manual_seed(int.from_bytes(hashlib.sha256(entry.name.encode()).digest()[:4]))
    network = DepthAnythingV2(config)
    with torch.no_grad():  # weights that keep the size of what passes, so that maps use a good part of their range
        for parameter in network.depth_head.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, (2 * parameter.shape[0] / parameter.numel()) ** 0.5)
        network.state_dict()["depth_head.scratch.output_conv2.2.bias"].fill_(0.0 if config.max_depth else 2.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    official = save_state(network, path.with_suffix(".safetensors"), complete=True)
    if path.suffix == ".pth":
        torch.save(load_file(official), path)
        official.unlink()
    return sum(parameter.numel() for parameter in network.parameters())
