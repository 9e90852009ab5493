"""Images, maps and errors as small pictures inside the page, with colour bars; pairs as marks on top."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from dabench.depth_files import COLOURS, colourise
from dabench.reporting.report.aligned import Aligned
from dabench.types import Image, Mask, Pair, Prediction

Floats = npt.NDArray[np.float64]
LONGEST = 360
"""Longer side of a picture in pixels."""
ERROR_COLOURS = "RdBu_r"
"""Blue: predicted too near; red: too far."""
ERROR_ENDS = 0.5
EMPTY = (70, 70, 74)
STOPS = 12


def data_uri(image: Image) -> str:
    """An RGB image, at most ``LONGEST`` pixels long, as a WebP data URI."""
    from PIL import Image as PillowImage

    picture = PillowImage.fromarray(image)
    picture.thumbnail((LONGEST, LONGEST))
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def _thin(height: int, width: int) -> tuple[slice, slice]:
    """Every n-th pixel, so that colouring a large map costs little."""
    step = max(1, max(height, width) // (2 * LONGEST))
    return slice(step // 2, None, step), slice(step // 2, None, step)


def _coloured(values: Floats, shown: Mask, low: float, high: float, colours: str) -> Image:
    import matplotlib

    scaled = np.clip((np.where(shown, values, low) - low) / (high - low if high > low else 1.0), 0.0, 1.0)
    rgb = np.rint(255 * np.asarray(matplotlib.colormaps[colours](scaled))[..., :3])
    return np.where(shown[..., None], rgb, EMPTY).astype(np.uint8)


def colour_bar(colours: str, labels: Sequence[str], words: str) -> str:
    """A horizontal colour bar with labels at even distances."""
    import matplotlib

    table = matplotlib.colormaps[colours](np.linspace(0, 1, STOPS))
    stops = ",".join("#" + "".join(f"{round(255 * c):02x}" for c in row[:3]) for row in table)
    marks = "".join(f"<span>{escape(label)}</span>" for label in labels)
    return (
        f'<div class="bar" role="img" aria-label="{escape(words, quote=True)}">'
        f'<i style="background:linear-gradient(90deg,{stops})"></i><div>{marks}</div></div>'
    )


@dataclass(frozen=True)
class DepthScale:
    """The colours of depth in one row of pictures: even in inverse depth, near red and far blue."""

    near: float
    far: float

    @staticmethod
    def of(aligned: Aligned) -> DepthScale:
        """The 2nd to 98th percentile of the true depth."""
        near, far = np.percentile(aligned.truth[aligned.valid], [2, 98])
        return DepthScale(float(near), float(max(far, near * 1.0001)))

    def picture(self, depth: Floats, shown: Mask) -> str:
        """A depth map in metres as a data URI."""
        at = _thin(depth.shape[0], depth.shape[1])
        known = shown[at] & np.isfinite(depth[at])
        inverse = 1.0 / np.where(known, depth[at], self.far)
        return data_uri(_coloured(inverse, known, 1 / self.far, 1 / self.near, COLOURS))

    def bar(self) -> str:
        """From far to near."""
        middle = 2 / (1 / self.near + 1 / self.far)
        labels = [f"{self.far:.3g} m", f"{middle:.3g}", f"{self.near:.3g} m"]
        return colour_bar(COLOURS, labels, f"depth, from {labels[0]} to {labels[2]}, even in inverse depth")


def error_picture(aligned: Aligned) -> str:
    """Signed relative error as a data URI."""
    at = _thin(aligned.depth.shape[0], aligned.depth.shape[1])
    error = aligned.relative_error[at]
    return data_uri(_coloured(error, np.isfinite(error), -ERROR_ENDS, ERROR_ENDS, ERROR_COLOURS))


def error_bar() -> str:
    ends = f"{100 * ERROR_ENDS:.0f} %"
    return colour_bar(
        ERROR_COLOURS, [f"−{ends} too near", "0", f"+{ends} too far"], f"signed relative error, from −{ends} to +{ends}"
    )


def map_picture(prediction: Prediction) -> str:
    """A prediction by itself, without any fit, near red and far blue."""
    at = _thin(*prediction.values.shape)
    return data_uri(colourise(Prediction(np.ascontiguousarray(prediction.values[at]), prediction.output)))


def map_bar() -> str:
    return colour_bar(COLOURS, ["far", "", "near"], "predicted order, from far to near, stretched to the map's range")


def pair_marks(pairs: Sequence[Pair], correct: Sequence[float], shape: tuple[int, ...]) -> str:
    """Pairs as marks over a picture: filled is labelled closer, a dashed red line is a wrong pair.

    Args:
        correct: of each pair, 0 to 1.
        shape: height and width of the image in pixels.
    """
    height, width = shape[:2]
    size = max(height, width)
    drawn = []
    for pair, right in sorted(zip(pairs, correct, strict=True), key=lambda both: -both[1]):
        near, far = (pair.point1, pair.point2) if pair.closer == 1 else (pair.point2, pair.point1)
        kind = "right" if right == 1 else "wrong"
        drawn.append(
            f'<g class="{kind}"><line x1="{near[1]}" y1="{near[0]}" x2="{far[1]}" y2="{far[0]}"/>'
            f'<circle class="near" cx="{near[1]}" cy="{near[0]}" r="{size * 0.016:.1f}"/>'
            f'<circle class="far" cx="{far[1]}" cy="{far[0]}" r="{size * 0.016:.1f}"/></g>'
        )
    return (
        f'<svg class="marks" viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true" '
        f'style="--w:{size * 0.006:.1f}">{"".join(drawn)}</svg>'
    )
