"""`dabench train` as a user calls it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dabench.cli
from dabench.errors import DatasetError, UnknownNameError, UsageError
from model_zoo.depth_anything_v2.training import loop, prepare
from model_zoo.depth_anything_v2.training.cli_train import scoring_hint
from model_zoo.depth_anything_v2.training.prepare import jobs
from model_zoo.depth_anything_v2.training.recipe import available_recipes, load_recipe

runner = CliRunner()
SHORT = ["run.steps=2", "data.batch=4", "data.workers=0", "run.log_every=1", "data.size=[28, 42]", "data.short_side=28"]


def run(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(dabench.cli.build_app(), ["train", *arguments], env={"COLUMNS": "140"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def with_sets(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def test_the_list_has_every_recipe() -> None:
    listed = run("--list")
    assert [name for name in available_recipes() if f" {name} " not in listed] == []


@pytest.mark.parametrize(
    ("recipe", "facts"),
    [
        ("paper-teacher-giant", ["17.21", "595,000", "306,000", "16.95", "160,000 of 64", "1,255,475,713"]),
        ("paper-student-large", ["1.49", "62,000,000", "13,100,000", "480,000 of 192", "45.8 TB", "data.cutmix"]),
        ("metric-hypersim-small", ["119.95", "59,543", "223,200 of 32", "depth-anything-v2-small"]),
    ],
)
def test_a_dry_run_needs_no_data(recipe: str, facts: list[str], tmp_path: Path) -> None:
    shown = run(recipe, "--dry-run", "--data-root", str(tmp_path / "nowhere"))
    assert [fact for fact in facts if fact not in shown] == []
    for choice in load_recipe(recipe).data.sets:
        assert f"{choice.root}: {choice.where}" in shown
    assert "missing" in shown and not (tmp_path / "nowhere").exists()


def test_a_dry_run_says_what_an_override_does(tmp_path: Path) -> None:
    root = ["--data-root", str(tmp_path)]
    shown = run("mini", "--dry-run", *root, *with_sets("run.steps=100", "data.batch=40"), "--tflops", "1")
    assert "100 of 40 images" in shown and "3.33, 30.0 steps each" in shown and "time (estimate)" in shown
    assert list(tmp_path.iterdir()) == []
    spread = run("paper-teacher-giant", "--dry-run", *root, "--processes", "16")
    assert "batch 64 over 16 processes" in spread


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["mimi"], UnknownNameError, "mini"),
        (["mini", "--set", "data.batc=1"], UnknownNameError, "data.batch"),
        (["mini", "--set", "run.steps=x"], UsageError, "run.steps"),
        ([], UsageError, "--list"),
        (["absent.toml"], UsageError, "absent.toml does not exist"),
    ],
)
def test_a_wrong_call_is_an_error_of_ours(arguments: list[str], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as error:
        run(*arguments, "--dry-run")
    assert getattr(error.value, "exit_code", None) == 2


def test_files_in_the_place_of_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--out"):
        run("mini", "--out", str(tmp_path / "file"), "--data-root", str(tmp_path))
    with pytest.raises(UsageError, match="--data-root"):
        run("mini", "--out", str(tmp_path / "out"), "--data-root", str(tmp_path / "file"))


def test_help_and_list_need_no_torch() -> None:
    code = (
        "import sys, dabench.cli\nfrom typer.testing import CliRunner\n"
        "assert CliRunner().invoke(dabench.cli.build_app(), ['train', '--help']).exit_code == 0\n"
        "assert CliRunner().invoke(dabench.cli.build_app(), ['train', '--list']).exit_code == 0\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_trains_and_says_how_to_score(
    tmp_path: Path, write_rendered_set: Callable[[Path, Sequence[int]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command hands to the loop, and what it says of the result."""
    write_rendered_set(tmp_path / "data" / "mini" / "sketches-0", range(8))
    calls = []

    def train(recipe: object, root: Path, out: Path, **options: object) -> loop.RunResult:
        calls.append((recipe, root, out, options))
        return loop.RunResult(True, 2, out, None, out / "model.safetensors", None, {"validation/loss": 0.5})

    monkeypatch.setattr(loop, "train", train)
    own = tmp_path / "own.toml"
    own.write_text(
        'base = "mini"\n[data]\nvalidation = []\n[[data.sets]]\ndataset = "rendered"\nroot = "mini/sketches-0"\n'
    )
    out = tmp_path / "run"
    shown = run(str(own), "--data-root", str(tmp_path / "data"), "--out", str(out), "--fresh", *with_sets(*SHORT))
    recipe, root, folder, options = calls[0]
    assert recipe == load_recipe(own, SHORT) and (root, folder) == (tmp_path / "data", out)
    assert options == {"device": "auto", "fresh": True}
    assert f"dabench eval -m depth-anything-v2-tiny --checkpoint {out / 'model.safetensors'}" in shown
    assert "validation/loss 0.5" in shown


def test_a_stopped_run_says_that_it_goes_on(
    tmp_path: Path, write_rendered_set: Callable[[Path, Sequence[int]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "train", lambda *_, **__: loop.RunResult(False, 1, tmp_path, None))
    for name in ("sketches-0", "sketches-1", "sketches-held-out"):
        write_rendered_set(tmp_path / "mini" / name, range(4))
    shown = run("mini", "--data-root", str(tmp_path), "--out", str(tmp_path / "out"), code=1)
    assert "stopped at step 1" in shown and "goes on" in shown and "dabench eval" not in shown


@pytest.mark.parametrize(
    ("recipe", "model", "side"),
    [
        ("mini", "depth-anything-v2-tiny", 98),
        ("mini-gpu", "depth-anything-v2-small", 168),
        ("paper-student-base", "depth-anything-v2-base", None),
        ("paper-teacher-giant", "depth-anything-v2-giant", None),
        ("metric-hypersim-large", "depth-anything-v2-metric-indoor-large", None),
        ("metric-vkitti2-small", "depth-anything-v2-metric-outdoor-small", None),
        ("metric-kitti-small", "depth-anything-v2-metric-outdoor-small", 378),
        ("metric-nyu-small", "depth-anything-v2-small-nyu", 392),
    ],
)
def test_how_to_score(recipe: str, model: str, side: int | None) -> None:
    hint = scoring_hint(load_recipe(recipe), Path("run/model.safetensors"))
    size = "" if side is None else f" --input-size {side}"
    assert hint.endswith(f"dabench eval -m {model} --checkpoint run/model.safetensors{size}")


def test_how_to_score_what_the_catalogue_has_not() -> None:
    recipe = load_recipe("mini", ["model.table_size=8"])
    assert "Python" in scoring_hint(recipe, Path("model.safetensors"))


def generated(tmp_path: Path, scenes: int = 3, by: str = "sketch") -> Path:
    own = tmp_path / "own.toml"
    own.write_text(
        f'base = "mini"\n[data]\nvalidation = []\n[[data.sets]]\ndataset = "rendered"\nroot = "made/set"\n'
        f'generate = {{ by = "{by}", scenes = {scenes}, seed = 5 }}\n'
    )
    return own


@pytest.mark.slow
def test_scenes_are_made_where_they_are_absent(tmp_path: Path) -> None:
    recipe, root = load_recipe(generated(tmp_path)), tmp_path / "data"
    seen: list[tuple[str, int, int]] = []
    made = prepare.prepare(recipe, root, progress=lambda *state: seen.append(state))
    assert made == [root / "made" / "set"] and seen[-1] == ("made/set", 3, 3)
    samples = json.loads((made[0] / "metadata.json").read_text())["samples"]
    assert len(samples) == 3 and all((made[0] / name).is_file() for name in samples)
    assert sorted(path.name for path in made[0].parent.iterdir()) == ["set"]
    before = (made[0] / "metadata.json").stat().st_mtime_ns
    assert jobs(recipe, root) == [] and prepare.prepare(recipe, root) == []
    assert (made[0] / "metadata.json").stat().st_mtime_ns == before
    prepare.wait_for(recipe, root)


def test_a_maker_that_fails_leaves_no_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complaint = [sys.executable, "-c", "import sys; print('no light'); sys.exit(3)"]
    monkeypatch.setattr(prepare.Job, "command", lambda self: complaint)
    recipe = load_recipe(generated(tmp_path))
    with pytest.raises(DatasetError, match="status 3: no light"):
        prepare.prepare(recipe, tmp_path / "data")
    assert not (tmp_path / "data" / "made" / "set").exists() and len(jobs(recipe, tmp_path / "data")) == 1


def test_an_interruption_ends_the_makers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file = tmp_path / "pid"
    code = f"import os, time, pathlib; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(60)"
    monkeypatch.setattr(prepare.Job, "command", lambda self: [sys.executable, "-c", code])

    def interrupt(*_: object) -> None:
        if pid_file.exists() and pid_file.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(load_recipe(generated(tmp_path)), tmp_path / "data", progress=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_the_makers_command_lines(tmp_path: Path) -> None:
    sketch = jobs(load_recipe("mini"), tmp_path)
    assert [job.name for job in sketch] == ["mini/sketches-0", "mini/sketches-1", "mini/sketches-held-out"]
    assert sketch[0].command()[1:3] == ["-m", "model_zoo.depth_anything_v2.training.sketch"]
    render = next(job for job in jobs(load_recipe("mini-teacher"), tmp_path) if job.generate.by == "render")
    assert render.command()[1:4] == ["-m", "dabench", "render"] and "--views" in render.command()


def test_the_sizes_that_the_page_gives_are_those_of_the_recipes() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text()
    for weights, recipe in (("runs/mini/", "mini"), ("runs/teacher/", "mini-teacher")):
        (size,) = re.findall(rf"--checkpoint {weights}model\.safetensors --input-size (\d+)", page)
        assert int(size) == load_recipe(recipe).data.short_side
    assert load_recipe("mini-student").data.short_side == load_recipe("mini-teacher").data.short_side
