"""``assignment.*``, ``response.*``, ``decision.*``, ``project.qualified`` and the moves of pairs: the work itself."""

from __future__ import annotations

import sqlite3

from annotation import states
from annotation.errors import StepError
from annotation.store.store import Event, canonical_json

from . import handles, insert

RESPONSE_FIELDS = (
    "uuid", "assignment", "pair", "round", "relation", "shown", "answer", "swap", "confidence", "reason", "mode",
    "shown_at", "answered_at", "active_ms", "wall_ms", "late", "surplus", "supersedes",
)  # fmt: skip


def _person(connection: sqlite3.Connection, alias: str) -> int:
    row = connection.execute("SELECT id FROM people WHERE alias = ?", (alias,)).fetchone()
    if row is None:
        raise StepError(f"there is no person '{alias}'")
    return int(row["id"])


def _recount(connection: sqlite3.Connection, pair: str) -> None:
    connection.execute(
        "UPDATE pairs SET taken = (SELECT count(*) FROM assignments a WHERE a.pair = pairs.id AND a.id >"
        " pairs.asked_from AND a.kind IN ('label', 'check') AND a.state IN ('open', 'done')) WHERE id = ?",
        (pair,),
    )


def _count(connection: sqlite3.Connection, assignment: sqlite3.Row, *, issued: int = 0, done: int = 0) -> None:
    if assignment["kind"] == "qualification":
        return
    connection.execute(
        "INSERT INTO progress (project, person, issued, done)"
        " VALUES ((SELECT project FROM pairs WHERE id = ?), ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET issued = issued + excluded.issued, done = done + excluded.done",
        (assignment["pair"], assignment["person"], issued, done),
    )


def _assignment(connection: sqlite3.Connection, number: int) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM assignments WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise StepError(f"there is no assignment {number}")
    return row


@handles("assignment.issued")
def assignment_issued(connection: sqlite3.Connection, event: Event) -> None:
    """data: id, pair, person (alias), round, kind, swap, lease_until, proposed; one that was returned or has expired
    is issued again under its id.
    """
    data = event.data
    person = _person(connection, data["person"])
    known = connection.execute("SELECT * FROM assignments WHERE id = ?", (data["id"],)).fetchone()
    if known is None:
        values = {name: data[name] for name in ("id", "pair", "round", "kind", "swap", "lease_until")}
        values |= {"person": person, "issued": event.at, "state": "open", "proposed": data.get("proposed")}
        insert(connection, "assignments", values)
        _count(connection, _assignment(connection, data["id"]), issued=1)
    else:
        if known["state"] == "done" or known["person"] != person:
            raise StepError(f"assignment {data['id']} cannot be issued again")
        connection.execute(
            "UPDATE assignments SET state = 'open', issued = ?, lease_until = ?, proposed = ? WHERE id = ?",
            (event.at, data["lease_until"], data.get("proposed"), data["id"]),
        )
    _recount(connection, data["pair"])


@handles("assignment.extended")
def assignment_extended(connection: sqlite3.Connection, event: Event) -> None:
    """data: leases, a list of [assignment, lease_until]."""
    connection.executemany(
        "UPDATE assignments SET lease_until = ? WHERE id = ? AND state = 'open'",
        [(until, number) for number, until in event.data["leases"]],
    )


def _end(connection: sqlite3.Connection, event: Event, state: str) -> None:
    for number in event.data["assignments"]:
        assignment = _assignment(connection, number)
        if assignment["state"] == "open":
            connection.execute("UPDATE assignments SET state = ? WHERE id = ?", (state, number))
            _recount(connection, assignment["pair"])


@handles("assignment.returned")
def assignment_returned(connection: sqlite3.Connection, event: Event) -> None:
    """data: assignments, a list of ids; given back by the person, or not needed any more."""
    _end(connection, event, "returned")


@handles("assignment.expired")
def assignment_expired(connection: sqlite3.Connection, event: Event) -> None:
    """data: assignments, a list of ids whose lease has ended."""
    _end(connection, event, "expired")


@handles("response.given")
def response_given(connection: sqlite3.Connection, event: Event) -> None:
    """data: columns of ``responses`` with the alias as ``person``; ``client`` as an object.

    ``shown`` ``undo`` takes back the answer ``supersedes`` and opens its assignment again until ``lease_until``. A
    second answer to what is answered is stored and counts nowhere.
    """
    data = event.data
    assignment = _assignment(connection, data["assignment"])
    values = {name: data[name] for name in RESPONSE_FIELDS if name in data}
    values |= {"person": _person(connection, data["person"]), "client": canonical_json(data.get("client", {}))}
    insert(connection, "responses", {**values, "received_at": event.at, "seq": event.seq})
    key = (assignment["pair"], assignment["person"], assignment["round"])
    if data["shown"] == "undo":
        connection.execute("DELETE FROM live WHERE uuid = ?", (data["supersedes"],))
        connection.execute(
            "UPDATE assignments SET state = 'open', lease_until = ? WHERE id = ?",
            (data["lease_until"], assignment["id"]),
        )
        if assignment["state"] == "done":
            _count(connection, assignment, done=-1)
    else:
        connection.execute(
            "INSERT INTO live (pair, person, round, relation, uuid) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*key, data["relation"], data["uuid"]),
        )
        given = connection.execute(
            "SELECT count(*) n FROM live WHERE (pair, person, round) = (?, ?, ?)", key
        ).fetchone()["n"]
        layered = connection.execute("SELECT layered FROM pairs WHERE id = ?", (key[0],)).fetchone()["layered"]
        if given == 1 + layered and assignment["state"] != "done":
            connection.execute("UPDATE assignments SET state = 'done' WHERE id = ?", (assignment["id"],))
            _count(connection, assignment, done=1)
    _recount(connection, assignment["pair"])


@handles("pair.moved")
def pair_moved(connection: sqlite3.Connection, event: Event) -> None:
    """data: id, from, to; ``asked_from`` where the answers so far stop counting. Raises StepError on a wrong arrow."""
    data = event.data
    row = connection.execute("SELECT state FROM pairs WHERE id = ?", (data["id"],)).fetchone()
    if row is None or row["state"] != data["from"]:
        raise StepError(f"pair {data['id']} is not {data['from']}")
    states.check(data["id"], data["from"], data["to"])
    connection.execute("UPDATE pairs SET state = ? WHERE id = ?", (data["to"], data["id"]))
    if "asked_from" in data:
        connection.execute(
            "UPDATE pairs SET asked_from = ?, wanted = NULL WHERE id = ?", (data["asked_from"], data["id"])
        )
        _recount(connection, data["id"])


@handles("pair.wanted")
def pair_wanted(connection: sqlite3.Connection, event: Event) -> None:
    """data: id, wanted: how many people the policy wants in all, now that it knows the answers so far."""
    connection.execute("UPDATE pairs SET wanted = ? WHERE id = ?", (event.data["wanted"], event.data["id"]))


@handles("decision.made")
def decision_made(connection: sqlite3.Connection, event: Event) -> None:
    """data: uuid (of an adjudicator's step), pair, relation, result, policy, by (alias or ``policy``), reason."""
    data = event.data
    values = {name: data.get(name) for name in ("uuid", "pair", "relation", "result", "policy")}
    insert(
        connection,
        "decisions",
        {**values, "by_person": data["by"], "reason": data.get("reason", ""), "at": event.at},
    )


@handles("project.qualified")
def project_qualified(connection: sqlite3.Connection, event: Event) -> None:
    """data: project, person (alias), try, right, of, passed: a complete qualification round."""
    data = event.data
    connection.execute(
        'INSERT INTO qualifications (project, person, try, "right", "of", passed, at) VALUES (?, ?, ?, ?, ?, ?, ?)',
        (
            data["project"],
            _person(connection, data["person"]),
            data["try"],
            data["right"],
            data["of"],
            int(data["passed"]),
            event.at,
        ),
    )
