"""From a catalogue row to a predictor: find the weight file, check it, build the network, describe it."""

from __future__ import annotations

from pathlib import Path

from dabench.types import ModelEntry, ModelInfo
from model_zoo.hub import Notify, resolve_weights
from model_zoo.snapshot import weight_notes

from .checkpoint import build, load_state
from .config import CONFIGS, VERSION_1, DepthAnythingV2Config
from .predictor import DepthAnythingV2Predictor, resolve_device, resolve_precision
from .preprocess import check_input_size


def load(
    entry: ModelEntry,
    *,
    checkpoint: Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    input_size: int | None = None,
    compile: str = "auto",
    notify: Notify | None = None,
) -> DepthAnythingV2Predictor:
    """Build the model of a catalogue row whose options name a ``config`` and, for metric models, a ``max_depth``.

    Args:
        entry: the catalogue row.
        checkpoint: weight file to use instead of the catalogued one.
        device, precision, input_size, compile: as :class:`~.predictor.DepthAnythingV2Predictor` takes them.
        notify: told about downloads and licences; standard error if None.

    Raises:
        UsageError: an option that this machine or this model cannot meet; found before anything is downloaded.
        CheckpointError: the weight file is absent, damaged or of another model.
        DownloadError: the weights are not on this machine and cannot be fetched.
    """
    config = _config(entry)
    resolve_precision(precision, resolve_device(device))
    check_input_size(config.input_size if input_size is None else input_size)
    weights = resolve_weights(entry, checkpoint, notify=notify)
    state = load_state(weights.path, sha256=weights.sha256, version=config.version)
    official = checkpoint is None or weights.sha256 == entry.sha256
    info = ModelInfo(
        name=entry.name,
        output=entry.output,
        weights_sha256=weights.sha256,
        parameters=entry.parameters,
        licence=entry.licence if official else None,
        source=weights.source,
        settings={"weights_format": state.format},
        notes=(*weight_notes(entry, weights, official=official), *state.notes),
    )
    return DepthAnythingV2Predictor(
        build(state, config), info, device=device, precision=precision, input_size=input_size, compile=compile
    )


def _config(entry: ModelEntry) -> DepthAnythingV2Config:
    config = (CONFIGS | VERSION_1)[entry.options["config"]]
    max_depth = entry.options.get("max_depth")
    return config if max_depth is None else config.metric(max_depth)
