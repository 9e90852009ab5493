"""Connections to a study's database: created, checked and migrated before anything is read."""

from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path

from annotation.errors import StudyError

from .store import APPLICATION_ID, BUSY_SECONDS, PAGES_BETWEEN_CHECKPOINTS, WAY_BACK, translated

SCHEMA_VERSION = 1


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def open_writer(path: Path, *, create: bool) -> sqlite3.Connection:
    """The writing connection: WAL, ``synchronous=FULL``, schema at this version.

    Raises:
        StudyError: absent, of another program, from a newer version, or damaged.
    """
    from .migrations import migrate

    fresh = not path.exists() or path.stat().st_size == 0
    if fresh and not create:
        raise StudyError(
            f"{path} does not exist", hint="make a study with: dabench annotate propose IMAGES --out STUDY"
        )
    with translated(path):
        if fresh:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        connection = _connect(path)
        try:
            if fresh:
                create_tables(connection)
            else:
                _check(connection, path)
                migrate(connection, path, SCHEMA_VERSION)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_BETWEEN_CHECKPOINTS}")
        except BaseException:
            connection.close()
            raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def create_tables(connection: sqlite3.Connection) -> None:
    """The tables of this version in an empty database, in one transaction."""
    schema = resources.files("annotation.store").joinpath("schema.sql").read_text(encoding="utf-8")
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{schema}\nPRAGMA application_id = {APPLICATION_ID};\n"
        f"PRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;"
    )


def check_file(path: Path) -> None:
    """Raise StudyError unless ``path`` is a sound database of a study of this or an older version."""
    with translated(path):
        connection = _connect(path)
        try:
            _check(connection, path)
        finally:
            connection.close()


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StudyError(f"{path} is not the database of a study")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StudyError(
            f"{path} was made by a newer dabench (schema {version}; this one knows up to {SCHEMA_VERSION})",
            hint="pip install --upgrade dabench",
        )
    problems = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
    if problems == ["ok"]:
        rows = connection.execute("PRAGMA foreign_key_check").fetchmany(5)
        problems = [f"table {row[0]} names a row that does not exist" for row in rows]
    if problems:
        listed = "; ".join(" ".join(str(problem).split()) for problem in problems)
        raise StudyError(f"{path} is damaged: {listed}", hint=WAY_BACK)
