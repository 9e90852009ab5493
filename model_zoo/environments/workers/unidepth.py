"""Adapter of UniDepth v1 and v2.

API: lpiccinelli-eth/UniDepth @ 8d8cfe4, README.md, `unidepth/models/unidepthv1/unidepthv1.py` and
`unidepth/models/unidepthv2/unidepthv2.py` (`infer` takes uint8 RGB and gives z-depth in metres of the image's size). No
intrinsics are passed: the camera is the predicted one.
"""

from __future__ import annotations

from typing import Any

import dabench_worker  # type: ignore
import numpy as np
import torch


def load(request: dict[str, Any]) -> Any:
    import unidepth.models  # type: ignore

    kind = getattr(unidepth.models, request["options"]["class"])
    source = request["checkpoint"] or request["source"]
    pinned = {"revision": request["revision"]} if request["revision"] and not request["checkpoint"] else {}
    device = dabench_worker.torch_device(request["device"])
    model = kind.from_pretrained(source, **pinned).to(device).eval()

    def predict(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found = model.infer(torch.from_numpy(image.copy()).permute(2, 0, 1).to(device))
        return dabench_worker.map_of(found["depth"])

    info = dabench_worker.hub_weights(source, ["model.safetensors", "pytorch_model.bin"], request["revision"])
    return predict, dict(
        info,
        device=str(device),
        parameters=dabench_worker.parameters_of(model),
        versions=dabench_worker.versions_of("unidepth", "torch", "xformers"),
        settings={"intrinsics": "predicted"},
    )
