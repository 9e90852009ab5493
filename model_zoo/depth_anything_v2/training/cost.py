"""Arithmetic and memory of Depth Anything V2, counted from its sizes.

FLOPs are two a multiply-add, of matrix products and convolutions, as `torch.utils.flop_counter` counts them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config import PATCH_SIZE, DepthAnythingV2Config

SWIGLU_RATIO = 2.66667
"""Hidden width of the giant's feed-forward layers over its width (DINOv2, `vision_transformer.py`)."""

HEAD_CHANNELS = 32
"""Width of the head at full resolution."""


@dataclass(frozen=True)
class Grid:
    """Pixels of each map of the decoder for an input of `height` x `width` pixels."""

    height: int
    width: int

    @property
    def patches(self) -> int:
        """Tokens without the class token."""
        return (self.height // PATCH_SIZE) * (self.width // PATCH_SIZE)

    @property
    def levels(self) -> tuple[int, int, int, int]:
        """Pixels at strides 3.5, 7, 14 and 28."""
        rows, columns = self.height // PATCH_SIZE, self.width // PATCH_SIZE
        return 16 * self.patches, 4 * self.patches, self.patches, ((rows + 1) // 2) * ((columns + 1) // 2)

    @property
    def pixels(self) -> int:
        """Of the input."""
        return self.height * self.width


def hidden_widths(config: DepthAnythingV2Config) -> tuple[int, int]:
    """(outputs of the first, inputs of the second) feed-forward layer; a SwiGLU multiplies its two halves."""
    if config.mlp == "swiglu":
        both = int(config.embed_dim * SWIGLU_RATIO * 2)
        return both, both // 2
    return 4 * config.embed_dim, 4 * config.embed_dim


def encoder_flops(config: DepthAnythingV2Config, size: tuple[int, int]) -> int:
    """Forward FLOPs of the encoder for one image of `size` (rows, columns) in pixels."""
    width, patches = config.embed_dim, Grid(*size).patches
    tokens = patches + 1
    into, out_of = hidden_widths(config)
    projections = 2 * tokens * width * (3 * width + width + into) + 2 * tokens * out_of * width
    attention = 2 * 2 * tokens * tokens * width
    return 2 * patches * 3 * PATCH_SIZE**2 * width + config.depth * (projections + attention)


def head_flops(config: DepthAnythingV2Config, size: tuple[int, int]) -> int:
    """Forward FLOPs of the decoder for one image of `size` (rows, columns) in pixels."""
    grid = Grid(*size)
    levels, features, channels = grid.levels, config.features, config.out_channels
    total = sum(2 * grid.patches * config.embed_dim * c for c in channels)
    total += 2 * grid.patches * (16 * channels[0] ** 2 + 4 * channels[1] ** 2)  # the two transposed convolutions
    total += 2 * levels[3] * 9 * channels[3] ** 2
    total += sum(2 * pixels * 9 * c * features for pixels, c in zip(levels, channels, strict=True))
    convolutions = (4, 4, 4, 2)  # 3x3, of the residual units of a fusion; the coarsest has one unit
    total += sum(2 * n * pixels * 9 * features**2 for n, pixels in zip(convolutions, levels, strict=True))
    total += sum(2 * pixels * features**2 for pixels in levels)
    total += 2 * 4 * levels[0] * 9 * features * (features // 2)
    return total + 2 * grid.pixels * (9 * (features // 2) * HEAD_CHANNELS + HEAD_CHANNELS)


def forward_flops(config: DepthAnythingV2Config, size: tuple[int, int]) -> int:
    """Forward FLOPs of the network for one image of `size` (rows, columns) in pixels."""
    return encoder_flops(config, size) + head_flops(config, size)


def training_flops(
    config: DepthAnythingV2Config, size: tuple[int, int], *, checkpointing: bool = False, frozen_encoder: bool = False
) -> int:
    """FLOPs of a training step for one image: the backward pass counts twice the forward pass.

    checkpointing: the encoder's blocks are computed a second time. frozen_encoder: the feature alignment's second
    encoder, forward only.
    """
    again = checkpointing + frozen_encoder
    return 3 * forward_flops(config, size) + again * encoder_flops(config, size)


def activation_bytes(
    config: DepthAnythingV2Config, size: tuple[int, int], *, half: bool, checkpointing: bool = False
) -> int:
    """Bytes that the backward pass keeps of one image: the tensors that autograd saves, attention being fused.

    half: 16-bit arithmetic under autocast, with the last convolution in float32. With checkpointing, the input of every
    block and what one block keeps while it is computed again. Temporary buffers and fragmentation are not in it.
    """
    width, grid = config.embed_dim, Grid(*size)
    tokens = grid.patches + 1
    into, out_of = hidden_widths(config)
    hidden = into + (2 if config.mlp == "swiglu" else 1) * out_of
    element = 2 if half else 4
    # in float32 the two norms' inputs; in `element` their outputs, q, k, v, and the outputs of the three projections
    block = tokens * (2 * 4 * width + element * (8 * width + hidden))
    encoder = config.depth * tokens * 4 * width + block if checkpointing else config.depth * block
    features, channels = config.features, config.out_channels
    first, second, third, fourth = grid.levels
    maps = grid.patches * (4 * width + sum(channels)) + first * channels[0] + second * channels[1]
    maps += fourth * channels[3] + features * (5 * (first + second + third) + 3 * fourth)
    maps += 4 * first * features + grid.pixels * (features // 2 + HEAD_CHANNELS)
    return encoder + element * maps + 4 * grid.pixels * (1 + (HEAD_CHANNELS if half else 0))
