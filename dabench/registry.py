"""One registry class for models, datasets and any other named thing.

Values may be objects or ``"module:attr"`` strings that are imported on first use, so that listing names costs nothing.
Idea: lm-evaluation-harness ``lm_eval/api/registry.py``.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from dabench.errors import ModelError, UnknownNameError, UsageError
from dabench.types import ModelEntry

T = TypeVar("T")

NETWORK_SUFFIXES = frozenset({".onnx", ".xml", ".pt", ".ts", ".torchscript"})
"""Endings that make a name the path of a network file."""


def import_attribute(path: str) -> Any:
    """Import ``"package.module:attr"`` and return the attribute.

    Raises:
        UsageError: the path is malformed, or the module or attribute does not exist.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"'{path}' is not of the form 'module:attr'")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"cannot import '{module_name}' for '{path}': no module named '{error.name}'",
            hint=f"install the package that provides '{error.name}'",
        ) from error
    except ImportError as error:
        raise UsageError(f"cannot import '{module_name}' for '{path}': {error}") from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise UsageError(f"module '{module_name}' has no attribute '{attribute}'") from error


class Registry(Generic[T]):
    """Names to values, with lazy import, a type check on resolve, and near-name errors.

    Args:
        kind: the word used in errors ("model", "dataset").
        expected: a type (or a predicate) that every resolved value must satisfy.
    """

    def __init__(self, kind: str, expected: type[T] | Callable[[Any], bool]) -> None:
        self.kind = kind
        self._expected = expected
        self._items: dict[str, T | str] = {}
        self._lock = threading.RLock()

    def register(self, name: str, value: T | str) -> None:
        """Add ``name``. A second, different value under the same name is an error, never a silent replacement."""
        with self._lock:
            if name in self._items and self._items[name] != value:
                raise UsageError(f"{self.kind} '{name}' is registered twice")
            if not isinstance(value, str):
                self._check(name, value)
            self._items[name] = value

    def get(self, name: str) -> T:
        """Resolve ``name``, importing it if it is still a string.

        Raises:
            UnknownNameError: nothing of that name; the message lists the nearest.
            UsageError: the import failed, or the value is of the wrong type.
        """
        with self._lock:
            if name not in self._items:
                raise UnknownNameError(self.kind, name, self._items)
            value = self._items[name]
            if isinstance(value, str):
                value = import_attribute(value)
                self._check(name, value)
                self._items[name] = value
            return value  # type: ignore[return-value]

    def _check(self, name: str, value: Any) -> None:
        if isinstance(self._expected, type):
            good = isinstance(value, self._expected) or (isinstance(value, type) and issubclass(value, self._expected))
        else:
            good = self._expected(value)
        if not good:
            raise UsageError(f"{self.kind} '{name}' resolved to {value!r}, which is not a {self.kind}")

    def names(self) -> list[str]:
        return sorted(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._items)


@cache
def models() -> Registry[ModelEntry]:
    """All catalogued models, collected from the ``dabench.models`` entry points.

    An entry point names a callable that returns :class:`~dabench.types.ModelEntry` rows. A provider that fails to
    import, or whose rows are malformed or taken, is reported when a model is asked for that nobody else has; it never
    hides the models of the others.
    """
    registry: Registry[ModelEntry] = Registry("model", ModelEntry)
    for point in sorted(entry_points(group="dabench.models"), key=lambda p: p.name):
        try:
            for row in point.load()():
                registry.register(row.name, row)
        except Exception as error:  # a broken plugin must not take the catalogue down
            broken_providers()[point.name] = f"{type(error).__name__}: {error}"
    return registry


@cache
def broken_providers() -> dict[str, str]:
    """Entry points of ``dabench.models`` that could not be loaded, with the reason."""
    return {}


def is_network_file(name: str) -> bool:
    """Whether ``name`` means a network file: one that exists, or ends like one, and is no registered model."""
    return name not in models() and (Path(name).suffix.lower() in NETWORK_SUFFIXES or Path(name).is_file())


def model_entry(name: str, output: str | None = None) -> ModelEntry:
    """The row of a registered model, or one made from a network file.

    Args:
        name: a registered model, or the path of a network file.
        output: what a network file's values mean (``disparity``, ``depth`` or ``metric``); None if the file says it.

    Raises:
        UnknownNameError: no such model.
        UsageError: ``output`` is missing for a file, or is not that of a registered model.
        ModelError: the file is absent, incomplete, or not what its name says.
    """
    if is_network_file(name):
        row: ModelEntry = import_attribute("model_zoo.network_files:entry")(Path(name), output)
        return row
    registry = models()
    if name not in registry and broken_providers():
        reasons = "; ".join(f"{provider}: {reason}" for provider, reason in broken_providers().items())
        raise UnknownNameError("model", name, registry, hint=f"these model providers failed to load: {reasons}")
    entry = registry.get(name)
    if output is not None and output != entry.output:
        raise UsageError(f"model '{name}' gives {entry.output}, not {output}", hint="leave the output kind out")
    return entry


def load_model(
    name: str, *, settings: Mapping[str, Any] | None = None, output: str | None = None, **options: Any
) -> Any:
    """Build the model ``name`` through its catalogue row.

    Args:
        name: a registered model, or the path of a network file.
        output: what a network file's values mean; see :func:`model_entry`.
        settings: what the row lets one set, as text or as values; the row's defaults fill in the rest.
        options: passed on to the factory.

    Raises:
        UnknownNameError: no such model.
        UsageError: a setting that the model does not have, or that is not of its type.
        ModelError: the model is published-only, or a package that it needs is not installed.
    """
    entry = model_entry(name, output)
    own_weights = entry.factory and options.get("checkpoint") is not None
    if entry.status == "published-only" and not own_weights:
        raise ModelError(f"model '{name}' has published numbers only", hint=entry.reason)
    chosen = typed_settings(entry, settings or {})
    missing = missing_packages(entry)
    if missing:
        package = f"dabench[{entry.extra}]" if entry.extra else " ".join(missing)
        raise ModelError(
            f"model '{name}' needs {' and '.join(missing)}, not installed here", hint=f"pip install '{package}'"
        )
    if entry.settable:
        options["settings"] = chosen
    return import_attribute(entry.factory)(entry, **options)


def missing_packages(entry: ModelEntry) -> list[str]:
    """Modules that a model requires and that are not installed; nothing is imported."""
    return [module for module in entry.requires if importlib.util.find_spec(module) is None]


def typed_settings(entry: ModelEntry, given: Mapping[str, Any]) -> dict[str, Any]:
    """The row's settings with those given in place of the defaults, each of its default's type.

    Raises:
        UsageError: a setting that the model does not have, or that is not of its type.
    """
    chosen = dict(entry.settable)
    for key, value in given.items():
        if key not in chosen:
            known = ", ".join(entry.settable) or "it has none"
            raise UsageError(f"model '{entry.name}' has no option '{key}'", hint=f"its options: {known}")
        chosen[key] = _typed(entry.name, key, value, entry.settable[key])
    return chosen


def _typed(model: str, key: str, value: Any, default: Any) -> Any:
    if default is None or not isinstance(value, str):
        return value
    kind = type(default)
    try:
        if kind is bool:
            return {"true": True, "false": False}[value.lower()]
        return kind(value)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        raise UsageError(f"model '{model}': option {key}={value} is not {wanted}") from None
