"""ONNX files, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dabench.errors import ModelError, UsageError

from .ports import Array, Port, numpy_type

REQUIRES, EXTRA = ("onnxruntime",), "onnx"


class OnnxNetwork:
    """A session on the CPU or one CUDA device. See :class:`~.ports.Network`."""

    parameters: int | None = None

    def __init__(self, path: Path, device: str = "auto") -> None:
        import onnxruntime

        provider, self.device = _provider(device, onnxruntime.get_available_providers())
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors come as exceptions, and are told once
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=[provider])
        except Exception as error:  # the runtime's exceptions have no common type
            raise ModelError(f"{path} cannot be loaded by ONNX Runtime: {_reason(error)}", hint=_hint(error)) from error
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        self.input = one_input(path, [_port(port) for port in self._session.get_inputs()])
        self._outputs = [port.name for port in self._session.get_outputs()]

    def run(self, array: Array) -> Mapping[str, Array]:
        return dict(zip(self._outputs, self._session.run(self._outputs, {self.input.name: array}), strict=True))

    def close(self) -> None:
        self._session = None


def one_input(path: Path, ports: list[Port]) -> Port:
    """The only input. Raises ModelError where there is none or more than one."""
    if len(ports) != 1:
        listed = ", ".join(str(port) for port in ports) or "none"
        raise ModelError(f"{path} takes {len(ports)} inputs, not one image: {listed}")
    return ports[0]


def _port(port: Any) -> Port:
    shape = tuple(axis if isinstance(axis, int) and axis > 0 else None for axis in port.shape)
    return Port(port.name, shape, numpy_type(port.type))


def _provider(device: str, available: list[str]) -> tuple[Any, str]:
    kind, _, index = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"device '{device}' does not run ONNX files here", hint="choose auto, cpu, cuda or cuda:N")
    if kind == "cuda" and "CUDAExecutionProvider" not in available:
        raise UsageError(
            f"device '{device}' needs an ONNX Runtime with CUDA, and the one installed has none",
            hint="pip install onnxruntime-gpu, or choose cpu",
        )
    if kind == "cpu" or "CUDAExecutionProvider" not in available:
        return "CPUExecutionProvider", "cpu"
    return ("CUDAExecutionProvider", {"device_id": int(index or 0), "use_tf32": 0}), f"cuda:{int(index or 0)}"


def _reason(error: Exception) -> str:
    """The last sentence of a runtime's message, on one line, without its codes."""
    text = " ".join(str(error).split())
    return text.rpartition("FAIL : ")[2][:300] if "FAIL : " in text else text[:300]


def _hint(error: Exception) -> str | None:
    text = str(error).lower()
    if "opset" in text or "ir version" in text or "ir_version" in text:
        return "update onnxruntime, or export the network with an older opset"
    return None
