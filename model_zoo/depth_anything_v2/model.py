"""Depth Anything V2 as one trainable module, under the official parameter names."""

from __future__ import annotations

from torch import Tensor, nn

from .config import PATCH_SIZE, DepthAnythingV2Config
from .encoder import DinoV2Encoder
from .head import DPTHead


class DepthAnythingV2(nn.Module):
    """Image -> affine-invariant disparity, or metres when `config.max_depth` is set.

    The state dict is the official one (`pretrained.*`, `depth_head.*`) without the tensors that no forward pass reads
    (`pretrained.mask_token`, `depth_head.scratch.refinenet4.resConfUnit1.*`), so that every parameter gets a gradient.
    """

    def __init__(self, config: DepthAnythingV2Config, *, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.pretrained = DinoV2Encoder(config, drop_path_rate)
        self.depth_head = DPTHead(config)

    def forward(self, images: Tensor, table: Tensor | None = None) -> Tensor:
        """[B, 3, H, W], ImageNet-normalised RGB, sides multiples of 14 -> [B, H, W].

        The result is disparity >= 0 (larger is nearer, scale and shift unknown), or depth in metres in
        [0, `max_depth`]. `table` optionally gives the positional table resampled to (H/14, W/14).
        """
        height, width = int(images.shape[-2]), int(images.shape[-1])
        if height % PATCH_SIZE or width % PATCH_SIZE:
            raise ValueError(f"network input is {height}x{width}; both sides must be multiples of {PATCH_SIZE}")
        grid = (height // PATCH_SIZE, width // PATCH_SIZE)
        values = self.depth_head(self.pretrained(images, table), grid)
        return values if self.config.max_depth is None else values * self.config.max_depth
