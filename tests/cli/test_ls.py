"""``dabench ls models``: what runs here, what has to be done first, and what cannot run at all."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dabench.cli
from dabench.cli.availability import STATES, _environments, availability, has_weights, hub_cache
from dabench.registry import models
from dabench.types import ModelEntry, Output

runner = CliRunner()
COMMIT, OTHER = "a" * 40, "b" * 40
ROW = ModelEntry(
    "some-model",
    Output.DISPARITY,
    "a summary",
    factory="nowhere:nothing",
    licence="MIT",
    source="someone/Some-Model",
    file="weights.safetensors",
)


def listed(width: int = 100) -> list[str]:
    result = runner.invoke(dabench.cli.build_app(), ["ls", "models"], env={"COLUMNS": str(width)})
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def in_cache(cache: Path, *files: str, commit: str = COMMIT, branch: bool = False) -> None:
    """Lay files down as the hub client does."""
    repository = cache / "models--someone--Some-Model"
    for file in files:
        path = repository / "snapshots" / commit / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
    if branch:
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(commit)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("width", [100, 140])
def test_a_row_is_a_line(width: int) -> None:
    lines = listed(width)
    assert max(len(line) for line in lines) <= width
    for name in models():
        (line,) = (line for line in lines if line.split()[:1] == [name])
        entry = models().get(name)
        assert availability(entry).state in line and str(entry.output) in line
        assert (entry.licence or "-").partition(" (")[0] in line
        assert line.rstrip().endswith("*") == entry.non_commercial
    assert any("* non-commercial" in line for line in lines)


def test_weights_count_at_the_pinned_revision_only(cache: Path) -> None:
    pinned = replace(ROW, revision=COMMIT)
    assert availability(pinned).state == "downloadable"
    in_cache(cache, "weights.safetensors", commit=OTHER, branch=True)
    assert not availability(pinned).installed, "another commit is another file"
    assert availability(ROW).installed, "an unpinned row takes the branch"
    in_cache(cache, "weights.safetensors")
    assert availability(pinned).installed and availability(pinned).state == "installed"


def test_an_unpinned_row_keeps_to_the_commit_of_its_first_use(cache: Path) -> None:
    in_cache(cache, "weights.safetensors", branch=True)
    pins = {"files": {}, "revisions": {"someone/Some-Model": OTHER}}
    (cache / "dabench-pins.json").write_text(json.dumps(pins))
    assert not has_weights(ROW, cache)
    in_cache(cache, "weights.safetensors", commit=OTHER)
    assert has_weights(ROW, cache)
    (cache / "dabench-pins.json").write_text("{")
    assert has_weights(ROW, cache), "a damaged file of pins is the loader's to tell"


def test_every_file_has_to_be_there(cache: Path) -> None:
    row = replace(ROW, files=("config.json", "unet/model.safetensors"), revision=COMMIT)
    in_cache(cache, "weights.safetensors", "config.json")
    assert not availability(row).installed
    in_cache(cache, "unet/model.safetensors")
    assert availability(row).installed
    link = cache / "models--someone--Some-Model" / "snapshots" / COMMIT / "config.json"
    link.unlink()
    link.symlink_to(cache / "gone")
    assert not availability(row).installed, "a link to a blob that was deleted"


def test_the_files_are_looked_for_where_the_hub_client_has_put_them(cache: Path) -> None:
    from huggingface_hub.file_download import repo_folder_name

    for source, name, kind in (("a/B-c", "a/B-c", "model"), ("spaces/a/B-c", "a/B-c", "space")):
        row = replace(ROW, source=source, revision=COMMIT)
        assert not availability(row).installed
        file = cache / repo_folder_name(repo_id=name, repo_type=kind) / "snapshots" / COMMIT / "weights.safetensors"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"weights")
        assert availability(row).installed


def test_a_missing_package_is_named_with_the_way_to_it(cache: Path) -> None:
    in_cache(cache, "weights.safetensors", branch=True)
    row = replace(ROW, requires=("no_such_module", "json"), extra="zoo")
    assert availability(row).state == "needs package"
    assert availability(row).needs == "pip install 'dabench[zoo]'"
    assert availability(replace(row, extra=None)).needs == "pip install 'no_such_module'"


def test_an_environment_is_asked_for_until_it_is_set_up(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marker that is looked for is the one that setting up writes."""
    from model_zoo.environments import location

    row = replace(ROW, options={"environment": "toy", "worker": "toy"})
    monkeypatch.setenv("DABENCH_ENVIRONMENTS", str(tmp_path / "environments"))
    assert (availability(row).state, availability(row).needs) == ("needs environment", "dabench setup toy")
    (tmp_path / "environments" / "toy").mkdir(parents=True)
    assert availability(row).state == "needs environment", "half made"
    location.write(location.Environment("toy", Path(sys.executable)))
    assert availability(row).state == "downloadable"
    in_cache(cache, "weights.safetensors", branch=True)
    assert availability(row).installed
    location.write(location.Environment("toy", tmp_path / "gone"))
    assert availability(row).state == "needs environment", "its interpreter is gone"
    for variable in ("DABENCH_ENVIRONMENTS", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
        assert location.root() == _environments()


def test_the_table_says_how_to_get_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    row = replace(ROW, requires=("no_such_module",), extra="zoo")
    monkeypatch.setitem(models()._items, row.name, row)
    assert any("pip install 'dabench[zoo]'" in line for line in listed())


def test_the_cache_is_where_the_hub_client_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    for variable in (None, "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"):
        if variable:
            monkeypatch.setenv(variable, str(tmp_path / variable))
        code = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        assert str(hub_cache()) == told


def test_json_says_what_is_installed() -> None:
    result = runner.invoke(dabench.cli.build_app(), ["ls", "models", "--json"])
    rows = {row["name"]: row for row in json.loads(result.output)}
    assert set(rows) == set(models())
    assert {row["state"] for row in rows.values()} <= set(STATES)
    assert rows["depth-anything-v2-tiny"]["installed"] is True and rows["depth-anything-v2-tiny"]["needs"] is None
    assert rows["depth-anything-v2-large"]["non_commercial"] is True
    for name, row in rows.items():
        entry = models().get(name)
        assert row["status"] == entry.status
        if entry.status == "published-only":
            assert row["installed"] is False and row["needs"] is None
        else:
            assert row["installed"] == (row["needs"] is None)


def test_looking_is_fast() -> None:
    rows = [models().get(name) for name in models()]
    start = time.perf_counter()
    for row in rows:
        availability(row)
    assert time.perf_counter() - start < 0.5
