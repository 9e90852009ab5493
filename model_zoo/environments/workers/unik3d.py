"""Adapter of UniK3D.

API: lpiccinelli-eth/UniK3D @ 29f7862, README.md and `unik3d/models/unik3d.py` (`infer` takes uint8 RGB and gives the
z coordinate of metric points of the image's size as `depth`). No camera and no rays are passed.
"""

from __future__ import annotations

from typing import Any

import dabench_worker  # type: ignore
import numpy as np
import torch


def load(request: dict[str, Any]) -> Any:
    from unik3d.models import UniK3D  # type: ignore

    source = request["checkpoint"] or request["source"]
    pinned = {"revision": request["revision"]} if request["revision"] and not request["checkpoint"] else {}
    device = dabench_worker.torch_device(request["device"])
    model = UniK3D.from_pretrained(source, **pinned).to(device).eval()

    def predict(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found = model.infer(torch.from_numpy(image.copy()).permute(2, 0, 1).to(device))
        return dabench_worker.map_of(found["depth"])

    info = dabench_worker.hub_weights(source, ["model.safetensors", "pytorch_model.bin"], request["revision"])
    return predict, dict(
        info,
        device=str(device),
        parameters=dabench_worker.parameters_of(model),
        versions=dabench_worker.versions_of("unik3d", "torch", "xformers"),
        settings={"camera": "predicted"},
    )
