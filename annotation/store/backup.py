"""Copies of a study's database while it is in use, their rotation, and the way back.

A copy holds the whole database, also the digests of tokens. Images are not in it: they are never changed, and a
restored database finds them by their SHA-256.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from annotation.errors import StudyError
from annotation.study import DATABASE, Study
from dabench.errors import UsageError

from .opening import check_file
from .store import translated

NAME = re.compile(r"study-(\d{10})-\d{8}T\d{6}Z\.db")
"""Number of the newest event, then the time UTC: names sort by what they hold, whatever the clock did."""


def make(study: Study, keep: int = 10) -> Path:
    """Write a checked copy into the study's ``backups`` folder; remove the oldest beyond ``keep``.

    The study may be written at the same time. The copy appears under its name only when it is complete and on the disk.

    Raises:
        UsageError: ``keep`` below 1.
        StudyFullError: no space; older copies are left as they are.
    """
    if keep < 1:
        raise UsageError(f"keep is {keep}; at least one copy is kept")
    newest = study.store.one("SELECT coalesce(max(seq), 0) AS seq FROM events")
    assert newest is not None
    when = datetime.fromtimestamp(study.store.now() / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    target = study.backups / f"study-{newest['seq']:010d}-{when}.db"
    with translated(target):
        study.backups.mkdir(exist_ok=True)
        with _unfinished(study.backups) as temporary:
            copy = sqlite3.connect(temporary, isolation_level=None)
            try:
                with study.store.read() as connection:
                    connection.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, without the two of WAL beside it
            finally:
                copy.close()
            check_file(temporary)
            _publish(temporary, target)
    for old in existing(study)[:-keep]:
        old.unlink(missing_ok=True)
    return target


def existing(study: Study) -> list[Path]:
    """Copies in the backups folder, oldest first. Other files there are left alone."""
    if not study.backups.is_dir():
        return []
    return sorted(path for path in study.backups.iterdir() if NAME.fullmatch(path.name))


def restore(file: Path | str, into: Path | str) -> Path:
    """Put a copy back as the database of the study folder ``into``; the path of the database.

    Raises:
        StudyError: the copy is absent, damaged or no study; or ``into`` has a database, or a rest of one, which is
            never overwritten.
    """
    file, into = Path(file), Path(into)
    if not file.is_file():
        raise StudyError(f"{file} does not exist", hint="copies lie in the backups folder of the study")
    check_file(file)
    target = into / DATABASE
    there = [path.name for path in into.glob(f"{DATABASE}*")] if into.is_dir() else []
    if there:
        raise StudyError(
            f"{into} has a database already ({', '.join(sorted(there))}); it is not overwritten",
            hint="move these files elsewhere first, or restore into an empty folder",
        )
    with translated(target):
        into.mkdir(parents=True, exist_ok=True)
        with _unfinished(into) as temporary:
            shutil.copyfile(file, temporary)
            check_file(temporary)
            _publish(temporary, target)
    return target


@contextlib.contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """A new file that is gone at the end unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=".unfinished-", suffix=".db", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _publish(temporary: Path, target: Path) -> None:
    """Rename once the bytes, and then the name, are on the disk."""
    with temporary.open("rb+") as stream:
        os.fsync(stream.fileno())
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
