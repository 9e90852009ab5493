"""What every importer gives: pairs as a file states them, and everything that is wrong with the file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from dabench.errors import UsageError

MOST_BYTES = 512 * 2**20
MOST_PAIRS = 1_000_000
DEEPEST = 32
LISTED = 30


@dataclass(frozen=True)
class ImportedPair:
    """A pair as a file states it.

    Attributes:
        place: where it stands, for messages: ``'images/a.jpg' pair 3``, ``line 7``.
        image: path of the image as the file has it, with ``/``.
        a, b: ``(row, col)`` from 0.
        label: ``a | b | equal`` is closer, or None where the file does not say.
        size: ``(height, width)`` of the image, where the file says it.
        sha256: of the image file, where the file says it.
        scene: where the file says it.
        more: all else that the file says of the pair.
    """

    place: str
    image: str
    a: tuple[int, int]
    b: tuple[int, int]
    label: str | None
    size: tuple[int, int] | None = None
    sha256: str = ""
    scene: str = ""
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Found:
    """``pairs`` in the order of the file; ``faults``: one sentence for everything that is wrong; ``notes``: what was
    decided in reading, such as the base of the coordinates.
    """

    pairs: list[ImportedPair] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, pair: ImportedPair | str) -> None:
        """Take a pair, or what is wrong with it."""
        if isinstance(pair, str):
            self.faults.append(pair)
        else:
            self.pairs.append(pair)


def refuse(path: Path, faults: Iterable[str], hint: str = "") -> None:
    """Raise UsageError that lists what is wrong, if anything is. Nothing is imported then."""
    listed = list(faults)
    if listed:
        more = f"\n    ... and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
        lines = "".join(f"\n    - {fault}" for fault in listed[:LISTED])
        raise UsageError(f"{path} is refused, and nothing of it was imported:{lines}{more}", hint=hint or None)


def read_bytes(path: Path) -> bytes:
    """The file. Raises UsageError when it cannot be read or is larger than 512 MiB."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} has more than {MOST_BYTES // 2**20} MiB", hint="split it")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def read_text(path: Path) -> str:
    """The file as UTF-8, with or without a byte-order mark."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: {error}") from error


def read_json(path: Path) -> Any:
    """The file as JSON, at most 32 levels deep, no key twice in one object.

    Raises:
        UsageError: not JSON, too deep, or a repeated key.
    """

    def once(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            keys = [key for key, _ in items]
            raise ValueError(f"the key '{next(key for key in keys if keys.count(key) > 1)}' is there twice")
        return found

    def number(name: str) -> Any:
        raise ValueError(f"{name} is no number of JSON")

    try:
        value = json.loads(read_text(path), object_pairs_hook=once, parse_constant=number)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not readable JSON: {error}") from error
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise UsageError(f"{path} is nested more than {DEEPEST} levels deep")


def inside_path(name: Any) -> str | None:
    """Why a text is no path below a folder, or None: absolute, ``..``, a drive, a backslash, NUL, empty."""
    if not isinstance(name, str) or not name:
        return "is no path"
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in name or not parts:
        return "is not a path below the folder of the images"
    return None


def whole_point(value: Any) -> tuple[int, int] | None:
    """``(row, col)`` of a list of two whole numbers, not negative; else None."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    if not all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**31 for v in value):
        return None
    return int(value[0]), int(value[1])
