"""Take answers back, one after the other, as far as one likes; each step is an answer ``undo`` of its own."""

from __future__ import annotations

import sqlite3
from typing import Any

from annotation.errors import NotAllowedError, NotFoundError, StepError
from annotation.store import Write
from annotation.study import Study

from . import settling, tasks
from .answering import check_uuid
from .people import Project, alias_of, project
from .types import Undone

_LIVE = (
    "SELECT r.*, a.kind, a.proposed, p.project FROM responses r JOIN live l ON l.uuid = r.uuid"
    " JOIN assignments a ON a.id = r.assignment JOIN pairs p ON p.id = r.pair WHERE r.person = ?"
)


def undo(study: Study, person: int, uuid: str, response: str | None = None) -> Undone:
    """Take back an answer: ``response``, or the person's newest one that still counts. Its task is open again.

    The policy is applied again: a pair that was settled by this answer is asked once more. What an adjudicator has
    decided stays. The same ``uuid`` again gives the same result and takes nothing back.

    Raises:
        NotFoundError: nothing to take back, or no such answer.
        NotAllowedError: somebody else's answer.
        StepError: it was taken back before, belongs to a qualification round, or its project is closed.
    """
    check_uuid(uuid)
    alias = alias_of(study, person)
    with study.store.write(alias) as write:
        known = write.one("SELECT * FROM responses WHERE uuid = ?", uuid)
        if known is not None:
            if known["shown"] != "undo" or known["person"] != person:
                raise StepError(f"uuid {uuid} belongs to another answer", hint="every step needs a uuid of its own")
            return Undone(known["supersedes"], tasks.one(write, known["assignment"]))
        row = _newest(write, person) if response is None else _named(write, person, response)
        where = project(write, row["project"])
        if where.state == "closed":
            raise StepError("the project is closed; its answers stay as they are", hint="ask the owner to open it")
        _take_back(write, where, row, alias, uuid)
        return Undone(row["uuid"], tasks.one(write, row["assignment"]))


def _newest(write: Write, person: int) -> sqlite3.Row:
    row = write.one(f"{_LIVE} AND a.kind <> 'qualification' ORDER BY r.seq DESC LIMIT 1", person)
    if row is None:
        raise NotFoundError("there is no answer to take back")
    return row


def _named(write: Write, person: int, response: str) -> sqlite3.Row:
    given = write.one("SELECT * FROM responses WHERE uuid = ?", response)
    if given is None or given["shown"] == "undo":
        raise NotFoundError(f"there is no answer {response}")
    if given["person"] != person:
        raise NotAllowedError(f"answer {response} is somebody else's")
    row = write.one(f"{_LIVE} AND r.uuid = ?", person, response)
    if row is None:
        raise StepError(f"answer {response} does not count any more; it was taken back before")
    if row["kind"] == "qualification":
        raise StepError("an answer of the qualification cannot be taken back", hint="its result was shown already")
    return row


def _take_back(write: Write, where: Project, row: sqlite3.Row, alias: str, uuid: str) -> None:
    write.append(
        "response.given",
        {
            "uuid": uuid, "assignment": row["assignment"], "pair": row["pair"], "person": alias, "round": row["round"],
            "relation": row["relation"], "shown": "undo", "answer": "undo", "swap": row["swap"], "mode": row["mode"],
            "supersedes": row["uuid"], "lease_until": write.now + 1000 * where.settings.lease_seconds,
        },
    )  # fmt: skip
    if row["kind"] in ("label", "check"):
        settling.settle(write, where, row["pair"])


def history(study: Study, project_id: int, person: int, n: int = 50) -> list[dict[str, Any]]:
    """The person's own answers that count, newest first: uuid, assignment, pair, image, relation, shown, at."""
    rows = study.store.query(
        "SELECT r.uuid, r.assignment, r.pair, p.image, r.relation, r.shown, r.received_at AS at FROM responses r"
        " JOIN live l ON l.uuid = r.uuid JOIN pairs p ON p.id = r.pair JOIN assignments a ON a.id = r.assignment"
        " WHERE r.person = ? AND p.project = ? AND a.kind <> 'qualification' ORDER BY r.seq DESC LIMIT ?",
        person,
        project_id,
        max(1, min(int(n), 1000)),
    )
    return [dict(row) for row in rows]
