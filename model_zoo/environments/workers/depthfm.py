"""Adapter of DepthFM.

API: CompVis/depth-fm @ da632c8, `inference.py` (sides to multiples of 64, values in [-1, 1], bilinear back to the
image's size) and `depthfm/dfm.py` (`DepthFM`, `predict_depth`: exponential, then minimum to 0 and maximum to 1; larger
is farther). It names an image autoencoder in a hub repository that was removed; the same weights are taken from
``options["vae"]``.
"""

from __future__ import annotations

from typing import Any

import dabench_worker  # type: ignore
import numpy as np
import torch


def network_side(side: float) -> int:
    """The multiple of 64 nearest to a side, but not zero."""
    return max(64, round(int(side) / 64) * 64)


def load(request: dict[str, Any]) -> Any:
    import depthfm  # type: ignore
    import dfm  # type: ignore
    from PIL import Image

    settings, options = request["settings"], request["options"]
    path = request["checkpoint"] or dabench_worker.download(request["source"])

    class Autoencoder(dfm.AutoencoderKL):  # type: ignore
        @classmethod
        def from_pretrained(cls, name: str, **given: Any) -> Any:
            return super().from_pretrained(options["vae"], **given)

    dfm.AutoencoderKL = Autoencoder
    device = dabench_worker.torch_device(request["device"])
    model = depthfm.DepthFM(path).to(device).eval()
    model.model.dtype = torch.float32

    def predict(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        limit = settings["processing_resolution"] or max(height, width)
        factor = min(limit / width, limit / height)
        size = (network_side(width * factor), network_side(height * factor))
        resized = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
        pixels = np.array(resized, dtype=np.float32) / 127.5 - 1.0
        torch.manual_seed(settings["seed"])
        with torch.inference_mode():
            batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(device)
            depth = model.predict_depth(batch, num_steps=settings["steps"], ensemble_size=settings["ensemble"])
        whole = Image.fromarray(dabench_worker.map_of(depth)).resize((width, height), Image.Resampling.BILINEAR)
        return np.array(whole)

    return predict, {
        "device": str(device),
        "parameters": dabench_worker.parameters_of(model),
        "source": path if request["checkpoint"] else request["source"],
        "weights_sha256": dabench_worker.sha256_of(path),
        "versions": dabench_worker.versions_of("torch", "diffusers", "torchdiffeq"),
        "settings": {"autoencoder": options["vae"]},
    }
