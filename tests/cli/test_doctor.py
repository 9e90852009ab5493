"""``dabench doctor`` tells of every extra, and what to do for the ones that are not there."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dabench.cli
from dabench.cli import doctor

PYPROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))


def told() -> str:
    result = CliRunner().invoke(dabench.cli.build_app(), ["doctor"])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_extras_are_those_of_the_package() -> None:
    declared = PYPROJECT["project"]["optional-dependencies"]
    for_users = {name: packages for name, packages in declared.items() if name not in ("bench", "test", "lint", "dev")}
    assert set(doctor.EXTRAS) == set(for_users)
    for name, packages in for_users.items():
        assert sorted(doctor.EXTRAS[name]) == sorted(re.split(r"[<>=\[ ]", package)[0] for package in packages)


def test_every_extra_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.version

    def version(name: str) -> str:
        if name in ("diffusers", "httpx"):
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "_models", list)
    lines = {line[4:22].strip(): line for line in told().splitlines()}
    assert all(f"extra {name}" in lines for name in doctor.EXTRAS)
    assert lines["extra vlm"].startswith("--") and "pip install 'dabench[vlm]'" in lines["extra vlm"]
    assert "without diffusers (transformers" in lines["extra zoo"], "half of an extra is not the extra"
    assert lines["extra render"].startswith("ok") and "mitsuba" in lines["extra render"]
