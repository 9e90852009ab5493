"""Which of a network's outputs is the map, and the map as [h, w]."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dabench.errors import ModelError, UsageError

from .ports import Array

LEAST_SHARE = 32
"""A map's sides are at least this part of the input's; smaller outputs (a camera matrix) are no maps."""


def choose_output(path: Path, outputs: Mapping[str, Array], given: str | None, size: tuple[int, int]) -> str:
    """Name of the output that is the depth map.

    Args:
        path: named in errors.
        outputs: what the network gave for one image.
        given: the output that the caller named.
        size: height and width of the network input.

    Raises:
        UsageError: the named one does not exist, or several could be meant.
        ModelError: none is a map.
    """
    listed = ", ".join(f"'{name}' {list(array.shape)}" for name, array in outputs.items())
    if given is not None:
        if given not in outputs:
            raise UsageError(f"{path} has no output '{given}'", hint=f"its outputs: {listed}")
        if as_map(outputs[given]) is None:
            raise ModelError(
                f"{path}: its output '{given}' of shape {list(outputs[given].shape)} is no map of one channel",
                hint=f"its outputs: {listed}",
            )
        return given
    maps = [name for name, array in outputs.items() if _is_large(as_map(array), size)]
    if not maps:
        raise ModelError(f"{path} has no output that is a map of one channel; its outputs: {listed}")
    if len(maps) > 1:
        raise UsageError(
            f"{path} has several outputs that could be the depth map: {listed}",
            hint=f"name one: -o output={maps[0]}",
        )
    return maps[0]


def as_map(array: Array) -> Array | None:
    """[h, w] of an output [h, w], [1, h, w], [h, w, 1], [1, 1, h, w] or [1, h, w, 1]; None for any other."""
    if array.dtype.kind not in "fiu" or array.ndim not in (2, 3, 4) or array.size == 0:
        return None
    if array.ndim == 4:
        if array.shape[0] != 1:
            return None
        array = array[0]
    if array.ndim == 3:
        if array.shape[0] == 1:
            return array[0]
        return array[..., 0] if array.shape[2] == 1 else None
    return array


def _is_large(found: Array | None, size: tuple[int, int]) -> bool:
    return found is not None and all(side * LEAST_SHARE >= whole for side, whole in zip(found.shape, size, strict=True))
