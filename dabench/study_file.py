"""A whole study in one TOML file: which models, under which protocols, and what is written of it.

title = "Zero-shot, three sizes"
protocols = ["da-2k", "kitti-dav2-table2", "nyu-*"]    # names, name@version, or patterns
datasets = ["sintel"]                                  # their default protocols
data_root = "data"                                     # relative to this file, as are all paths in it
out = "runs/sizes"
reports = true                                         # a page for each run; the leaderboard is always written

[defaults]                                             # for every model
precision = "fp32"

[[models]]
name = "depth-anything-v2-small"

[[models]]
name = "marigold-v1.1"
options = { steps = 4, ensemble = 1 }

[[models]]
name = "mine"                                          # saved maps, made anywhere
predictions = "maps"
output_kind = "disparity"
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from dabench.errors import UsageError
from dabench.types import MAP_OUTPUTS

Positive = Annotated[int, Meta(ge=1)]
Options = dict[str, bool | int | float | str]


class Load(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a model is loaded; of ``[defaults]``, or of one model."""

    device: str | None = None
    precision: str | None = None
    input_size: Positive | None = None
    compile: str | None = None


class Model(Load, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of ``[[models]]``."""

    name: Annotated[str, Meta(min_length=1)]
    checkpoint: str | None = None
    predictions: str | None = None
    output_kind: str | None = None
    options: Options = msgspec.field(default_factory=dict)


class StudyFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of the file; paths are relative to its folder."""

    models: Annotated[list[Model], Meta(min_length=1)]
    title: str = ""
    protocols: list[str] = msgspec.field(default_factory=list)
    datasets: list[str] = msgspec.field(default_factory=list)
    data_root: str | None = None
    out: str = "runs"
    subset: str | None = None
    limit: Positive | None = None
    batch_size: Positive = 1
    workers: Positive = 2
    keep_predictions: bool = False
    reports: bool = True
    defaults: Load = Load()

    def load_options(self, model: Model) -> dict[str, Any]:
        """Device, precision, input size and compile mode of one model: its own, else the defaults, else dabench's."""
        usual = {"device": "auto", "precision": "fp32", "input_size": None, "compile": "auto"}
        return {key: _first(getattr(model, key), getattr(self.defaults, key), value) for key, value in usual.items()}


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def read_study_file(path: Path) -> StudyFile:
    """Read and check a file.

    Raises:
        UsageError: unreadable, not TOML, or a field that is unknown or of the wrong kind; names file and field.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    try:
        study = msgspec.convert(content, StudyFile)
    except msgspec.ValidationError as error:
        fields = ", ".join(StudyFile.__struct_fields__)
        raise UsageError(
            f"{path}: {error}", hint=f"fields: {fields}; of a model: {', '.join(Model.__struct_fields__)}"
        ) from error
    if study.subset is not None and study.limit is not None:
        raise UsageError(f"{path}: subset and limit both choose samples", hint="leave one of them out")
    for model in study.models:
        if model.predictions is None:
            continue
        if model.output_kind not in MAP_OUTPUTS:
            raise UsageError(
                f"{path}: model '{model.name}' has predictions and the output_kind {model.output_kind!r}",
                hint=f"one of {', '.join(MAP_OUTPUTS)}",
            )
        if model.checkpoint is not None or model.options:
            raise UsageError(f"{path}: model '{model.name}': saved maps have no checkpoint and no options")
    names = [model.name for model in study.models]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise UsageError(
            f"{path} names model '{repeated}' twice, and both would write to the same records",
            hint="give each a file of its own, with another out",
        )
    return study
