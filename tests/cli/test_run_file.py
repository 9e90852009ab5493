"""`dabench run FILE.toml`: models x protocols, resumed, with leaderboard and reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dabench.cli import build_app
from dabench.errors import UsageError
from dabench.study_file import read_study_file

runner = CliRunner()

STUDY = """
title = "Two ways to say little"
out = "records"
limit = 3
reports = {reports}
protocols = ["mini-*"]
workers = 1

[[models]]
name = "location-prior"

[[models]]
name = "saved"
predictions = "maps"
output_kind = "depth"
"""


def write(folder: Path, text: str = STUDY, reports: str = "false") -> Path:
    path = folder / "study.toml"
    path.write_text(text.replace("{reports}", reports))
    return path


def run(*arguments: str) -> Any:
    return runner.invoke(build_app(), ["run", *arguments])


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Saved maps for the first three samples of `mini`: lower is nearer, as the location prior says."""
    from dabench.datasets import open_dataset

    dataset = open_dataset("mini", None, task="pairs")
    for sample_id in dataset.ids[:3]:
        height, width = dataset.image(sample_id).shape[:2]
        path = tmp_path / "maps" / f"{sample_id}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.repeat(np.linspace(2, 1, height, dtype=np.float32)[:, None], width, axis=1))
    return tmp_path / "maps"


def test_it_scores_all_and_writes_pages_and_goes_on(tmp_path: Path, maps: Path) -> None:
    file = write(tmp_path, reports="true")
    result = run(str(file))
    assert result.exit_code == 0, result.output
    out = tmp_path / "records"
    found = {path.parent.relative_to(out).as_posix() for path in out.rglob("summary.json")}
    assert found == {f"{m}/{p}@1" for m in ("location-prior", "saved") for p in ("mini-pairs", "mini-depth")}
    pairs = [json.loads((out / m / "mini-pairs@1/summary.json").read_text()) for m in ("location-prior", "saved")]
    assert pairs[0]["metrics"] == pairs[1]["metrics"] and pairs[0]["partial"]
    assert sorted(p.name for p in (out / "reports").iterdir()) == sorted(
        f"{m}-{p}-1.html" for m in ("location-prior", "saved") for p in ("mini-pairs", "mini-depth")
    )
    page, text = (out / "index.html").read_text(), (out / "LEADERBOARD.md").read_text()
    assert text.startswith("# Two ways to say little") and "location-prior" in text and "Two ways to say little" in page
    assert (out / "study.toml").read_text() == file.read_text()

    lines = out / "location-prior/mini-pairs@1/samples.jsonl"
    before = lines.read_bytes()
    lines.write_bytes(b"".join(before.splitlines(keepends=True)[:1]))
    again = run(str(write(tmp_path)))
    assert again.exit_code == 0 and before.split(b"\n")[0] == lines.read_bytes().split(b"\n")[0]
    assert json.loads((out / "location-prior/mini-pairs@1/summary.json").read_text())["counts"]["ok"] == 3


def test_an_error_of_one_model_leaves_the_others(tmp_path: Path) -> None:
    result = run(str(write(tmp_path)))  # no maps were saved
    assert result.exit_code == 1 and "maps" in result.output
    assert (tmp_path / "records/location-prior/mini-pairs@1/summary.json").is_file()
    assert "location-prior" in (tmp_path / "records/LEADERBOARD.md").read_text()


def test_options_and_paths_reach_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def find(name: str, options: dict[str, Any], out: Path, *, fresh: bool) -> Any:
        seen.append({"name": name, "out": out, "fresh": fresh, **options})
        raise UsageError("enough")

    monkeypatch.setattr("dabench.cli.scoring.find_model", find)
    text = """
    [defaults]
    precision = "bf16"
    input_size = 140
    [[models]]
    name = "depth-anything-v2-tiny"
    checkpoint = "weights/mine.safetensors"
    input_size = 168
    [[models]]
    name = "random"
    device = "cpu"
    """
    result = run(str(write(tmp_path, text)), "--fresh", "--out", str(tmp_path / "elsewhere"))
    assert result.exit_code == 2
    common = {
        "compile": "auto",
        "output": None,
        "out": tmp_path / "elsewhere",
        "fresh": True,
        "precision": "bf16",
        "settings": {},
    }
    first = {"name": "depth-anything-v2-tiny", "checkpoint": tmp_path / "weights/mine.safetensors", "input_size": 168}
    assert seen == [
        {**common, **first, "device": "auto"},
        {**common, "name": "random", "checkpoint": None, "input_size": 140, "device": "cpu"},
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("models = []", "models"),
        ("[[models]]\nname = 'a'\nspeed = 3", "unknown field `speed`"),
        ("limit = 0\n[[models]]\nname = 'a'", "limit"),
        ("title = ", "is not TOML"),
        ("limit = 1\nsubset = 'x'\n[[models]]\nname = 'a'", "both choose samples"),
        ("[[models]]\nname = 'a'\n[[models]]\nname = 'a'", "names model 'a' twice"),
        ("[[models]]\nname = 'a'\npredictions = 'p'", "output_kind None"),
        (
            "[[models]]\nname = 'a'\npredictions = 'p'\noutput_kind = 'depth'\noptions = {x = 1}",
            "no checkpoint and no options",
        ),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        read_study_file(write(tmp_path, text))
    assert told in str(error.value) and "study.toml" in str(error.value)


def test_names_nobody_has_are_told_before_anything_runs(tmp_path: Path) -> None:
    for text in ("[[models]]\nname = 'no-such'", "protocols = ['no-such']\n[[models]]\nname = 'constant'"):
        result = run(str(write(tmp_path, text)))
        assert result.exit_code != 0 and "no-such" in f"{result.output}{result.exception}"
    assert not (tmp_path / "runs").exists()
    with pytest.raises(UsageError, match="cannot be read"):
        read_study_file(tmp_path / "absent.toml")
