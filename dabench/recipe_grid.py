"""Grids of recipe choices: a base protocol, and for each axis the values that a paper may have used instead.

A grid file is TOML:

    dataset = "sintel"
    base = "sintel-final"

    [axes.cap]
    "70 m" = { valid = { max = 70.0 } }
    "none" = { valid = { max = "unset" } }

Every choice overrides fields of the base protocol; ``unset`` removes one, and ``1/valid.max`` is what it says (with
``valid.clip_to`` in its place where only that is set).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from dabench import protocols
from dabench.errors import ProtocolError, UsageError
from dabench.passes import Setting, setting_of
from dabench.protocols import Protocol
from dabench.protocols.rule import dense_rule
from dabench.scoring.rule import DenseRule

UNSET, PER_CAP = "unset", "1/valid.max"
MAX_RECIPES = 20_000
Axes = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, eq=False)
class Recipe:
    """One cell of a grid.

    Attributes:
        choices: what was chosen on each axis; several where they mean the same.
        protocol: the whole recipe.
        rule: what scoring needs of it.
    """

    choices: dict[str, tuple[str, ...]]
    protocol: Protocol
    rule: DenseRule

    @property
    def setting(self) -> Setting:
        return setting_of(self.protocol)

    @property
    def field(self) -> str:
        assert self.protocol.valid is not None
        return self.protocol.valid.field

    @property
    def split(self) -> str:
        return self.protocol.dataset.split


@dataclass(frozen=True, eq=False)
class Grid:
    """Every recipe that the axes give and that does not contradict itself, once.

    Attributes:
        dataset: name of the dataset.
        axes: choice names by axis.
    """

    dataset: str
    axes: dict[str, tuple[str, ...]]
    recipes: tuple[Recipe, ...]

    @cached_property
    def sha256(self) -> str:
        """Of everything that changes a number."""
        return hashlib.sha256("\n".join(_meaning(r.protocol) for r in self.recipes).encode()).hexdigest()

    def only(self, recipes: Iterable[Recipe]) -> Grid:
        """The grid with just these of its recipes, and the choices they leave."""
        left = tuple(recipes)
        used = {axis: {choice for r in left for choice in r.choices[axis]} for axis in self.axes}
        axes = {axis: tuple(c for c in choices if c in used[axis]) for axis, choices in self.axes.items()}
        return Grid(self.dataset, axes, left)


def read_grid(path: Path, metrics: tuple[str, ...]) -> Grid:
    """The grid of a file.

    Raises:
        UsageError, ProtocolError: unreadable, or not a grid; names the file.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"grid {path} cannot be read: {error}") from error
    unknown = sorted(set(table) - {"dataset", "base", "axes"})
    axes = table.get("axes", {})
    nested = isinstance(axes, dict) and all(
        isinstance(axis, dict) and axis and all(isinstance(choice, dict) for choice in axis.values())
        for axis in axes.values()
    )
    if unknown or not isinstance(table.get("base"), str) or not axes or not nested:
        raise UsageError(
            f"grid {path} needs dataset, base and [axes.NAME] tables" + (f", not {unknown[0]}" if unknown else ""),
            hint='an axis holds choices like  "70 m" = { valid = { max = 70.0 } }',
        )
    base = protocols.get(table["base"])
    if table.get("dataset", base.dataset.name) != base.dataset.name:
        raise UsageError(f"grid {path}: {base.id} is a protocol of {base.dataset.name}, not of {table['dataset']}")
    return make_grid(base, axes, metrics, origin=str(path))


def make_grid(base: Protocol, axes: Axes, metrics: tuple[str, ...], *, origin: str = "grid") -> Grid:
    """Every combination of choices.

    Args:
        base: what the choices are overrides of.
        axes: axis -> choice -> fields of a protocol, nested as in its file.
        metrics: what is compared with published numbers.
        origin: for errors.

    Raises:
        ProtocolError: a choice names a field or value that no protocol has.
        UsageError: no combination is left, or there are too many.
    """
    plain = tomllib.loads(base.text)
    count = 1
    for axis in axes.values():
        count *= len(axis)
    if count > MAX_RECIPES:
        raise UsageError(f"{origin} has {count} combinations; at most {MAX_RECIPES} are searched")
    found: dict[str, Recipe] = {}
    for combination in itertools.product(*(axis.items() for axis in axes.values())):
        table: dict[str, Any] = plain
        for _, override in combination:
            table = _merged(table, override)
        protocol = _protocol(table, metrics, origin)
        if protocol is None:
            continue
        assert protocol.alignment is not None
        if protocol.alignment.scope != "image" or protocol.aggregation.total != "mean-of-images":
            raise UsageError(
                f"{origin}: a search fits every image and averages images; {base.id} does not",
                hint="choose another base, or set alignment.scope and aggregation.total in every choice of an axis",
            )
        choices = {name: choice for name, (choice, _) in zip(axes, combination, strict=True)}
        key = _meaning(protocol)
        same = found.get(key)
        merged = {n: (*(c for c in same.choices[n] if c != v), v) if same else (v,) for n, v in choices.items()}
        found[key] = Recipe(merged, protocol, dense_rule(protocol))
    if not found:
        raise UsageError(f"{origin}: every combination contradicts itself")
    return Grid(base.dataset.name, {n: tuple(axis) for n, axis in axes.items()}, tuple(found.values()))


def _merged(table: dict[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(table)
    for key, value in override.items():
        if isinstance(value, Mapping):
            result[key] = _merged(result.get(key, {}), value)
        elif value == UNSET:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def _protocol(table: dict[str, Any], metrics: tuple[str, ...], origin: str) -> Protocol | None:
    """The protocol of a merged table; None where its choices contradict each other."""
    alignment, valid = table.get("alignment", {}), table.get("valid", {})
    cap = valid.get("max", valid.get("clip_to"))
    if alignment.get("disparity_floor") == PER_CAP:
        if cap is None:
            return None
        table = _merged(table, {"alignment": {"disparity_floor": 1.0 / cap}})
    table = {**table, "metrics": list(metrics), "expected": []}
    table["dataset"] = {k: v for k, v in table["dataset"].items() if k not in ("expected", "expected_of")}
    try:
        protocol = msgspec.convert(table, Protocol, strict=True)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"{origin}: {error}") from error
    return None if protocols.contradictions(protocol) else protocol


def _meaning(protocol: Protocol) -> str:
    """Everything that changes a number, and nothing else."""
    content = msgspec.to_builtins(
        [protocol.dataset, protocol.space, protocol.valid, protocol.crop, protocol.resampling, protocol.inference,
         protocol.alignment, protocol.aggregation, protocol.metrics]
    )  # fmt: skip
    content[5].pop("input_size", None)
    return json.dumps(content, sort_keys=True)


_SPACES = {"depth": {"space": "depth"}, "disparity": {"space": "disparity"}}
_FITS = {
    f"least squares to {space}": {"alignment": dict.fromkeys(("disparity", "depth", "metric"), method)}
    for space, method in (("1/g", "least-squares-disparity"), ("g", "least-squares-depth"))
}
_FLOORS = {
    "1/cap": {"alignment": {"disparity_floor": PER_CAP}},
    "1/max(g)": {"alignment": {"disparity_floor": "max-ground-truth"}},
    "1e-3": {"alignment": {"disparity_floor": 1e-3}},
}
_NEAREST: dict[str, float] = {"g > 0": 0.0, "g > 0.1 m": 0.1, "g > 1 m": 1.0}
_CAPS: dict[str, tuple[float, ...]] = {
    "kitti": (80.0, 120.0),
    "nyu-d": (10.0,),
    "sintel": (70.0, 72.0, 80.0, 1000.0),
    "eth3d": (72.0, 80.0, 200.0),
    "diode": (50.0, 150.0, 350.0),
}
_CROPS: dict[str, dict[str, dict[str, Any]]] = {
    "kitti": {
        "none": {"image": "full", "frame": "full", "region": "none"},
        "Garg": {"image": "full", "frame": "full", "region": "garg"},
        "Eigen": {"image": "full", "frame": "full", "region": "eigen"},
        "KB": {"image": "full", "frame": "kb", "region": "none"},
        "KB, then Garg": {"image": "full", "frame": "kb", "region": "garg"},
        "KB image": {"image": "kb", "frame": "kb", "region": "none"},
        "KB image, then Garg": {"image": "kb", "frame": "kb", "region": "garg"},
    },
    "nyu-d": {"none": {"region": "none"}, "Eigen": {"region": [45, 471, 41, 601]}},
}
_SPLITS = {
    "kitti": ("eigen-benchmark", "eigen-benchmark-val"),
    "nyu-d": ("test",),
    "sintel": ("final", "final-dynamic"),
    "eth3d": ("distorted", "undistorted"),
    "diode": ("indoor", "all"),
}


def built_in(dataset: str, metrics: tuple[str, ...], base: Protocol | None = None) -> Grid:
    """The grid of a dataset that the questions of the field suggest: what is unstated in papers, with the usual values.

    Raises:
        UsageError: there is none for this dataset.
    """
    if dataset not in _CAPS:
        raise UsageError(
            f"there is no built-in grid for dataset '{dataset}'", hint=f"known: {', '.join(_CAPS)}; or pass --grid FILE"
        )
    base = base or protocols.defaults_of(dataset)[0]
    far = 1e4
    axes: dict[str, dict[str, Any]] = {
        "space": _SPACES,
        "fit": _FITS,
        "floor": _FLOORS,
        "nearest": {name: {"valid": {"min": value}} for name, value in _NEAREST.items()},
        "cap": {
            **{f"{c:g} m": {"valid": {"max": c}, "alignment": {"depth_range": [1e-3, c]}} for c in _CAPS[dataset]},
            "none": {"valid": {"max": UNSET}, "alignment": {"depth_range": [1e-3, far]}},
        },
        "split": {name: {"dataset": {"split": name}} for name in _SPLITS[dataset]},
    }
    if dataset == "sintel":  # sky is infinitely far and either left out by a cap or set to one and counted
        kept = {"valid": {"max": UNSET, "clip_to": 72.0}, "alignment": {"depth_range": [1e-3, 80.0]}}
        axes["cap"]["beyond 72 m set to 72 m"] = kept
    if dataset in _CROPS:
        axes["crop"] = {name: {"crop": crop} for name, crop in _CROPS[dataset].items()}
    if dataset in ("nyu-d", "diode"):
        fields = ("raw", "filled") if dataset == "nyu-d" else ("masked", "unmasked")
        axes["ground truth"] = {name: {"valid": {"field": name}} for name in fields}
    return make_grid(base, axes, metrics, origin=f"the grid of {dataset}")
