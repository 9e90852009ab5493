"""Environments: made from a recipe, from nothing but local files, and used by a model without a trace in this one."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import dabench.cli
import model_zoo
from dabench.errors import ModelError, UnknownNameError, UsageError
from dabench.registry import models
from dabench.types import ModelEntry, Output
from model_zoo.environments import build, factory, location, recipe

TOY = Path(__file__).parent / "toy_package"
ROW = ModelEntry(
    "toy-depth",
    Output.DEPTH,
    "lives elsewhere",
    factory="model_zoo.environments.factory:load",
    settable={"scale": 2.0},
    options={"environment": "toy", "worker": str(TOY / "adapter.py")},
)


def dabench_command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(dabench.cli.build_app(), list(map(str, arguments)))


@pytest.fixture(scope="module")
def toy_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that installs the toy package from wheels of local files, and sees this environment's NumPy."""
    folder = tmp_path_factory.mktemp("toy")
    shutil.copytree(TOY, folder / "source")
    (folder / "wheels").mkdir()
    for source in ("toy_depth", "old_typer"):
        build_wheel = f"import setuptools.build_meta as b; b.build_wheel({str(folder / 'wheels')!r})"
        command = [sys.executable, "-c", build_wheel]
        subprocess.run(command, cwd=folder / "source" / source, check=True, capture_output=True, timeout=300)
    path = folder / "toy.toml"
    path.write_text(
        f"""
summary = "the toy package"
python = ["3.8", "3.99"]
packages = ["toy-depth==1.0"]
pip = ["--quiet", "--no-index", "--find-links", {json.dumps(str(folder / "wheels"))}]
imports = ["toy_depth", "typer"]
share = [{json.dumps(sysconfig.get_path("purelib"))}]
"""
    )
    return path


@pytest.fixture(scope="module")
def toy(toy_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of environments, with the toy's, made by the command line."""
    folder = tmp_path_factory.mktemp("environments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DABENCH_ENVIRONMENTS", str(folder))
        patch.setenv("PYTHONPATH", str(TOY))  # must not leak into pip or the environment
        result = dabench_command("setup", toy_recipe)
        assert result.exit_code == 0, result.output
        assert "environment 'toy' is ready" in result.stdout
        yield folder


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("DABENCH_ENVIRONMENTS", str(tmp_path / "environments"))
    return tmp_path / "environments"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models()._items, ROW.name, ROW)


def make_recipe(folder: Path, name: str = "toy", **fields: object) -> recipe.Recipe:
    lines = {"python": ["3.8", "3.99"], "packages": ["numpy"], **fields}
    path = folder / f"{name}.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()))
    return recipe.read(path)


@pytest.mark.slow
def test_a_model_of_another_environment_by_name(
    toy: Path, registered: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its pins are met there and do not touch this environment; it is loaded and scored by name."""
    monkeypatch.setenv("DABENCH_ENVIRONMENTS", str(toy))
    ours = importlib.metadata.version("typer")
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    model = model_zoo.load("toy-depth", settings={"scale": "3"})
    try:
        np.testing.assert_allclose(model.predict(image).values, 3 * (1.0 + image[..., 0]))
        versions = model.info.settings["versions"]
        assert (versions["toy-depth"], versions["typer"]) == ("1.0", "0.0.1")
    finally:
        model.close()
    assert importlib.metadata.version("typer") == ours != "0.0.1"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("toy-depth")

    result = dabench_command("eval", "-m", "toy-depth", "-o", "scale=0.5", "--limit", "1", "--out", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    run = json.loads((tmp_path / "toy-depth" / "mini-pairs@1" / "run.json").read_text())
    assert run["model"]["settings"]["scale"] == 0.5 and run["model"]["settings"]["versions"]["typer"] == "0.0.1"


@pytest.mark.slow
def test_setting_up_again_changes_nothing(toy: Path, toy_recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DABENCH_ENVIRONMENTS", str(toy))
    before = (toy / "toy" / "environment.json").stat().st_mtime_ns
    result = dabench_command("setup", toy_recipe)
    assert result.exit_code == 0 and "pip" not in result.output and "is ready" in result.output
    assert (toy / "toy" / "environment.json").stat().st_mtime_ns == before
    assert build.state(recipe.read(toy_recipe)) == "ready" and not list(toy.glob("*.lock"))
    toy_recipe.write_text(toy_recipe.read_text() + "# changed\n")
    assert build.state(recipe.read(toy_recipe)) == "outdated"
    again = dabench_command("setup", toy_recipe, "--dry-run")
    assert again.stdout.count("\n") == 2 and "-m venv" in again.stdout and "toy-depth==1.0" in again.stdout


@pytest.mark.slow
def test_an_environment_that_is_there_already(toy: Path, environments: Path, tmp_path: Path) -> None:
    """By interpreter or by folder; its packages stay as they are, and the record says that they are not pinned."""
    for path in (toy / "toy" / "venv", toy / "toy" / "venv" / "bin" / "python"):
        path = path if path.exists() else toy / "toy" / "venv" / "Scripts" / "python.exe"
        wanted = make_recipe(tmp_path, imports=["toy_depth"], packages=["toy-depth"])
        environment = build.adopt(wanted, path)
        assert environment.adopted and build.state(wanted) == "adopted"
        assert build.make(wanted) == environment, "it is used as it is"
    model = factory.load(ROW, settings={"scale": 1.0})
    model.close()
    assert any("not pinned here" in note for note in model.info.notes)


def test_without_its_environment_a_model_names_the_one_command(registered: None, environments: Path) -> None:
    with pytest.raises(ModelError, match="runs in the Python environment 'toy', which is not set up here") as caught:
        model_zoo.load("toy-depth")
    assert caught.value.hint == "dabench setup toy"
    with pytest.raises(ModelError) as caught:
        model_zoo.load("moge-2-large")
    assert caught.value.hint == "dabench setup moge"
    result = dabench_command("eval", "-m", "unidepth-v2-large", "--limit", "1")
    assert result.exit_code == 2 and "\n  dabench setup unidepth\n" in result.output


def test_an_environment_that_disappeared_is_not_set_up(registered: None, environments: Path) -> None:
    (environments / "toy").mkdir(parents=True)
    location.write(location.Environment("toy", Path(sys.executable), "3.11"))
    assert location.read("toy") is not None
    location.write(location.Environment("toy", environments / "gone" / "python", "3.11"))
    with pytest.raises(ModelError, match="not set up"):
        model_zoo.load("toy-depth")
    (environments / "toy" / "environment.json").write_text("{")
    assert location.read("toy") is None
    with pytest.raises(ModelError, match="is no Python interpreter"):
        factory.load(replace(ROW, options={**ROW.options, "environment": str(environments)}))


def test_a_half_made_environment_is_made_again(environments: Path, tmp_path: Path) -> None:
    wanted, ran = make_recipe(tmp_path), []

    def fail_at_pip(command: Sequence[str]) -> None:
        ran.append(command)
        (environments / "toy" / "left-over").touch()
        if "pip" in command:
            raise ModelError("no space")

    assert "--without-pip" in build.plan(wanted, sys.executable)[0]
    assert build.plan(wanted, "python3.9")[1][:3] == [
        str(environments / "toy" / "venv" / "bin" / "python"),
        "-m",
        "pip",
    ]
    for attempt in (1, 2):
        with pytest.raises(ModelError, match="no space"):
            build.make(wanted, run=fail_at_pip)
        assert len(ran) == 2 * attempt and build.state(wanted) == "half-made"
        assert location.read("toy") is None and not list(environments.glob("*.lock"))

    def succeed(command: Sequence[str]) -> None:
        assert not (environments / "toy" / "left-over").exists(), "it starts from nothing"
        python = build._interpreter(environments / "toy" / "venv")
        python.parent.mkdir(parents=True, exist_ok=True)
        if not python.exists():
            python.symlink_to(sys.executable)

    assert build.make(wanted, run=succeed).version == "{}.{}".format(*sys.version_info)
    assert build.state(wanted) == "ready"
    lacking = make_recipe(tmp_path, imports=["a_module_of_another_world"])
    with pytest.raises(ModelError, match="lacks a_module_of_another_world"):
        build.make(lacking, run=succeed)
    assert build.state(lacking) == "half-made"


def test_two_at_once(environments: Path, tmp_path: Path) -> None:
    wanted = make_recipe(tmp_path)
    environments.mkdir()
    lock = environments / "toy.lock"
    lock.write_text(str(os.getppid()))
    with pytest.raises(ModelError, match=f"being set up by process {os.getppid()}"):
        build.adopt(wanted, Path(sys.executable))
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    lock.write_text(ended.stdout.strip())
    assert build.adopt(wanted, Path(sys.executable)).adopted and not lock.exists()


def test_what_cannot_be_adopted(environments: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no Python interpreter and no folder of an environment"):
        build.adopt(make_recipe(tmp_path), tmp_path)
    with pytest.raises(ModelError, match=r"needs Python 3\.8"):
        build.adopt(make_recipe(tmp_path, python=["3.8", "3.8"]), Path(sys.executable))
    with pytest.raises(ModelError, match="lacks moge_of_another_world") as caught:
        build.adopt(
            make_recipe(tmp_path, imports=["moge_of_another_world"], packages=["moge==1"]), Path(sys.executable)
        )
    assert caught.value.hint == f"{sys.executable} -m pip install moge==1"
    assert location.read("toy") is None


def test_code_without_a_package_is_cloned_at_its_commit(environments: Path, tmp_path: Path) -> None:
    upstream = tmp_path / "Depth-Code.git"
    (upstream / "inner").mkdir(parents=True)
    git = ["git", "-C", str(upstream), "-c", "user.name=x", "-c", "user.email=x@y"]
    subprocess.run(["git", "init", "-q", str(upstream)], check=True)
    for value in (1, 2):
        (upstream / "inner" / "cloned_code.py").write_text(f"VALUE = {value}\n")
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", str(value)], check=True)
    subprocess.run([*git, "config", "uploadpack.allowAnySHA1InWant", "true"], check=True)
    shown = subprocess.run([*git, "rev-parse", "HEAD~1"], capture_output=True, text=True, check=True)
    first = shown.stdout.strip()
    path = tmp_path / "toy.toml"
    path.write_text(
        'python = ["3.8", "3.99"]\nimports = ["cloned_code"]\n[[repositories]]\n'
        f"url = {json.dumps(upstream.as_uri())}\n"
        f'commit = "{first}"\npath = "inner"\n'
    )
    environment = build.adopt(recipe.read(path), Path(sys.executable))
    assert environment.paths == (str(environments / "toy" / "repositories" / "Depth-Code" / "inner"),)
    adapter = tmp_path / "adapter.py"
    adapter.write_text(
        "import cloned_code\ndef load(request):\n    return lambda image: image[..., 0] * 0 + cloned_code.VALUE, {}\n"
    )
    model = factory.load(replace(ROW, options={"environment": "toy", "worker": str(adapter)}))
    assert (model.predict(np.zeros((2, 3, 3), np.uint8)).values == 1).all(), "the first commit, not the last"
    model.close()


def test_shipped_recipes_are_pinned() -> None:
    assert recipe.names() == ["depth-anything-3", "depthfm", "geowizard", "metric3d", "moge", "unidepth", "unik3d"]
    for name in recipe.names():
        found = recipe.find(name)
        assert found.summary and found.sources and found.imports and found.sha256
        pinned = [package for package in found.packages if "@" in package.split("://")[-1] or "==" in package]
        assert pinned and (len(pinned) == len(found.packages) or found.repositories)


def test_malformed_recipes_name_the_field(tmp_path: Path) -> None:
    for fields, said in (
        ({"python": ["3.9"]}, "'python' is not the oldest and newest"),
        ({"python": ["3.12", "3.9"]}, "'python' is not the oldest and newest"),
        ({"python": ["3.9", "four"]}, "'python' is not the oldest and newest"),
        ({"packages": "numpy"}, "'packages' is not a list of strings"),
        ({"package": ["numpy"]}, "unknown field 'package'"),
    ):
        with pytest.raises(UsageError, match=f"toy.toml: {said}"):
            make_recipe(tmp_path, **fields)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="its name is the environment's"):
        make_recipe(tmp_path, name="Toy Depth")
    path = tmp_path / "toy.toml"
    for text, said in (
        ("= 1", "is not TOML"),
        ('python = ["3.9", "3.9"]\n[[repositories]]\nurl = "u"\ncommit = "main"', "not 40 hexadecimal"),
        ('python = ["3.9", "3.9"]\n[[repositories]]\nurl = "u"', "has 'url', 'commit'"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=said):
            recipe.find(str(path))
    with pytest.raises(UsageError, match="cannot be read"):
        recipe.find(str(tmp_path / "none.toml"))
    with pytest.raises(UnknownNameError, match="did you mean 'moge'"):
        recipe.find("moges")


def test_an_interpreter_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build.interpreter_for(make_recipe(tmp_path)) == sys.executable
    old = make_recipe(tmp_path, python=["3.5", "3.6"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelError, match=r"needs Python 3\.5 to 3\.6, and none is on PATH") as caught:
        build.interpreter_for(old)
    assert "dabench setup toy --python PATH" in str(caught.value.hint)
    for name in ("python3.5", "python3.6"):
        (tmp_path / name).touch(mode=0o755)
    assert build.interpreter_for(old) == str(tmp_path / "python3.6"), "the newest that will do"


def test_a_command_that_fails_is_shown_without_its_password() -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)", "https://me:secret@index.org/simple"]
    with pytest.raises(ModelError, match=r"exit code 3: .*https://\*\*\*@index\.org/simple") as caught:
        build.run_command(command)
    assert "secret" not in str(caught.value)
    with pytest.raises(ModelError, match="cannot be run"):
        build.run_command(["no-such-program-anywhere"])


def test_the_folder_of_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DABENCH_ENVIRONMENTS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    for platform, where in (
        ("linux", tmp_path),
        ("win32", tmp_path / "local"),
        ("darwin", Path.home() / "Library" / "Application Support"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "platform", platform)
            assert location.root() == where / "dabench" / "environments"
    for inside in ("bin/python", "Scripts/python.exe", "python.exe"):
        folder = tmp_path / inside.replace("/", "-")
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        (folder / inside).touch()
        assert location.interpreter_in(folder) == folder / inside


def test_the_list(environments: Path) -> None:
    result = dabench_command("setup")
    assert result.exit_code == 0 and str(environments) in result.output
    for name in recipe.names():
        assert any(line.startswith(name) and "not set up" in line for line in result.output.splitlines())
    for arguments in (("--dry-run",), ("--fresh",), ("--python", sys.executable)):
        assert isinstance(dabench_command("setup", *arguments).exception, UsageError)
    dry = dabench_command("setup", "depthfm", "--dry-run", "--python", sys.executable)
    assert dry.stdout.count("git ") == 3 and "pip" not in dry.stdout and not environments.exists()
