"""``release.made``: a list of pairs with their labels that never changes again."""

from __future__ import annotations

import sqlite3

from annotation.store.store import Event, canonical_json

from . import handles, insert


@handles("release.made")
def release_made(connection: sqlite3.Connection, event: Event) -> None:
    """data: name, digest, manifest (see :mod:`annotation.releases.freezing`)."""
    insert(
        connection,
        "releases",
        {
            "name": event.data["name"],
            "digest": event.data["digest"],
            "manifest": canonical_json(event.data["manifest"]),
            "by_person": event.actor,
            "at": event.at,
        },
    )
