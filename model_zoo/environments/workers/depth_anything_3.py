"""Adapter of Depth Anything 3 on single images.

API: ByteDance-Seed/Depth-Anything-3 @ 2c21ea8, README.md, `src/depth_anything_3/api.py` (`inference`) and docs/API.md
(`process_res` is the longer side). The metric model gives depth for a focal length of 300 px (README, FAQ): metres are
``focal * output / 300`` with the focal length in pixels of the processed image, as the nested model applies it.
"""

from __future__ import annotations

import math
from typing import Any

import dabench_worker  # type: ignore
import numpy as np
import torch

ASSUMED_FIELD_OF_VIEW = 60.0


def load(request: dict[str, Any]) -> Any:
    from depth_anything_3.api import DepthAnything3  # type: ignore

    settings, metric = request["settings"], request["options"].get("metric", False)
    source = request["checkpoint"] or request["source"]
    pinned = {"revision": request["revision"]} if request["revision"] and not request["checkpoint"] else {}
    device = dabench_worker.torch_device(request["device"])
    model = DepthAnything3.from_pretrained(source, **pinned).to(device=device).eval()

    def predict(image: np.ndarray) -> np.ndarray:
        torch.manual_seed(0)  # large maps are subsampled at random where the sky is filled in
        found = model.inference([image], process_res=settings["processing_resolution"])
        depth = torch.from_numpy(np.array(found.depth, dtype=np.float32))[:1, None]
        if metric:
            depth = depth * (focal_of(image.shape[1]) * depth.shape[-1] / image.shape[1] / 300.0)
        size = (image.shape[0], image.shape[1])
        return dabench_worker.map_of(
            torch.nn.functional.interpolate(depth, size=size, mode="bilinear", align_corners=False)
        )

    def focal_of(width: int) -> float:
        """In pixels of the image as it was given."""
        return float(settings["focal"]) or 0.5 * width / math.tan(math.radians(ASSUMED_FIELD_OF_VIEW / 2))

    notes = []
    if metric and not settings["focal"]:
        notes.append("no focal length was given: a horizontal field of view of 60 degrees is assumed")
    info = dabench_worker.hub_weights(source, ["model.safetensors"], request["revision"])
    return predict, dict(
        info,
        device=str(device),
        parameters=dabench_worker.parameters_of(model),
        versions=dabench_worker.versions_of("depth-anything-3", "torch", "xformers"),
        settings={"precision": "the package's autocast", "resized": "bilinear, half-pixel centres"},
        notes=notes,
    )
