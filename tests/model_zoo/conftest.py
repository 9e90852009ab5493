"""The loopback hub, with the hub client pointed at it and an empty cache."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def load_by_path(path: Path) -> Any:
    """A module of the tests, which are no package, by its file."""
    spec = importlib.util.spec_from_file_location(f"tests_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up while it runs
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules.pop(spec.name, None)
    return module


@contextmanager
def serving(patch: pytest.MonkeyPatch, cache: Path, timeout: float = 2) -> Iterator[Any]:
    from huggingface_hub import constants

    module = load_by_path(Path(__file__).parents[1] / "loopback_hub.py")
    for variable in ("HF_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        patch.delenv(variable, raising=False)
    patch.setenv("HF_HUB_CACHE", str(cache))
    patch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", timeout)
    patch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", timeout)
    with module.LoopbackHub() as server:
        patch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    with serving(monkeypatch, tmp_path / "cache") as server:
        yield server


@pytest.fixture(scope="module")
def module_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One hub and one cache for all tests of a file."""
    cache = tmp_path_factory.mktemp("hub") / "cache"
    with pytest.MonkeyPatch.context() as patch, serving(patch, cache, timeout=60) as server:
        yield server


@pytest.fixture(scope="session")
def publishers() -> dict[str, Any]:
    """By factory, what builds a tiny random network of the real class and offers its files on a hub.

    Each ``tiny/*.py`` has ``FACTORIES``, those it serves, and ``publish(hub, entry, folder) -> ModelEntry``, the row
    that finds what was published.
    """
    found: dict[str, Any] = {}
    for path in sorted((Path(__file__).parent / "tiny").glob("*.py")):
        module = load_by_path(path)
        found |= dict.fromkeys(module.FACTORIES, module.publish)
    return found
