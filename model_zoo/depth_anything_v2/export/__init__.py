"""Depth Anything networks as files that run without this package: ONNX, OpenVINO and TorchScript.

A file is written beside its place, compared with the network itself at several sizes, and only then moved there.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dabench.errors import DabenchError, ModelError, UsageError
from dabench.types import ModelEntry, Output
from model_zoo.hub import Notify, resolve_weights
from model_zoo.network_files.facts import FileFacts

from ..checkpoint import build, load_state
from ..config import CONFIGS, PATCH_SIZE, VERSION_1
from ..model import DepthAnythingV2
from .formats import DEFAULT_OPSET, EXTRAS, FORMATS, NEEDS, check_opset, check_size_of, reader, write
from .verify import TOLERANCES, largest_difference, sizes_to_verify

PRECISIONS = ("fp32", "fp16")
FACTORY = "model_zoo.depth_anything_v2.factory:load"
"""Of the rows that can be exported."""


@dataclass(frozen=True)
class Exported:
    """A verified file.

    Attributes:
        path: of the file; an OpenVINO file has its .bin beside it.
        facts: what the file says of itself.
        difference: largest difference from the network, relative to the range of a map.
        sizes: heights and widths that were compared.
    """

    path: Path
    facts: FileFacts
    difference: float
    sizes: list[tuple[int, int]]


def export_model(
    entry: ModelEntry,
    to: str,
    path: Path,
    *,
    checkpoint: Path | None = None,
    size: tuple[int, int] | None = None,
    opset: int = DEFAULT_OPSET,
    precision: str = "fp32",
    notify: Notify | None = None,
) -> Exported:
    """Export a catalogued Depth Anything.

    Args:
        entry: its row.
        to: ``onnx``, ``openvino`` or ``torchscript``.
        path: of the file to write; one that exists is replaced.
        checkpoint: weight file to use instead of the catalogued one.
        size: height and width of the input in pixels, multiples of 14; None for any.
        opset: of ONNX.
        precision: ``fp32``, or ``fp16`` for half-precision weights; input and output are float32 always.
        notify: told about downloads and licences.

    Raises:
        UsageError: an option that cannot be met; found before anything is downloaded.
        CheckpointError, DownloadError: as :func:`model_zoo.hub.resolve_weights`.
        ModelError: a package is missing, or the exported network differs from the original; nothing is left behind.
    """
    check_request(entry, to, path, size=size, opset=opset, precision=precision)
    weights = resolve_weights(entry, checkpoint, notify=notify)
    config = (CONFIGS | VERSION_1)[entry.options["config"]]
    if entry.options.get("max_depth") is not None:
        config = config.metric(entry.options["max_depth"])
    network = build(load_state(weights.path, sha256=weights.sha256, version=config.version), config)
    official = checkpoint is None or weights.sha256 == entry.sha256
    facts = FileFacts(
        name=entry.name,
        output=Output.DISPARITY.value if config.max_depth is None else Output.METRIC.value,
        mean_std="imagenet",
        resize="keep-aspect",
        channels="rgb",
        input_size=config.input_size,
        multiple=PATCH_SIZE,
        max_depth=config.max_depth,
        weights_sha256=weights.sha256,
        source=weights.source if official else weights.path.name,
        licence=entry.licence if official else None,
        parameters=sum(p.numel() for p in network.parameters()),
        precision=precision,
    )
    return export_network(network, to, path, facts, size=size, opset=opset)


def export_network(
    network: DepthAnythingV2,
    to: str,
    path: Path,
    facts: FileFacts,
    *,
    size: tuple[int, int] | None = None,
    opset: int = DEFAULT_OPSET,
) -> Exported:
    """Write a network to ``path``, verified. Arguments and errors as of :func:`export_model`."""
    check_size_of(network, to)
    sizes = sizes_to_verify(network.config.table_size, size)
    tolerance = TOLERANCES[facts.precision]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise UsageError(f"--out {path} cannot be written: {error.strerror or error}") from error
    try:
        written = folder / path.name
        try:
            opened = write(network, written, to, facts, size, opset)()
        except DabenchError:
            raise
        except OSError as error:
            raise UsageError(f"--out {path} cannot be written: {error.strerror or error}") from error
        except Exception as error:  # exporters raise what they like
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"{facts.name} cannot be exported to {to} here: {reason}") from error
        try:
            difference = largest_difference(network, reader(opened), sizes)
        finally:
            opened.close()
        if difference > tolerance:
            raise ModelError(
                f"the exported {path.name} differs from {facts.name} by {difference:.1e} of the range of a map, more "
                f"than {tolerance:.0e}; it was removed",
                hint="export to another format, or update torch and the runtime",
            )
        for file in sorted(folder.iterdir(), key=lambda file: file.name == path.name):  # the file itself last
            file.replace(path.parent / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Exported(path, facts, difference, sizes)


def check_request(
    entry: ModelEntry, to: str, path: Path, *, size: tuple[int, int] | None, opset: int, precision: str
) -> None:
    """Refuse what cannot be exported, before anything is downloaded.

    Raises:
        UsageError: another kind of model, or an option that cannot be met.
        ModelError: a package is not installed.
    """
    if entry.factory != FACTORY or entry.options.get("config") not in CONFIGS | VERSION_1:
        raise UsageError(f"model '{entry.name}' cannot be exported", hint="only Depth Anything V1 and V2 can be")
    if to not in FORMATS:
        raise UsageError(f"--to '{to}' is unknown", hint=f"choose {', '.join(FORMATS)}")
    if path.suffix.lower() != FORMATS[to] and not (to == "torchscript" and path.suffix.lower() in (".pt", ".ts")):
        raise UsageError(f"--out {path} does not end in {FORMATS[to]}, as files of {to} do")
    if path.is_dir():
        raise UsageError(f"--out {path} is a folder, not a file")
    if precision not in PRECISIONS:
        raise UsageError(f"--precision '{precision}' is unknown", hint=f"choose {' or '.join(PRECISIONS)}")
    check_opset(opset)
    if size is not None and (min(size) < PATCH_SIZE or any(side % PATCH_SIZE for side in size)):
        raise UsageError(
            f"--size {size[0]}x{size[1]}: both sides must be multiples of {PATCH_SIZE}",
            hint=f"the nearest: {'x'.join(str(max(1, round(side / PATCH_SIZE)) * PATCH_SIZE) for side in size)}",
        )
    missing = [module for module in NEEDS[to] if importlib.util.find_spec(module) is None]
    if missing:
        raise ModelError(
            f"exporting to {to} needs {' and '.join(missing)}, not installed here",
            hint=f"pip install 'dabench[{EXTRAS[to]}]'",
        )
