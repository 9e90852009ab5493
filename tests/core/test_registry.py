"""Names to values: lazily, checked, with near names; and catalogues that cannot be loaded."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dabench import errors, registry
from dabench.errors import DabenchError, ModelError, UnknownNameError, UsageError
from dabench.registry import Registry, import_attribute
from dabench.types import ModelEntry, Output


def entry(name: str, **changes: Any) -> ModelEntry:
    return ModelEntry(**{"name": name, "output": Output.DISPARITY, "summary": "s", "factory": "m:f", **changes})


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    made = types.ModuleType("made_for_the_test")
    made.number = 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_for_the_test", made)
    return made


def test_values_are_imported_on_first_use_only(module: types.ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "costly_module.py").write_text("value = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    numbers: Registry[int] = Registry("number", int)
    numbers.register("seven", "costly_module:value")
    numbers.register("three", "made_for_the_test:number")
    assert numbers.names() == list(numbers) == ["seven", "three"] and len(numbers) == 2 and "seven" in numbers
    assert "costly_module" not in sys.modules
    assert numbers.get("seven") == numbers.get("seven") == 7
    sys.modules.pop("costly_module")


def test_values_are_type_checked_when_resolved(module: types.ModuleType) -> None:
    words: Registry[str] = Registry("word", lambda v: isinstance(v, bytes))
    words.register("three", "made_for_the_test:number")
    with pytest.raises(UsageError, match="word 'three' resolved to 3, which is not a word"):
        words.get("three")
    with pytest.raises(UsageError, match="word 'four'"):
        words.register("four", 4)  # type: ignore[arg-type]
    assert "four" not in words


def test_a_name_is_never_silently_replaced() -> None:
    numbers: Registry[int] = Registry("number", int)
    numbers.register("one", 1)
    numbers.register("one", 1)
    with pytest.raises(UsageError, match="number 'one' is registered twice"):
        numbers.register("one", 2)
    assert numbers.get("one") == 1


def test_unknown_names_suggest_the_nearest() -> None:
    numbers: Registry[int] = Registry("number", int)
    with pytest.raises(UnknownNameError, match="none are registered"):
        numbers.get("on")
    for name in ("one", "two", "three"):
        numbers.register(name, len(name))
    with pytest.raises(UnknownNameError, match=r"unknown number 'tree'\n  did you mean 'three'\?") as caught:
        numbers.get("tree")
    assert caught.value.near == ["three"]
    with pytest.raises(UnknownNameError, match="known: one, three, two"):
        numbers.get("zzz")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("no_such_module_here:x", "no module named 'no_such_module_here'"),
        ("made_for_the_test:nothing", "has no attribute 'nothing'"),
        ("made_for_the_test", "not of the form"),
        (":x", "not of the form"),
        ("made_for_the_test:", "not of the form"),
    ],
)
def test_a_path_that_leads_nowhere_is_a_usage_error(module: types.ModuleType, path: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        import_attribute(path)


def test_a_module_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_broken_module.py").write_text("from os import no_such_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"cannot import 'half_broken_module'.*no_such_name"):
        import_attribute("half_broken_module:x")


class Provider:
    """An entry point of ``dabench.models``."""

    def __init__(self, name: str, rows: Callable[[], Any] | Exception) -> None:
        self.name, self._rows = name, rows

    def load(self) -> Callable[[], Any]:
        if isinstance(self._rows, Exception):
            raise self._rows
        return self._rows


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Registry[ModelEntry]]]:
    """The model registry as it would be with these providers."""

    def build(*providers: Provider) -> Registry[ModelEntry]:
        monkeypatch.setattr(registry, "entry_points", lambda group: list(providers))
        return registry.models()

    registry.models.cache_clear()
    registry.broken_providers.cache_clear()
    yield build
    registry.models.cache_clear()
    registry.broken_providers.cache_clear()


def broken() -> list[ModelEntry]:
    raise RuntimeError("no licence server")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Provider("bad", ImportError("no module named 'gone'")), "gone"),
        (Provider("bad", broken), "no licence server"),
        (Provider("bad", lambda: [3]), "int"),
        (Provider("bad", lambda: None), "NoneType"),
        (Provider("bad", lambda: [entry("good-model", summary="another")]), "registered twice"),
    ],
)
def test_a_broken_provider_hides_nobody_elses_models(
    catalogue: Callable[..., Registry[ModelEntry]], bad: Provider, reason: str
) -> None:
    good = Provider("a", lambda: [entry("good-model")])
    assert catalogue(bad, good).get("good-model").summary == "s"
    assert reason in registry.broken_providers()["bad"]
    with pytest.raises(UnknownNameError, match="model providers failed to load: bad: .*" + reason):
        registry.load_model("other-model")


def test_published_only_models_say_why(catalogue: Callable[..., Registry[ModelEntry]]) -> None:
    row = entry("closed", status="published-only", factory="", reason="weights were never released")
    catalogue(Provider("a", lambda: [row]))
    with pytest.raises(ModelError, match=r"published numbers only\n  weights were never released"):
        registry.load_model("closed")


def test_a_model_is_built_through_its_row(catalogue: Any, module: Any) -> None:
    module.build = lambda row, **options: (row.name, options)
    catalogue(Provider("a", lambda: [entry("mine", factory="made_for_the_test:build")]))
    assert registry.load_model("mine", device="cpu") == ("mine", {"device": "cpu"})


def test_rows_are_checked() -> None:
    with pytest.raises(UsageError, match="status 'wip' is not one of"):
        entry("x", status="wip")
    with pytest.raises(UsageError, match="is not 'module:attr'"):
        entry("x", factory="module.attr")
    assert entry("x", licence="CC-BY-NC-4.0").non_commercial
    assert not entry("x", licence="Apache-2.0").non_commercial and not entry("x").non_commercial


def error_classes() -> list[type[DabenchError]]:
    return [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, DabenchError)]


@pytest.mark.parametrize("kind", [c for c in error_classes() if c is not UnknownNameError], ids=lambda c: c.__name__)
def test_errors_carry_a_way_out_and_an_exit_code(kind: type[DabenchError]) -> None:
    assert str(kind("it broke", hint="mend it")) == "it broke\n  mend it"
    assert str(kind("it broke")) == "it broke"
    assert kind.exit_code in (1, 2) and kind.__doc__


def test_the_tree_of_errors_is_the_documented_one() -> None:
    assert errors.__doc__ is not None
    for kind in error_classes():
        assert kind.__name__ in errors.__doc__
    for line in errors.__doc__.splitlines():
        if "exit code" in line:
            name = line.strip("│├└─ ").split()[0]
            assert getattr(errors, name).exit_code == int(line[-1]), name


def _settable(monkeypatch: pytest.MonkeyPatch, **row: Any) -> None:
    entry = ModelEntry(
        name="settable-model",
        output=Output.DISPARITY,
        summary="returns what its factory was given",
        factory="builtins:dict",
        **row,
    )
    monkeypatch.setattr(registry, "import_attribute", lambda _: lambda entry, **options: options)
    monkeypatch.setitem(registry.models()._items, entry.name, entry)


def test_settings_are_read_as_the_type_of_their_default(monkeypatch: pytest.MonkeyPatch) -> None:
    _settable(monkeypatch, settable={"steps": 4, "scale": 0.5, "flip": True, "model": "", "seed": None})
    given = {"steps": "8", "scale": "2", "flip": "false", "model": "gpt"}
    loaded = registry.load_model("settable-model", settings=given, device="cpu")
    expected = {"steps": 8, "scale": 2.0, "flip": False, "model": "gpt", "seed": None}
    assert loaded == {"device": "cpu", "settings": expected}
    assert type(loaded["settings"]["scale"]) is float


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"step": "4"}, "no option 'step'\n  its options: steps, flip"),
        ({"steps": "many"}, "option steps=many is not a whole number"),
        ({"flip": "yes"}, "option flip=yes is not true or false"),
    ],
)
def test_a_wrong_setting_is_refused(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], message: str) -> None:
    _settable(monkeypatch, settable={"steps": 4, "flip": True})
    with pytest.raises(UsageError, match=re.escape(message)):
        registry.load_model("settable-model", settings=given)


def test_a_model_without_settings_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    _settable(monkeypatch)
    assert registry.load_model("settable-model", device="cpu") == {"device": "cpu"}
    with pytest.raises(UsageError, match="it has none"):
        registry.load_model("settable-model", settings={"steps": "4"})


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    _settable(monkeypatch, requires=("json", "no_such_package_at_all"), extra="zoo")
    with pytest.raises(ModelError, match=r"needs no_such_package_at_all, not installed here\n.*'dabench\[zoo\]'"):
        registry.load_model("settable-model")
