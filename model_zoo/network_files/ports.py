"""What an opened network file looks like to the rest of the package, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Port:
    """One input or output.

    Attributes:
        name: as the file calls it.
        shape: its axes, None for one of any length; None where the file does not tell (TorchScript).
        dtype: NumPy name of its type; None where the file does not tell.
    """

    name: str
    shape: Shape | None = None
    dtype: str | None = None

    def __str__(self) -> str:
        if self.shape is None:
            return f"'{self.name}'"
        return f"'{self.name}' [{', '.join('?' if axis is None else str(axis) for axis in self.shape)}]"


class Network(Protocol):
    """An opened network of one input.

    Attributes:
        input: the image's port.
        device: where it runs.
        runtime: the package that runs it, with its version.
        parameters: number of parameters, where it can be counted.
    """

    input: Port
    device: Any
    runtime: str
    parameters: int | None

    def run(self, array: Array) -> Mapping[str, Array]:
        """All outputs by name. Raises whatever the runtime raises."""

    def close(self) -> None:
        """Release memory."""


def numpy_type(name: str) -> str:
    """NumPy's name of the type that ONNX Runtime ("tensor(float)") or OpenVINO ("f32") calls ``name``."""
    name = name.removeprefix("tensor(").removesuffix(")")
    known = {
        "float": "float32",
        "float16": "float16",
        "double": "float64",
        "uint8": "uint8",
        "f32": "float32",
        "f16": "float16",
        "f64": "float64",
        "u8": "uint8",
    }
    return known.get(name, name)


def as_number_map(array: Array) -> npt.NDArray[np.float32]:
    """A contiguous float32 copy; beyond float32 is infinity, which counts as unusable."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)
