"""Tiling noise, and the texture coordinates that patterns are drawn on."""

from __future__ import annotations

import numpy as np

SIZE = 128
"""Side of a texture in texels."""


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates (u, v) of the texels' centres, each [SIZE, SIZE] in 0..1; v grows downwards."""
    axis = (np.arange(SIZE) + 0.5) / SIZE
    u, v = np.meshgrid(axis, axis)
    return u, v


def spectral_noise(rng: np.random.Generator, slope: float, anisotropy: float = 1.0, size: int = SIZE) -> np.ndarray:
    """Tiling noise [size, size] in 0..1 whose amplitude falls as frequency ** -slope (photographs: 1 to 2)."""
    fy = np.fft.fftfreq(size)[:, None] * size
    fx = np.fft.rfftfreq(size)[None] * size * anisotropy
    amplitude = np.maximum(np.hypot(fx, fy), 1.0) ** -slope
    amplitude[0, 0] = 0.0
    phase = rng.uniform(0, 2 * np.pi, amplitude.shape)
    noise = np.fft.irfft2(amplitude * np.exp(1j * phase), s=(size, size))
    low, high = np.percentile(noise, [1, 99])
    return np.clip((noise - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)
