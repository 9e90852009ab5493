"""``image.*`` and ``keypoints.*``."""

from __future__ import annotations

import sqlite3

from annotation.store.store import Event, canonical_json

from . import handles, insert

IMAGE_FIELDS = (
    "sha256", "file", "width", "height", "scene", "original_name", "original_sha256", "orientation", "source", "author",
    "licence", "retrieved", "keyword", "state", "problem",
)  # fmt: skip


@handles("image.added")
def image_added(connection: sqlite3.Connection, event: Event) -> None:
    """data: columns of ``images``; ``more`` holds what the list said beyond them."""
    values = {name: event.data[name] for name in IMAGE_FIELDS if name in event.data}
    insert(connection, "images", {**values, "more": canonical_json(event.data.get("more", {}))})


@handles("image.changed")
def image_changed(connection: sqlite3.Connection, event: Event) -> None:
    """data: sha256, and what changed of scene, source, author, licence, retrieved, keyword, state, problem."""
    changeable = ("scene", "source", "author", "licence", "retrieved", "keyword", "state", "problem")
    for field in changeable:
        if field in event.data:
            connection.execute(
                f"UPDATE images SET {field} = ? WHERE sha256 = ?", (event.data[field], event.data["sha256"])
            )


@handles("keypoints.found")
def keypoints_found(connection: sqlite3.Connection, event: Event) -> None:
    """data: image, generator {source, settings, checkpoint, checkpoint_sha256}, points: a list of
    {row, col, area, predicted_iou, stability, more}. Ids are given in the order of the list.
    """
    generator = event.data["generator"]
    key = (
        generator["source"],
        canonical_json(generator.get("settings", {})),
        generator.get("checkpoint", ""),
        generator.get("checkpoint_sha256", ""),
    )
    found = connection.execute(
        "SELECT id FROM generators WHERE (source, settings, checkpoint, checkpoint_sha256) = (?, ?, ?, ?)", key
    ).fetchone()
    if found is None:
        cursor = connection.execute(
            "INSERT INTO generators (source, settings, checkpoint, checkpoint_sha256) VALUES (?, ?, ?, ?)", key
        )
        number = cursor.lastrowid
    else:
        number = found["id"]
    for point in event.data["points"]:
        insert(
            connection,
            "keypoints",
            {
                "image": event.data["image"],
                "generator": number,
                "row": point["row"],
                "col": point["col"],
                "area": point.get("area"),
                "predicted_iou": point.get("predicted_iou"),
                "stability": point.get("stability"),
                "more": canonical_json(point.get("more", {})),
            },
        )
