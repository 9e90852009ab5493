"""From a catalogue row to a predictor: check the options, find the files, check the parts, describe the result."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dabench.errors import CheckpointError, UsageError
from dabench.types import ModelEntry, ModelInfo
from model_zoo.depth_anything_v2.predictor import COMPILE_MODES, resolve_device, resolve_precision
from model_zoo.hub import Notify
from model_zoo.snapshot import WeightFolder, resolve_files

from .components import Components, read_components
from .images import SCALE
from .marigold import Marigold
from .one_step import EndToEndFineTuned, Lotus
from .predictor import DiffusionDepthPredictor

_WEIGHTS = {".safetensors": ".bin", ".bin": ".safetensors"}
_VOCABULARY = ("tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/special_tokens_map.json")


def load(
    entry: ModelEntry,
    *,
    checkpoint: Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    input_size: int | None = None,
    compile: str = "auto",
    settings: Mapping[str, Any] | None = None,
    notify: Notify | None = None,
) -> DiffusionDepthPredictor:
    """Build the model of a catalogue row whose options name a ``method``: marigold, e2e-ft, lotus-g or lotus-d.

    Args:
        entry: the catalogue row.
        checkpoint: folder of the same layout to use instead of the catalogued files, such as a fine-tuned model.
        device, precision: as everywhere.
        input_size: has no meaning here, where the long side is set: ``processing_resolution``.
        compile: ``auto`` or ``off``; these networks run eagerly.
        settings: the row's ``settable``, filled in.
        notify: told about downloads and licences; standard error if None.

    Raises:
        UsageError: an option that this machine or this model cannot meet; found before anything is downloaded.
        CheckpointError: a file is absent, damaged or of another model.
        DownloadError: the files are not on this machine and cannot be fetched.
    """
    chosen = _checked({**entry.settable, **(settings or {})}, entry, input_size, compile)
    where = resolve_device(device)
    dtype = resolve_precision(precision, where)
    row = entry if checkpoint is None else _as_in(Path(checkpoint), entry)
    weights = resolve_files(row, checkpoint, notify=notify)
    with _named(entry):
        parts = read_components(weights.path, row.files, where, dtype)
        method = _method(entry, parts, weights.path, chosen)
    official = checkpoint is None or weights.sha256 == entry.sha256
    info = ModelInfo(
        name=entry.name,
        output=entry.output,
        weights_sha256=weights.sha256,
        parameters=entry.parameters or parts.parameters,
        licence=entry.licence if official else None,
        source=weights.source,
        settings={
            **chosen,
            "method": entry.options["method"],
            "input": "long side at processing_resolution, bilinear with antialiasing",
            **method.settings,
            "precision": precision,
            **{library: version(library) for library in ("diffusers", "transformers")},
        },
        notes=_notes(entry, weights, official=official),
    )
    return DiffusionDepthPredictor(method, info, where)


@contextlib.contextmanager
def _named(entry: ModelEntry) -> Iterator[None]:
    """Say of which model a part is wrong, and what to do."""
    try:
        yield
    except CheckpointError as error:
        hint = error.hint or "take all files from the same model, or delete them to download them again"
        raise CheckpointError(f"{entry.name}: {error.message}", hint=hint) from error


def _checked(chosen: dict[str, Any], entry: ModelEntry, input_size: int | None, compile: str) -> dict[str, Any]:
    name = f"model '{entry.name}'"
    if input_size is not None:
        raise UsageError(
            f"{name} has no input size: what is set is the long side", hint="give -o processing_resolution=PIXELS"
        )
    if compile not in COMPILE_MODES:
        raise UsageError(f"compile mode '{compile}' is unknown", hint=f"choose {', '.join(COMPILE_MODES)}")
    if compile == "on":
        raise UsageError(f"{name} cannot be compiled", hint="leave compile at auto")
    for key, least, most in (("steps", 1, 1000), ("ensemble", 1, 1000), ("seed", 0, 2**63 - 1)):
        if key in chosen and not least <= chosen[key] <= most:
            raise UsageError(f"{name}: option {key}={chosen[key]} is not between {least} and {most}")
    resolution = chosen["processing_resolution"]
    if resolution != 0 and resolution < SCALE:
        raise UsageError(
            f"{name}: option processing_resolution={resolution} is smaller than {SCALE} pixels",
            hint="give the long side that the network sees, or 0 for that of the image",
        )
    return chosen


def _as_in(folder: Path, entry: ModelEntry) -> ModelEntry:
    """The row with its files as the caller's folder has them: either kind of weight file, either kind of vocabulary."""
    single = (folder / "tokenizer/tokenizer.json").is_file() and not (folder / _VOCABULARY[0]).is_file()
    names = {name: name for name in entry.files if not (single and name in _VOCABULARY)}
    for name in names:
        other = str(Path(name).with_suffix(_WEIGHTS.get(Path(name).suffix, Path(name).suffix)))
        if not (folder / name).is_file() and (folder / other).is_file():
            names[name] = other
    return replace(entry, file=names.get(str(entry.file), entry.file), files=tuple(names.values()))


def _method(
    entry: ModelEntry, parts: Components, folder: Path, chosen: Mapping[str, Any]
) -> Marigold | EndToEndFineTuned | Lotus:
    """What computes a map with these parts, after a check that they are of that kind."""
    name = entry.options["method"]
    latents = parts.vae.config.latent_channels
    beside = 0 if name == "lotus-d" else latents
    expected = {
        "in_channels": (parts.unet.config.in_channels, latents + beside),
        "out_channels": (parts.unet.config.out_channels, latents),
        "class_embed_type": (parts.unet.config.class_embed_type, "projection" if name.startswith("lotus") else None),
    }
    for key, (found, wanted) in expected.items():
        if found != wanted:
            raise CheckpointError(
                f"{folder}/unet is not of the kind of {entry.name}: its {key} is {found}, not {wanted}",
                hint="score it under the name of a model of its own kind",
            )
    says = parts.index.get("prediction_type")
    if says not in (None, entry.output.value):
        raise CheckpointError(
            f"{folder}/model_index.json says that the model predicts {says}; {entry.name} predicts {entry.output}",
            hint="add a ModelEntry of that output for it, so that it is aligned as it has to be",
        )
    resolution = chosen["processing_resolution"]
    if name == "marigold":
        return Marigold(parts, entry.output, chosen["steps"], chosen["ensemble"], chosen["seed"], resolution)
    if name == "e2e-ft":
        return EndToEndFineTuned(parts, resolution)
    return Lotus(parts, resolution, chosen["seed"] if name == "lotus-g" else None)


def _notes(entry: ModelEntry, weights: WeightFolder, *, official: bool) -> tuple[str, ...]:
    """What a reader of a record needs to know about the weights."""
    if not official:
        return (f"weights given as a folder ({weights.path.name}), not the catalogued ones of {entry.name}",)
    if not weights.pinned:
        return ("no checksum of the weights is catalogued; their content was trusted on first use",)
    return ()
