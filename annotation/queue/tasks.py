"""An assignment as the question that its person sees."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from annotation.store import Write

from .order import as_shown
from .types import Task

COLUMNS = (
    "a.id, a.pair, a.person, a.round, a.kind, a.swap, a.lease_until, a.state, a.proposed, p.image, p.layered, p.a_row,"
    " p.a_col, p.b_row, p.b_col, i.width, i.height, i.scene"
)
SOURCE = "assignments a JOIN pairs p ON p.id = a.pair JOIN images i ON i.sha256 = p.image"


def relations(layered: int) -> tuple[str, ...]:
    return ("front", "back") if layered else ("closer",)


def build(write: Write, row: sqlite3.Row) -> Task:
    """``row``: :data:`COLUMNS` of :data:`SOURCE`."""
    answered = write.query(
        "SELECT r.relation, r.shown FROM live l JOIN responses r ON r.uuid = l.uuid"
        " WHERE (l.pair, l.person, l.round) = (?, ?, ?)",
        row["pair"],
        row["person"],
        row["round"],
    )
    a, b = (row["a_row"], row["a_col"]), (row["b_row"], row["b_col"])
    return Task(
        assignment=row["id"],
        pair=row["pair"],
        image=row["image"],
        width=row["width"],
        height=row["height"],
        first=b if row["swap"] else a,
        second=a if row["swap"] else b,
        relations=relations(row["layered"]),
        qualification=row["kind"] == "qualification",
        mode="blind" if row["proposed"] is None else "open",
        proposed=None if row["proposed"] is None else as_shown(row["proposed"], row["swap"]),
        lease_until=row["lease_until"],
        answered={r["relation"]: r["shown"] for r in answered},
        scene=row["scene"],
    )


def open_of(write: Write, project: int, person: int, qualification: bool) -> list[sqlite3.Row]:
    """Open assignments of a person, oldest first: either those of the qualification or all others."""
    return write.query(
        f"SELECT {COLUMNS} FROM {SOURCE} WHERE a.person = ? AND a.state = 'open' AND p.project = ?"
        " AND (a.kind = 'qualification') = ? AND i.state = 'ok' ORDER BY a.id",
        person,
        project,
        int(qualification),
    )


def one(write: Write, assignment: int) -> Task:
    (row,) = write.query(f"SELECT {COLUMNS} FROM {SOURCE} WHERE a.id = ?", assignment)
    return build(write, row)


def issue(
    write: Write,
    *,
    pair: str,
    person: int,
    alias: str,
    kind: str,
    seed: int,
    lease_until: int,
    proposed: str | None = None,
    known: sqlite3.Row | None = None,
    round: int | None = None,
) -> int:
    """Issue an assignment, new or (``known``: id and round) again; its id."""
    from .order import swap

    if known is not None:
        number, round = known["id"], known["round"]
    else:
        newest = write.one("SELECT coalesce(max(id), 0) AS id FROM assignments")
        assert newest is not None
        number = newest["id"] + 1
        if round is None:
            last = write.one(
                "SELECT coalesce(max(round), 0) AS round FROM assignments WHERE pair = ? AND person = ?", pair, person
            )
            assert last is not None
            round = last["round"] + 1
    assert round is not None
    write.append(
        "assignment.issued",
        {
            "id": number, "pair": pair, "person": alias, "round": round, "kind": kind,
            "swap": swap(seed, pair, alias, round), "lease_until": lease_until, "proposed": proposed,
        },
    )  # fmt: skip
    return number


def extend(write: Write, rows: Iterable[sqlite3.Row], lease_seconds: int) -> bool:
    """Renew leases of which less than half is left, so that a sign of life seldom costs an event; whether any was."""
    until = write.now + 1000 * lease_seconds
    leases = [[row["id"], until] for row in rows if row["lease_until"] - write.now < 500 * lease_seconds]
    if leases:
        write.append("assignment.extended", {"leases": leases})
    return bool(leases)
