"""Depth networks in a file: ONNX (.onnx), OpenVINO (.xml with .bin) and TorchScript (.pt, .ts, .torchscript).

A file is not catalogued: its row is made from the file itself by :func:`entry`, and :func:`load` is that row's factory.
Runtimes are imported when a file of theirs is loaded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dabench.errors import ModelError, UsageError
from dabench.types import MAP_OUTPUTS, DepthModel, ModelEntry, ModelInfo, Output

from .facts import KEY, FileFacts, parse

RUNTIMES = {
    ".onnx": "onnx",
    ".xml": "openvino",
    ".pt": "torchscript",
    ".ts": "torchscript",
    ".torchscript": "torchscript",
}
PACKAGES: dict[str, tuple[tuple[str, ...], str | None]] = {
    "onnx": (("onnxruntime",), "onnx"),
    "openvino": (("openvino",), "openvino"),
    "torchscript": (("torch",), None),
}
"""What each runtime has to import, and the extra of this package that brings it."""

SETTABLE = {"mean_std": None, "multiple": None, "resize": None, "channels": None, "layout": None, "output": None}


def entry(path: Path, output: str | None = None) -> ModelEntry:
    """The row of a network file.

    Args:
        path: the file.
        output: ``disparity``, ``depth`` or ``metric``; may be None for a file that says it.

    Raises:
        UsageError: ``output`` is missing, unknown, or not what the file says.
        ModelError: the file is absent, incomplete, or not what its name says.
    """
    facts, files = _inspect(path)
    kind = _kind(path, output, facts)
    runtime = RUNTIMES[path.suffix.lower()]
    requires, extra = PACKAGES[runtime]
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.") or "network"
    return ModelEntry(
        name=f"{stem}-{runtime}",
        output=kind,
        summary=f"the network in {path.name}",
        factory="model_zoo.network_files:load",
        status="bundled",
        licence=facts.licence if facts else None,
        parameters=facts.parameters if facts else None,
        source=str(path),
        sha256=_sha256(files),
        requires=requires,
        extra=extra,
        settable=SETTABLE,
        options={"runtime": runtime, "facts": facts},
    )


def load(
    entry: ModelEntry,
    *,
    checkpoint: Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    input_size: int | None = None,
    compile: str = "auto",
    settings: Mapping[str, Any] | None = None,
) -> DepthModel:
    """Open a file whose row :func:`entry` made, and try it with one image.

    Raises:
        UsageError: an option that the file does not have.
        ModelError: the file cannot be loaded or run, or gives no map.
    """
    from .input_rule import input_rule
    from .model import NetworkFileModel

    path = Path(str(entry.source))
    facts: FileFacts | None = entry.options["facts"]
    given = dict(settings or {})
    _refuse(path, checkpoint, precision, input_size, compile)
    network = _opener(entry.options["runtime"])(path, device)
    try:
        rule = input_rule(path, network.input, facts, given, input_size)
        info = ModelInfo(
            name=entry.name,
            output=entry.output,
            weights_sha256=entry.sha256,
            parameters=entry.parameters or network.parameters,
            licence=entry.licence,
            source=entry.source,
            notes=_notes(path, facts, rule.assumed),
        )
        model = NetworkFileModel(network, rule, info, path, given.get("output"))
    except BaseException:
        network.close()
        raise
    about = {
        "runtime": network.runtime,
        "mean_std": rule.mean_std,
        "channels": rule.channels,
        "layout": rule.layout,
        "dtype": rule.dtype,
        "resize": rule.resize,
        "resample": "cubic",
        "restore": "bilinear, corners aligned",
        "output_name": model.output_name,
        "assumed": list(rule.assumed),
    }
    if rule.height is not None and rule.width is not None:
        about["network_input"] = [rule.height, rule.width]
    else:
        about |= {"input_size": rule.input_size, "multiple": rule.multiple}
    if facts is not None:
        about |= {"exported_from": facts.name, "exported_weights_sha256": facts.weights_sha256}
        about |= {"file_precision": facts.precision}
        about |= {} if facts.max_depth is None else {"max_depth": facts.max_depth}
    model.info = replace(info, settings=about)
    return model


def _inspect(path: Path) -> tuple[FileFacts | None, Sequence[Path]]:
    """What the file says, and all files that its network is made of; it is read from outside only."""
    runtime = RUNTIMES.get(path.suffix.lower())
    if runtime is None:
        raise UsageError(
            f"{path} is not a network file that can be run: those end in {', '.join(RUNTIMES)}",
            hint=f"a weight file belongs to a model: -m MODEL --checkpoint {path}",
        )
    if not path.is_file():
        raise ModelError(f"network file {path} does not exist" if not path.exists() else f"{path} is not a file")
    try:
        if path.stat().st_size == 0:
            raise ModelError(f"{path} is empty")
        if runtime == "onnx":
            from .onnx_header import read_header

            header = read_header(path)
            beside = [path.parent / name for name in header.external]
            for data in beside:
                if not data.is_file():
                    raise ModelError(
                        f"{path} keeps weights in {data.name}, which is not beside it", hint="copy both files"
                    )
            return parse(header.metadata.get(KEY), path), [path, *beside]
        if runtime == "openvino":
            from . import openvino_file

            weights = openvino_file.weights_beside(path)
            return parse(openvino_file.metadata_text(path), path), [path, weights]
        from . import torchscript_file

        torchscript_file.check(path)
        return parse(torchscript_file.metadata_text(path), path), [path]
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def _kind(path: Path, output: str | None, facts: FileFacts | None) -> Output:
    meanings = "disparity: larger is nearer; depth: larger is farther; metric: metres"
    if output is None:
        if facts is None:
            raise UsageError(f"{path} does not say what its values mean: --output-kind is needed", hint=meanings)
        return Output(facts.output)
    if output not in MAP_OUTPUTS:
        raise UsageError(f"--output-kind '{output}' is not one of {', '.join(MAP_OUTPUTS)}", hint=meanings)
    if facts is not None and output != facts.output:
        raise UsageError(f"{path} says that it gives {facts.output}, not {output}", hint="leave out --output-kind")
    return Output(output)


def _opener(runtime: str) -> Any:
    if runtime == "onnx":
        from .onnx_file import OnnxNetwork

        return OnnxNetwork
    if runtime == "openvino":
        from .openvino_file import OpenVinoNetwork

        return OpenVinoNetwork
    from .torchscript_file import TorchScriptNetwork

    return TorchScriptNetwork


def _refuse(path: Path, checkpoint: Path | None, precision: str, input_size: int | None, compile: str) -> None:
    if checkpoint is not None:
        raise UsageError(f"{path} holds its own weights", hint=f"leave out --checkpoint {checkpoint}")
    if precision != "fp32":
        raise UsageError(f"{path} has the precision that it was exported in", hint=f"leave out --precision {precision}")
    if compile == "on":
        raise UsageError(f"{path} is run by its own runtime and cannot be compiled", hint="leave out --compile on")
    if input_size is not None and input_size < 1:
        raise UsageError(f"input size {input_size} is not at least 1 pixel")


def _notes(path: Path, facts: FileFacts | None, assumed: Sequence[str]) -> tuple[str, ...]:
    notes = [f"the network in {path.name}, run as it is"]
    if facts is not None:
        notes = [f"{path.name} says that it was exported from {facts.name}"]
        if facts.licence and "NC" in facts.licence.upper().split("-"):
            notes.append(f"the weights are licensed {facts.licence}: non-commercial use only")
    if assumed:
        notes.append(f"{path.name} does not say these, and the usual was assumed: {', '.join(assumed)}")
    return tuple(notes)


def _sha256(files: Sequence[Path]) -> str:
    """Of the file; where the network is in several, of their SHA-256 in order."""
    sums = []
    for file in files:
        with file.open("rb") as stream:
            sums.append(hashlib.file_digest(stream, "sha256"))
    return sums[0].hexdigest() if len(sums) == 1 else hashlib.sha256(b"".join(s.digest() for s in sums)).hexdigest()
