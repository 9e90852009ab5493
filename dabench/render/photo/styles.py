"""Pictures that are not photographs in the photo split: halftone, mosaic, watercolour, woodcut, duotone, tilt-shift."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from dabench.render.backend import Geometry
from dabench.render.noise import spectral_noise

Style = Callable[[np.ndarray, Geometry, np.random.Generator], np.ndarray]


def _halftone(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Dots whose size follows the tone, one screen a printing ink."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    cell, paper = rng.uniform(3.5, 6.0), np.array([1.0, rng.uniform(0.92, 1.0), rng.uniform(0.8, 0.95)])
    result = np.ones_like(image) * paper
    for channel, angle in enumerate(rng.uniform(0, np.pi / 2) + np.array([0.0, 0.5, 1.0])):
        u = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / cell
        v = (y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / cell
        screen = 0.5 + 0.25 * (np.cos(u) + np.cos(v))
        ink = np.clip((1 - image[..., channel] - screen) * 4 + 0.5, 0, 1)
        result[..., channel] *= 1 - 0.92 * ink
    return 0.75 * result + 0.25 * image


def _mosaic(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Irregular tesserae with dark joints."""
    height, width = image.shape[:2]
    cell = int(rng.integers(4, 8))
    rows, columns = height // cell + 3, width // cell + 3
    jitter = rng.uniform(-0.35, 0.35, (rows, columns, 2))
    y, x = np.mgrid[:height, :width] / cell
    best, second = np.full((height, width), 9.0), np.full((height, width), 9.0)
    where = np.zeros((height, width, 2))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            i, j = np.floor(y).astype(int) + dy, np.floor(x).astype(int) + dx
            shift = jitter[i + 1, j + 1]
            cy, cx = i + 0.5 + shift[..., 0], j + 0.5 + shift[..., 1]
            away = np.hypot(y - cy, x - cx)
            closer = away < best
            second = np.where(closer, best, np.minimum(second, away))
            where = np.where(closer[..., None], np.stack([cy, cx], -1), where)
            best = np.minimum(best, away)
    row = np.clip(where[..., 0] * cell, 0, height - 1).astype(int)
    column = np.clip(where[..., 1] * cell, 0, width - 1).astype(int)
    tile = cv2.blur(image, (cell, cell))[row, column] * (
        0.9 + 0.2 * spectral_noise(rng, 0.2)[row % 128, column % 128, None]
    )
    return np.where((second - best < 0.16)[..., None], rng.uniform(0.1, 0.5), tile)


def _watercolour(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Washes that pool at their rims, on grained paper."""
    height, width = image.shape[:2]
    wash = np.asarray(image, dtype=np.float32)
    for _ in range(3):
        wash = np.asarray(cv2.bilateralFilter(wash, 9, 0.25, 6))
    levels = rng.integers(5, 10)
    smooth = (np.floor(wash * levels) + np.clip((wash * levels % 1) * 3 - 1, 0, 1)) / levels
    grey = smooth.mean(axis=-1)
    rim = np.clip(
        np.abs(cv2.Laplacian(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0), cv2.CV_32F)) * 5, 0, 0.35
    )
    paper = cv2.resize(spectral_noise(rng, 0.7), (width, height))
    spread = cv2.resize(spectral_noise(rng, 1.8), (width, height))
    light = 1 - (1 - smooth) * (0.7 + 0.5 * (spread[..., None] - 0.5))
    return (light - rim[..., None]) * (0.9 + 0.14 * paper[..., None]) + 0.05


def _woodcut(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Carved lines that swell with darkness and follow the surfaces."""
    height, width = image.shape[:2]
    grey = cv2.GaussianBlur(image.mean(axis=-1).astype(np.float32), (0, 0), 1.0)
    y, x = np.mgrid[:height, :width]
    facing = geometry.normal[..., 0] * 1.2 + geometry.normal[..., 2] * 0.7
    turn = cv2.GaussianBlur(facing.astype(np.float32), (0, 0), 3.0)
    line = 0.5 + 0.5 * np.sin((y * np.cos(turn) + x * np.sin(turn)) * 2 * np.pi / rng.uniform(3.2, 5.0))
    black = np.clip((1 - grey * 1.15 - line) * 4 + 0.5, 0, 1)[..., None]
    paper, ink = rng.uniform([0.85, 0.78, 0.6], [0.98, 0.95, 0.88]), rng.uniform(0, 0.25, 3)
    tint = rng.uniform(0, 0.4)
    return (paper * (1 - tint) + tint * image) * (1 - black) + ink * black


def _duotone(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Two inks, as of cyanotypes, sepia prints and thermal pictures."""
    grey = image @ np.array([0.3, 0.59, 0.11])
    dark, light = rng.uniform(0, 0.35, 3), rng.uniform(0.7, 1.0, 3)
    middle = rng.uniform(0.1, 0.9, 3) if rng.random() < 0.5 else (dark + light) / 2
    stops = np.stack([dark, middle, light])
    return np.stack([np.interp(grey, [0, 0.5, 1], stops[:, k]) for k in range(3)], -1)


def _tilt_shift(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """A toy-like picture: strong colours, blurred above and below a band."""
    y = np.linspace(0, 1, image.shape[0])[:, None, None]
    away = np.clip(np.abs(y - rng.uniform(0.35, 0.7)) * 3 - 0.4, 0, 1)
    soft = cv2.GaussianBlur(image, (0, 0), 2.5)
    mixed = image * (1 - away) + soft * away
    grey = mixed.mean(axis=-1, keepdims=True)
    return grey + (mixed - grey) * rng.uniform(1.5, 2.1)


PHOTO_STYLES: dict[str, Style] = {
    "halftone": _halftone,
    "mosaic": _mosaic,
    "watercolour": _watercolour,
    "woodcut": _woodcut,
    "duotone": _duotone,
    "tilt_shift": _tilt_shift,
}
"""Each takes an sRGB image float [H, W, 3] in 0..1 and returns one of about that range."""
