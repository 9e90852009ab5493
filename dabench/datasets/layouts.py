"""Finding out which layout a folder has, quickly and without what Finder leaves behind."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dabench.errors import DatasetError


class IncompleteError(DatasetError):
    """Files of a split are missing.

    Attributes:
        missing: paths below the root of all of them.
        present: ids of the samples that have all their files.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, missing: Sequence[str] = (), present: Iterable[str] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.missing = tuple(dict.fromkeys(missing))
        self.present = frozenset(present)


class AbsentError(IncompleteError):
    """No sample of a split and field has all its files."""


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (e for e in entries if not e.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return


def files_in(folder: Path) -> frozenset[str]:
    """Names of the files of a folder, without ``._*`` and other hidden ones; none if there is no such folder."""
    return frozenset(e.name for e in _entries(folder) if e.is_file())


def folders_in(folder: Path) -> tuple[str, ...]:
    """Names of the folders of a folder in alphabetical order, without hidden ones; none if there is no such folder."""
    return tuple(sorted(e.name for e in _entries(folder) if e.is_dir()))


def base_of(dataset: str, root: Path, candidates: Sequence[str], wanted: Iterable[str], what: str) -> str:
    """Which folder below the root holds a part of a set, as a prefix of paths: ``""`` or ``"folder/"``.

    Args:
        dataset: its name, for the error.
        root: of the set.
        candidates: folders below the root to look at (``"."`` is the root); the first is the official place and the
            answer where nothing is found.
        wanted: names of folders of which the right one holds at least one.
        what: words for the part, for the error.

    Raises:
        DatasetError: several of them do.
    """
    names = frozenset(wanted)
    found = [c for c in candidates if not names.isdisjoint(folders_in(root / c))]
    if len(found) > 1:
        raise DatasetError(
            f"dataset '{dataset}': both {root / found[0]} and {root / found[1]} hold {what}; which counts is unclear",
            hint="leave one of them below the root",
        )
    base = found[0] if found else candidates[0]
    return "" if base == "." else f"{base}/"


def fingerprint(labels: Iterable[str], truths: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 over the labels of a set and the name and size of each file of ground truth.

    The files are not read: one that was changed at equal size has the same fingerprint.

    Args:
        labels: whatever defines the set: dataset, split, field, ids.
        truths: name in the fingerprint (not the place on this disk) and file; one that is not there counts as such.
    """
    digest = hashlib.sha256("\n".join(labels).encode())
    for name, path in truths:
        try:
            size = str(path.stat().st_size)
        except OSError:
            size = "none"
        digest.update(f"\n{name} {size}".encode())
    return digest.hexdigest()
