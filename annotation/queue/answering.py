"""Take an answer: check it, store it once, and let the policy act on it, all in one transaction."""

from __future__ import annotations

import json
import sqlite3
import uuid as uuids

from annotation.errors import NotAllowedError, NotFoundError, StepError
from annotation.store import Write
from annotation.store.store import canonical_json
from annotation.study import Study
from dabench.errors import UsageError

from . import qualification, settling
from .order import as_stored
from .people import Project, Worker, alias_of, project, worker
from .tasks import relations
from .types import Answer, Feedback, Receipt

SHOWN = ("first", "second", "equal", "skip")
CONFIDENCE = ("", "guessing", "probably", "definitely")
REASON_LENGTH = 500
CLIENT_BYTES = 4000


def give_answer(study: Study, person: int, answer: Answer) -> Receipt:
    """Store an answer. What it returns is on the disk.

    The same uuid again gives ``duplicate`` and the first receipt. An answer that comes after its lease, or after the
    pair was settled, is kept and marked.

    Raises:
        UsageError: a field that no client of ours would send; the message names it.
        NotFoundError, NotAllowedError: no such assignment, or that of somebody else.
        StepError: a relation that the pair does not have, ``equal`` where the project does not offer it, or a uuid
            that belongs to another answer.
        StudyLockedError, StudyFullError: nothing was stored; send it again.
    """
    _check(answer)
    with study.store.write(alias_of(study, person)) as write:
        who = worker(write, person)
        known = write.one("SELECT * FROM responses WHERE uuid = ?", answer.uuid)
        if known is not None:
            return _again(known, answer, person)
        assignment = write.one("SELECT * FROM assignments WHERE id = ?", answer.assignment)
        if assignment is None:
            raise NotFoundError(f"there is no assignment {answer.assignment}")
        if assignment["person"] != person:
            raise NotAllowedError(f"assignment {answer.assignment} belongs to somebody else")
        pair = settling.pair_row(write, assignment["pair"])
        where = project(write, pair["project"])
        if answer.relation not in relations(pair["layered"]):
            raise StepError(
                f"relation '{answer.relation}' is not asked of pair {pair['id']}",
                hint=f"asked: {', '.join(relations(pair['layered']))}",
            )
        if answer.shown == "equal" and not where.settings.allow_equal:
            raise StepError("this project does not offer 'equal'", hint="skip the pair, with a reason")
        return _store(write, where, who, assignment, pair, answer)


def _store(
    write: Write, where: Project, who: Worker, assignment: sqlite3.Row, pair: sqlite3.Row, answer: Answer
) -> Receipt:
    late = write.now > assignment["lease_until"] or assignment["state"] == "expired"
    surplus = _is_surplus(write, where, assignment, pair, answer.relation)
    write.append(
        "response.given",
        {
            "uuid": answer.uuid, "assignment": assignment["id"], "pair": pair["id"], "person": who.alias,
            "round": assignment["round"], "relation": answer.relation, "shown": answer.shown,
            "answer": as_stored(answer.shown, assignment["swap"]), "swap": assignment["swap"],
            "confidence": answer.confidence, "reason": answer.reason,
            "mode": "blind" if assignment["proposed"] is None else "open", "shown_at": answer.shown_at,
            "answered_at": answer.answered_at, "active_ms": answer.active_ms, "wall_ms": answer.wall_ms,
            "late": int(late), "surplus": int(surplus), "client": answer.client,
        },
    )  # fmt: skip
    after = write.one("SELECT state FROM assignments WHERE id = ?", assignment["id"])
    assert after is not None
    finished = assignment["state"] != "done" and after["state"] == "done"
    feedback: Feedback | None = None
    if finished and assignment["kind"] == "qualification":
        feedback = qualification.after_answer(write, where, who, assignment["round"])
    if finished and not surplus and assignment["kind"] in ("label", "check"):
        settling.settle(write, where, pair["id"])
    return Receipt(answer.uuid, "surplus" if surplus else "saved", late, write.now, feedback)


def _is_surplus(write: Write, where: Project, assignment: sqlite3.Row, pair: sqlite3.Row, relation: str) -> bool:
    """Whether nobody waits for this answer any more: the question is answered, or the pair has all it wants."""
    answered = write.one(
        "SELECT 1 FROM live WHERE (pair, person, round, relation) = (?, ?, ?, ?)",
        pair["id"],
        assignment["person"],
        assignment["round"],
        relation,
    )
    if answered is not None:
        return True
    if assignment["kind"] not in ("label", "check"):
        return False
    if not settling.is_asked(pair) or assignment["id"] <= pair["asked_from"]:
        return True
    done = write.one(
        "SELECT count(*) AS n FROM assignments WHERE pair = ? AND id > ? AND kind IN ('label', 'check')"
        " AND state = 'done'",
        pair["id"],
        pair["asked_from"],
    )
    assert done is not None
    return bool(done["n"] >= (where.policy.ask if pair["wanted"] is None else pair["wanted"]))


def _again(known: sqlite3.Row, answer: Answer, person: int) -> Receipt:
    same = (known["person"], known["assignment"], known["relation"], known["shown"])
    if same != (person, answer.assignment, answer.relation, answer.shown):
        raise StepError(
            f"uuid {answer.uuid} belongs to another answer",
            hint="every answer needs its own; reload the page",
        )
    return Receipt(answer.uuid, "duplicate", bool(known["late"]), known["received_at"])


def _check(answer: Answer) -> None:
    """Raise UsageError that names the field."""
    check_uuid(answer.uuid)
    for name, value, allowed in (
        ("shown", answer.shown, SHOWN),
        ("confidence", answer.confidence, CONFIDENCE),
        ("relation", answer.relation, ("closer", "front", "back")),
    ):
        if value not in allowed:
            raise UsageError(f"{name} '{value}' does not exist", hint=f"allowed: {', '.join(a for a in allowed if a)}")
    if len(answer.reason) > REASON_LENGTH:
        raise UsageError(f"reason has {len(answer.reason)} characters; at most {REASON_LENGTH} are kept")
    for name in ("shown_at", "answered_at", "active_ms", "wall_ms"):
        value = getattr(answer, name)
        if value is not None and not 0 <= value < 2**53:
            raise UsageError(f"{name} is {value}; it must be a whole number of milliseconds from 0")
    if answer.active_ms is not None and answer.wall_ms is not None and answer.active_ms > answer.wall_ms:
        raise UsageError(
            f"active_ms is {answer.active_ms} and wall_ms only {answer.wall_ms}",
            hint="active time is a part of wall time; reload the page to get its clock right",
        )
    try:
        size = len(canonical_json(answer.client).encode())
    except (TypeError, ValueError) as error:
        raise UsageError(f"client is not plain JSON: {error}") from error
    if not isinstance(json.loads(canonical_json(answer.client)), dict) or size > CLIENT_BYTES:
        raise UsageError(f"client must be an object of at most {CLIENT_BYTES} bytes; it has {size}")


def check_uuid(text: str) -> None:
    """Raise UsageError unless ``text`` is a UUID in its usual spelling, lower case."""
    try:
        usual = str(uuids.UUID(text))
    except (ValueError, AttributeError, TypeError):
        usual = ""
    if usual != text:
        raise UsageError(f"uuid '{text}' is not a UUID", hint="for example 123e4567-e89b-42d3-a456-426614174000")
