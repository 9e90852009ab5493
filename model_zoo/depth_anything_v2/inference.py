"""A frozen copy of the network, arranged for speed; the same function to rounding (tested to 1e-5 of the range).

What differs from `model.DepthAnythingV2`, which stays the trainable and official form:

- LayerScale is folded into the two projections it follows, and both add onto the residual stream in place;
- the decoder's 1x1 projections and its transposed convolutions (kernel = stride) are matrix products on tokens;
- queries, keys and values are laid out head by head for attention;
- the two large resize-and-convolve steps at the end run in strips of rows, so that their maps stay in the cache;
- the positional table is resampled once per size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import PATCH_SIZE
from .encoder import resample_table
from .head import enlarge
from .model import DepthAnythingV2

STRIP_BYTES = 3 << 20
"""Size aimed at for one strip of the decoder's tail: a share of the last-level cache."""

MAX_TABLES = 32
"""Resampled positional tables kept; a data set has few sizes, a folder of odd ones must not fill the memory."""

NORM_EPS = 1e-6


class _Affine(NamedTuple):
    """Weight ([out, in], or [out, in, k, k] of a convolution) and bias [out]."""

    weight: Tensor
    bias: Tensor | None


class _Block(NamedTuple):
    """One transformer block; `proj` and `fc2` have LayerScale folded in."""

    norm1: _Affine
    qkv: _Affine
    proj: _Affine
    norm2: _Affine
    fc1: _Affine
    fc2: _Affine


class InferenceNetwork:
    """Callable copy of `network` on one device in one precision; safe to call from several threads.

    With half precision the last 1x1 convolution still runs in float32: its output would otherwise have too few distinct
    values to order points by.
    """

    def __init__(self, network: DepthAnythingV2, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.config = network.config
        self.device, self.dtype = device, dtype
        state = network.state_dict()
        self.swiglu = self.config.mlp == "swiglu"
        fc1, fc2 = ("w12", "w3") if self.swiglu else ("fc1", "fc2")

        def affine(name: str, gamma: str | None = None, dtype: torch.dtype = dtype) -> _Affine:
            weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
            if gamma is not None and bias is not None:
                weight, bias = weight * state[gamma][:, None], bias * state[gamma]
            if weight.ndim == 4 and weight.shape[-1] == 3:
                weight = weight.to(memory_format=torch.channels_last)
            return _Affine(weight.to(device, dtype), None if bias is None else bias.to(device, dtype))

        self.patch = affine("pretrained.patch_embed.proj")
        self.cls_token = state["pretrained.cls_token"].to(device, dtype)
        self.pos_embed = state["pretrained.pos_embed"].to(device, torch.float32)
        self.norm = affine("pretrained.norm")
        self.blocks = [
            _Block(
                affine(f"{block}.norm1"),
                affine(f"{block}.attn.qkv"),
                affine(f"{block}.attn.proj", gamma=f"{block}.ls1.gamma"),
                affine(f"{block}.norm2"),
                affine(f"{block}.mlp.{fc1}"),
                affine(f"{block}.mlp.{fc2}", gamma=f"{block}.ls2.gamma"),
            )
            for block in (f"pretrained.blocks.{index}" for index in range(self.config.depth))
        ]
        self.projects = [_matrix(affine(f"depth_head.projects.{index}")) for index in range(4)]
        self.spreads = [_spreading_matrix(affine(f"depth_head.resize_layers.{index}")) for index in range(2)]
        self.shrink = affine("depth_head.resize_layers.3")
        scratch = "depth_head.scratch."
        self.convs = {
            name.removeprefix(scratch).removesuffix(".weight"): affine(name.removesuffix(".weight"))
            for name in state
            if name.startswith(scratch) and name.endswith(".weight")
        }
        self.last = _matrix(affine("depth_head.scratch.output_conv2.2", dtype=torch.float32))
        self._tables: dict[tuple[int, int], Tensor] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] normalised, sides multiples of 14 -> float32 [B, H, W]: disparity or metres."""
        grid = (images.shape[-2] // PATCH_SIZE, images.shape[-1] // PATCH_SIZE)
        with torch.inference_mode():
            return self._decode(self._encode(images.to(self.device, self.dtype), grid), grid)

    def table(self, grid: tuple[int, int]) -> Tensor:
        """Positional table [1, 1 + rows*columns, D] of a grid, resampled once."""
        table = self._tables.get(grid)
        if table is None:
            table = resample_table(self.pos_embed, *grid).to(self.dtype)
            if len(self._tables) >= MAX_TABLES:
                self._tables.clear()
            self._tables[grid] = table
        return table

    def _encode(self, images: Tensor, grid: tuple[int, int]) -> list[Tensor]:
        """Four normalised token maps [B, rows*columns, D]."""
        batch, dim = len(images), self.config.embed_dim
        shape = (batch, -1, 3, self.config.num_heads, dim // self.config.num_heads)
        patches = F.conv2d(images, *self.patch, stride=PATCH_SIZE).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(batch, -1, -1), patches], dim=1) + self.table(grid)
        stream = tokens.view(-1, dim)
        taps = []
        for index, block in enumerate(self.blocks):
            qkv = F.linear(F.layer_norm(stream, (dim,), *block.norm1, NORM_EPS), *block.qkv)
            q, k, v = qkv.view(shape).permute(2, 0, 3, 1, 4).contiguous()  # attention reads each head many times
            mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, dim)
            _add_linear(stream, mixed, block.proj)
            hidden = F.linear(F.layer_norm(stream, (dim,), *block.norm2, NORM_EPS), *block.fc1)
            if self.swiglu:
                gated, value = hidden.chunk(2, dim=-1)
                hidden = F.silu(gated).mul_(value)
            else:
                hidden = F.gelu(hidden)
            _add_linear(stream, hidden, block.fc2)
            if index in self.config.taps:
                taps.append(F.layer_norm(tokens[:, 1:], (dim,), *self.norm, NORM_EPS))
        return taps

    def _decode(self, taps: list[Tensor], grid: tuple[int, int]) -> Tensor:
        """Four token maps -> [B, 14*rows, 14*columns]."""
        rows, columns = grid
        levels = []
        for index, tokens in enumerate(taps):
            x = F.linear(tokens, *self.projects[index]).unflatten(1, (rows, columns))
            if index < 2:
                x = _spread(x, self.spreads[index], 4 >> index)
            x = x.permute(0, 3, 1, 2)
            if index == 3:
                x = _convolve(x, self.shrink, stride=2)
            levels.append(_convolve(x, self.convs[f"layer{index + 1}_rn"]))
        path = self._fuse(4, None, levels[3])
        for level in (3, 2, 1):
            skip = levels[level - 1]
            path = self._fuse(level, enlarge(path, (skip.shape[-2], skip.shape[-1])), skip)
        fine = (2 * path.shape[-2], 2 * path.shape[-1])
        path = resize_and_convolve(path, self.convs["output_conv1"], fine)
        full = (rows * PATCH_SIZE, columns * PATCH_SIZE)
        values = resize_and_convolve(path, self.convs["output_conv2.0"], full, last=self.last)[:, 0]
        if self.config.max_depth is None:
            return F.relu_(values)
        return torch.sigmoid_(values).mul_(self.config.max_depth)

    def _fuse(self, level: int, path: Tensor | None, skip: Tensor) -> Tensor:
        name = f"refinenet{level}"
        path = skip if path is None else self._residual(f"{name}.resConfUnit1", skip).add_(path)
        return _convolve(self._residual(f"{name}.resConfUnit2", path), self.convs[f"{name}.out_conv"])

    def _residual(self, name: str, x: Tensor) -> Tensor:
        hidden = F.relu_(_convolve(F.relu(x), self.convs[f"{name}.conv1"]))
        return _convolve(hidden, self.convs[f"{name}.conv2"]).add_(x)


def resize_and_convolve(x: Tensor, conv: _Affine, size: tuple[int, int], last: _Affine | None = None) -> Tensor:
    """3x3 `conv` of the bilinear (aligned corners) enlargement of `x` [B, C, h, w] to `size` -> [B, C', *size].

    With `last` (a matrix [1, C'] in float32), ReLU and `last` follow. On a CPU the enlargement is made and consumed in
    strips of rows; rows are interpolated first and columns second, which differs from one call by rounding only.
    """
    height, width = size
    if x.device.type != "cpu":
        return _finish(_convolve(enlarge(x, size), conv), last)
    strip = max(8, STRIP_BYTES // (len(x) * width * x.shape[1] * x.element_size()))
    x = x.permute(0, 2, 3, 1)
    # float32 positions, as F.interpolate computes them: exact ones would differ from the official result by up to 1e-5
    position = torch.arange(height, dtype=torch.float32) * (torch.tensor(x.shape[1] - 1.0) / (height - 1))
    upper = position.long().clamp_(max=x.shape[1] - 1)
    lower = (upper + 1).clamp_(max=x.shape[1] - 1)
    share = (position - upper).to(x.dtype)[:, None, None]
    channels, dtype = (len(conv.weight), x.dtype) if last is None else (len(last.weight), torch.float32)
    out = torch.empty((len(x), channels, height, width), dtype=dtype, memory_format=torch.channels_last)
    for start in range(0, height, strip):
        stop = min(start + strip, height)
        span = slice(max(start - 1, 0), min(stop + 1, height))
        above, below = x.index_select(1, upper[span]), x.index_select(1, lower[span])
        rows = torch.lerp(above, below, share[span]).permute(0, 3, 1, 2)
        rows = enlarge(rows, (rows.shape[2], width))
        rows = F.pad(rows, (0, 0, int(start == 0), int(stop == height)))
        out[:, :, start:stop] = _finish(F.conv2d(rows, *conv, padding=(0, 1)), last)
    return out


def _finish(x: Tensor, last: _Affine | None) -> Tensor:
    if last is None:
        return x
    return F.linear(F.relu_(x).permute(0, 2, 3, 1).float(), *last).permute(0, 3, 1, 2)


def _add_linear(stream: Tensor, x: Tensor, layer: _Affine) -> None:
    """stream += layer(x), without a temporary of the stream's size."""
    assert layer.bias is not None
    stream.add_(layer.bias).addmm_(x, layer.weight.t())


def _convolve(x: Tensor, conv: _Affine, stride: int = 1) -> Tensor:
    return F.conv2d(x, conv.weight, conv.bias, stride=stride, padding=conv.weight.shape[-1] // 2)


def _matrix(conv: _Affine) -> _Affine:
    """A 1x1 convolution as a matrix on channels."""
    return _Affine(conv.weight.flatten(1), conv.bias)


def _spreading_matrix(conv: _Affine) -> _Affine:
    """A transposed convolution [in, out, s, s] of stride s as a matrix [s*s*out, in] on channels."""
    inputs, outputs, kernel, _ = conv.weight.shape
    assert conv.bias is not None
    weight = conv.weight.permute(2, 3, 1, 0).reshape(kernel * kernel * outputs, inputs).contiguous()
    return _Affine(weight, conv.bias.repeat(kernel * kernel))


def _spread(x: Tensor, matrix: _Affine, stride: int) -> Tensor:
    """[B, h, w, C] -> [B, h*stride, w*stride, C] by a transposed convolution given as a matrix."""
    batch, rows, columns, channels = x.shape
    x = F.linear(x, *matrix).view(batch, rows, columns, stride, stride, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, rows * stride, columns * stride, channels)
