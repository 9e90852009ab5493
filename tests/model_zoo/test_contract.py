"""A weight file from the hub to a model: damaged on the way, whole, given as a file, cut short, or of a mirror.

What holds for every row of the catalogue is in test_every_model.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import model_zoo
from dabench.registry import models
from dabench.types import ModelEntry, Output


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
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    assert np.isfinite(model.predict(image).values).all()

    own = tmp_path / "weights.safetensors"
    given = model_zoo.load(entry.name, checkpoint=own, device="cpu")
    assert given.info.source == str(own)
    assert (given.predict(image).values == model.predict(image).values).all()
    own.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        model_zoo.load(entry.name, checkpoint=own, device="cpu")


def test_official_name_on_a_mirror_with_other_bytes_is_refused(hub: Any) -> None:
    from dabench.errors import DownloadError

    entry = models().get("depth-anything-v2-small")
    assert entry.source and entry.revision and entry.file
    hub.add(entry.source, entry.revision, entry.file, b"not the official bytes")
    with pytest.raises(DownloadError, match="the hub offers other bytes than the catalogue knows"):
        model_zoo.load(entry.name, device="cpu")
    assert hub.content_requests() == []
