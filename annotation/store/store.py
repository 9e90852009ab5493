"""Open a study's database, read it, and append to it.

Every change is an event. :meth:`Store.write` opens one transaction, in which :meth:`Write.append` stores an event and
applies it to the tables through the handler that is registered for its kind (``annotation/store/changes``). When the
block ends the transaction is committed with ``synchronous=FULL``: what the caller then acknowledges survives
``kill -9`` and a power cut.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotation.errors import StudyError, StudyFullError, StudyLockedError

APPLICATION_ID = 0x64616231  # "dab1"
BUSY_SECONDS = 5.0
PAGES_BETWEEN_CHECKPOINTS = 1000
SECONDS_BETWEEN_CHECKPOINTS = 20.0
"""Who copies only the main file of a running study then misses seconds, not hours."""
WAY_BACK = "move study.db* elsewhere, then: dabench annotate backup --restore STUDY/backups/NEWEST.db --into STUDY"


@dataclass(frozen=True)
class Event:
    """One line of the log. ``at``: milliseconds UTC; ``actor``: alias of a person, ``owner`` or ``server``."""

    seq: int
    at: int
    actor: str
    kind: str
    data: dict[str, Any]


def canonical_json(value: Any) -> str:
    """Sorted keys, no spaces, no NaN: the same value always gives the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def wall_clock() -> int:
    return time.time_ns() // 1_000_000


class Write:
    """One open write transaction: query what is there, append events."""

    def __init__(self, connection: sqlite3.Connection, actor: str, now: int) -> None:
        self.connection, self.actor, self.now = connection, actor, now

    def query(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        return self.connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, *parameters: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self.connection.execute(sql, parameters).fetchone()
        return row

    def append(self, kind: str, data: dict[str, Any], *, actor: str | None = None) -> Event:
        """Store an event and apply it. A handler that raises undoes the whole transaction."""
        from .changes import apply

        cursor = self.connection.execute(
            "INSERT INTO events (at, actor, kind, data) VALUES (?, ?, ?, ?)",
            (self.now, actor or self.actor, kind, canonical_json(data)),
        )
        assert cursor.lastrowid is not None
        event = Event(cursor.lastrowid, self.now, actor or self.actor, kind, data)
        apply(self.connection, event)
        return event


class Store:
    """The database of a study.

    One connection writes, guarded by a lock; every reading thread has its own connection, on which writing is off.

    Args:
        path: the ``study.db`` file.
        create: make it when it is absent.
        clock: milliseconds UTC; study time never runs backwards even if the clock does.

    Raises:
        StudyError: no such study, not one of ours, made by a newer version, or damaged (with the way back).
        StudyLockedError: another process holds a write for more than five seconds.
    """

    def __init__(self, path: Path, *, create: bool = False, clock: Callable[[], int] = wall_clock) -> None:
        from .opening import open_writer

        self.path, self.clock = path, clock
        self._lock, self._local = threading.RLock(), threading.local()
        self._light = threading.Lock()  # of the time and the list of readers: neither must wait for a commit
        self._readers: list[sqlite3.Connection] = []
        self._writer = open_writer(path, create=create)
        row = self._writer.execute("SELECT max(at) FROM events").fetchone()
        self._checkpointed = time.monotonic()
        self._latest, self._latest_read = int(row[0] or 0), time.monotonic_ns()

    def now(self) -> int:
        """Study time in milliseconds UTC: the clock. While the clock is behind the newest event, because somebody set
        it back, study time goes on from that event at the pace of this process.
        """
        with self._light:
            read, told = time.monotonic_ns(), self.clock()
            if told < self._latest:
                told = self._latest + (read - self._latest_read) // 1_000_000
                if told == self._latest:
                    return told
            self._latest, self._latest_read = told, read
            return told

    @contextlib.contextmanager
    def write(self, actor: str) -> Iterator[Write]:
        """A write transaction; committed to the disk when the block ends without an error."""
        with self._lock, translated(self.path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield Write(self._writer, actor, self.now())
                self._writer.execute("COMMIT")
                self._checkpoint()
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _checkpoint(self) -> None:
        """Now and then copy what is committed into the main file. Waits for nobody; the commit stands if it fails."""
        if time.monotonic() - self._checkpointed > SECONDS_BETWEEN_CHECKPOINTS:
            self._checkpointed = time.monotonic()
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection of this thread, inside one consistent snapshot."""
        with translated(self.path):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                from .opening import open_reader

                connection = self._local.connection = open_reader(self.path)
                with self._light:
                    self._readers.append(connection)
            if connection.in_transaction:  # a reader inside a reader shares its snapshot
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    def query(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        with self.read() as connection:
            return connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, *parameters: Any) -> sqlite3.Row | None:
        rows = self.query(sql, *parameters)
        return rows[0] if rows else None

    def events(self, kinds: Sequence[str] = ()) -> Iterator[Event]:
        """The log from its start, or the events of some kinds."""
        where = f" WHERE kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        with self.read() as connection:
            for row in connection.execute(f"SELECT seq, at, actor, kind, data FROM events{where} ORDER BY seq", kinds):
                yield Event(row["seq"], row["at"], row["actor"], row["kind"], json.loads(row["data"]))

    def close(self) -> None:
        with self._lock, self._light:
            for reader in self._readers:
                reader.close()
            self._readers.clear()
            self._local = threading.local()
            self._writer.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise StudyLockedError(
                f"{path} is being written by another process", hint="wait until it is done, then try again"
            ) from error
        if "full" in text or "readonly" in text or "disk I/O" in text:
            raise StudyFullError(
                f"{path} cannot be written: {text}", hint="free some space; what was saved before is safe"
            ) from error
        raise StudyError(f"{path}: {text}") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError):
            raise
        raise StudyError(f"{path} is damaged: {error}", hint=WAY_BACK) from error
