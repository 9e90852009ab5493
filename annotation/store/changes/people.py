"""``person.*``: who takes part. Tokens are secrets and not part of the log."""

from __future__ import annotations

import sqlite3

from annotation.store.store import Event, canonical_json

from . import handles, insert


@handles("person.added")
def person_added(connection: sqlite3.Connection, event: Event) -> None:
    """data: alias, name, role."""
    values = {name: event.data[name] for name in ("alias", "name", "role")}
    insert(connection, "people", {**values, "created": event.at})


@handles("person.changed")
def person_changed(connection: sqlite3.Connection, event: Event) -> None:
    """data: alias, and any of name, role, active, keys."""
    for field in ("name", "role", "active"):
        if field in event.data:
            connection.execute(
                f"UPDATE people SET {field} = ? WHERE alias = ?", (event.data[field], event.data["alias"])
            )
    if "keys" in event.data:
        connection.execute(
            "UPDATE people SET keys = ? WHERE alias = ?", (canonical_json(event.data["keys"]), event.data["alias"])
        )
