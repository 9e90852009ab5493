"""A phone or consumer camera in software: from a clean picture to one that looks photographed.

The order is that of a real camera: optics (defocus, shake, vignette) and light (exposure, cast) in linear light, then
sensor noise as a demosaiced Bayer pattern has it, tone curve, colour, sharpening, JPEG. Nothing moves a pixel, so a
depth map that fitted the clean picture fits the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

LEVELS = 4096
"""Steps of the tables that stand for tone curves."""


@dataclass(frozen=True)
class CameraSettings:
    """One photograph's settings.

    exposure: stops away from a well-exposed picture; white: gains of linear R, G, B; curve: name in `CURVES`, with
    contrast as the strength of its S (0: none); saturation: factor; vignette: share of light lost in the corners;
    shot, read: noise sigma at full scale and at black, linear; denoise: sigma in pixels of the smoothing that cameras
    do themselves; sharpen: amount; halo: radius in pixels; aperture: blur sigma in pixels of the infinitely far when
    the focus is at half the picture's disparity range; focus: where in that range (0 far, 1 near); shake: length in
    pixels; direction: radians; quality: of the JPEG.
    """

    exposure: float = 0.0
    white: tuple[float, float, float] = (1.0, 1.0, 1.0)
    curve: str = "srgb"
    contrast: float = 0.0
    saturation: float = 1.0
    vignette: float = 0.0
    shot: float = 0.0
    read: float = 0.0
    denoise: float = 0.0
    sharpen: float = 0.0
    halo: float = 1.0
    aperture: float = 0.0
    focus: float = 0.5
    shake: float = 0.0
    direction: float = 0.0
    quality: int = 95


def _encode(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def _decode(encoded: np.ndarray) -> np.ndarray:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _filmic(linear: np.ndarray) -> np.ndarray:
    """A curve with toe and shoulder: the rational fit to ACES by Narkowicz (2015), normalised to reach 1."""
    x = linear * 0.9
    value = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return _encode(value / value.max())


def _shoulder(linear: np.ndarray) -> np.ndarray:
    """Highlights rolled off, shadows kept."""
    return _encode(linear * (1 + linear / 1.3) / (1 + linear) * 1.13)


def _faded(linear: np.ndarray) -> np.ndarray:
    """Lifted blacks and dull whites, as of old prints or haze filters."""
    return 0.07 + 0.86 * _encode(linear)


def _lifted(linear: np.ndarray) -> np.ndarray:
    """Shadows pulled up, as phones do to hold a wide range."""
    return _encode(linear) ** 0.82


CURVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "srgb": _encode,
    "filmic": _filmic,
    "shoulder": _shoulder,
    "faded": _faded,
    "lifted": _lifted,
}

_LINEAR = _decode(np.arange(256) / 255).astype(np.float32)


def draw_settings(rng: np.random.Generator, dim: float = 0.0) -> CameraSettings:
    """Settings spread like amateurs' pictures; `dim` 0..1 adds the noise of little light."""
    warm, green = rng.normal(0, 0.11), rng.normal(0, 0.035)
    gain = float(np.exp(rng.normal(np.log(0.010 + 0.03 * dim), 0.6)))  # shot noise at full scale
    noisy = min(gain / 0.04, 1.0)
    return CameraSettings(
        exposure=float(np.clip(rng.normal(0.05, 0.45), -1.2, 1.1)),
        white=(float(np.exp(warm)), float(np.exp(green)), float(np.exp(-warm))),
        curve=tuple(CURVES)[int(rng.integers(len(CURVES)))],
        contrast=float(rng.uniform(0.0, 0.6)),
        saturation=float(np.clip(rng.normal(1.05, 0.22), 0.45, 1.6)),
        vignette=float(rng.beta(1.2, 3.0) * 0.8),
        shot=gain,
        read=gain * float(rng.uniform(0.05, 0.35)),
        denoise=float(rng.uniform(0.0, 0.9)) * noisy,
        sharpen=float(rng.uniform(0.0, 1.1)),
        halo=float(rng.uniform(0.7, 1.8)),
        aperture=float(rng.exponential(0.5)) if rng.random() < 0.6 else 0.0,
        focus=float(rng.beta(1.5, 1.5)),
        shake=float(rng.exponential(1.2)) if rng.random() < 0.3 else 0.0,
        direction=float(rng.uniform(0, np.pi)),
        quality=int(rng.integers(60, 96)),
    )


def photograph(
    image: np.ndarray,
    rng: np.random.Generator,
    depth: np.ndarray | None = None,
    settings: CameraSettings | None = None,
) -> np.ndarray:
    """Take a picture of a picture: uint8 [H, W, 3] RGB.

    image is either a finished uint8 sRGB picture [H, W, 3], whose exposure is the starting point, or linear radiance
    of any scale, float [H, W, 3], which is metered first. depth, float [H, W] in metres with 0 for none, lets the lens
    be out of focus somewhere. Without `settings` they are drawn from `rng`, which the noise comes from too.
    """
    chosen = draw_settings(rng) if settings is None else settings
    linear = _LINEAR[image] if image.dtype == np.uint8 else meter(image)
    linear = linear * np.float32(2.0**chosen.exposure)
    if depth is not None and chosen.aperture > 0:
        linear = defocus(linear, depth, chosen.aperture, chosen.focus)
    if chosen.shake > 0.5:
        linear = cv2.filter2D(linear, -1, _streak(chosen.shake, chosen.direction), borderType=cv2.BORDER_REFLECT)
    linear *= _corners(linear.shape[0], linear.shape[1], chosen.vignette) * np.asarray(chosen.white, np.float32)
    if chosen.shot > 0 or chosen.read > 0:
        linear += sensor_noise(linear, chosen.shot, chosen.read, rng)
    if chosen.denoise > 0.2:
        linear = cv2.GaussianBlur(linear, (0, 0), chosen.denoise)
    picture = _tone(linear, chosen.curve, chosen.contrast)
    grey = picture @ np.array([0.299, 0.587, 0.114], np.float32)
    if chosen.sharpen > 0:
        edge = (grey - cv2.GaussianBlur(grey, (0, 0), chosen.halo)) * np.float32(chosen.sharpen)
        picture += np.clip(edge, -0.15, 0.15)[..., None]
    picture = grey[..., None] + (picture - grey[..., None]) * np.float32(chosen.saturation)
    return compress((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8), chosen.quality)


def meter(radiance: np.ndarray) -> np.ndarray:
    """Linear radiance [H, W, 3] of any scale exposed as a camera's light meter does.

    The middle grey becomes 0.16, or as little as 0.09 where that saves a bright twentieth of the picture.
    """
    light = radiance.mean(axis=-1)
    middle = float(np.exp(np.log(light + 1e-4).mean()))
    average = 0.4 * middle + 0.6 * float(np.minimum(light, 6 * middle).mean())
    bright = float(np.percentile(light, 95))
    grey = min(0.16, max(0.09, 1.4 * average / max(bright, 1e-6)))
    return (radiance * (grey / max(average, 1e-6))).astype(np.float32)


def defocus(linear: np.ndarray, depth: np.ndarray, aperture: float, focus: float) -> np.ndarray:
    """Blur linear light [H, W, 3] by the circle of confusion of depth [H, W] (metres, 0: infinitely far).

    The circle grows with the difference in disparity from the plane in focus. Three fixed blurs are mixed, up to a
    sigma of 3 pixels; what is sharp in front of something blurred does not bleed, to first order.
    """
    disparity = np.where(depth > 0, 1 / np.maximum(depth, 1e-3), 0.0).astype(np.float32)
    low, high = np.percentile(disparity[::4, ::4], [2, 98])
    place = np.clip((disparity - low) / max(float(high - low), 1e-6), 0, 1)
    sigma = cv2.blur(np.abs(place - np.float32(focus)) * np.float32(2 * aperture), (3, 3))
    levels = (0.0, 0.7, 1.5, 3.0)
    position = np.interp(sigma, levels, np.arange(4)).astype(np.float32)
    result = linear * np.clip(1 - position, 0, 1)[..., None]
    for number, blur in enumerate(levels[1:], start=1):
        weight = np.clip(1 - np.abs(position - number), 0, 1)
        if weight.any():
            result += cv2.GaussianBlur(linear, (0, 0), blur) * weight[..., None]
    return result


def sensor_noise(linear: np.ndarray, shot: float, read: float, rng: np.random.Generator) -> np.ndarray:
    """Noise to add to linear light [H, W, 3]: variance shot^2 * light + read^2 at each photosite.

    Each colour is measured on its share of the RGGB sites and filled in bilinearly, which makes the noise coarse in
    red and blue and finer in green.
    """
    height, width = linear.shape[:2]
    site = np.zeros((height, width), np.intp)
    site[0::2, 1::2] = site[1::2, 0::2] = 1
    site[1::2, 1::2] = 2
    seen = np.take_along_axis(linear, site[..., None], axis=2)[..., 0]
    raw = rng.standard_normal((height, width), np.float32)
    raw *= np.sqrt(np.float32(shot * shot) * np.maximum(seen, 0) + np.float32(read * read))
    noise = np.empty_like(linear)
    kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
    for channel in range(3):
        sparse = np.where(site == channel, raw, np.float32(0))
        noise[..., channel] = cv2.filter2D(sparse, -1, cross if channel == 1 else kernel)
    return noise


def compress(image: np.ndarray, quality: int) -> np.ndarray:
    """uint8 [H, W, 3] RGB after a JPEG of the given quality."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])


def _tone(linear: np.ndarray, curve: str, contrast: float) -> np.ndarray:
    """Linear light through a tone curve and an S of the given strength, by table."""
    steps = np.arange(LEVELS) / (LEVELS - 1)
    table = np.clip(CURVES[curve](steps**2), 0, 1)  # squared steps: fine ones in the shadows
    table = table + contrast * (table * table * (3 - 2 * table) - table)
    index = np.sqrt(np.clip(linear, 0, 1)) * np.float32(LEVELS - 1)
    return table.astype(np.float32)[index.astype(np.int32)]


def _corners(height: int, width: int, loss: float) -> np.ndarray:
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    squared = (y * y)[:, None] + (x * x)[None]
    return (1 - np.float32(loss) * (squared / 2) ** 1.5)[..., None]


def _streak(length: float, direction: float) -> np.ndarray:
    """The kernel of a straight smear, `length` pixels long, sums to 1."""
    half = int(np.ceil(length / 2)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    along = x * np.cos(direction) + y * np.sin(direction)
    across = y * np.cos(direction) - x * np.sin(direction)
    kernel = np.clip(1 - np.abs(across), 0, 1) * np.clip(length / 2 + 0.5 - np.abs(along), 0, 1)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)
