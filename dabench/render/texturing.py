"""Texture lookup on rendered texture coordinates, with mip levels; used where lighting and texture are kept apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dabench.render.kit import Material
from dabench.render.patterns import coloured, pattern


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB 0..1 to linear 0..1, any shape."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def page(material: Material) -> np.ndarray:
    """The material's texture as sRGB uint8 [H, W, 3]; 1 x 1 when it is plain."""
    dark = np.asarray(material.colour)
    if material.pattern is None:
        return (np.clip(dark, 0, 1) * 255 + 0.5).astype(np.uint8).reshape(1, 1, 3)
    light = np.asarray(material.second or material.colour)
    accent = None if material.accent is None else np.asarray(material.accent)
    return coloured(pattern(*material.pattern), dark, light, accent)


class Palette:
    """The textures of one scene, evaluated at (material, u, v) with a footprint; built lazily."""

    def __init__(self, materials: Sequence[Material]):
        self.materials = list(materials)
        self._levels: dict[int, list[np.ndarray]] = {}

    def levels(self, number: int) -> list[np.ndarray]:
        """Mip chain of a material, linear float32, halving from full size to 1 x 1."""
        if number not in self._levels:
            image = to_linear(page(self.materials[number]).astype(np.float32) / 255).astype(np.float32)
            chain: list[np.ndarray] = [image]
            while chain[-1].shape[0] > 1:
                a = chain[-1]
                chain.append((a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]) / 4)
            self._levels[number] = chain
        return self._levels[number]

    def sample(self, material: np.ndarray, uv: np.ndarray) -> np.ndarray:
        """Linear colour float32 [H, W, 3] of materials [H, W] (-1: white) at uv [H, W, 2] in texture periods."""
        footprint = np.full(material.shape, np.inf, np.float32)
        for axis in (0, 1):
            step = np.abs(np.diff(uv, axis=axis, append=uv.take([-1], axis))).max(axis=-1)
            same = material == np.roll(material, -1, axis)
            footprint = np.minimum(footprint, np.where(same & (step > 0), step, np.inf))
        footprint = np.where(np.isfinite(footprint), footprint, 1e-3)
        colour = np.ones((*material.shape, 3), np.float32)
        for number in np.unique(material):
            if number < 0:
                continue
            chain = self.levels(int(number))
            inside = np.nonzero(material == number)
            if len(chain) == 1:
                colour[inside] = chain[0][0, 0]
                continue
            texels = footprint[inside] * chain[0].shape[0]
            level = np.clip(np.rint(np.log2(np.maximum(texels, 1e-6))), 0, len(chain) - 1).astype(int)
            place = uv[inside]
            values = np.empty((len(level), 3), np.float32)
            for lod in np.unique(level):
                chosen = level == lod
                values[chosen] = _bilinear(chain[lod], place[chosen])
            colour[inside] = values
        return colour


def _bilinear(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Repeat-wrapped bilinear lookup, v upwards; image [N, N, 3], uv [K, 2]."""
    n = image.shape[0]
    x, y = (uv[:, 0] % 1) * n - 0.5, (1 - uv[:, 1] % 1) * n - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    a, b = image[y0 % n, x0 % n], image[y0 % n, (x0 + 1) % n]
    c, d = image[(y0 + 1) % n, x0 % n], image[(y0 + 1) % n, (x0 + 1) % n]
    return np.asarray((a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy, dtype=np.float32)
