"""What labelling will need, before anything is loaded."""

from __future__ import annotations

from dabench.errors import UsageError
from dabench.types import ModelEntry

from ...config import CONFIGS

MEAN_ASPECT = 1.37
"""Long over short side of typical photographs, between 4:3 and 3:2."""


def teacher_size(entry: ModelEntry, input_size: int | None) -> int:
    """Short side in pixels of the labels that a catalogued model gives.

    Raises:
        UsageError: it is no Depth Anything V2 network.
    """
    config = CONFIGS.get(entry.options.get("config", ""))
    if config is None:
        raise UsageError(f"'{entry.name}' is no Depth Anything V2 network, and cannot label")
    return config.input_size if input_size is None else input_size


def label_bytes(images: int, side: int) -> int:
    """Bytes of the uncompressed codes of `images` labels with the short side `side`."""
    return int(images * side * side * MEAN_ASPECT * 2)
