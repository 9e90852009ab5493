"""DINOv2 image encoder: timm's vision transformer, tapped at four blocks, with the official positional rule.

timm and the official code agree to rounding except for the positional table at any size other than the trained one
(timm resamples to a target size with an antialiased cubic; DINOv2 gives bicubic a scale factor with an offset of 0.1
and no antialias), which moves the output by about 3 % of its range. The rule here is the official one.

Source: DINOv2 (arXiv 2304.07193), `dinov2/models/vision_transformer.py`, `interpolate_pos_encoding`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .config import PATCH_SIZE, DepthAnythingV2Config

TABLE_OFFSET = 0.1
"""Added to the target grid before dividing by the table's side; it guards the floor in the output size."""

# official name of a SwiGLU layer -> timm's; the two halves of w12 (SiLU half first) keep their order
SWIGLU_NAMES = {".mlp.w12.": ".mlp.fc1.", ".mlp.w3.": ".mlp.fc2."}


def resample_table(table: Tensor, height: int, width: int) -> Tensor:
    """Positional table for a grid of `height` x `width` patches by the official rule.

    `table` is [1, 1 + n*n, D] with the class token first; the result is [1, 1 + height*width, D] in the same dtype.
    """
    side = math.isqrt(table.shape[1] - 1)
    if height == side and width == side:
        return table
    grid = table[:, 1:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = ((height + TABLE_OFFSET) / side, (width + TABLE_OFFSET) / side)
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic", antialias=False)
    if grid.shape[-2:] != (height, width):
        raise ValueError(f"a table of {side}x{side} gives {tuple(grid.shape[-2:])}, not {(height, width)} patches")
    tokens = grid.permute(0, 2, 3, 1).flatten(1, 2).to(table.dtype)
    return torch.cat([table[:, :1], tokens], dim=1)


class DinoV2Encoder(VisionTransformer):
    """DINOv2 without registers. Its state dict has the official names, those of the giant's SwiGLU included."""

    def __init__(self, config: DepthAnythingV2Config, drop_path_rate: float = 0.0) -> None:
        swiglu = config.mlp == "swiglu"
        mlp_options: dict[str, Any] = {"mlp_ratio": 4.0}
        if swiglu:
            mlp_options = {"mlp_ratio": 2.66667 * 2, "mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}
        super().__init__(
            img_size=config.table_size * PATCH_SIZE,
            patch_size=PATCH_SIZE,
            embed_dim=config.embed_dim,
            depth=config.depth,
            num_heads=config.num_heads,
            init_values=1.0,  # the official LayerScale; timm's 1e-5 would all but disconnect a fresh network
            num_classes=0,
            dynamic_img_size=True,
            drop_path_rate=drop_path_rate,
            **mlp_options,
        )
        self.taps = config.taps
        if swiglu:
            self._register_state_dict_hook(_to_official_names)
            self.register_load_state_dict_pre_hook(_to_timm_names)

    def forward(self, images: Tensor, table: Tensor | None = None) -> list[Tensor]:  # type: ignore[override]
        """Normalised outputs of the tapped blocks, shallow first.

        `images` is [B, 3, H, W], H and W multiples of 14; each result is [B, H/14 * W/14, D], row by row, without the
        class token. `table` may give the resampled positional table (for export: a constant of a fixed size).
        """
        # int: in a trace sizes are tensors, which the resampling cannot take; the size is fixed there
        rows, columns = (int(side) // PATCH_SIZE for side in images.shape[-2:])
        tokens = self.patch_embed.proj(images).flatten(2).transpose(1, 2)
        assert self.pos_embed is not None and self.cls_token is not None  # timm allows networks without
        table = resample_table(self.pos_embed, rows, columns) if table is None else table
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1) + table
        outputs = []
        for index, block in enumerate(self.blocks):
            tokens = _run(block, tokens, recompute=self.grad_checkpointing and self.training)
            if index in self.taps:
                outputs.append(self.norm(tokens[:, 1:]))
        return outputs


def _run(block: Callable[[Tensor], Tensor], tokens: Tensor, *, recompute: bool) -> Tensor:
    return checkpoint(block, tokens, use_reentrant=False) if recompute else block(tokens)


def _to_official_names(module: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: object) -> None:
    """Rename timm's SwiGLU layers in a state dict, keeping its order."""
    for key in list(state):
        value = state.pop(key)
        if key.startswith(prefix):
            for official, timm_name in SWIGLU_NAMES.items():
                key = key.replace(timm_name, official)
        state[key] = value


def _to_timm_names(module: nn.Module, state: dict[str, Tensor], prefix: str, *_arguments: object) -> None:
    """Rename official SwiGLU layers for timm before loading."""
    for key in [key for key in state if key.startswith(prefix)]:
        name = key
        for official, timm_name in SWIGLU_NAMES.items():
            name = name.replace(official, timm_name)
        if name != key:
            state[name] = state.pop(key)
