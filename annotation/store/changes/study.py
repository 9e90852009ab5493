"""``study.*`` and ``project.*``: settings."""

from __future__ import annotations

import sqlite3

from annotation.store.store import Event, canonical_json

from . import handles, insert


@handles("study.set")
def study_set(connection: sqlite3.Connection, event: Event) -> None:
    """data: ``{key: JSON value, ...}``; later values replace earlier ones."""
    for key, value in event.data.items():
        connection.execute(
            "INSERT INTO study (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, canonical_json(value)),
        )


@handles("project.created")
def project_created(connection: sqlite3.Connection, event: Event) -> None:
    """data: name, settings (all of them), state."""
    insert(
        connection,
        "projects",
        {
            "name": event.data["name"],
            "state": event.data.get("state", "open"),
            "settings": canonical_json(event.data["settings"]),
            "created": event.at,
        },
    )


@handles("project.changed")
def project_changed(connection: sqlite3.Connection, event: Event) -> None:
    """data: id, and settings (all of them), state or name."""
    for field in ("name", "state"):
        if field in event.data:
            connection.execute(f"UPDATE projects SET {field} = ? WHERE id = ?", (event.data[field], event.data["id"]))
    if "settings" in event.data:
        connection.execute(
            "UPDATE projects SET settings = ? WHERE id = ?",
            (canonical_json(event.data["settings"]), event.data["id"]),
        )
