"""docs/your-own-model.md, taken at its word: its files make an installed distribution, its commands are run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "your-own-model.md").read_text(encoding="utf-8")
TOML, PYTHON, SHELL = (re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL) for kind in ("toml", "python", "sh"))
NETWORK = """
import numpy as np

def load_network(checkpoint, device, scale):
    assert checkpoint is None and device == "auto"
    # lower in the picture is nearer
    return lambda image: scale * np.broadcast_to(np.arange(len(image))[:, None], image.shape[:2]).astype(float)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages: the document's module, and what pip would have written beside it."""
    site = tmp_path / "site"
    (site / "my_package").mkdir(parents=True)
    (site / "my_package" / "__init__.py").write_text(NETWORK)
    (site / "my_package" / "dabench_models.py").write_text(PYTHON[0])
    info = site / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    groups = tomllib.loads(TOML[0])["project"]["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for group, points in groups.items()]
    (info / "entry_points.txt").write_text("".join(lines))
    return site


def dabench(site: Path, *arguments: str, code: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dabench", *arguments]
    done = subprocess.run(command, cwd=site.parent, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_it_takes_fewer_than_twenty_lines() -> None:
    assert len([line for line in PYTHON[0].splitlines() if line.strip()]) < 20
    assert len(TOML) == len(PYTHON) == len(SHELL) == 1


@pytest.mark.slow
def test_the_commands_of_the_document(site: Path) -> None:
    commands = [line.split("#")[0].split() for line in SHELL[0].splitlines() if line.startswith("dabench")]
    assert [command[1] for command in commands] == ["ls", "eval"]
    listed = json.loads(dabench(site, *commands[0][1:], "--json"))
    (row,) = [row for row in listed if row["name"] == "my-model"]
    assert (row["output"], row["licence"], row["installed"]) == ("disparity", "MIT", True)
    assert len(listed) > 20, "beside all the others"
    dabench(site, *commands[1][1:])
    record = json.loads((site.parent / "runs" / "my-model" / "mini-pairs@1" / "run.json").read_text())
    assert record["model"]["settings"] == {"scale": 2.0}
    lines = (site.parent / "runs" / "my-model" / "mini-pairs@1" / "samples.jsonl").read_text().splitlines()
    assert len(lines) == 5
    own = [json.loads(line)["correct"] for line in lines]
    dabench(site, "eval", "-m", "location-prior", "--limit", "5")
    lines = (site.parent / "runs" / "location-prior" / "mini-pairs@1" / "samples.jsonl").read_text().splitlines()
    assert own == [json.loads(line)["correct"] for line in lines], "it is the location prior, and is scored as it"


@pytest.mark.slow
def test_a_broken_module_is_told_and_harms_nobody(site: Path) -> None:
    module = site / "my_package" / "dabench_models.py"
    module.write_text("import no_such_framework\n" + module.read_text())
    text = dabench(site, "eval", "-m", "my-model", "--limit", "1", code=2)
    assert "unknown model 'my-model'" in text and "my_package: ModuleNotFoundError" in text
    names = {row["name"] for row in json.loads(dabench(site, "ls", "models", "--json"))}
    assert "depth-anything-v2-tiny" in names and "my-model" not in names
