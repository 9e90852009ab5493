"""OpenVINO files (.xml beside its .bin), run by OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from dabench.errors import ModelError, UsageError

from .facts import KEY
from .onnx_file import one_input
from .ports import Array, Port, numpy_type

REQUIRES, EXTRA = ("openvino",), "openvino"
METADATA = "metadata"


class OpenVinoNetwork:
    """A network compiled for the CPU in float32. See :class:`~.ports.Network`."""

    parameters: int | None = None

    def __init__(self, path: Path, device: str = "auto") -> None:
        import openvino

        if device not in ("auto", "cpu"):
            raise UsageError(f"device '{device}' does not run OpenVINO files here", hint="choose auto or cpu")
        self.device = "cpu"
        try:
            core = openvino.Core()
            model = core.read_model(str(path))
            # Left to itself OpenVINO computes in bfloat16 where a CPU has it.
            self._compiled: Any = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        except Exception as error:  # the runtime raises RuntimeError with a trace of its own
            reason = " ".join(str(error).split())[-300:]
            raise ModelError(f"{path} cannot be loaded by OpenVINO: {reason}") from error
        self.runtime = f"openvino {openvino.__version__.partition('-')[0]}"
        self.input = one_input(path, [_port(port) for port in self._compiled.inputs])
        self._outputs = [_name(port, f"output{number}") for number, port in enumerate(self._compiled.outputs)]

    def run(self, array: Array) -> Mapping[str, Array]:
        found = self._compiled([array])
        return {name: found[number].copy() for number, name in enumerate(self._outputs)}

    def close(self) -> None:
        self._compiled = None


def weights_beside(path: Path) -> Path:
    """The .bin of an .xml.

    Raises:
        ModelError: it is not there, or the .xml is not OpenVINO's.
    """
    _root(path)
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ModelError(f"{path} has no {weights.name} beside it, which holds its weights", hint="copy both files")
    return weights


def metadata_text(path: Path) -> str | None:
    """The text that `dabench export` wrote, if it did."""
    found = _root(path).find(f"rt_info/{KEY}/{METADATA}")
    return found.get("value") if found is not None else None


def _root(path: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError, ValueError) as error:
        raise ModelError(f"{path} is not an OpenVINO file, or is cut short: {error}") from error
    if root.tag != "net" or root.find("layers") is None:
        raise ModelError(f"{path} is not an OpenVINO file: its XML holds <{root.tag}>, not a <net> with layers")
    return root


def _port(port: Any) -> Port:
    shape = port.get_partial_shape()
    axes = None if shape.rank.is_dynamic else tuple(None if a.is_dynamic else a.get_length() for a in shape)
    return Port(_name(port, "input"), axes, numpy_type(port.get_element_type().get_type_name()))


def _name(port: Any, otherwise: str) -> str:
    return sorted(port.get_names())[0] if port.get_names() else otherwise
