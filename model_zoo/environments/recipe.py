"""What belongs in an environment: ``requirements/<family>.toml``, or a file of the same form from anywhere."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dabench.errors import UnknownNameError, UsageError

FOLDER = Path(__file__).parent / "requirements"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Repository:
    """Code that is no package: a git repository at one commit, of which a folder is imported from.

    Attributes:
        url: what to clone.
        commit: 40 hexadecimal digits.
        path: folder of the repository that goes on the search path.
    """

    url: str
    commit: str
    path: str = "."

    @property
    def name(self) -> str:
        return self.url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")


@dataclass(frozen=True)
class Recipe:
    """How to make one environment.

    Attributes:
        name: of the environment; the file's name.
        summary: one line.
        python: oldest and newest version that will do, as ``(3, 9)``.
        packages: what pip installs, pinned.
        pip: further options of pip.
        imports: modules that have to be importable afterwards.
        repositories: code that is not installed but imported from a clone.
        share: folders of packages that are visible as well, after the environment's own.
        sources: where the pins come from.
        sha256: of the file.
    """

    name: str
    summary: str
    python: tuple[tuple[int, int], tuple[int, int]]
    packages: tuple[str, ...]
    sha256: str
    pip: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    repositories: tuple[Repository, ...] = ()
    share: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def fits(self, version: tuple[int, int]) -> bool:
        return self.python[0] <= version <= self.python[1]

    @property
    def wanted_python(self) -> str:
        oldest, newest = (".".join(map(str, version)) for version in self.python)
        return f"Python {oldest}" if oldest == newest else f"Python {oldest} to {newest}"


def names() -> list[str]:
    """The environments that this package can make."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(wanted: str) -> Recipe:
    """The recipe of that name, or in that ``.toml`` file.

    Raises:
        UnknownNameError: no such recipe; the message lists the nearest.
        UsageError: the file cannot be read, or a field is missing or malformed.
    """
    if wanted.endswith(".toml"):
        return read(Path(wanted))
    if wanted not in names():
        raise UnknownNameError("environment", wanted, names())
    return read(FOLDER / f"{wanted}.toml")


def read(path: Path) -> Recipe:
    """Read and check one recipe. Raises UsageError, naming the file and the field."""
    try:
        text = path.read_bytes()
        content = tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    if not _NAME.fullmatch(path.stem):
        raise UsageError(f"{path}: its name is the environment's, of small letters, digits, '.', '_' and '-'")
    known = {"summary", "python", "packages", "pip", "imports", "repositories", "share", "sources"}
    if unknown := sorted(content.keys() - known):
        raise UsageError(f"{path}: unknown field '{unknown[0]}'", hint=f"known: {', '.join(sorted(known))}")
    lists = {
        key: _strings(path, key, content.get(key, [])) for key in ("packages", "pip", "imports", "share", "sources")
    }
    return Recipe(
        name=path.stem,
        summary=str(content.get("summary", "")),
        python=_versions(path, content.get("python")),
        repositories=tuple(_repository(path, item) for item in content.get("repositories", [])),
        sha256=hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest(),
        **lists,
    )


def _strings(path: Path, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{path}: '{key}' is not a list of strings")
    return tuple(value)


def _versions(path: Path, value: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    versions = [tuple(map(int, item.split("."))) for item in _strings(path, "python", value) if _version(item)]
    if len(versions) != 2 or versions[0] > versions[1]:
        raise UsageError(f'{path}: \'python\' is not the oldest and newest version, as ["3.9", "3.12"]')
    return (versions[0][0], versions[0][1]), (versions[1][0], versions[1][1])


def _version(text: str) -> bool:
    return re.fullmatch(r"3\.\d+", text) is not None


def _repository(path: Path, item: Any) -> Repository:
    if not isinstance(item, dict) or not {"url", "commit"} <= item.keys() <= {"url", "commit", "path"}:
        raise UsageError(f"{path}: a repository has 'url', 'commit' and perhaps 'path'")
    if not _COMMIT.fullmatch(item["commit"]):
        raise UsageError(f"{path}: commit '{item['commit']}' is not 40 hexadecimal digits")
    return Repository(item["url"], item["commit"], item.get("path", "."))
