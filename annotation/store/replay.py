"""Rebuild every table from the event log, and compare: what the tables say is what happened, and nothing else."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass

from annotation.study import Study

from .opening import create_tables
from .store import Event, Store, canonical_json

SECRETS = frozenset({"credentials", "sessions"})
"""Tables outside the log: tokens and sessions are neither replayed nor part of a digest."""


@dataclass(frozen=True)
class Replay:
    """``digest``: of the tables as they are. ``rebuilt``: of those that the log gives. ``differing``: names of tables
    that are not the same.
    """

    events: int
    digest: str
    rebuilt: str
    differing: tuple[str, ...]

    @property
    def same(self) -> bool:
        return not self.differing


def table_digests(connection: sqlite3.Connection) -> dict[str, str]:
    """Table -> SHA-256 over its rows as canonical JSON, columns by name, rows in the order of their values."""
    names = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
        if row[0] not in SECRETS
    ]
    digests = {}
    for name in names:
        columns = sorted(row[1] for row in connection.execute(f"PRAGMA table_info({name})"))
        listed = ", ".join(f'"{column}"' for column in columns)
        order = ", ".join(map(str, range(1, len(columns) + 1)))
        digest = hashlib.sha256(canonical_json(columns).encode())
        for row in connection.execute(f"SELECT {listed} FROM {name} ORDER BY {order}"):
            digest.update(b"\n" + canonical_json(list(row)).encode())
        digests[name] = digest.hexdigest()
    return digests


def _whole(digests: dict[str, str]) -> str:
    return hashlib.sha256(canonical_json(digests).encode()).hexdigest()


def digest(store: Store) -> str:
    """One SHA-256 over all tables but the secrets. Two studies with the same history have the same one."""
    with store.read() as connection:
        return _whole(table_digests(connection))


def rebuild(connection: sqlite3.Connection) -> sqlite3.Connection:
    """A database in memory, made from nothing but the events of ``connection``. The caller closes it."""
    from .changes import apply

    fresh = sqlite3.connect(":memory:", isolation_level=None)
    fresh.row_factory = sqlite3.Row
    try:
        fresh.execute("PRAGMA foreign_keys = ON")
        create_tables(fresh)
        fresh.execute("BEGIN")
        for row in connection.execute("SELECT seq, at, actor, kind, data FROM events ORDER BY seq"):
            fresh.execute("INSERT INTO events (seq, at, actor, kind, data) VALUES (?, ?, ?, ?, ?)", tuple(row))
            apply(fresh, Event(row[0], row[1], row[2], row[3], json.loads(row[4])))
        fresh.execute("COMMIT")
    except BaseException:
        fresh.close()
        raise
    return fresh


def verify(study: Study) -> Replay:
    """Replay the log of a study and compare every table.

    Raises:
        StudyError: the database cannot be read.
        StepError: the log holds a step that is not allowed; it was not written by this program.
    """
    with study.store.read() as connection:
        found = table_digests(connection)
        events = int(connection.execute("SELECT count(*) FROM events").fetchone()[0])
        fresh = rebuild(connection)
    try:
        wanted = table_digests(fresh)
    finally:
        fresh.close()
    differing = tuple(sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)))
    return Replay(events, _whole(found), _whole(wanted), differing)
