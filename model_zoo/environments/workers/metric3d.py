"""Adapter of Metric3D v2.

API: YvanYin/Metric3D @ eb5b6fa, `hubconf.py` (entry points, checkpoints, and in its example the preparation: keep the
ratio within 616x1064, pad with the mean colour, undo both, scale by focal / 1000, clamp to 300 m) and
`mono/utils/do_test.py` (a focal length of 1000 px where the camera is not known).
"""

from __future__ import annotations

from typing import Any

import dabench_worker  # type: ignore
import numpy as np
import torch

SIZE = (616, 1064)
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
CANONICAL_FOCAL = 1000.0
FARTHEST = 300.0


def load(request: dict[str, Any]) -> Any:
    import cv2
    import hubconf  # type: ignore

    settings, options = request["settings"], request["options"]
    device = dabench_worker.torch_device(request["device"])
    model = getattr(hubconf, options["entry_point"])(pretrain=False)
    if request["checkpoint"]:
        path = request["checkpoint"]
    else:
        address = hubconf.MODEL_TYPE[options["type"]]["ckpt_file"]
        path = dabench_worker.download(address)
    model.load_state_dict(torch.load(path, map_location="cpu")["model_state_dict"], strict=False)
    model = model.to(device).eval()

    def predict(image: np.ndarray) -> np.ndarray:
        scale = min(SIZE[0] / image.shape[0], SIZE[1] / image.shape[1])
        height, width = (max(1, int(side * scale)) for side in image.shape[:2])
        top, left = (SIZE[0] - height) // 2, (SIZE[1] - width) // 2
        padded = np.empty((*SIZE, 3), np.float32)
        padded[:] = MEAN
        inside = (slice(top, top + height), slice(left, left + width))
        padded[inside] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        pixels = torch.from_numpy((padded - MEAN) / STD).permute(2, 0, 1)[None].to(device)
        with torch.inference_mode():
            depth = model.inference({"input": pixels})[0].reshape(1, 1, *SIZE)[..., inside[0], inside[1]]
            depth = torch.nn.functional.interpolate(depth.float(), size=image.shape[:2], mode="bilinear")
            depth = (depth * (settings["focal"] * scale / CANONICAL_FOCAL)).clamp(0, FARTHEST)
        return dabench_worker.map_of(depth)

    return predict, {
        "device": str(device),
        "parameters": dabench_worker.parameters_of(model),
        "source": path if request["checkpoint"] else address,
        "weights_sha256": dabench_worker.sha256_of(path),
        "versions": dabench_worker.versions_of("torch", "mmengine", "mmcv", "xformers"),
    }
