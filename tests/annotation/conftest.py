"""Fixtures of the labelling tool's tests; ``studies.py`` is importable as ``annotation_studies`` and
``live_server.py`` as ``annotation_live_server``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotation.settings import ProjectSettings
from annotation.study import Study


def _name(module_name: str, file: str) -> None:
    spec = importlib.util.spec_from_file_location(module_name, Path(__file__).parent / file)
    assert spec is not None and spec.loader is not None
    sys.modules[module_name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_name("annotation_studies", "studies.py")
_name("annotation_live_server", "live_server.py")


@pytest.fixture
def clock():
    """Milliseconds that move only when told to: ``clock.forward(seconds)``, ``clock.at = ...``."""
    from annotation_studies import Clock

    return Clock()


@pytest.fixture
def new_study(tmp_path: Path) -> Iterator[Callable[..., Study]]:
    """``new_study(images=..., settings=..., clock=...)``; closed at the end."""
    from annotation_studies import make_study

    made: list[Study] = []

    def make(**options) -> Study:
        made.append(make_study(tmp_path / f"study{len(made)}", **options))
        return made[-1]

    yield make
    for study in made:
        study.close()


@pytest.fixture
def study(new_study: Callable[..., Study], clock) -> Study:
    """Three images, twelve pairs, six people, a clock that obeys."""
    return new_study(clock=clock)


@pytest.fixture
def one_pair(new_study, clock):
    """``one_pair(policy=..., ...)``: a study with one image and one pair."""

    from annotation_studies import PLAIN

    def make(layered=False, pairs=1, **settings):
        return new_study(
            images=1,
            pairs_per_image=pairs,
            settings=ProjectSettings(**(PLAIN | settings)),
            clock=clock,
            layered=layered,
        )

    return make
