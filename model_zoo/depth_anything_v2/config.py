"""Sizes of Depth Anything V2, as data, and those of V1, which is the same network read at other blocks.

Source: Depth Anything V2 (arXiv 2406.09414) and the official repository's `dpt.py` / `dinov2.py` (commit a561b84): the
tapped blocks of V2 are evenly spread. V1 (arXiv 2401.10891, LiheYoung/Depth-Anything @ 1d03336) taps the last four, and
its `run.py` enlarges the result without aligned corners.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

PATCH_SIZE = 14
"""Side of a patch in pixels; network input sides are multiples of it."""


@dataclass(frozen=True)
class DepthAnythingV2Config:
    """One network size.

    `taps` are zero-based block indices whose outputs feed the decoder. `features` is the decoder's width and
    `out_channels` the widths after the four projections, finest map first. `table_size` is the side of the square
    positional table in patches (37 for the official checkpoints, trained at 518 px). `max_depth` in metres makes the
    head metric (sigmoid times `max_depth`: 20 indoor, 80 outdoor); None is the relative head. `version` is that of
    Depth Anything.
    """

    encoder: str
    embed_dim: int
    depth: int
    num_heads: int
    mlp: str
    taps: tuple[int, int, int, int]
    features: int
    out_channels: tuple[int, int, int, int]
    table_size: int = 37
    max_depth: float | None = None
    version: int = 2

    @property
    def input_size(self) -> int:
        """Short side in pixels that the positional table was trained for (518, or 168 for `tiny`)."""
        return self.table_size * PATCH_SIZE

    def metric(self, max_depth: float) -> DepthAnythingV2Config:
        """The same network with the metric head, in metres up to `max_depth`."""
        return replace(self, max_depth=float(max_depth))


CONFIGS: dict[str, DepthAnythingV2Config] = {
    "tiny": DepthAnythingV2Config("vitt", 192, 8, 3, "mlp", (1, 3, 5, 7), 32, (24, 48, 64, 64), table_size=12),
    "small": DepthAnythingV2Config("vits", 384, 12, 6, "mlp", (2, 5, 8, 11), 64, (48, 96, 192, 384)),
    "base": DepthAnythingV2Config("vitb", 768, 12, 12, "mlp", (2, 5, 8, 11), 128, (96, 192, 384, 768)),
    "large": DepthAnythingV2Config("vitl", 1024, 24, 16, "mlp", (4, 11, 17, 23), 256, (256, 512, 1024, 1024)),
    "giant": DepthAnythingV2Config("vitg", 1536, 40, 24, "swiglu", (9, 19, 29, 39), 384, (1536, 1536, 1536, 1536)),
}


def _last_four(depth: int) -> tuple[int, int, int, int]:
    return depth - 4, depth - 3, depth - 2, depth - 1


VERSION_1: dict[str, DepthAnythingV2Config] = {
    f"{name}-v1": replace(config, taps=_last_four(config.depth), version=1) for name, config in CONFIGS.items()
}
"""The same sizes read as Depth Anything V1 reads them; published are small, base and large."""
