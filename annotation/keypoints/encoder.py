"""The image encoder of segment-anything with attention in blocks that stay in the processor's cache.

The published module (``modeling/image_encoder.py``) holds the scores of all heads at once: 4096 x 4096 x 12 floats of
ViT-B, through memory several times a layer. The same sums are done here for one block of scores after the other; all
other steps are the module's own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

SCORES = 1 << 21
"""Scores of attention held at a time: 8 MB of float32. Fewer would mean more waiting of threads for each other."""


def encode(encoder: Any, images: Tensor) -> Tensor:
    """What ``encoder(images)`` returns, [B, C, h, w], for an ``ImageEncoderViT`` and [B, 3, side, side]."""
    tokens = encoder.patch_embed(images)
    if encoder.pos_embed is not None:
        tokens = tokens + encoder.pos_embed
    for block in encoder.blocks:
        seen = block.norm1(tokens)
        if block.window_size > 0:
            windows, whole = _to_windows(seen, block.window_size)
            seen = _from_windows(_attend(block.attn, windows), whole)[:, : tokens.shape[1], : tokens.shape[2]]
        else:
            seen = _attend(block.attn, seen)
        tokens = tokens + seen
        tokens = tokens + block.mlp(block.norm2(tokens))
    features: Tensor = encoder.neck(tokens.permute(0, 3, 1, 2))
    return features


def _to_windows(tokens: Tensor, side: int) -> tuple[Tensor, tuple[int, int, int]]:
    """[B, H, W, C] -> [windows, side, side, C], padded with zeros; and batch, rows and columns of windows."""
    batch, height, width, _ = tokens.shape
    padded = torch.nn.functional.pad(tokens, (0, 0, 0, -width % side, 0, -height % side))
    split = padded.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3)
    return split.flatten(0, 2), (batch, split.shape[1], split.shape[2])


def _from_windows(windows: Tensor, whole: tuple[int, int, int]) -> Tensor:
    return windows.unflatten(0, whole).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _attend(attention: Any, tokens: Tensor) -> Tensor:
    """Attention of each of B maps [B, H, W, C] to itself, with decomposed relative positions."""
    batch, height, width, _ = tokens.shape
    count, heads = height * width, attention.num_heads
    projected = attention.qkv(tokens).view(batch, count, 3, heads, -1).permute(2, 0, 3, 1, 4)
    queries, keys, values = projected.reshape(3, batch * heads, count, -1).unbind(0)
    if attention.use_rel_pos:
        grid = queries.unflatten(1, (height, width))
        rows = grid @ _relative(attention.rel_pos_h, height).transpose(1, 2)[:, None].transpose(0, 1)
        columns = (grid.transpose(1, 2) @ _relative(attention.rel_pos_w, width).transpose(1, 2)).transpose(1, 2)
    seen = torch.empty_like(queries)
    room = queries.new_empty(
        2, max(SCORES, count * width)
    )  # used again and again: fresh memory costs more than the sums
    for maps, some in _parts(batch * heads, height, count, width):
        first, last = some.start * width, some.stop * width
        shape = (maps.stop - maps.start, last - first, count)
        scores, weights = room[:, : math.prod(shape)].unflatten(1, shape)
        torch.bmm(queries[maps, first:last] * attention.scale, keys[maps].transpose(1, 2), out=scores)
        if attention.use_rel_pos:
            apart = scores.view(-1, some.stop - some.start, width, height, width)
            apart += rows[maps, some, :, :, None]
            apart += columns[maps, some, :, None, :]
        torch.softmax(scores, dim=-1, out=weights)
        torch.bmm(weights, values[maps], out=seen[maps, first:last])
    seen = seen.view(batch, heads, height, width, -1).permute(0, 2, 3, 1, 4).reshape(batch, height, width, -1)
    result: Tensor = attention.proj(seen)
    return result


def _parts(maps: int, height: int, count: int, width: int) -> list[tuple[slice, slice]]:
    """Slices of maps and of rows with about :data:`SCORES` scores: whole maps where they are small."""
    whole = SCORES // (count * count)
    if whole:
        return [(slice(i, min(i + whole, maps)), slice(0, height)) for i in range(0, maps, whole)]
    rows = max(1, SCORES // (count * width))
    return [
        (slice(i, i + 1), slice(row, min(row + rows, height))) for i in range(maps) for row in range(0, height, rows)
    ]


def _relative(table: Tensor, size: int) -> Tensor:
    """[size, size, d], the row of a table of 2 * size - 1 offsets for every query and key."""
    places = torch.arange(size, device=table.device)
    return table[places[:, None] - places[None, :] + size - 1]
