"""Models that evaluate the U-Net once, at the last timestep, and decode what it says of the clean latent.

End-to-end fine-tuning (E2E-FT; arXiv 2409.11355, VisualComputingInstitute/diffusion-e2e-ft @ 4ff5aad,
`Marigold/marigold/marigold_pipeline.py` with noise "zeros"): the latent beside the image's is zero, and the clean
latent is derived from the v-prediction at the first timestep of trailing spacing. diffusers' pipeline would return the
latent one step before the clean one, which is nearly but not quite the same.

Lotus (arXiv 2409.18124, EnVision-Research/Lotus @ b737e12, `pipeline.py`, `infer.py`, `eval.py`): the U-Net is told
its task (annotate, rather than reconstruct the image) as a class embedding and gives the clean latent itself. Lotus-G
sees noise beside the image, Lotus-D only the image. Upstream draws the image latent from the VAE's posterior; its mean
is taken here, since its deviation is negligible beside the latent and a draw would make Lotus-D random.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dabench.errors import CheckpointError
from dabench.types import Image

from .components import Components
from .images import SCALE, as_tensor, processing_size, scaled

LOTUS_TIMESTEP = 999
LOTUS_TASK = (1.0, 0.0)
"""Annotation; (0, 1) would reconstruct the image."""


@dataclass
class EndToEndFineTuned:
    """Maps an image to [1, 1, H, W] values in [0, 1], larger is farther. No noise, no seed.

    Attributes:
        parts: networks and what the folder says of them.
        processing_resolution: long side that the networks see, in pixels; 0 for that of the image.
    """

    parts: Components
    processing_resolution: int
    scheduler: Any = field(init=False)

    def __post_init__(self) -> None:
        from diffusers import DDIMScheduler

        kind = self.parts.scheduler.get("_class_name")
        if kind != "DDIMScheduler":
            raise CheckpointError(f"scheduler_config.json names {kind or 'no scheduler'}, not DDIMScheduler")
        self.scheduler = DDIMScheduler.from_config(dict(self.parts.scheduler), timestep_spacing="trailing")
        self.scheduler.set_timesteps(1)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "scheduler": "DDIMScheduler",
            "timestep": int(self.scheduler.timesteps[0]),
            "prediction_type": self.scheduler.config.prediction_type,
            "noise": "zeros",
        }

    def __call__(self, image: Image) -> Tensor:
        size = processing_size(image.shape[0], image.shape[1], self.processing_resolution).network
        pixels = scaled(as_tensor(image), size)
        below, right = -size[0] % SCALE, -size[1] % SCALE
        padded = functional.pad(pixels, (0, right, 0, below), mode="replicate")
        latent = encode(self.parts, padded)
        zeros, timestep = torch.zeros_like(latent), self.scheduler.timesteps[0]
        said = evaluate(self.parts, torch.cat([latent, zeros], dim=1), timestep)
        clean = self.scheduler.step(said, timestep, zeros).pred_original_sample
        depth = decode(self.parts, clean).mean(dim=1, keepdim=True).clamp(-1, 1)
        return scaled((depth[..., : size[0], : size[1]] + 1) / 2, (image.shape[0], image.shape[1]))


@dataclass
class Lotus:
    """Maps an image to [1, 1, H, W] values in [0, 1]; the checkpoint decides whether they are depth or disparity.

    Attributes:
        parts: networks; the scheduler has no part in it.
        processing_resolution: long side that the networks see, in pixels; 0 for that of the image.
        seed: of Lotus-G's noise, which is drawn anew from it for every image; None for Lotus-D.
    """

    parts: Components
    processing_resolution: int
    seed: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return {"timestep": LOTUS_TIMESTEP, "prediction_type": "sample", "image_latent": "mean of the posterior"}

    def __call__(self, image: Image) -> Tensor:
        size = processing_size(image.shape[0], image.shape[1], self.processing_resolution).network
        latent = encode(self.parts, scaled(as_tensor(image), size))
        if self.seed is not None:
            noise = torch.randn(latent.shape, generator=torch.Generator("cpu").manual_seed(self.seed))
            latent = torch.cat([latent, noise.to(latent)], dim=1)
        task = torch.tensor([LOTUS_TASK], device=latent.device)
        clean = evaluate(self.parts, latent, LOTUS_TIMESTEP, torch.cat([task.sin(), task.cos()], dim=1))
        colours = (decode(self.parts, clean) / 2 + 0.5).clamp(0, 1)
        # a size that is no multiple of 8 comes back smaller: upstream repeats pixels up to it
        values = functional.interpolate(colours, size, mode="nearest-exact").mean(dim=1, keepdim=True)
        return scaled(values, (image.shape[0], image.shape[1]))


def encode(parts: Components, pixels: Tensor) -> Tensor:
    """[1, 3, H, W] in [0, 1] -> scaled latent [1, 4, H // 8, W // 8], the mean of the VAE's posterior."""
    image = (pixels * 2 - 1).to(parts.text)
    latent: Tensor = parts.vae.encode(image).latent_dist.mode() * parts.vae.config.scaling_factor
    return latent


def evaluate(parts: Components, latent: Tensor, timestep: Any, task: Tensor | None = None) -> Tensor:
    """What the U-Net says of ``latent`` at ``timestep``, with the empty prompt."""
    said: Tensor = parts.unet(latent, timestep, encoder_hidden_states=parts.text, class_labels=task, return_dict=False)[
        0
    ]
    return said


def decode(parts: Components, latent: Tensor) -> Tensor:
    """Scaled latent -> float32 image [1, 3, 8 h, 8 w], about [-1, 1]."""
    image: Tensor = parts.vae.decode(latent / parts.vae.config.scaling_factor, return_dict=False)[0]
    return image.float()
