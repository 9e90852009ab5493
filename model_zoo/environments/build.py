"""Make an environment from its recipe: a virtual environment, pinned packages, cloned code, and the marker last."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dabench.errors import ModelError

from .location import Environment, interpreter_in, read, root, write
from .process import environment_of
from .recipe import Recipe

Run = Callable[[Sequence[str]], None]
Notify = Callable[[str], None]

_ASK = (
    "import importlib.util, json, sys; "
    "print(json.dumps({'version': list(sys.version_info[:2]), "
    "'missing': [m for m in sys.argv[1:] if importlib.util.find_spec(m) is None]}))"
)


def state(recipe: Recipe) -> str:
    """``ready``, ``adopted``, ``outdated`` (made from an earlier recipe), ``half-made`` or ``not set up``."""
    environment = read(recipe.name)
    if environment is None:
        return "half-made" if (root() / recipe.name).is_dir() else "not set up"
    if environment.adopted:
        return "adopted"
    return "ready" if environment.recipe_sha256 == recipe.sha256 else "outdated"


def plan(recipe: Recipe, python: str) -> list[list[str]]:
    """The commands that make an environment with an interpreter, in order.

    Where it is of this interpreter, the pip of this one installs into it: it is at hand, and mostly newer than the one
    that Python would unpack there.
    """
    folder = root() / recipe.name
    own = str(_interpreter(folder / "venv"))
    if python == sys.executable and _can_install_elsewhere():
        venv, pip = ["--without-pip"], [sys.executable, "-m", "pip", "--python", own]
    else:
        venv, pip = [], [own, "-m", "pip"]
    commands = [[python, "-m", "venv", *venv, str(folder / "venv")]]
    if recipe.packages:
        commands.append([*pip, "install", "--disable-pip-version-check", *recipe.pip, *recipe.packages])
    return commands + clones(recipe)


def clones(recipe: Recipe) -> list[list[str]]:
    """The commands that bring a recipe's repositories."""
    commands = []
    for repository in recipe.repositories:
        place = str(root() / recipe.name / "repositories" / repository.name)
        commands += [
            ["git", "init", "--quiet", place],
            ["git", "-C", place, "fetch", "--quiet", "--depth", "1", repository.url, repository.commit],
            ["git", "-C", place, "checkout", "--quiet", "FETCH_HEAD"],
        ]
    return commands


def make(recipe: Recipe, *, fresh: bool = False, notify: Notify | None = None, run: Run | None = None) -> Environment:
    """Make the environment of a recipe, unless it is there already.

    Args:
        recipe: what belongs in it.
        fresh: make it anew even then.
        notify: told each command before it runs.
        run: runs one command; raises ModelError if it fails.

    Raises:
        ModelError: no interpreter fits, a command failed, or a module is missing in the end.
    """
    found = read(recipe.name)
    if found is not None and state(recipe) in ("ready", "adopted") and not fresh:
        return found
    python = interpreter_for(recipe)
    with _locked(recipe.name):
        folder = root() / recipe.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _run_all(plan(recipe, python), notify, run)
        own = _interpreter(folder / "venv")
        if recipe.share:
            _share(own, recipe.share)
        environment = _described(recipe, own, adopted=False)
        write(environment)
    return environment


def adopt(recipe: Recipe, path: Path, *, notify: Notify | None = None, run: Run | None = None) -> Environment:
    """Use an interpreter, or the environment in a folder, that is there already; nothing is installed into it.

    Raises:
        ModelError: there is none, it is of a wrong version, or lacks a module.
    """
    python = interpreter_in(path.expanduser())
    if python is None:
        raise ModelError(f"--python {path} is no Python interpreter and no folder of an environment")
    with _locked(recipe.name):
        folder = root() / recipe.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _run_all(clones(recipe), notify, run)
        # Not resolved: the interpreter of a virtual environment is a link, and is one of it only by its own name.
        environment = _described(recipe, Path.cwd() / python, adopted=True)
        write(environment)
    return environment


def interpreter_for(recipe: Recipe) -> str:
    """An interpreter of a version that the recipe asks for: this one, or the newest on PATH.

    Raises:
        ModelError: there is none; the hint says how to name one.
    """
    if recipe.fits(sys.version_info[:2]):
        return sys.executable
    (major, oldest), (_, newest) = recipe.python
    for minor in range(newest, oldest - 1, -1):
        found = shutil.which(f"python{major}.{minor}")
        if found is not None:
            return found
        launcher = shutil.which("py") if sys.platform == "win32" else None
        if launcher is not None:
            asked = subprocess.run(
                [launcher, f"-{major}.{minor}", "-c", "import sys; print(sys.executable)"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if asked.returncode == 0:
                return asked.stdout.strip()
    raise ModelError(
        f"environment '{recipe.name}' needs {recipe.wanted_python}, and none is on PATH",
        hint=f"install one, or name an environment that has its packages: dabench setup {recipe.name} --python PATH",
    )


def _can_install_elsewhere() -> bool:
    """Whether there is a pip here that knows ``--python`` (22.3)."""
    try:
        version = importlib.metadata.version("pip").split(".")
    except importlib.metadata.PackageNotFoundError:
        return False
    return (int(version[0]), int(version[1]) if len(version) > 1 else 0) >= (22, 3)


def _interpreter(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _share(python: Path, folders: Sequence[str]) -> None:
    """Make the packages of folders visible after the environment's own, by a path file in its site-packages."""
    asked = _output([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    Path(asked.strip(), "dabench-shared.pth").write_text("\n".join(folders) + "\n", encoding="utf-8")


def _described(recipe: Recipe, python: Path, *, adopted: bool) -> Environment:
    """What there is, after a look at whether it will do."""
    place = root() / recipe.name / "repositories"
    paths = tuple(str(place / repository.name / repository.path) for repository in recipe.repositories)
    environment = Environment(recipe.name, python, recipe_sha256=recipe.sha256, adopted=adopted, paths=paths)
    answer = json.loads(_output([str(python), "-c", _ASK, "numpy", *recipe.imports], environment.env()))
    version = (answer["version"][0], answer["version"][1])
    said = ".".join(map(str, version))
    if not recipe.fits(version):
        raise ModelError(f"{python} is Python {said}; environment '{recipe.name}' needs {recipe.wanted_python}")
    if answer["missing"]:
        raise ModelError(
            f"{python} lacks {' and '.join(answer['missing'])}, which environment '{recipe.name}' needs",
            hint=f"{shlex.join([str(python), '-m', 'pip', 'install', *recipe.packages])}" if adopted else None,
        )
    return Environment(recipe.name, python, said, recipe.sha256, adopted, paths)


def _run_all(commands: Sequence[Sequence[str]], notify: Notify | None, run: Run | None) -> None:
    for command in commands:
        if notify is not None:
            notify(shlex.join(command))
        (run or run_command)(command)


def run_command(command: Sequence[str]) -> None:
    """Run one command with its output on standard error. Raises ModelError if it fails or is not there."""
    try:
        # Messages of pip and git belong with ours: standard output is for results.
        code = subprocess.run(list(command), stdout=sys.__stderr__, check=False, env=environment_of({})).returncode
    except OSError as error:
        raise ModelError(f"{command[0]} cannot be run: {error.strerror}", hint=f"install {command[0]}") from error
    if code != 0:
        raise ModelError(f"this command failed with exit code {code}: {_masked(shlex.join(command))}")


def _output(command: Sequence[str], env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, check=False, env=environment_of(env or {}), timeout=300
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelError(f"{command[0]} does not run: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise ModelError(f"{command[0]} does not run: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def _masked(text: str) -> str:
    """``text`` without the passwords of addresses."""
    return re.sub(r"://[^/@\s]+@", "://***@", text)


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    """Hold ``<name>.lock``; one left by a process that is gone is taken over."""
    path = root() / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(2):
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            break
        except FileExistsError:
            owner = path.read_text(encoding="utf-8").strip() if path.exists() else ""
            if _runs(owner):
                raise ModelError(
                    f"environment '{name}' is being set up by process {owner or 'unknown'}",
                    hint=f"wait for it; or, if there is no such process, delete {path}",
                ) from None
            path.unlink(missing_ok=True)
    else:
        raise ModelError(f"{path} cannot be taken", hint="delete it")
    with os.fdopen(descriptor, "w") as stream:
        stream.write(str(os.getpid()))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _runs(owner: str) -> bool:
    """Whether a process is there. Windows has no harmless way to ask, so there every owner is taken to run."""
    if not owner.isdecimal():
        return False
    if sys.platform == "win32":
        return True
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
