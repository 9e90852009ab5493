"""Apply a project's policy to the answers of one pair, inside the transaction that brought the answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from annotation import states
from annotation.policy import Verdict
from annotation.store import Write

from .people import Project, free_people
from .tasks import relations

ADJUDICATION = "adjudication"
CLOSED = frozenset({"agreed", "final", "dropped", "disputed", "adjudicated"})


def pair_row(write: Write, pair: str) -> sqlite3.Row:
    row = write.one("SELECT * FROM pairs WHERE id = ?", pair)
    assert row is not None
    return row


def move(write: Write, pair: str, target: str, **more: object) -> None:
    """Append ``pair.moved``. Raises StepError on an arrow that does not exist."""
    write.append("pair.moved", {"id": pair, "from": pair_row(write, pair)["state"], "to": target, **more})


def counted(write: Write, pair: sqlite3.Row) -> dict[str, list[str]]:
    """Relation -> answers that count, in the order in which they came: of complete assignments since the pair was
    last opened, without tests and repeats.
    """
    rows = write.query(
        "SELECT r.relation, r.answer FROM live l JOIN responses r ON r.uuid = l.uuid"
        " JOIN assignments a ON a.id = r.assignment WHERE l.pair = ? AND a.id > ? AND a.state = 'done'"
        " AND a.kind IN ('label', 'check') ORDER BY r.seq",
        pair["id"],
        pair["asked_from"],
    )
    answers: dict[str, list[str]] = {relation: [] for relation in relations(pair["layered"])}
    for row in rows:
        answers[row["relation"]].append(row["answer"])
    return answers


def judge(where: Project, answers: Mapping[str, Sequence[str]]) -> dict[str, Verdict]:
    return {relation: where.policy.judge(given) for relation, given in answers.items()}


def together(verdicts: Mapping[str, Verdict]) -> str:
    """One outcome of all relations: a dispute in one is a dispute; dropped only if no relation has an order."""
    outcomes = {verdict.outcome for verdict in verdicts.values()}
    for outcome in ("disputed", "more", "agreed"):
        if outcome in outcomes:
            return outcome
    return "dropped"


def newest_decisions(write: Write, pair: str) -> dict[str, sqlite3.Row]:
    """Relation -> its newest decision, without relations that were reopened since."""
    rows = write.query("SELECT relation, result, policy FROM decisions WHERE pair = ? ORDER BY id", pair)
    newest = {row["relation"]: row for row in rows}
    return {relation: row for relation, row in newest.items() if row["result"] != "reopen"}


def adjudicated(write: Write, pair: str) -> bool:
    """Whether a person has decided this pair since it was last opened."""
    return any(row["policy"] == ADJUDICATION for row in newest_decisions(write, pair).values())


def settle(write: Write, where: Project, number: str) -> None:
    """Bring a pair to the state that its answers say: ask more, agree, dispute or drop.

    An adjudicator's decision is never overruled by an answer. ``agreed`` becomes ``final`` at once: projects have no
    other review than the disputes.
    """
    pair = pair_row(write, number)
    if pair["purpose"] != "label" or adjudicated(write, number):
        return
    answers = counted(write, pair)
    verdicts = judge(where, answers)
    outcome = together(verdicts)
    people = len(next(iter(answers.values())))
    if outcome == "more":
        more = _more(write, where, pair, answers, verdicts)
        if more is None:
            outcome = "disputed"
        else:
            _reopen(write, pair, "answered" if people else "queued")
            before = where.ask if pair["wanted"] is None else pair["wanted"]
            if before != people + more:
                write.append("pair.wanted", {"id": number, "wanted": people + more})
            return
    if pair["state"] in CLOSED:
        if _same(write, pair, outcome, verdicts):
            return
        _reopen(write, pair, "answered")
    elif pair["state"] == "queued":
        move(write, number, "answered")
    _close(write, where, number, outcome, verdicts)


def settle_open(write: Write, where: Project) -> None:
    """Apply the policy to every pair that people are being asked about: after the policy of the project has changed.
    Labels that were made stay as they are.
    """
    rows = write.query(
        "SELECT id FROM pairs WHERE project = ? AND purpose = 'label'"
        " AND (state = 'answered' OR state = 'queued' AND wanted IS NOT NULL) ORDER BY position, id",
        where.id,
    )
    for row in rows:
        settle(write, where, row["id"])


def _more(
    write: Write,
    where: Project,
    pair: sqlite3.Row,
    answers: Mapping[str, Sequence[str]],
    verdicts: Mapping[str, Verdict],
) -> int | None:
    """How many more people to ask; None when a skip wants one more and nobody is left to be asked."""
    more = max(verdict.more for verdict in verdicts.values())
    if where.open_checks and all(set(given) <= {"skip"} for given in answers.values()):
        more = 1
    people = len(next(iter(answers.values())))
    if people >= where.policy.ask and any("skip" in given for given in answers.values()):
        held = write.one(
            "SELECT count(*) AS n FROM assignments WHERE pair = ? AND id > ? AND kind IN ('label', 'check')"
            " AND state = 'open'",
            pair["id"],
            pair["asked_from"],
        )
        assert held is not None
        if held["n"] + free_people(write, pair["id"], where.settings) == 0:
            return None
    return more


def _reopen(write: Write, pair: sqlite3.Row, target: str) -> None:
    """To ``answered`` or ``queued``; decisions of the policy that no longer hold are followed by ``reopen``."""
    if pair["state"] == target:
        return
    if pair["state"] in CLOSED:
        for relation in newest_decisions(write, pair["id"]):
            decide(write, pair["id"], relation, "reopen", "policy", "an answer was taken back")
    move(write, pair["id"], target)


def _same(write: Write, pair: sqlite3.Row, outcome: str, verdicts: Mapping[str, Verdict]) -> bool:
    if outcome == "disputed" or pair["state"] == "disputed":
        return outcome == pair["state"]
    newest = newest_decisions(write, pair["id"])
    return all(
        relation in newest and newest[relation]["result"] == verdict.label for relation, verdict in verdicts.items()
    )


def _close(write: Write, where: Project, number: str, outcome: str, verdicts: Mapping[str, Verdict]) -> None:
    if outcome == "disputed":
        move(write, number, "disputed")
    else:
        for relation, verdict in verdicts.items():
            decide(write, number, relation, verdict.label, where.policy.name, "")
        if outcome == "agreed":
            move(write, number, "agreed")
            move(write, number, "final")
        else:
            move(write, number, "dropped")
    withdraw(write, number)


def withdraw(write: Write, pair: str) -> None:
    """Take back what others still hold of a closed pair: it would be surplus. What is on a screen is still accepted."""
    rows = write.query(
        "SELECT id FROM assignments WHERE pair = ? AND state = 'open' AND kind IN ('label', 'check') ORDER BY id", pair
    )
    if rows:
        write.append("assignment.returned", {"assignments": [row["id"] for row in rows]}, actor="server")


def decide(write: Write, pair: str, relation: str, result: str, policy: str, reason: str) -> None:
    """Append a decision of the policy, or of the queue itself."""
    write.append(
        "decision.made",
        {"pair": pair, "relation": relation, "result": result, "policy": policy, "by": "policy", "reason": reason},
        actor="server",
    )


def is_asked(pair: sqlite3.Row) -> bool:
    return pair["state"] in states.ASKED
