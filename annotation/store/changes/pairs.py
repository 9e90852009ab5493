"""``pair.*``: proposed, placed by hand or imported pairs, with the votes of the experts."""

from __future__ import annotations

import sqlite3

from annotation.store.store import Event, canonical_json

from . import handles, insert

PAIR_FIELDS = (
    "id", "project", "image", "a_row", "a_col", "b_row", "b_col", "a_keypoint", "b_keypoint", "route", "stratum",
    "probability", "gap", "score", "layered", "reason", "gold", "gold_note", "purpose", "position",
)  # fmt: skip
VOTE_FIELDS = ("model", "output", "value_a", "value_b", "median_a", "median_b", "vote")


@handles("pair.proposed")
def pair_proposed(connection: sqlite3.Connection, event: Event) -> None:
    """data: columns of ``pairs``, ``more``, and ``votes``: a list of columns of ``votes``. It is queued at once unless
    ``state`` says ``proposed``.
    """
    data = event.data
    values = {name: data[name] for name in PAIR_FIELDS if data.get(name) is not None}
    insert(
        connection,
        "pairs",
        {
            **values,
            "state": data.get("state", "queued"),
            "more": canonical_json(data.get("more", {})),
            "created_by": event.actor,
            "created": event.at,
        },
    )
    for vote in data.get("votes", ()):
        values = {name: vote.get(name) for name in VOTE_FIELDS}
        insert(connection, "votes", {"pair": data["id"], **values, "more": canonical_json(vote.get("more", {}))})


@handles("pair.gold")
def pair_gold(connection: sqlite3.Connection, event: Event) -> None:
    """data: id, purpose ``gold`` or ``qualification``, gold ``a | b | equal``, gold_note; makes it a test pair."""
    connection.execute(
        "UPDATE pairs SET purpose = ?, gold = ?, gold_note = ? WHERE id = ?",
        (event.data["purpose"], event.data["gold"], event.data.get("gold_note", ""), event.data["id"]),
    )
