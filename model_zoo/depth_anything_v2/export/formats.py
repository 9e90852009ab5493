"""Writes the network as ONNX, OpenVINO or TorchScript, and reads it back to be verified.

The ONNX exporter that traces is used: on networks of any size it takes a second, and was found to give the same
function as the one built on `torch.export`, which takes minutes and refuses some of the sizes.
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from dabench.errors import ModelError, UsageError
from model_zoo.network_files.facts import KEY, FileFacts
from model_zoo.network_files.onnx_file import OnnxNetwork
from model_zoo.network_files.openvino_file import METADATA, OpenVinoNetwork
from model_zoo.network_files.ports import Network
from model_zoo.network_files.torchscript_file import TorchScriptNetwork

from ..model import DepthAnythingV2
from .graph import ExportGraph
from .verify import picture

FORMATS = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".torchscript"}
NEEDS = {"onnx": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino"), "torchscript": ()}
EXTRAS = {"onnx": "onnx", "openvino": "onnx,openvino"}
OPSETS = range(17, 21)
DEFAULT_OPSET = 17
MAX_BYTES = 2_000_000_000
"""An ONNX file is one message of at most 2 GiB."""

INPUT, OUTPUT = "image", "depth"


def in_precision(network: DepthAnythingV2, precision: str) -> DepthAnythingV2:
    """The network itself, or a half-precision copy whose last convolution stays in float32."""
    if precision == "fp32":
        return network
    half = copy.deepcopy(network).half()
    half.depth_head.scratch.output_conv2[2].float()
    return half


def write(
    network: DepthAnythingV2, path: Path, kind: str, facts: FileFacts, size: tuple[int, int] | None, opset: int
) -> Callable[[], Network]:
    """Write the network to `path` (and its .bin, for OpenVINO).

    Args:
        network: in float32; `facts.precision` says in what to write it.
        path: of the file.
        kind: a key of FORMATS.
        facts: what the file will say of itself.
        size: height and width, or None for any.
        opset: of ONNX.

    Returns:
        What opens the file again.
    """
    if kind == "torchscript":
        _write_torchscript(in_precision(network, facts.precision), path, facts, size)
        return lambda: TorchScriptNetwork(path, "cpu")
    if kind == "onnx":
        path.write_bytes(_onnx(in_precision(network, facts.precision), facts, size, opset))
        return lambda: OnnxNetwork(path, "cpu")
    _write_openvino(network, path, facts, size, opset)
    return lambda: OpenVinoNetwork(path, "cpu")


def check_opset(opset: int) -> int:
    """`opset` itself. Raises UsageError for one that this exporter does not write."""
    if opset not in OPSETS:
        raise UsageError(f"opset {opset} cannot be written", hint=f"choose {OPSETS[0]} to {OPSETS[-1]}")
    return opset


def _onnx(network: DepthAnythingV2, facts: FileFacts, size: tuple[int, int] | None, opset: int) -> bytes:
    import onnx

    stream: Any = io.BytesIO()
    axes = {INPUT: {2: "height", 3: "width"}, OUTPUT: {1: "height", 2: "width"}}
    # the option came with torch 2.5; before, there was no other exporter behind this function
    tracing: dict[str, Any] = {"dynamo": False} if "dynamo" in signature(torch.onnx.export).parameters else {}
    with _quiet():
        torch.onnx.export(
            ExportGraph(network, size).eval(),
            (_example(size),),
            stream,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=opset,
            dynamic_axes=axes if size is None else None,
            **tracing,
        )
    model = onnx.load_model_from_string(stream.getvalue())
    onnx.helper.set_model_props(model, {KEY: facts.text()})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _write_openvino(
    network: DepthAnythingV2, path: Path, facts: FileFacts, size: tuple[int, int] | None, opset: int
) -> None:
    """By way of ONNX, in float32; half precision is how OpenVINO stores the weights, which it computes in float32."""
    import openvino

    model = openvino.Core().read_model(_onnx(network, facts, size, opset))
    model.set_rt_info(facts.text(), [KEY, METADATA])
    openvino.save_model(model, str(path), compress_to_fp16=facts.precision == "fp16")


def _write_torchscript(network: DepthAnythingV2, path: Path, facts: FileFacts, size: tuple[int, int] | None) -> None:
    with _quiet(), torch.inference_mode(False), torch.no_grad():
        traced = torch.jit.trace(ExportGraph(network, size).eval(), (_example(size),), check_trace=False)
        torch.jit.save(traced, str(path), _extra_files={KEY: facts.text()})


def _example(size: tuple[int, int] | None) -> torch.Tensor:
    return torch.from_numpy(picture(*(size or (98, 126))))


@contextmanager
def _quiet() -> Iterator[None]:
    """Tracing warns of every size that becomes a constant; what matters of that, the verification finds."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def check_size_of(network: DepthAnythingV2, kind: str) -> None:
    """Refuse a network that an ONNX file cannot hold."""
    amount = 4 * sum(p.numel() for p in network.parameters())
    if kind != "torchscript" and amount > MAX_BYTES:
        raise ModelError(
            f"a network of {amount / 1e9:.1f} GB is too large for ONNX files, from which those of OpenVINO are made",
            hint="--to torchscript",
        )


def reader(network: Any) -> Callable[[Any], Any]:
    """The only output of an opened network as a function of its input."""
    return lambda images: next(iter(network.run(images).values()))
