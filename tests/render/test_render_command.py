"""`dabench render` as a function: what it accepts and what it hands on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from dabench.cli.render import image_size, render
from dabench.errors import UnknownNameError, UsageError


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Calls of `generate`, which then renders nothing."""
    seen: list[Any] = []

    def generate(out: Path, scenes: int, settings: Any, **options: Any) -> int:
        options["progress"](scenes, scenes)
        seen.append((out, scenes, settings, options["workers"]))
        return 3

    monkeypatch.setattr("dabench.render.dataset.generate", generate)
    return seen


def run(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(render)
    return CliRunner().invoke(app, list(arguments))


def test_options_reach_the_settings(calls: list[Any], tmp_path: Path) -> None:
    result = run("--out", str(tmp_path / "x"), "--scenes", "5", "--seed", "7", "--size", "96x128", "--workers", "2",
                 "--scene-types", "aerial,indoor", "--split", "heldout")  # fmt: skip
    assert result.exit_code == 0, result.output
    out, scenes, settings, workers = calls[0]
    assert (out, scenes, workers) == (tmp_path / "x", 5, 2)
    assert settings.size == (96, 128) and settings.scene_types == ("aerial", "indoor")
    assert settings.split == "heldout" and settings.seed == 7


@pytest.mark.parametrize("split", ["train", "heldout", "photo"])
def test_every_split_is_accepted(calls: list[Any], tmp_path: Path, split: str) -> None:
    result = run("--out", str(tmp_path / "x"), "--scenes", "1", "--seed", "0", "--split", split)
    assert result.exit_code == 0, result.output
    assert calls[0][2].split == split


def test_unknown_scene_type_names_the_nearest(calls: list[Any], tmp_path: Path) -> None:
    result = run("--out", str(tmp_path / "x"), "--scenes", "5", "--seed", "7", "--scene-types", "indor")
    assert isinstance(result.exception, UnknownNameError) and "indoor" in str(result.exception)
    assert not calls


def test_unknown_split_and_a_file_as_folder_are_refused(calls: list[Any], tmp_path: Path) -> None:
    assert isinstance(
        run("--out", str(tmp_path / "x"), "--scenes", "1", "--seed", "0", "--split", "test").exception, UnknownNameError
    )
    (tmp_path / "file").write_text("")
    assert isinstance(run("--out", str(tmp_path / "file"), "--scenes", "1", "--seed", "0").exception, UsageError)
    assert not calls


@pytest.mark.parametrize("text", ["168", "axb", "168x224x3", "8x8", "99999x10", "-32x64", ""])
def test_bad_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--size"):
        image_size(text)


def test_sizes_are_height_by_width() -> None:
    assert image_size("168x224") == (168, 224) and image_size("64X32") == (64, 32)
