"""Which pair a person gets next.

Pairs are asked in the order of ``pairs.position`` (by image, scenes interleaved). Everybody starts at the first pair
that still wants people, so that begun pairs are completed before new ones are begun; the leases of the others push
people apart. A person never gets a pair twice but as a hidden repeat, or after it was reopened.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from annotation.store import Write

from .order import unit
from .people import Project, Worker

LOOK_BACK = 100
"""Pairs at the front of the queue that are looked at before the search goes on behind the person's newest pair."""
REPEAT_WINDOW = 50

# A "+" before a column keeps SQLite from choosing the index over a person's assignments, of which there are thousands,
# where that over the few of one pair is meant.
_ASKED = "p.project = :project AND p.purpose = 'label' AND p.state IN ('queued', 'answered')"
_NOT_HAD = (
    "NOT EXISTS (SELECT 1 FROM assignments a WHERE a.pair = p.id AND a.person = :person AND +a.id > p.asked_from"
    " AND a.kind IN ('label', 'check') AND +a.state IN ('open', 'done'))"
    " AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.pair = p.id AND d.by_person = :alias)"
)
_OPEN_SCENE = (
    "EXISTS (SELECT 1 FROM images i WHERE i.sha256 = p.image AND i.state = 'ok'"
    " AND i.scene NOT IN (SELECT value FROM json_each(:full))"
    " AND (p.taken > 0 OR p.state = 'answered' OR i.scene NOT IN (SELECT value FROM json_each(:begun))))"
)
_FREE = "p.taken < coalesce(p.wanted, :ask)"
_COLUMNS = "p.id, p.project, p.image, p.position, p.taken, p.wanted, p.asked_from, p.state, p.layered"


def _parameters(write: Write, where: Project, who: Worker) -> dict[str, Any]:
    full, begun = [], []
    targets = where.settings.scene_targets
    if targets:
        counts = write.query("SELECT scene, state, pairs FROM scene_counts WHERE project = ?", where.id)
        final = {row["scene"]: row["pairs"] for row in counts if row["state"] == "final"}
        answered = {row["scene"]: row["pairs"] for row in counts if row["state"] == "answered"}
        full = [scene for scene, target in targets.items() if final.get(scene, 0) >= target]
        begun = [s for s, target in targets.items() if final.get(s, 0) + answered.get(s, 0) >= target]
    return {
        "project": where.id,
        "person": who.id,
        "alias": who.alias,
        "ask": where.ask,
        "full": json.dumps(full),
        "begun": json.dumps(begun),
    }


def candidates(write: Write, where: Project, who: Worker, wanted: int) -> list[sqlite3.Row]:
    """Up to ``wanted`` pairs that may be given to this person now, in the order of asking."""
    values = _parameters(write, where, who) | {"limit": wanted}
    execute = write.connection.execute
    front = execute(
        f"SELECT {_COLUMNS} FROM (SELECT * FROM pairs p WHERE {_ASKED} ORDER BY p.position LIMIT {LOOK_BACK}) p"
        f" WHERE {_FREE} AND {_NOT_HAD} AND {_OPEN_SCENE} ORDER BY p.position LIMIT :limit",
        values,
    ).fetchall()
    if len(front) >= wanted:
        return front
    newest = write.one(
        "SELECT p.position FROM assignments a JOIN pairs p ON p.id = a.pair WHERE a.person = ? AND p.project = ?"
        " AND a.kind IN ('label', 'check') ORDER BY a.id DESC LIMIT 1",
        who.id,
        where.id,
    )
    search = (
        f"SELECT {_COLUMNS} FROM pairs p WHERE {_ASKED} AND p.position > :after AND {_FREE} AND {_NOT_HAD}"
        f" AND {_OPEN_SCENE} ORDER BY p.position LIMIT :limit"
    )
    found = {row["id"]: row for row in front}
    starts = [-1] if newest is None else [newest["position"], -1]
    for start in starts:
        if len(found) < wanted:
            found |= {row["id"]: row for row in execute(search, values | {"after": start})}
    return list(found.values())[:wanted]


def count_candidates(write: Write, where: Project, who: Worker) -> int:
    """How many pairs may be given to this person now. Reads every open pair of the project."""
    row = write.connection.execute(
        f"SELECT count(*) AS n FROM pairs p WHERE {_ASKED} AND {_FREE} AND {_NOT_HAD} AND {_OPEN_SCENE}",
        _parameters(write, where, who),
    ).fetchone()
    return int(row["n"])


def others_hold_some(write: Write, where: Project, who: Worker) -> bool:
    """Whether pairs are left that this person may get should others give them back."""
    row = write.connection.execute(
        f"SELECT 1 FROM pairs p WHERE {_ASKED} AND {_NOT_HAD} AND {_OPEN_SCENE} LIMIT 1",
        _parameters(write, where, who),
    ).fetchone()
    return row is not None


def open_pairs(write: Write, where: Project) -> int:
    """Pairs of the project that people are being asked about."""
    row = write.one(
        "SELECT coalesce(sum(pairs), 0) AS n FROM scene_counts WHERE project = ? AND state IN ('queued', 'answered')",
        where.id,
    )
    assert row is not None
    return int(row["n"])


def hidden_gold(write: Write, where: Project, who: Worker) -> tuple[str, str | None] | None:
    """A test pair that this person has not had, and what an open check would show; None when all are used up.

    Where checks are open, half of the tests look like checks, and half of those show the wrong answer: who only
    confirms is seen.
    """
    seed = where.settings.seed
    rows = write.query(
        "SELECT p.id, p.gold, p.layered FROM pairs p JOIN images i ON i.sha256 = p.image WHERE p.project = ?"
        " AND p.purpose <> 'label' AND p.purpose = 'gold' AND p.gold IS NOT NULL AND i.state = 'ok'"
        " AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.pair = p.id AND a.person = ?)",
        where.id,
        who.id,
    )
    if not rows:
        return None
    row = min(rows, key=lambda r: unit(seed, "gold", who.alias, r["id"]))
    drawn = unit(seed, "gold as check", who.alias, row["id"])
    if not where.open_checks or row["layered"] or drawn < 0.5:
        return row["id"], None
    other = {"a": "b", "b": "a", "equal": "a"}[row["gold"]]
    return row["id"], row["gold"] if drawn < 0.75 else other


def count_gold(write: Write, where: Project, who: Worker) -> int:
    """Test pairs that this person has not had."""
    row = write.one(
        "SELECT count(*) AS n FROM pairs p WHERE p.project = ? AND p.purpose <> 'label' AND p.purpose = 'gold'"
        " AND p.gold IS NOT NULL AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.pair = p.id AND a.person = ?)",
        where.id,
        who.id,
    )
    assert row is not None
    return int(row["n"])


def hidden_repeat(write: Write, where: Project, who: Worker) -> tuple[str, str | None] | None:
    """A pair that this person answered at least ``repeat_distance`` answers ago and was not asked again since."""
    rows = write.query(
        "SELECT a.pair, a.proposed FROM responses r JOIN live l ON l.uuid = r.uuid"
        " JOIN assignments a ON a.id = r.assignment JOIN pairs p ON p.id = r.pair JOIN images i ON i.sha256 = p.image"
        " WHERE r.person = ? AND p.project = ? AND a.kind <> 'qualification' ORDER BY r.seq DESC LIMIT ? OFFSET ?",
        who.id,
        where.id,
        REPEAT_WINDOW,
        max(0, where.settings.repeat_distance - 1),
    )
    usable = [row for row in rows if _asked_once(write, row["pair"], who.id)]
    if not usable:
        return None
    seed = where.settings.seed
    row = min(usable, key=lambda r: unit(seed, "repeat", who.alias, r["pair"]))
    return row["pair"], row["proposed"]


def _asked_once(write: Write, pair: str, person: int) -> bool:
    rows = write.query("SELECT kind FROM assignments WHERE pair = ? AND person = ?", pair, person)
    usable = write.one(
        "SELECT 1 FROM pairs p JOIN images i ON i.sha256 = p.image WHERE p.id = ? AND p.purpose = 'label'"
        " AND i.state = 'ok'",
        pair,
    )
    return len(rows) == 1 and rows[0]["kind"] in ("label", "check") and usable is not None


def first_answer(write: Write, pair: str, asked_from: int) -> str | None:
    """The first answer that counts on a pair, which an open check shows."""
    row = write.one(
        "SELECT r.answer FROM live l JOIN responses r ON r.uuid = l.uuid JOIN assignments a ON a.id = r.assignment"
        " WHERE l.pair = ? AND a.id > ? AND a.kind IN ('label', 'check') AND r.answer <> 'skip' ORDER BY r.seq LIMIT 1",
        pair,
        asked_from,
    )
    return None if row is None else str(row["answer"])


def known_assignment(write: Write, pair: str, person: int, asked_from: int) -> sqlite3.Row | None:
    """An assignment of this pair that the person gave back or let expire."""
    return write.one(
        "SELECT id, round FROM assignments WHERE pair = ? AND person = ? AND +id > ? AND kind IN ('label', 'check')"
        " AND +state IN ('returned', 'expired') ORDER BY id DESC LIMIT 1",
        pair,
        person,
        asked_from,
    )


def issued(write: Write, where: Project, who: Worker) -> int:
    """Tasks that this person was ever given in the project, without the qualification."""
    row = write.one("SELECT issued FROM progress WHERE project = ? AND person = ?", where.id, who.id)
    return 0 if row is None else int(row["issued"])
