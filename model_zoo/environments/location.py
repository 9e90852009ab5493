"""Where the environments of model families are, and in what state: one folder each, with a marker written last.

``DABENCH_ENVIRONMENTS`` or the user's data folder holds ``<name>/environment.json`` and, for an environment made here,
the virtual environment in ``<name>/venv`` and cloned repositories in ``<name>/repositories``. A folder without its
marker is half-made.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dabench.errors import ModelError

MARKER = "environment.json"
SCHEMA = 1


@dataclass(frozen=True)
class Environment:
    """One environment that a worker can run in.

    Attributes:
        name: of the family.
        python: its interpreter.
        version: of the interpreter.
        recipe_sha256: of the recipe it was made from.
        adopted: whether it was there before, and only its interpreter is known here.
        paths: folders that its workers import from besides.
    """

    name: str
    python: Path
    version: str = ""
    recipe_sha256: str = ""
    adopted: bool = False
    paths: tuple[str, ...] = ()

    def env(self) -> dict[str, str]:
        """Environment variables of its workers."""
        return {"PYTHONPATH": os.pathsep.join(self.paths)} if self.paths else {}


def root() -> Path:
    """The folder that holds the environments: DABENCH_ENVIRONMENTS, or the place for a user's data on this system."""
    if chosen := os.environ.get("DABENCH_ENVIRONMENTS"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "dabench" / "environments"


def interpreter_in(path: Path) -> Path | None:
    """The interpreter that a path names: itself, or the one of a virtual or conda environment's folder."""
    if path.is_file():
        return path
    for inside in ("bin/python", "Scripts/python.exe", "python.exe"):
        if (path / inside).is_file():
            return path / inside
    return None


def read(name: str) -> Environment | None:
    """The environment of that name; None if there is none, a half-made one, or one whose interpreter is gone."""
    try:
        content: dict[str, Any] = json.loads((root() / name / MARKER).read_text(encoding="utf-8"))
        found = Environment(
            name,
            Path(content["python"]),
            str(content["version"]),
            str(content["recipe_sha256"]),
            bool(content["adopted"]),
            tuple(map(str, content["paths"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if content.get("schema") == SCHEMA and found.python.is_file() else None


def write(environment: Environment) -> None:
    """Write the marker, at once or not at all."""
    marker = root() / environment.name / MARKER
    content = {
        "schema": SCHEMA,
        "name": environment.name,
        "python": str(environment.python),
        "version": environment.version,
        "recipe_sha256": environment.recipe_sha256,
        "adopted": environment.adopted,
        "paths": list(environment.paths),
    }
    temporary = marker.with_name(f"{MARKER}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(marker)


def require(wanted: str, model: str) -> Environment:
    """The environment a model runs in, by name, or by the path of an interpreter or of an environment's folder.

    Raises:
        ModelError: it is not there; the hint is the command that sets it up.
    """
    if Path(wanted).is_absolute():
        python = interpreter_in(Path(wanted))
        if python is None:
            raise ModelError(f"model '{model}' runs in {wanted}, which is no Python interpreter or environment")
        return Environment(Path(wanted).name, python, adopted=True)
    environment = read(wanted)
    if environment is None:
        raise ModelError(
            f"model '{model}' runs in the Python environment '{wanted}', which is not set up here",
            hint=f"dabench setup {wanted}",
        )
    return environment
