"""What each kind of event does to the tables.

A handler depends on the event and the tables only, so that a log can be replayed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from annotation.store.store import Event

Handler = Callable[[sqlite3.Connection, Event], None]
H = TypeVar("H", bound=Handler)
HANDLERS: dict[str, Handler] = {}


def handles(kind: str) -> Callable[[H], H]:
    """Register a function as the one that applies events of ``kind``."""

    def register(function: H) -> H:
        if kind in HANDLERS:
            raise ValueError(f"two handlers for '{kind}'")
        HANDLERS[kind] = function
        return function

    return register


def apply(connection: sqlite3.Connection, event: Event) -> None:
    """Apply one event. Raises ValueError for a kind that nobody handles."""
    from . import images, pairs, people, releases, study, work  # noqa: F401  (they register their handlers)

    if event.kind not in HANDLERS:
        raise ValueError(f"no handler for events of kind '{event.kind}'")
    HANDLERS[event.kind](connection, event)


def insert(connection: sqlite3.Connection, table: str, values: dict[str, object]) -> None:
    """Insert one row; the names come from our own code, the values are bound."""
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))
