"""Adapter of GeoWizard v1.

API: fuxiao0719/GeoWizard @ deee629, `geowizard/run_infer.py` and `geowizard/models/geowizard_pipeline.py` (`depth_np`
is affine-invariant depth in [0, 1] of the image's size). The noise comes from torch's global generator, so that it is
seeded before every image.
"""

from __future__ import annotations

from typing import Any

import dabench_worker  # type: ignore
import numpy as np
import torch


def load(request: dict[str, Any]) -> Any:
    from diffusers import AutoencoderKL, DDIMScheduler
    from models.geowizard_pipeline import DepthNormalEstimationPipeline  # type: ignore
    from models.unet_2d_condition import UNet2DConditionModel  # type: ignore
    from PIL import Image
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    settings = request["settings"]
    source = request["checkpoint"] or request["source"]
    pinned = {"revision": request["revision"]} if request["revision"] and not request["checkpoint"] else {}
    device = dabench_worker.torch_device(request["device"])
    parts = {
        "vae": AutoencoderKL,
        "scheduler": DDIMScheduler,
        "image_encoder": CLIPVisionModelWithProjection,
        "feature_extractor": CLIPImageProcessor,
        "unet": UNet2DConditionModel,
    }
    loaded = {name: kind.from_pretrained(source, subfolder=name, **pinned) for name, kind in parts.items()}
    pipeline = DepthNormalEstimationPipeline(**loaded).to(device)

    def predict(image: np.ndarray) -> np.ndarray:
        torch.manual_seed(settings["seed"])
        found = pipeline(
            Image.fromarray(image),
            denoising_steps=settings["steps"],
            ensemble_size=settings["ensemble"],
            processing_res=settings["processing_resolution"],
            match_input_res=True,
            domain=settings["domain"],
            show_progress_bar=False,
        )
        return np.asarray(found.depth_np, dtype=np.float32)

    weights = ["unet/diffusion_pytorch_model." + suffix for suffix in ("safetensors", "bin")]
    return predict, dict(
        dabench_worker.hub_weights(source, weights, request["revision"]),
        device=str(device),
        parameters=sum(dabench_worker.parameters_of(loaded[name]) for name in ("vae", "image_encoder", "unet")),
        versions=dabench_worker.versions_of("torch", "diffusers", "transformers", "xformers"),
    )
