"""Depth labels as sensors give them: what structured light, stereo and lidar do to a map that was exact.

The faults are those that Depth Anything V2 holds against real labels (Yang et al., NeurIPS 2024, section 2 and
appendix): edges that are smeared, thin parts that are missing, the background measured through glass, matching errors
on repeated patterns, and noise and steps that grow with distance. Strengths are set one by one, so that an experiment
can switch off any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class SensorFaults:
    """How strong each fault is; 0 switches it off, the defaults are of a cheap stereo camera.

    edge_blur: sigma in pixels of the smear; thin: width in pixels of what is lost as too thin; hole_share: share of
    the surface lost in ragged patches, mostly at edges; glass_patches, repeat_patches: mean number of patches of each
    kind; glass_reach: how much farther the background is at most, as a factor; repeat_shift: largest period of a wrong
    match, in 96ths of the disparity range; noise: sigma of z relative to z at the nearest surface (it grows with z^2);
    quantisation: disparity steps between the farthest and the nearest pixel (0: continuous); far: nothing is measured
    beyond this many times the median depth (0: no limit).
    """

    edge_blur: float = 1.2
    thin: int = 3
    hole_share: float = 0.02
    glass_patches: float = 0.7
    glass_reach: float = 2.5
    repeat_patches: float = 1.0
    repeat_shift: float = 12.0
    noise: float = 0.01
    quantisation: int = 96
    far: float = 6.0

    def scaled(self, strength: float) -> SensorFaults:
        """The same mix of faults, weaker (below 1) or stronger; at 0 the depth stays what it was."""
        steps = 0 if strength <= 0 or self.quantisation == 0 else max(2, round(self.quantisation / strength))
        return SensorFaults(
            self.edge_blur * strength,
            round(self.thin * strength),
            self.hole_share * strength,
            self.glass_patches * strength,
            1 + (self.glass_reach - 1) * min(strength, 1.0),
            self.repeat_patches * strength,
            self.repeat_shift * strength,
            self.noise * strength,
            steps,
            0.0 if strength <= 0 else self.far / strength,
        )


def corrupt(
    depth: np.ndarray, rng: np.random.Generator, faults: SensorFaults | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sensor-like depth float32 [H, W] (metres) and its valid mask bool [H, W], from exact depth (0: no surface).

    Depth is 0 wherever the mask is False, and the mask is never True where there was no surface.
    """
    chosen = faults or SensorFaults()
    exact = np.ascontiguousarray(depth, dtype=np.float32)
    surface = exact > 0
    if not surface.any():
        return np.zeros_like(exact), surface
    measured = _through_glass(exact, surface, rng, chosen)
    lost = _thin_parts(exact, surface, chosen.thin) | _ragged(exact, surface, rng, chosen.hole_share)
    measured = _smeared(measured, surface, chosen.edge_blur)
    disparity = np.where(surface, 1 / np.maximum(measured, 1e-6), 0.0)
    step = float(np.ptp(disparity[surface])) / max(chosen.quantisation, 1) if chosen.quantisation else 0.0
    disparity = _wrong_matches(disparity, surface, rng, chosen)
    near = float(np.percentile(exact[surface], 2))
    # z^2 noise in depth is constant noise in disparity
    disparity = disparity + rng.normal(0, 1, exact.shape) * (chosen.noise / near)
    if step > 0:
        disparity = np.rint(disparity / step) * step
    lost |= surface & (disparity <= 0)
    if chosen.far > 0:
        lost |= surface & (exact > chosen.far * float(np.median(exact[surface])))
    valid = surface & ~lost
    result = np.where(valid, 1 / np.where(valid, disparity, 1.0), 0.0)
    return result.astype(np.float32), valid


def _edges(depth: np.ndarray, surface: np.ndarray, ratio: float) -> np.ndarray:
    """Pixels beside a step in depth by more than `ratio`, or beside the sky; bool [H, W]."""
    level = np.where(surface, np.log(np.maximum(depth, 1e-6)), 20.0).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(level, kernel) - cv2.erode(level, kernel) > np.log(ratio))


def _thin_parts(depth: np.ndarray, surface: np.ndarray, width: int) -> np.ndarray:
    """What stands before its surroundings and is less than about `width` pixels wide: bool [H, W]."""
    if width < 1:
        return np.zeros(depth.shape, bool)
    level = np.where(surface, np.log(np.maximum(depth, 1e-6)), 20.0).astype(np.float32)
    kernel, first = np.ones((width + 1, width + 1), np.uint8), (width + 1) // 2
    grown = cv2.dilate(level, kernel, anchor=(first, first))
    filled = cv2.erode(grown, kernel, anchor=(width - first, width - first))  # mirrored, so that nothing moves
    return np.asarray(surface & (filled - level > np.log(1.1)))


def _ragged(depth: np.ndarray, surface: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """Ragged holes, mostly on the far side of edges as occlusion makes them; a `share` of the surface in all."""
    if share <= 0:
        return np.zeros(depth.shape, bool)
    blobs = cv2.GaussianBlur(rng.standard_normal(depth.shape).astype(np.float32), (0, 0), 1.5)
    beside = cv2.GaussianBlur(_edges(depth, surface, 1.1).astype(np.float32), (0, 0), 2.0)
    score = blobs / max(float(blobs.std()), 1e-9) + 4 * beside
    return surface & (score > np.quantile(score[surface], 1 - min(share, 1.0)))


def _smeared(depth: np.ndarray, surface: np.ndarray, sigma: float) -> np.ndarray:
    """Depth averaged over surfaces across edges, so that flying pixels hang between them."""
    if sigma <= 0:
        return depth
    weight = cv2.GaussianBlur(surface.astype(np.float32), (0, 0), sigma)
    mean = cv2.GaussianBlur(np.where(surface, depth, 0).astype(np.float32), (0, 0), sigma) / np.maximum(weight, 1e-6)
    return np.where(surface, mean, depth)


def _patch(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A smooth random blob, bool [H, W], a twentieth to a quarter of the height in radius."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    cy, cx = rng.uniform(0, height), rng.uniform(0, width)
    turn = np.arctan2(y - cy, x - cx)
    lobes = 1 + 0.25 * np.sin(2 * turn + rng.uniform(0, 6.3)) + 0.15 * np.sin(3 * turn + rng.uniform(0, 6.3))
    tall, wide = rng.uniform(0.05, 0.25, 2) * height
    return np.asarray(((y - cy) / tall) ** 2 + ((x - cx) / wide) ** 2 < lobes**2)


def _through_glass(
    depth: np.ndarray, surface: np.ndarray, rng: np.random.Generator, faults: SensorFaults
) -> np.ndarray:
    """Patches in which something farther is reported than what is there."""
    result = depth.copy()
    for _ in range(int(rng.poisson(faults.glass_patches)) if faults.glass_patches > 0 else 0):
        inside = _patch((depth.shape[0], depth.shape[1]), rng) & surface
        factor = rng.uniform(min(1.2, faults.glass_reach), max(faults.glass_reach, 1.0))
        if inside.any():
            behind = float(np.percentile(depth[inside], 90)) * factor  # a flat background at one depth
            result[inside] = np.maximum(behind, depth[inside])
    return result


def _wrong_matches(
    disparity: np.ndarray, surface: np.ndarray, rng: np.random.Generator, faults: SensorFaults
) -> np.ndarray:
    """Patches with a repeated pattern, where some pixels match a period or two beside the right place."""
    result = disparity.copy()
    reach = float(np.ptp(disparity[surface]))
    for _ in range(int(rng.poisson(faults.repeat_patches)) if faults.repeat_patches > 0 else 0):
        inside = _patch((disparity.shape[0], disparity.shape[1]), rng) & surface
        period = rng.uniform(0.3, 1.0) * faults.repeat_shift / 96 * reach
        offsets = rng.integers(-2, 3, (24, 32)).astype(np.float32)
        cells = cv2.resize(offsets, disparity.shape[::-1], interpolation=cv2.INTER_NEAREST)
        wrong = inside & (rng.random(disparity.shape) < 0.7)
        result[wrong] += (cells * period)[wrong]
    return result
