"""Marigold: a depth map denoised in steps, several times, the results aligned and their median taken.

Source: arXiv 2312.02145 and 2505.09358; diffusers' `MarigoldDepthPipeline`, which does all of it. Here its noise is
fixed, and images that it refuses (side ratios beyond the processing resolution, sizes not a multiple of 8) are scaled
before and after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dabench.errors import CheckpointError
from dabench.types import Image, Output

from .components import Components
from .images import SCALE, as_tensor, processing_size, scaled

SCHEDULERS = ("DDIMScheduler", "LCMScheduler")


@dataclass
class Marigold:
    """Maps an image to [H, W] values in [0, 1].

    Attributes:
        parts: networks and what the folder says of them.
        output: depth, larger is farther, unless the folder says disparity.
        steps: denoising steps.
        ensemble: predictions that are aligned and merged.
        seed: of the noise, which is drawn anew from it for every image.
        processing_resolution: long side that the networks see, in pixels; 0 for that of the image.
    """

    parts: Components
    output: Output
    steps: int
    ensemble: int
    seed: int
    processing_resolution: int
    pipeline: Any = field(init=False)

    def __post_init__(self) -> None:
        import diffusers

        kind = self.parts.scheduler.get("_class_name")
        if kind not in SCHEDULERS:
            raise CheckpointError(
                f"scheduler_config.json names {kind or 'no scheduler'}; Marigold runs with {' or '.join(SCHEDULERS)}"
            )
        index = self.parts.index
        self.pipeline = diffusers.MarigoldDepthPipeline(
            unet=self.parts.unet,
            vae=self.parts.vae,
            scheduler=getattr(diffusers, kind).from_config(dict(self.parts.scheduler)),
            text_encoder=None,
            tokenizer=None,
            prediction_type=self.output.value,
            scale_invariant=index.get("scale_invariant", True),
            shift_invariant=index.get("shift_invariant", True),
        )
        self.pipeline.empty_text_embedding = self.parts.text
        self.pipeline.set_progress_bar_config(disable=True)

    @property
    def settings(self) -> dict[str, Any]:
        scheduler = self.pipeline.scheduler
        return {
            "scheduler": type(scheduler).__name__,
            "timestep_spacing": scheduler.config.get("timestep_spacing"),
            "rescale_betas_zero_snr": scheduler.config.get("rescale_betas_zero_snr", False),
        }

    def __call__(self, image: Image) -> Tensor:
        height, width = image.shape[:2]
        size = processing_size(height, width, self.processing_resolution)
        if self.processing_resolution % SCALE == 0 and size.by_the_rule:
            return self._run(image[None], self.processing_resolution)
        pixels = scaled(as_tensor(image), size.network).clamp(0, 1)  # antialiasing rounds, and the pipeline checks
        return scaled(self._run(pixels, 0), (height, width))

    def _run(self, images: Any, processing_resolution: int) -> Tensor:
        """uint8 [1, H, W, 3] array or [1, 3, H, W] tensor in [0, 1] -> [1, 1, H, W]."""
        result = self.pipeline(
            images,
            num_inference_steps=self.steps,
            ensemble_size=self.ensemble,
            processing_resolution=processing_resolution,
            batch_size=self._members_at_once(),
            generator=torch.Generator("cpu").manual_seed(self.seed),
            output_type="pt",
        )
        prediction: Tensor = result.prediction
        return prediction.float()

    def _members_at_once(self) -> int:
        """Several on an accelerator; one where the scheduler draws noise as it goes, so that the split is no matter."""
        draws = type(self.pipeline.scheduler).__name__ == "LCMScheduler"
        return 1 if draws or self.parts.text.device.type == "cpu" else min(self.ensemble, 10)
