"""Strong perturbation of the student's image: colour jitter, greyscale, blur, and CutMix.

arXiv 2401.10891, section 3.2, names the three; the strengths are not published. The defaults are those of the same
author's UniMatch (`dataset/semi.py`, `dataset/transform.py`). Images are float32 [H, W, 3] RGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dabench.errors import UsageError

Image = npt.NDArray[np.float32]

_LUMA = np.array([0.2989, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Perturbation:
    """Strengths of the appearance changes; probabilities are per image.

    Attributes:
        jitter: chance of the four colour changes, which then come in a random order.
        brightness, contrast, saturation: the factor is uniform in 1 - x .. 1 + x.
        hue: the shift is uniform in -x .. x of the colour circle.
        grey: chance of a greyscale image.
        blur: chance of a Gaussian blur.
        blur_sigma: range of its standard deviation in pixels.
    """

    jitter: float = 0.8
    brightness: float = 0.5
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 0.25
    grey: float = 0.2
    blur: float = 0.5
    blur_sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        for name in ("jitter", "brightness", "contrast", "saturation", "grey", "blur"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"perturbation: {name} must lie in 0 to 1, got {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise UsageError(f"perturbation: hue must lie in 0 to 0.5, got {self.hue}")
        if not 0 < self.blur_sigma[0] <= self.blur_sigma[1]:
            raise UsageError(f"perturbation: blur_sigma must be a positive range, got {list(self.blur_sigma)}")


@dataclass(frozen=True)
class CutMix:
    """How often and how large a box of another image of the batch is pasted in.

    Attributes:
        chance: per image.
        area: range of the box's share of the image.
        aspect: range of its height over its width.
        group: partners come from the same `group` consecutive positions, so that they do not depend on how many
            processes share the batch. With 2, neighbours exchange.
    """

    chance: float = 0.5
    area: tuple[float, float] = (0.02, 0.4)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)
    group: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.chance <= 1:
            raise UsageError(f"cutmix: chance is a probability, got {self.chance}")
        if not 0 < self.area[0] <= self.area[1] < 1:
            raise UsageError(f"cutmix: area must be a range inside 0 to 1, got {list(self.area)}")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise UsageError(f"cutmix: aspect must be a positive range, got {list(self.aspect)}")
        if self.group < 2:
            raise UsageError(f"cutmix: a group needs at least 2 images, got {self.group}")


def adjust_brightness(image: Image, factor: float) -> Image:
    """Blend with black."""
    return np.clip(image * np.float32(factor), 0, 1)


def adjust_contrast(image: Image, factor: float) -> Image:
    """Blend with the mean luma of the image."""
    mean = np.float32((image @ _LUMA).mean(dtype=np.float64))
    return np.clip(image * np.float32(factor) + np.float32(1 - factor) * mean, 0, 1)


def adjust_saturation(image: Image, factor: float) -> Image:
    """Blend with the greyscale image."""
    return np.clip(image * np.float32(factor) + (image @ _LUMA)[..., None] * np.float32(1 - factor), 0, 1)


def adjust_hue(image: Image, shift: float) -> Image:
    """Turn the hue of HSV by `shift` of the colour circle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + np.float32(shift * 360)) % np.float32(360)
    return np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), 0, 1)


def to_grey(image: Image) -> Image:
    """Luma in all three channels."""
    return np.repeat((image @ _LUMA)[..., None], 3, axis=2)


def gaussian_blur(image: Image, sigma: float) -> Image:
    """Gaussian blur, mirrored at the edges; the kernel reaches four sigma to either side."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), np.float32)


def perturb(rng: np.random.Generator, image: Image, settings: Perturbation) -> Image:
    """The chain of appearance changes. Every call draws the same number of values, whatever it then does with them."""
    jitter, grey, blur = rng.random(3) < (settings.jitter, settings.grey, settings.blur)
    brightness, contrast, saturation, hue = rng.uniform(-1, 1, 4)
    order, sigma = rng.permutation(4), rng.uniform(*settings.blur_sigma)
    if jitter:
        for change in order:
            if change == 0:
                image = adjust_brightness(image, 1 + brightness * settings.brightness)
            elif change == 1:
                image = adjust_contrast(image, 1 + contrast * settings.contrast)
            elif change == 2:
                image = adjust_saturation(image, 1 + saturation * settings.saturation)
            elif settings.hue > 0:
                image = adjust_hue(image, hue * settings.hue)
    if grey:
        image = to_grey(image)
    return gaussian_blur(image, sigma) if blur else image


def draw_box(rng: np.random.Generator, size: tuple[int, int], settings: CutMix) -> tuple[slice, slice]:
    """(rows, columns) of a CutMix box in an image of `size` (height, width).

    Area and aspect are uniform in their ranges; an aspect that does not fit the image is drawn again, and where none
    fits the box takes the image's own. Every place inside the image is equally likely.
    """
    height, width = size
    area = rng.uniform(*settings.area) * height * width
    for _ in range(32):
        aspect = rng.uniform(*settings.aspect)
        rows, columns = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if rows <= height and columns <= width:
            break
    else:
        rows, columns = round(np.sqrt(area * height / width)), round(np.sqrt(area * width / height))
    rows, columns = max(rows, 1), max(columns, 1)
    top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
    return slice(top, top + rows), slice(left, left + columns)


def draw_partner(rng: np.random.Generator, place: int, settings: CutMix) -> int:
    """Place (0 to group - 1) in its group whose image goes into the box of the image at `place`; never its own."""
    return (place + 1 + int(rng.integers(settings.group - 1))) % settings.group
