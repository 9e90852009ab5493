"""What a training recipe says: every setting of a run, its default, and which of them may not go together."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ..config import PATCH_SIZE
from .toml_text import to_toml


@dataclass(frozen=True)
class Model:
    """The network and what it starts from.

    start: "random"; "dinov2" (encoder only, the head is new); "depth-anything-v2" (a relative checkpoint); or "file"
        (any checkpoint of the same kind). All but "random" read `weights`: a path below the data root or from here,
        or the name of a catalogued model.
    load: which part of a Depth Anything V2 checkpoint is read; "encoder" leaves the head new.
    table_size: side of the positional table in patches, where it is not the size's own; only with `start = "random"`.
    open_output: train without the last ReLU and close it on export (relative models; see `output.py`).
    """

    size: Literal["tiny", "small", "base", "large", "giant"]
    start: Literal["random", "dinov2", "depth-anything-v2", "file"]
    weights: str | None = None
    load: Literal["encoder", "all"] = "encoder"
    max_depth: float | None = None
    drop_path: float = 0.0
    table_size: int | None = None
    open_output: bool = False


@dataclass(frozen=True)
class Generate:
    """Scenes that are made before training where the set's folder is absent.

    by: "sketch" (`training/sketch.py`, an image a scene) or "render" (`dabench render`, up to `views` images a scene).
    """

    by: Literal["sketch", "render"]
    scenes: int
    seed: int = 0
    views: int = 1

    @property
    def images(self) -> int:
        """Images, or the most that there can be."""
        return self.scenes * (self.views if self.by == "render" else 1)


@dataclass(frozen=True)
class SetChoice:
    """One source of labelled images.

    dataset: name in `training/datasets`. root: folder, relative to the data root. repeat: how often its images count in
    a pass. expected: number of images that the source states. where: where to get it. options: for the dataset.
    """

    dataset: str
    root: str
    repeat: float = 1.0
    expected: int | None = None
    where: str = ""
    generate: Generate | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """What a batch is made of.

    size: crop (rows, columns) in pixels, multiples of 14. short_side: shorter side of the image before the crop; None
        is the shorter side of the crop. An image in which the crop does not fit is enlarged until it does.
    batch: images a step, over all processes and accumulated pieces. workers: loading processes a training process.
    hflip, jitter, grey, blur, cutmix: probabilities. rotation: largest angle in degrees. jitter_strength: brightness,
        contrast, saturation, hue. blur_sigma: in pixels. cutmix_area: share of the image; cutmix_aspect: of the box.
    strong: the strong changes of view and appearance of `augment.py`, for networks that see rendered images only.
    cutmix_group: neighbouring positions that exchange boxes. shard_window: shards shuffled together.
    max_bad_share: share of unusable images at which the run stops. validation: sets that are only measured.
    stated_images: images in all, where a source states a number that is not the sum of its sets.
    """

    sets: tuple[SetChoice, ...]
    size: tuple[int, int]
    batch: int
    short_side: int | None = None
    workers: int = 8
    seed: int = 0
    hflip: float = 0.5
    rotation: float = 0.0
    strong: bool = False
    jitter: float = 0.0
    jitter_strength: tuple[float, float, float, float] = (0.5, 0.5, 0.5, 0.25)
    grey: float = 0.0
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    cutmix: float = 0.0
    cutmix_area: tuple[float, float] = (0.02, 0.4)
    cutmix_aspect: tuple[float, float] = (0.3, 3.3)
    cutmix_group: int = 2
    shard_window: int = 16
    max_bad_share: float = 0.01
    validation: tuple[SetChoice, ...] = ()
    stated_images: int | None = None


@dataclass(frozen=True)
class LossSettings:
    """What is minimised (`objectives.py`). Relative losses use the first part, metric ones the last two."""

    kind: Literal["relative", "metric"]
    alignment: Literal["median", "least-squares", "trimmed"] = "median"
    gradient_weight: float = 2.0
    gradient_scales: int = 4
    drop_largest: float = 0.0
    drop_in_gradient: bool = False
    feature_weight: float = 0.0
    feature_margin: float = 0.85
    ranking_weight: float = 0.0
    anchor_until: float = 0.0
    silog: Literal["depth-anything-v2", "zoedepth"] = "depth-anything-v2"
    silog_reduction: Literal["batch", "image"] = "batch"


@dataclass(frozen=True)
class Optim:
    """Optimiser and schedule.

    schedule: of the share of steps done, after a linear `warmup` (share of all steps): "linear" to 0, "poly"
        (1 - share) ** power, "constant", or "onecycle" (`pct_start`, `div`, `final_div`, momentum cycled between the
        two momenta, as in torch's OneCycleLR). clip: largest gradient norm. ema: decay of the averaged weights.
    """

    optimiser: Literal["adamw", "muon"]
    encoder_rate: float
    decoder_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    schedule: Literal["linear", "poly", "onecycle", "constant"] = "linear"
    power: float = 0.9
    warmup: float = 0.0
    pct_start: float = 0.3
    div: float = 25.0
    final_div: float = 1e4
    base_momentum: float = 0.85
    max_momentum: float = 0.95
    clip: float | None = 1.0
    ema: float | None = None


@dataclass(frozen=True)
class Run:
    """How the steps are carried out, watched and kept.

    precision: of the network's arithmetic; weights and losses stay float32. shard: "ddp" or "fsdp2". accumulate:
        pieces a batch is computed in. keep: checkpoints left on disk. nan_limit: steps that may be skipped for a
        non-finite loss or gradient. A network counts as dead, after `alarm_grace` steps, when for `alarm_patience`
        steps L_ssi was within `alarm_constant_band` of 1 (a constant output), the share of zero outputs above
        `alarm_zero_share`, or the spread below `alarm_spread_floor`; and as diverging when the loss was above
        `alarm_divergence` times its running median as long.
    """

    steps: int
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    activation_checkpointing: bool = False
    shard: Literal["ddp", "fsdp2"] = "ddp"
    compile: bool = False
    accumulate: int = 1
    log_every: int = 50
    checkpoint_every: int = 2000
    keep: int = 3
    validate_every: int = 0
    validate_images: int = 500
    nan_limit: int = 50
    alarm_grace: int = 500
    alarm_patience: int = 50
    alarm_constant_band: float = 0.005
    alarm_zero_share: float = 0.95
    alarm_spread_floor: float = 1e-5
    alarm_divergence: float = 10.0


@dataclass(frozen=True)
class Recipe:
    """One training run, resolved: no base, no missing field.

    source: where the values come from. differences: what the sources do and this does not, plainly. undisclosed:
    setting -> why it has this value, for settings that no source states.
    """

    name: str
    title: str
    stage: Literal["teacher", "student", "metric"]
    model: Model
    data: Data
    loss: LossSettings
    optim: Optim
    run: Run
    source: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    undisclosed: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The recipe as TOML with every setting written out; `load_recipe` reads it back to an equal recipe."""
        return to_toml(dataclasses.asdict(self))

    @cached_property
    def sha256(self) -> str:
        """Of `text()`."""
        return hashlib.sha256(self.text().encode()).hexdigest()


MAY_CHANGE = frozenset(
    {
        "title", "source", "differences", "undisclosed", "model.weights", "data.stated_images", "data.workers",
        "data.max_bad_share", "data.validation", "data.sets.root", "data.sets.where", "data.sets.generate",
        "run.activation_checkpointing", "run.shard", "run.compile", "run.accumulate", "run.log_every",
        "run.checkpoint_every", "run.keep", "run.validate_every", "run.validate_images", "run.nan_limit",
        "run.alarm_grace", "run.alarm_patience", "run.alarm_constant_band", "run.alarm_zero_share",
        "run.alarm_spread_floor", "run.alarm_divergence",
    }
)  # fmt: skip
"""Settings that a resumed run may have otherwise: they change how steps are carried out, not which steps they are."""


def contradictions(recipe: Recipe) -> Iterator[str]:
    """What the types cannot say, one sentence a problem, with the field first."""
    model, data, loss, optim, run = recipe.model, recipe.data, recipe.loss, recipe.optim, recipe.run
    yield from (f"{path}: must be a finite number" for path in _not_finite(dataclasses.asdict(recipe), ""))
    if (recipe.stage == "metric") != (loss.kind == "metric"):
        yield f"loss.kind: '{loss.kind}' does not fit stage '{recipe.stage}'"
    if loss.kind == "metric" and model.max_depth is None:
        yield "model.max_depth: a metric model needs its largest depth in metres"
    if model.max_depth is not None and model.max_depth <= 0:
        yield "model.max_depth: must be above 0"
    if loss.kind == "relative" and model.max_depth is not None:
        yield "model.max_depth: a relative model has none"
    if model.start == "random":
        if model.weights is not None:
            yield 'model.weights: not read with model.start = "random"'
    elif model.weights is None:
        yield f'model.weights: needed with model.start = "{model.start}"'
    if model.table_size is not None and model.start != "random":
        yield "model.table_size: belongs to the weights that the model starts from"
    if model.open_output and loss.kind == "metric":
        yield "model.open_output: is for relative models"
    if loss.feature_weight > 0 and model.start not in ("dinov2", "file"):
        yield "loss.feature_weight: needs an encoder to stay near to; start from dinov2 or file"
    yield from loss_contradictions(loss)
    if not data.sets:
        yield "data.sets: is empty"
    for index, choice in enumerate((*data.sets, *data.validation)):
        if choice.repeat <= 0:
            yield f"data.sets.{index}.repeat: must be above 0"
        if Path(choice.root).is_absolute() or ".." in Path(choice.root).parts:
            yield f"data.sets.{index}.root: must lie inside the data root"
        if choice.generate is not None and choice.generate.scenes < 1:
            yield f"data.sets.{index}.generate.scenes: must be at least 1"
    if any(side < PATCH_SIZE or side % PATCH_SIZE for side in data.size):
        yield f"data.size: both sides must be multiples of {PATCH_SIZE}"
    if data.short_side is not None and data.short_side < min(data.size):
        yield "data.short_side: shorter than the crop"
    if data.cutmix > 0 and data.batch % data.cutmix_group:
        yield f"data.batch: must be a multiple of data.cutmix_group ({data.cutmix_group}) when cutmix is on"
    if data.batch % max(run.accumulate, 1):
        yield f"run.accumulate: {run.accumulate} does not divide data.batch {data.batch}"
    positive = {
        "data.batch": data.batch, "run.steps": run.steps, "run.accumulate": run.accumulate, "run.keep": run.keep,
        "run.log_every": run.log_every, "run.checkpoint_every": run.checkpoint_every, "data.cutmix_group":
        data.cutmix_group, "data.shard_window": data.shard_window, "loss.gradient_scales": loss.gradient_scales,
        "optim.div": optim.div, "optim.final_div": optim.final_div,
    }  # fmt: skip
    yield from (f"{name}: must be above 0" for name, value in positive.items() if value <= 0)
    not_negative = {
        "data.workers": data.workers, "data.rotation": data.rotation, "run.validate_every": run.validate_every,
        "run.nan_limit": run.nan_limit, "loss.gradient_weight": loss.gradient_weight, "loss.ranking_weight":
        loss.ranking_weight, "loss.feature_weight": loss.feature_weight, "optim.weight_decay": optim.weight_decay,
        "optim.encoder_rate": optim.encoder_rate, "optim.decoder_rate": optim.decoder_rate,
    }  # fmt: skip
    yield from (f"{name}: must not be negative" for name, value in not_negative.items() if value < 0)
    shares = {
        "data.hflip": data.hflip, "data.jitter": data.jitter, "data.grey": data.grey, "data.blur": data.blur,
        "data.cutmix": data.cutmix, "data.max_bad_share": data.max_bad_share, "loss.anchor_until": loss.anchor_until,
        "optim.warmup": optim.warmup, "optim.pct_start": optim.pct_start, "model.drop_path": model.drop_path,
    }  # fmt: skip
    yield from (f"{name}: must be from 0 to 1" for name, value in shares.items() if not 0 <= value <= 1)
    if optim.ema is not None and not 0 < optim.ema < 1:
        yield "optim.ema: must be between 0 and 1"
    if optim.clip is not None and optim.clip <= 0:
        yield "optim.clip: must be above 0"
    known = set(setting_paths())
    yield from (f"undisclosed: '{path}' is no setting" for path in recipe.undisclosed if path not in known)


def _not_finite(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _not_finite(entry, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from _not_finite(entry, f"{path}.{index}")


def setting_paths() -> list[str]:
    """Dotted names of all settings of a recipe (list items without their number)."""

    def walk(kind: Any, prefix: str) -> Iterator[str]:
        for name, (inner, _) in fields_of(kind).items():
            yield prefix + name
            if dataclasses.is_dataclass(inner):
                yield from walk(inner, f"{prefix}{name}.")

    return list(walk(Recipe, ""))


def fields_of(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Field -> (dataclass inside, or the type itself; whether None is allowed)."""
    hints = typing.get_type_hints(kind)
    found = {}
    for item in dataclasses.fields(kind):
        hint = hints[item.name]
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        inner = next(option for option in options if option is not types.NoneType)
        if typing.get_origin(inner) is tuple and dataclasses.is_dataclass(typing.get_args(inner)[0]):
            inner = typing.get_args(inner)[0]
        found[item.name] = (inner, types.NoneType in options)
    return found


def loss_contradictions(loss: LossSettings) -> Iterator[str]:
    """The same of the loss alone."""
    if not 0 <= loss.drop_largest < 1:
        yield "loss.drop_largest: is a share of the pixels, at least 0 and below 1"
    if loss.drop_largest and loss.alignment == "trimmed":
        yield 'loss.drop_largest: must be 0 with loss.alignment = "trimmed", which drops a fifth of the pixels itself'
    if loss.drop_in_gradient and not loss.drop_largest and loss.alignment != "trimmed":
        yield "loss.drop_in_gradient: has no effect while loss.drop_largest is 0"
    if loss.kind == "metric":
        for name in ("drop_largest", "ranking_weight", "anchor_until"):
            if getattr(loss, name):
                yield f"loss.{name}: belongs to relative losses; must be 0 for a metric one"
