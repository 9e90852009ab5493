"""Adapter of MoGe 1 and 2.

API: microsoft/MoGe @ 0744441, README.md and `moge/model/v1.py`, `moge/model/v2.py` (`from_pretrained`, `infer`). As in
the authors' own evaluation (`baselines/moge.py`, `infer_for_evaluation`) the mask is not applied by default: with it,
depth is infinite where the network sees no surface.
"""

from __future__ import annotations

import importlib
from typing import Any

import dabench_worker  # type: ignore
import numpy as np
import torch


def load(request: dict[str, Any]) -> Any:
    settings = request["settings"]
    module = importlib.import_module("moge.model." + request["options"]["version"])
    source = request["checkpoint"] or request["source"]
    pinned = {"revision": request["revision"]} if request["revision"] and not request["checkpoint"] else {}
    device = dabench_worker.torch_device(request["device"])
    model = module.MoGeModel.from_pretrained(source, **pinned).to(device).eval()

    def predict(image: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(image.astype(np.float32) / 255.0).permute(2, 0, 1).to(device)
        with torch.inference_mode():
            found = model.infer(
                pixels,
                resolution_level=settings["resolution_level"],
                apply_mask=settings["mask"],
                use_fp16=request["precision"] == "fp16",
            )
        return dabench_worker.map_of(found["depth"])

    info = dabench_worker.hub_weights(source, ["model.pt"], request["revision"])
    return predict, dict(
        info,
        device=str(device),
        parameters=dabench_worker.parameters_of(model),
        versions=dabench_worker.versions_of("moge", "torch", "utils3d"),
        settings={"field_of_view": "predicted"},
    )
