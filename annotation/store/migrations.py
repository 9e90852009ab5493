"""Numbered steps from one version of the schema to the next, each in one transaction, after a copy of the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from annotation.errors import StudyError

Step = Callable[[sqlite3.Connection], None]
STEPS: Mapping[int, Step] = {}
"""Version it leads from -> the step."""


def migrate(connection: sqlite3.Connection, path: Path, version: int, steps: Mapping[int, Step] = STEPS) -> Path | None:
    """Bring a database up to ``version``; the copy that was made before, or None when there was nothing to do.

    A step that fails or is killed leaves the database at the version before it.
    """
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found >= version:
        return None
    copy = path.with_name(f"{path.stem}-schema{found}{path.suffix}")
    if not copy.exists():
        unfinished = copy.with_name(f".unfinished-{copy.name}")
        unfinished.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(unfinished),))
        unfinished.replace(copy)
    for number in range(found, version):
        if number not in steps:
            raise StudyError(f"{path}: no migration leads from schema {number}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            steps[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return copy
