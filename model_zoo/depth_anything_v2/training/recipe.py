"""Training recipes: everything that shapes a run, as one checked TOML file.

A recipe is named after its file. It may build on another (`base = "paper-student-small"`): tables are merged, lists and
values replaced. Where a setting may be absent, the word "none" says so. Settings that no paper states have a line in
the table `[undisclosed]`, with the reason for the value.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from dabench.errors import UnknownNameError, UsageError

from .recipe_schema import (
    MAY_CHANGE,
    Data,
    Generate,
    LossSettings,
    Model,
    Optim,
    Recipe,
    Run,
    SetChoice,
    contradictions,
    fields_of,
    setting_paths,
)  # fmt: skip
from .toml_text import NOTHING

__all__ = [
    "MAY_CHANGE", "Data", "Generate", "LossSettings", "Model", "Optim", "Recipe", "Run", "SetChoice",
    "available_recipes", "changed", "forbidden_changes", "load_recipe", "setting_paths",
]  # fmt: skip


def available_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(f.name.removesuffix(".toml") for f in _folder().iterdir() if f.name.endswith(".toml"))


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by name, or from a TOML file (anything with a slash or the suffix .toml).

    Args:
        overrides: "data.batch=32", "data.sets.0.root=x": dotted path and a TOML value; what is not TOML is text.

    Raises:
        UnknownNameError: no such recipe or field; the message lists near names.
        UsageError: not TOML, a wrong value, bases that go round in a circle, or settings that contradict each other;
            the message names the file and the field.
    """
    origin, table = _merged(str(name_or_path), ())
    for override in overrides:
        _override(table, override)
        origin = f"{origin} with --set" if " with --set" not in origin else origin
    table.setdefault("name", Path(str(name_or_path)).name.removesuffix(".toml"))
    table = _checked(table, Recipe, origin, "")
    try:
        recipe = msgspec.convert(table, Recipe, strict=True)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        place = place.rstrip("`").replace("[...]", "").replace("[", ".").replace("]", "")
        raise UsageError(f"{origin}: {place or 'recipe'}: {message}") from error
    problems = list(contradictions(recipe))
    if problems:
        raise UsageError(f"{origin}: " + "; ".join(problems))
    return recipe


def changed(old: Recipe, new: Recipe) -> list[str]:
    """Dotted names of the settings in which two recipes differ, `name` left out; `data.sets.1.root` for list items."""
    first, second = (dataclasses.asdict(recipe) for recipe in (old, new))
    return [path for path in _differences(first, second, "") if path != "name"]


def forbidden_changes(old: Recipe, new: Recipe) -> list[str]:
    """Those of `changed` with which a run cannot go on as the same run: all but MAY_CHANGE."""

    def allowed(path: str) -> bool:
        plain = ".".join(part for part in path.split(".") if not part.isdigit())
        return any(plain == name or plain.startswith(name + ".") for name in MAY_CHANGE)

    return [path for path in changed(old, new) if not allowed(path)]


def _folder() -> Any:
    return resources.files(__package__) / "recipes"


def _merged(name: str, seen: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """(file name for errors, table with its bases merged in)."""
    is_path = name.endswith(".toml") or os.sep in name or "/" in name
    file = Path(name) if is_path else _folder() / f"{name}.toml"
    key = str(file.resolve()) if isinstance(file, Path) else str(file)
    origin = str(file) if is_path else f"{name}.toml"
    if key in seen:
        chain = " -> ".join(Path(step).stem for step in (*seen, key))
        raise UsageError(f"{origin}: base: goes round in a circle: {chain}")
    if not file.is_file():
        if is_path:
            raise UsageError(f"{name} does not exist", hint="give a recipe file, or a name from `dabench train --list`")
        raise UnknownNameError("recipe", name, available_recipes())
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{origin}: not TOML: {error}") from error
    base = table.pop("base", None)
    if base is None:
        return origin, table
    if not isinstance(base, str):
        raise UsageError(f"{origin}: base: must be the name of one recipe")
    if is_path and ("/" in base or base.endswith(".toml")):
        base = str(file.parent / base) if isinstance(file, Path) else base
    _, below = _merged(base, (*seen, key))
    below.pop("name", None)
    return origin, _over(below, table)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`, tables merged."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _override(table: dict[str, Any], text: str) -> None:
    path, equals, written = text.partition("=")
    parts = path.strip().split(".")
    if not equals or not all(parts):
        raise UsageError(f"--set {text!r} is not key=value", hint="for example --set data.batch=32")
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        value = written.strip()
    place: Any = table
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if isinstance(place, list):
            if not part.isdigit() or int(part) >= len(place):
                raise UsageError(f"--set {text}: '{'.'.join(parts[:index])}' has items 0 to {len(place) - 1}")
            if last:
                place[int(part)] = value
            place = place[int(part)]
        elif isinstance(place, dict):
            if last:
                place[part] = value
            elif not isinstance(place.get(part), (dict, list)):
                place[part] = {}
            place = place[part]


def _checked(value: Any, kind: Any, origin: str, prefix: str) -> Any:
    """`value` with "none" read as None; refuses fields that `kind` does not have and names missing ones."""
    if not isinstance(value, dict):
        raise UsageError(f"{origin}: {prefix.rstrip('.') or 'recipe'}: must be a table")
    known = fields_of(kind)
    result = {}
    for key, entry in value.items():
        if key not in known:
            raise UnknownNameError(f"field of {origin}", prefix + key, [prefix + name for name in known])
        inner, optional = known[key]
        if optional and entry == NOTHING:
            entry = None
        elif dataclasses.is_dataclass(inner) and isinstance(entry, list):
            entry = [_checked(item, inner, origin, f"{prefix}{key}.{index}.") for index, item in enumerate(entry)]
        elif dataclasses.is_dataclass(inner):
            entry = _checked(entry, inner, origin, f"{prefix}{key}.")
        result[key] = entry
    for item in dataclasses.fields(kind):
        required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if required and item.name not in result:
            raise UsageError(f"{origin}: {prefix}{item.name}: is missing")
    return result


def _differences(first: Any, second: Any, path: str) -> Iterator[str]:
    if first == second:
        return
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys((*first, *second)):
            yield from _differences(first.get(key), second.get(key), f"{path}.{key}" if path else str(key))
    elif (
        isinstance(first, (list, tuple))
        and isinstance(second, (list, tuple))
        and len(first) == len(second)
        and all(isinstance(item, Mapping) for item in (*first, *second))
    ):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from _differences(one, other, f"{path}.{index}")
    else:
        yield path
