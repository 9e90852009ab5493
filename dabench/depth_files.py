"""Writing a prediction for people and programs: exact values, a 16-bit PNG and a coloured picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dabench.types import Image, Output, Prediction

COLOURS = "Spectral_r"
METRIC_UNITS_PER_METRE = 1000.0


def colourise(prediction: Prediction) -> Image:
    """A map as a picture, near red and far blue, as Depth Anything prints it (``Spectral_r`` of inverse depth).

    Args:
        prediction: depth and metric output is inverted first, so that all three kinds look alike.

    Returns:
        ``uint8 [H, W, 3]`` RGB; pixels without a usable value are black, a constant map is mid-scale.
    """
    import matplotlib

    values = prediction.values.astype(np.float64)
    usable = np.isfinite(values)
    if not prediction.output.larger_is_nearer:
        usable &= values > 0
        values = 1.0 / np.where(usable, values, 1.0)
    scaled = _unit_range(values, usable, empty=0.5)
    colours = np.asarray(matplotlib.colormaps[COLOURS](scaled), dtype=np.float64)[..., :3]
    picture: Image = np.where(usable[..., None], np.rint(colours * 255.0), 0.0).astype(np.uint8)
    return picture


def to_uint16(prediction: Prediction) -> npt.NDArray[np.uint16]:
    """A map in 16 bits: millimetres for metric output (0 = unusable), else its finite range stretched to 0..65535."""
    values = prediction.values.astype(np.float64)
    usable = np.isfinite(values)
    if prediction.output is Output.METRIC:
        millimetres = np.where(usable & (values > 0), values, 0.0) * METRIC_UNITS_PER_METRE
        return np.rint(np.clip(millimetres, 0, 65535)).astype(np.uint16)
    return np.rint(_unit_range(values, usable, empty=0.0) * 65535.0).astype(np.uint16)


def _unit_range(
    values: npt.NDArray[np.float64], usable: npt.NDArray[np.bool_], empty: float
) -> npt.NDArray[np.float64]:
    if not usable.any():
        return np.full(values.shape, empty)
    low, high = values[usable].min(), values[usable].max()
    if high <= low:
        return np.full(values.shape, empty)
    return np.clip((np.where(usable, values, low) - low) / (high - low), 0.0, 1.0)


def write_prediction(prediction: Prediction, folder: Path, stem: str) -> list[Path]:
    """Write ``<stem>.npy`` (float32 values), ``<stem>_16bit.png`` and ``<stem>_color.png``.

    Returns:
        The files written.
    """
    from PIL import Image as PillowImage

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}.npy", folder / f"{stem}_16bit.png", folder / f"{stem}_color.png"]
    np.save(paths[0], prediction.values.astype(np.float32, copy=False))
    PillowImage.fromarray(to_uint16(prediction)).save(paths[1])
    PillowImage.fromarray(colourise(prediction)).save(paths[2])
    return paths
