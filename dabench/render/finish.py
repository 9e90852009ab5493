"""From noisy radiance to a photograph-like image: denoising, ambient light, air, weather, camera, and painted styles.

Nothing here touches the depth map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dabench.render.backend import Geometry, Shaded
from dabench.render.patterns import spectral_noise


def denoise(light: np.ndarray, geometry: Geometry, passes: int = 4) -> np.ndarray:
    """Smooth lighting [H, W, 3] (linear, texture divided out) with an edge-avoiding a-trous filter.

    Dammertz et al., Edge-Avoiding A-Trous Wavelet Transform for Fast Global Illumination Filtering, HPG 2010, with
    depth and normal as edge stops.
    """
    light = np.minimum(light, cv2.medianBlur(light.astype(np.float32), 5) * 3 + 0.05)  # fireflies
    depth = np.log(np.maximum(geometry.depth, 1e-3))
    normal = geometry.normal
    slope = [np.abs(step) for step in np.gradient(depth)]
    steep = np.minimum(cv2.blur(slope[0] + slope[1], (3, 3)), 0.2) + 0.01
    for step in (1, 2, 4, 8)[:passes]:
        guide = cv2.blur(light, (5, 5)).mean(axis=-1)
        tolerance = (1.2, 0.8, 0.4, 0.25)[(1, 2, 4, 8).index(step)] * guide + 1e-3
        total = light.copy()
        weight = np.ones(depth.shape, np.float32)
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)):
            shift = (dy * step, dx * step)
            other = np.roll(light, shift, (0, 1))
            stop = np.abs(np.roll(depth, shift, (0, 1)) - depth) / (steep * step * 2)
            stop += np.abs(np.roll(guide, shift, (0, 1)) - guide) / tolerance
            same = np.clip((np.roll(normal, shift, (0, 1)) * normal).sum(axis=-1), 0, 1) ** 16
            w = (np.exp(-stop) * same * (0.6 if dx and dy else 0.8)).astype(np.float32)
            total += other * w[..., None]
            weight += w
        light = total / weight[..., None]
    return light


def ambient(geometry: Geometry, colour: tuple[float, float, float]) -> np.ndarray:
    """Light from everywhere, linear [H, W, 3]: dimmed in creases (screen-space occlusion) and on faces turned down."""
    depth = np.where(geometry.depth > 0, geometry.depth, 1e4).astype(np.float32)
    sunk = np.zeros_like(depth)
    for size in (9, 25):
        near = cv2.blur(np.minimum(depth, 2 * cv2.erode(depth, np.ones((size, size), np.uint8))), (size, size))
        sunk += np.clip((depth - near) / (0.04 * depth + 0.05), 0, 1) * 0.25
    facing = 0.75 + 0.25 * geometry.normal[..., 2]
    shade = facing * (1 - sunk) * ((geometry.depth > 0) & ~geometry.see_through)
    return (shade[..., None] * np.asarray(colour)).astype(np.float32)


def compose(
    samples: Sequence[Shaded], centre: Geometry, albedo: np.ndarray, fill: tuple[float, float, float]
) -> np.ndarray:
    """Radiance float32 [H, W, 3]: the samples' light denoised, ambient light added, textures multiplied, averaged.

    `albedo` is that of the pixels' centres, which count as one more sample without light of its own.

    Samples on another surface than the pixel's centre take a neighbour's light, or keep their own noisy one, so that
    edges stay smooth. `fill` is the ambient light relative to the mean light.
    """
    lights = np.stack([sample.light for sample in samples])
    same: np.ndarray = np.stack(
        [
            (sample.geometry.surface == centre.surface) & ((sample.geometry.normal * centre.normal).sum(axis=-1) > 0.7)
            for sample in samples
        ]
    )
    count = np.maximum(same.sum(axis=0), 1)[..., None]
    light = np.where(
        np.asarray(same.any(axis=0))[..., None], (lights * same[..., None]).sum(axis=0) / count, lights.mean(axis=0)
    )
    light = light.astype(np.float32)
    hit = centre.depth > 0
    typical = light[hit].mean(axis=-1) if hit.any() else np.ones(1)
    mean = float(np.minimum(typical, 6 * np.median(typical) + 0.1 * typical.mean() + 1e-4).mean())
    smooth = np.where(hit[..., None], denoise(light, centre), light)
    settled = smooth + ambient(centre, (fill[0] * mean, fill[1] * mean, fill[2] * mean))
    moves = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    nearby = [[np.roll(image, move, (0, 1)) for image in (settled, centre.surface, centre.normal)] for move in moves]
    total = settled * albedo
    for sample, own in zip(samples, same, strict=True):
        value = np.where(own[..., None], settled, np.minimum(sample.light, 12 * mean))
        lost = ~own
        for other_light, other_surface, other_normal in nearby:
            fits = lost & (other_surface == sample.geometry.surface)
            fits &= (other_normal * sample.geometry.normal).sum(axis=-1) > 0.7
            value[fits] = other_light[fits]
            lost &= ~fits
        total += value * sample.albedo
    return np.asarray(total / (len(samples) + 1), dtype=np.float32)


def lay_panes(radiance: np.ndarray, pane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Thin glass over what is behind it: a faint tint, and a dim mirrored picture with streaks of light.

    radiance is linear [H, W, 3]; pane is bool [H, W].
    """
    mirrored = cv2.GaussianBlur(radiance[:, ::-1].astype(np.float32), (0, 0), float(rng.uniform(1, 4)))
    y, x = np.mgrid[: pane.shape[0], : pane.shape[1]]
    phase = x * rng.uniform(-0.05, 0.05) + y * rng.uniform(-0.05, 0.05) + rng.uniform(0, 6)
    streak = np.clip(np.sin(phase), 0, 1)[..., None] ** 3 * float(np.median(radiance)) * rng.uniform(0, 1.0)
    tint = np.array([rng.uniform(0.75, 0.95), rng.uniform(0.85, 0.97), rng.uniform(0.8, 0.97)])
    glazed = radiance * tint + mirrored * rng.uniform(0.04, 0.3) + streak
    return np.where(pane[..., None], glazed, radiance).astype(np.float32)


def attenuate(image: np.ndarray, depth: np.ndarray, density: np.ndarray, air: np.ndarray) -> np.ndarray:
    """Beer-Lambert air or water: density [3] per metre, air colour [3] or [H, W, 3]; the sky is fully air."""
    distance = np.where(depth > 0, depth, 1e4)[..., None]
    clear = np.exp(-distance * density)
    result: np.ndarray = image * clear + air * (1 - clear)
    return result.astype(np.float32)


@dataclass(frozen=True)
class Lens:
    """Camera settings of one photograph. exposure places the mean (linear); noise is the sensor's sigma at mid grey."""

    exposure: float
    white: tuple[float, float, float]
    contrast: float
    saturation: float
    vignette: float
    noise: float
    blur: float


def random_lens(rng: np.random.Generator, *, indoor: bool = False, dark: bool = False) -> Lens:
    """Settings spread like hand-held photographs: warm casts indoors, vignettes, a little noise and blur."""
    warm = rng.normal(0.06 if indoor else 0.0, 0.12 if indoor else 0.07)
    green = rng.normal(0, 0.03)
    exposure = float(np.exp(rng.normal(np.log(0.05 if dark else 0.19), 0.4)))
    return Lens(
        exposure,
        (float(np.exp(warm)), float(np.exp(green)), float(np.exp(-warm))),
        float(rng.uniform(0.85, 1.25)),
        float(rng.uniform(0.7, 1.3)),
        float(rng.uniform(0, 0.5)),
        float(abs(rng.normal(0, 0.03 if dark else 0.012))),
        float(abs(rng.normal(0, 0.35))),
    )


def develop(radiance: np.ndarray, lens: Lens, rng: np.random.Generator) -> np.ndarray:
    """Expose, white-balance, vignette, tone-map and add sensor noise; linear [H, W, 3] to sRGB float32 0..1."""
    height, width = radiance.shape[:2]
    luminance = radiance.mean(axis=-1)
    key = float(np.exp(np.log(luminance + 1e-4).mean()))
    average = 0.5 * key + 0.5 * float(np.minimum(luminance, 8 * key).mean())
    image = radiance * (lens.exposure / max(average, 1e-5)) * np.asarray(lens.white)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    image = image * (1 - lens.vignette * 0.5 * (x * x + y * y))[..., None]
    image = np.clip(
        image * (1 + image / 4.0) / (1 + 0.6 * image), 0, 1
    )  # shoulder after Reinhard et al., SIGGRAPH 2002
    image = np.where(image <= 0.0031308, 12.92 * image, 1.055 * image ** (1 / 2.4) - 0.055)
    image = np.clip(0.5 + (image - 0.5) * lens.contrast, 0, 1)
    grey = image.mean(axis=-1, keepdims=True)
    image = np.clip(grey + (image - grey) * lens.saturation, 0, 1)
    if lens.blur > 0.35:
        image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), lens.blur)
    noise = rng.normal(0, 1, image.shape) * lens.noise
    return np.clip(image + noise, 0, 1).astype(np.float32)


def rain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bright slanted streaks over an sRGB image."""
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.float32)
    slant = rng.normal(0, 0.25)
    for _ in range(int(rng.integers(80, 320))):
        x, y, length = rng.uniform(0, width), rng.uniform(-20, height), rng.uniform(4, 26)
        end = (int(x + slant * length), int(y + length))
        cv2.line(layer, (int(x), int(y)), end, float(rng.uniform(0.1, 0.5)), 1, cv2.LINE_AA)
    streaks = cv2.GaussianBlur(layer, (0, 0), 0.6)[..., None]
    return np.clip(image * (1 - 0.5 * streaks) + 0.75 * streaks, 0, 1).astype(np.float32)


def motion_blur(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smear an image along a random direction by a few per cent of its width."""
    length = max(3, int(image.shape[1] * rng.uniform(0.015, 0.05)))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    centre = (length - 1) / 2
    dx, dy = np.cos(angle) * centre, np.sin(angle) * centre
    ends = [(round(centre + s * dx), round(centre + s * dy)) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.float32)


def outlines(geometry: Geometry, thick: bool) -> np.ndarray:
    """Ink lines, bool [H, W]: depth steps, creases and material borders."""
    depth = np.log(np.where(geometry.depth > 0, geometry.depth, 1e4))
    edge = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        step = np.abs(np.diff(depth, axis=axis, append=depth.take([-1], axis)))
        crease = (geometry.normal * np.roll(geometry.normal, -1, axis)).sum(axis=-1) < 0.75
        border = geometry.surface != np.roll(geometry.surface, -1, axis)
        hit = (step > 0.12) | ((crease | border) & (step < 4))
        np.moveaxis(hit, axis, 0)[-1] = False
        edge |= hit
    if thick:
        edge = cv2.dilate(edge.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0
    return edge


def _toon(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    levels = int(rng.integers(3, 7))
    smooth = cv2.bilateralFilter(image, 7, 0.2, 5)
    value = smooth.max(axis=-1, keepdims=True)
    flat = smooth * (np.ceil(value * levels) / levels / np.maximum(value, 1e-3))
    grey = flat.mean(axis=-1, keepdims=True)
    flat = np.clip(grey + (flat - grey) * rng.uniform(1.1, 1.9), 0, 1)
    if rng.random() < 0.85:
        flat[outlines(geometry, bool(rng.random() < 0.4))] = rng.uniform(0, 0.2)
    return flat


def _painting(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    radius = int(rng.integers(2, 4))
    stack, spread = [], []
    for dy in (-radius, radius):  # Kuwahara: of four neighbourhoods, the calmest one's mean
        for dx in (-radius, radius):
            moved = np.roll(image, (dy, dx), (0, 1))
            mean = cv2.blur(moved, (2 * radius + 1,) * 2)
            stack.append(mean)
            spread.append((cv2.blur(moved * moved, (2 * radius + 1,) * 2) - mean * mean).sum(axis=-1))
    best = np.argmin(spread, axis=0)
    painted = np.take_along_axis(np.stack(stack), best[None, ..., None], axis=0)[0]
    canvas = spectral_noise(rng, 0.6, 3.0, 256)[: image.shape[0], : image.shape[1]]
    canvas = cv2.resize(canvas, image.shape[1::-1])
    return np.clip(painted * (0.9 + 0.2 * canvas[..., None]) ** 1.0, 0, 1)


def _sketch(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    grey = image.mean(axis=-1)
    paper = 0.86 + 0.14 * grey
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    for threshold, sign in ((0.5, 1), (0.3, -1)):
        hatch = ((x + sign * y) % 4 < 1.5) & (grey < threshold)
        paper = np.where(hatch, paper * 0.6, paper)
    paper = np.where(outlines(geometry, False), 0.15, paper)
    tint = np.array([1.0, rng.uniform(0.88, 1.0), rng.uniform(0.72, 1.0)])
    wash = rng.uniform(0, 0.5)
    return np.clip((paper[..., None] * tint) * (1 - wash) + wash * image * paper[..., None], 0, 1)


def _flat_colours(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    result = image.copy()
    soft = rng.uniform(0.0, 0.45)
    for number in np.unique(geometry.surface):
        inside = geometry.surface == number
        mean = image[inside].mean(axis=0)
        result[inside] = soft * image[inside] + (1 - soft) * mean
    grey = result.mean(axis=-1, keepdims=True)
    result = np.clip(grey + (result - grey) * rng.uniform(1.0, 1.8), 0, 1)
    if rng.random() < 0.5:
        result[outlines(geometry, False)] *= rng.uniform(0.1, 0.6)
    return result


def _pixel_art(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    cell = int(rng.integers(2, 4))
    small = cv2.resize(image, (width // cell, height // cell), interpolation=cv2.INTER_AREA)
    levels = int(rng.integers(4, 9))
    return np.asarray(cv2.resize(np.rint(small * levels) / levels, (width, height), interpolation=cv2.INTER_NEAREST))


def _plain_render(image: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    grey = image.mean(axis=-1, keepdims=True)
    return np.clip(grey + (image - grey) * rng.uniform(1.2, 2.0), 0, 1)


STYLES: dict[str, Callable[[np.ndarray, Geometry, np.random.Generator], np.ndarray]] = {
    "toon": _toon,
    "painting": _painting,
    "sketch": _sketch,
    "flat": _flat_colours,
    "pixels": _pixel_art,
    "plain": _plain_render,
}


def stylise(image: np.ndarray, geometry: Geometry, rng: np.random.Generator, style: str) -> np.ndarray:
    """An sRGB image 0..1 redrawn as toon, painting, sketch, flat colours, pixel art or saturated game graphics."""
    return np.asarray(STYLES[style](image.astype(np.float32), geometry, rng), dtype=np.float32)
