"""``assignment.*``, ``response.*``, ``decision.*``, ``project.qualified`` and the moves of pairs: the work itself."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

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


def _holders(connection: sqlite3.Connection, pair: str) -> set[int]:
    """People who hold or have answered a pair that is in question."""
    rows = connection.execute(
        "SELECT a.person FROM pairs p JOIN assignments a ON a.pair = p.id AND +a.id > p.asked_from"
        " WHERE p.id = ? AND p.purpose = 'label' AND p.state IN ('queued', 'answered')"
        " AND a.kind IN ('label', 'check') AND a.state IN ('open', 'done')",
        (pair,),
    )
    return {row["person"] for row in rows}


@contextlib.contextmanager
def _counting(connection: sqlite3.Connection, pair: str) -> Iterator[None]:
    """Bring ``pairs.taken`` and ``progress.had`` up to date after a change to a pair or to an assignment of it."""
    before = _holders(connection, pair)
    yield
    connection.execute(
        "UPDATE pairs SET taken = (SELECT count(*) FROM assignments a WHERE a.pair = pairs.id AND a.id >"
        " pairs.asked_from AND a.kind IN ('label', 'check') AND a.state IN ('open', 'done')) WHERE id = ?",
        (pair,),
    )
    after = _holders(connection, pair)
    for person in sorted(before ^ after):
        connection.execute(
            "UPDATE progress SET had = had + ? WHERE person = ? AND project = (SELECT project FROM pairs WHERE id = ?)",
            (1 if person in after else -1, person, pair),
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
    with _counting(connection, data["pair"]):
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
            with _counting(connection, assignment["pair"]):
                connection.execute("UPDATE assignments SET state = ? WHERE id = ?", (state, number))


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
    with _counting(connection, assignment["pair"]):
        if data["shown"] == "undo":
            _take_back(connection, assignment, data["supersedes"], data["lease_until"])
        else:
            _let_count(connection, assignment, data["relation"], data["uuid"])


def _take_back(connection: sqlite3.Connection, assignment: sqlite3.Row, answer: str, lease_until: int) -> None:
    connection.execute("DELETE FROM live WHERE uuid = ?", (answer,))
    connection.execute(
        "UPDATE assignments SET state = 'open', lease_until = ? WHERE id = ?", (lease_until, assignment["id"])
    )
    if assignment["state"] == "done":
        _count(connection, assignment, done=-1)


def _let_count(connection: sqlite3.Connection, assignment: sqlite3.Row, relation: str, uuid: str) -> None:
    key = (assignment["pair"], assignment["person"], assignment["round"])
    connection.execute(
        "INSERT INTO live (pair, person, round, relation, uuid) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (*key, relation, uuid),
    )
    given = connection.execute("SELECT count(*) FROM live WHERE (pair, person, round) = (?, ?, ?)", key).fetchone()[0]
    layered = connection.execute("SELECT layered FROM pairs WHERE id = ?", (key[0],)).fetchone()[0]
    if given == 1 + layered and assignment["state"] != "done":
        connection.execute("UPDATE assignments SET state = 'done' WHERE id = ?", (assignment["id"],))
        _count(connection, assignment, done=1)


@handles("pair.moved")
def pair_moved(connection: sqlite3.Connection, event: Event) -> None:
    """data: id, from, to; ``asked_from`` where the answers so far stop counting. Raises StepError on a wrong arrow."""
    data = event.data
    row = connection.execute("SELECT state FROM pairs WHERE id = ?", (data["id"],)).fetchone()
    if row is None or row["state"] != data["from"]:
        raise StepError(f"pair {data['id']} is not {data['from']}")
    states.check(data["id"], data["from"], data["to"])
    with _counting(connection, data["id"]):
        connection.execute("UPDATE pairs SET state = ? WHERE id = ?", (data["to"], data["id"]))
        if "asked_from" in data:
            connection.execute(
                "UPDATE pairs SET asked_from = ?, wanted = NULL WHERE id = ?", (data["asked_from"], data["id"])
            )


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
