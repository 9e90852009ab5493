"""Stands in for GeoWizard's pipeline: fuxiao0719/GeoWizard @ deee629, parts and arguments of a call."""

import types

import numpy as np
import torch


class DepthNormalEstimationPipeline:
    def __init__(self, unet, vae, scheduler, image_encoder, feature_extractor):
        self.unet = unet

    def to(self, device):
        return self

    def __call__(
        self,
        input_image,
        denoising_steps=10,
        ensemble_size=10,
        processing_res=768,
        match_input_res=True,
        batch_size=0,
        domain="indoor",
        color_map="Spectral",
        show_progress_bar=True,
        ensemble_kwargs=None,
    ):
        assert domain in ("indoor", "outdoor", "object") and match_input_res
        print(f"denoising in {denoising_steps} steps")  # as progress bars and loggers do
        pixels = np.array(input_image, dtype=np.float32)
        depth = self.unet.depth_of(pixels[..., 0] / 255) / (10 * self.unet.scale)
        noise = getattr(torch, "rand", lambda *size: np.random.rand(*size))(1)
        return types.SimpleNamespace(depth_np=(depth + 1e-3 * float(noise[0])).clip(0, 1))
