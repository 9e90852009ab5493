"""The official computation of Depth Anything V2, written plainly: explicit operations on a dictionary of tensors.

It shares no code with `model_zoo` (not even the configuration), uses plain attention, and follows the official order
of operations, so it serves as the reference in parity tests and as the "official structure" in the speed comparison.

Source: Depth Anything V2 repository (commit a561b84), `dinov2.py`, `dinov2_layers/`, `dpt.py`, `util/blocks.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


@dataclass(frozen=True)
class Size:
    """What the official constructors are given for one encoder."""

    dim: int
    blocks: int
    heads: int
    taps: tuple[int, ...]
    features: int
    channels: tuple[int, ...]
    swiglu_hidden: int | None = None
    table_side: int = 37


SIZES = {
    "vits": Size(384, 12, 6, (2, 5, 8, 11), 64, (48, 96, 192, 384)),
    "vitb": Size(768, 12, 12, (2, 5, 8, 11), 128, (96, 192, 384, 768)),
    "vitl": Size(1024, 24, 16, (4, 11, 17, 23), 256, (256, 512, 1024, 1024)),
    "vitg": Size(1536, 40, 24, (9, 19, 29, 39), 384, (1536,) * 4, swiglu_hidden=4096),
}


def shapes(size: Size) -> dict[str, tuple[int, ...]]:
    """Every tensor of an official checkpoint with its shape, the never-used ones included."""
    d, f = size.dim, size.features
    out: dict[str, tuple[int, ...]] = {
        "pretrained.cls_token": (1, 1, d),
        "pretrained.pos_embed": (1, 1 + size.table_side**2, d),
        "pretrained.mask_token": (1, d),
        "pretrained.patch_embed.proj.weight": (d, 3, 14, 14),
        "pretrained.patch_embed.proj.bias": (d,),
    }

    def affine(name: str, *weight: int, bias: bool = True, outputs: int | None = None) -> None:
        out[name + ".weight"] = weight
        if bias:
            out[name + ".bias"] = (weight[0] if outputs is None else outputs,)

    for i in range(size.blocks):
        block = f"pretrained.blocks.{i}"
        affine(f"{block}.norm1", d)
        affine(f"{block}.attn.qkv", 3 * d, d)
        affine(f"{block}.attn.proj", d, d)
        out[f"{block}.ls1.gamma"] = (d,)
        affine(f"{block}.norm2", d)
        if size.swiglu_hidden is None:
            affine(f"{block}.mlp.fc1", 4 * d, d)
            affine(f"{block}.mlp.fc2", d, 4 * d)
        else:
            affine(f"{block}.mlp.w12", 2 * size.swiglu_hidden, d)
            affine(f"{block}.mlp.w3", d, size.swiglu_hidden)
        out[f"{block}.ls2.gamma"] = (d,)
    affine("pretrained.norm", d)

    c = size.channels
    for i in range(4):
        affine(f"depth_head.projects.{i}", c[i], d, 1, 1)
    affine("depth_head.resize_layers.0", c[0], c[0], 4, 4)
    affine("depth_head.resize_layers.1", c[1], c[1], 2, 2)
    affine("depth_head.resize_layers.3", c[3], c[3], 3, 3)
    for i in range(4):
        affine(f"depth_head.scratch.layer{i + 1}_rn", f, c[i], 3, 3, bias=False)
    for i in range(1, 5):
        fusion = f"depth_head.scratch.refinenet{i}"
        affine(f"{fusion}.out_conv", f, f, 1, 1)
        for unit in (1, 2):
            affine(f"{fusion}.resConfUnit{unit}.conv1", f, f, 3, 3)
            affine(f"{fusion}.resConfUnit{unit}.conv2", f, f, 3, 3)
    affine("depth_head.scratch.output_conv1", f // 2, f, 3, 3)
    affine("depth_head.scratch.output_conv2.0", 32, f // 2, 3, 3)
    affine("depth_head.scratch.output_conv2.2", 1, 32, 1, 1)
    return out


def random_state(size: Size, seed: int = 0) -> State:
    """Random weights that exercise everything: a smooth positional table, varied LayerScale, a live output.

    Trained tables are low-frequency; an all-but-zero table (the usual initialisation) would hide a wrong rule.
    """
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, shape in shapes(size).items():
        noise = torch.randn(shape, generator=generator)
        if name.endswith(".gamma"):
            state[name] = 0.3 + 0.05 * noise
        elif ".norm" in name and name.endswith(".weight"):
            state[name] = 1 + 0.1 * noise
        elif name.endswith(".bias") or "_token" in name:
            state[name] = 0.1 * noise
        elif name.endswith("pos_embed"):
            state[name] = _smooth_table(size.table_side, size.dim, generator)
        else:
            transposed = name.startswith(("depth_head.resize_layers.0", "depth_head.resize_layers.1"))
            fan_in = shape[0] if transposed else math.prod(shape[1:])
            state[name] = noise / math.sqrt(fan_in)
    state["depth_head.scratch.output_conv2.2.bias"] += 2.0  # most of the map above zero, so the ReLU hides little
    return state


def _smooth_table(side: int, dim: int, generator: torch.Generator) -> Tensor:
    axis = (torch.arange(side) + 0.5) * math.pi / side
    basis = torch.stack([torch.cos(u * axis)[:, None] * torch.cos(v * axis)[None] for u in range(4) for v in range(4)])
    grid = torch.einsum("khw,kd->hwd", basis, torch.randn(len(basis), dim, generator=generator))
    grid = (grid / grid.std()).reshape(1, side * side, dim)
    return torch.cat([torch.randn(1, 1, dim, generator=generator), grid], dim=1)


def positional_table(table: Tensor, rows: int, columns: int, side: int) -> Tensor:
    """[1, 1 + side*side, D] -> [1, 1 + rows*columns, D]: bicubic by scale factor, offset 0.1, no antialias."""
    if rows == columns == side:
        return table
    patches = table[:, 1:].reshape(1, side, side, table.shape[-1]).permute(0, 3, 1, 2)
    factors = (float(rows + 0.1) / side, float(columns + 0.1) / side)
    patches = F.interpolate(patches, scale_factor=factors, mode="bicubic", antialias=False)
    assert patches.shape[-2:] == (rows, columns)
    return torch.cat([table[:, :1], patches.permute(0, 2, 3, 1).reshape(1, rows * columns, -1)], dim=1)


def encode(state: State, size: Size, images: Tensor) -> list[Tensor]:
    """Four normalised token maps [B, rows*columns, D], without the class token."""
    s = {k.removeprefix("pretrained."): v for k, v in state.items() if k.startswith("pretrained.")}
    batch, _, height, width = images.shape
    x = F.conv2d(images, s["patch_embed.proj.weight"], s["patch_embed.proj.bias"], stride=14)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([s["cls_token"].expand(batch, -1, -1), x], dim=1)
    x = x + positional_table(s["pos_embed"], height // 14, width // 14, size.table_side)

    def norm(name: str, y: Tensor) -> Tensor:
        return F.layer_norm(y, (size.dim,), s[name + ".weight"], s[name + ".bias"], eps=1e-6)

    def linear(name: str, y: Tensor) -> Tensor:
        return F.linear(y, s[name + ".weight"], s[name + ".bias"])

    head_dim = size.dim // size.heads
    outputs = []
    for i in range(size.blocks):
        block = f"blocks.{i}"
        qkv = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x))
        q, k, v = qkv.reshape(batch, -1, 3, size.heads, head_dim).permute(2, 0, 3, 1, 4)
        attention = ((q * head_dim**-0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
        mixed = (attention @ v).transpose(1, 2).reshape(batch, -1, size.dim)
        x = x + linear(f"{block}.attn.proj", mixed) * s[f"{block}.ls1.gamma"]
        y = norm(f"{block}.norm2", x)
        if size.swiglu_hidden is None:
            y = linear(f"{block}.mlp.fc2", F.gelu(linear(f"{block}.mlp.fc1", y)))
        else:
            gated, value = linear(f"{block}.mlp.w12", y).chunk(2, dim=-1)
            y = linear(f"{block}.mlp.w3", F.silu(gated) * value)
        x = x + y * s[f"{block}.ls2.gamma"]
        if i in size.taps:
            outputs.append(norm("norm", x)[:, 1:])
    return outputs


def decode(state: State, taps: list[Tensor], rows: int, columns: int, max_depth: float | None = None) -> Tensor:
    """Four token maps -> [B, 14*rows, 14*columns]."""
    s = {k.removeprefix("depth_head."): v for k, v in state.items() if k.startswith("depth_head.")}

    def conv(name: str, y: Tensor, stride: int = 1) -> Tensor:
        weight = s[name + ".weight"]
        return F.conv2d(y, weight, s.get(name + ".bias"), stride=stride, padding=weight.shape[-1] // 2)

    def up(y: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(y, size=size, mode="bilinear", align_corners=True)

    def residual(name: str, y: Tensor) -> Tensor:
        return conv(f"{name}.conv2", F.relu(conv(f"{name}.conv1", F.relu(y)))) + y

    maps = []
    for i, tokens in enumerate(taps):
        y = tokens.permute(0, 2, 1).reshape(tokens.shape[0], -1, rows, columns).contiguous()
        y = conv(f"projects.{i}", y)
        if i < 2:
            weight = s[f"resize_layers.{i}.weight"]
            y = F.conv_transpose2d(y, weight, s[f"resize_layers.{i}.bias"], stride=weight.shape[-1])
        elif i == 3:
            y = conv("resize_layers.3", y, stride=2)
        maps.append(conv(f"scratch.layer{i + 1}_rn", y))

    path = maps[3]
    for level in (4, 3, 2, 1):
        fusion = f"scratch.refinenet{level}"
        if level < 4:
            path = path + residual(f"{fusion}.resConfUnit1", maps[level - 1])
        path = residual(f"{fusion}.resConfUnit2", path)
        finer = maps[level - 2].shape[-2:] if level > 1 else (2 * path.shape[-2], 2 * path.shape[-1])
        path = conv(f"{fusion}.out_conv", up(path, tuple(finer)))
    path = up(conv("scratch.output_conv1", path), (14 * rows, 14 * columns))
    path = conv("scratch.output_conv2.2", F.relu(conv("scratch.output_conv2.0", path)))
    if max_depth is not None:
        return torch.sigmoid(path).squeeze(1) * max_depth
    return F.relu(F.relu(path)).squeeze(1)


def predict(state: State, size: Size, images: Tensor, max_depth: float | None = None) -> Tensor:
    """[B, 3, H, W] normalised -> [B, H, W]: disparity, or metres when `max_depth` is given."""
    rows, columns = images.shape[-2] // 14, images.shape[-1] // 14
    return decode(state, encode(state, size, images), rows, columns, max_depth)
