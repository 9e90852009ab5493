"""Disputes: see everything about a pair, decide with a reason. Nothing is deleted, a dropped pair keeps its reason."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from annotation.errors import NotAllowedError, NotFoundError, StepError
from annotation.store import Write
from annotation.study import Study
from dabench.errors import UsageError

from . import settling
from .answering import REASON_LENGTH, check_uuid
from .people import Project, alias_of, project
from .tasks import relations
from .types import Dispute

RESULTS = ("a", "b", "equal", "drop", "reopen")
REVIEWABLE = ("disputed", "adjudicated", "agreed", "final", "dropped")
"""States in which a pair's answers may be seen. While people are asked, nobody sees them."""
MOST_DISPUTES = 200


@dataclass(frozen=True)
class Decided:
    pair: str
    state: str


def decide(
    study: Study, person: int, uuid: str, pair: str, result: str, reason: str, relation: str = "closer"
) -> Decided:
    """Decide a pair: ``a | b | equal`` as its label, ``drop`` it, or ``reopen`` it.

    A dispute is settled, a label kept or flipped, a dropped pair taken back. ``drop`` and ``reopen`` are for the whole
    pair. After ``reopen`` the answers so far stay on record and count no more: the pair is asked afresh, also of people
    who answered it before. Of a layered pair each disputed relation needs a decision before the pair is final. The
    same ``uuid`` again changes nothing.

    Raises:
        UsageError: no reason, no such result.
        NotFoundError: no such pair.
        StepError: people are still being asked, it is a test pair, or a relation that it does not have.
    """
    check_uuid(uuid)
    reason = reason.strip()
    if result not in RESULTS:
        raise UsageError(f"result '{result}' does not exist", hint=f"allowed: {', '.join(RESULTS)}")
    if not 0 < len(reason) <= REASON_LENGTH:
        raise UsageError(f"a decision needs a reason of 1 to {REASON_LENGTH} characters")
    alias = alias_of(study, person)
    with study.store.write(alias) as write:
        known = write.one("SELECT pair, result FROM decisions WHERE uuid = ?", uuid)
        if known is not None:
            if (known["pair"], known["result"]) != (pair, result):
                raise StepError(f"uuid {uuid} belongs to another decision", hint="every step needs a uuid of its own")
            return Decided(pair, settling.pair_row(write, pair)["state"])
        row = write.one("SELECT * FROM pairs WHERE id = ?", pair)
        if row is None:
            raise NotFoundError(f"there is no pair {pair}")
        _check(row, result, relation)
        step = _Step(write, row, project(write, row["project"]), alias, uuid, reason)
        if result == "reopen":
            step.reopen(relation)
        else:
            step.settle(relation, result)
        return Decided(pair, settling.pair_row(write, pair)["state"])


def _check(row: sqlite3.Row, result: str, relation: str) -> None:
    if row["purpose"] != "label":
        raise StepError(f"pair {row['id']} is a test pair; its answer is known")
    if relation not in relations(row["layered"]):
        raise StepError(
            f"relation '{relation}' is not asked of pair {row['id']}",
            hint=f"asked: {', '.join(relations(row['layered']))}",
        )
    if row["state"] not in REVIEWABLE and result != "drop":
        raise StepError(
            f"pair {row['id']} is {row['state']}: people are still being asked about it",
            hint="wait for their answers, or drop it",
        )
    if row["state"] == "dropped" and result == "drop":
        raise StepError(f"pair {row['id']} is dropped already")


@dataclass(frozen=True)
class _Step:
    """One decision in its transaction."""

    write: Write
    pair: sqlite3.Row
    where: Project
    alias: str
    uuid: str
    reason: str

    def _record(self, relation: str, result: str, *, first: bool) -> None:
        self.write.append(
            "decision.made",
            {
                "uuid": self.uuid if first else None, "pair": self.pair["id"], "relation": relation, "result": result,
                "policy": settling.ADJUDICATION, "by": self.alias, "reason": self.reason,
            },
        )  # fmt: skip

    def _record_all(self, relation: str, result: str) -> None:
        self._record(relation, result, first=True)
        for other in relations(self.pair["layered"]):
            if other != relation:
                self._record(other, result, first=False)

    def reopen(self, relation: str) -> None:
        settling.withdraw(self.write, self.pair["id"])
        newest = self.write.one("SELECT coalesce(max(id), 0) AS id FROM assignments WHERE pair = ?", self.pair["id"])
        assert newest is not None
        self._record_all(relation, "reopen")
        settling.move(self.write, self.pair["id"], "queued", asked_from=newest["id"])

    def settle(self, relation: str, result: str) -> None:
        number = self.pair["id"]
        if result == "drop":
            self._record_all(relation, "drop")
        else:
            self._record(relation, result, first=True)
            if not self._others_known(relation):
                return
        if self.pair["state"] in REVIEWABLE:
            settling.move(self.write, number, "adjudicated")
        results = {row["result"] for row in settling.newest_decisions(self.write, number).values()}
        settling.move(self.write, number, "dropped" if "drop" in results or results == {"equal"} else "final")
        settling.withdraw(self.write, number)

    def _others_known(self, relation: str) -> bool:
        """Whether every other relation has a label; one that the answers agree on gets it from the policy."""
        verdicts = settling.judge(self.where, settling.counted(self.write, self.pair))
        known = settling.newest_decisions(self.write, self.pair["id"])
        for other, verdict in verdicts.items():
            if other == relation or (other in known and known[other]["result"] != "drop"):
                continue
            if verdict.outcome not in ("agreed", "dropped"):
                return False
            settling.decide(self.write, self.pair["id"], other, verdict.label, self.where.policy.name, "")
        return True


def disputes(study: Study, project_id: int, state: str = "disputed", n: int = MOST_DISPUTES) -> list[Dispute]:
    """Pairs of a project in one state with their answers, votes and decisions, in the order of asking.

    Raises:
        NotAllowedError: a state in which people are still being asked.
    """
    if state not in REVIEWABLE:
        raise NotAllowedError(
            f"answers of pairs that are {state} cannot be seen", hint=f"states to look at: {', '.join(REVIEWABLE)}"
        )
    with study.store.read() as connection:
        rows = connection.execute(
            "SELECT p.*, i.width, i.height, i.scene FROM pairs p JOIN images i ON i.sha256 = p.image"
            " WHERE p.project = ? AND p.state = ? AND p.purpose = 'label' ORDER BY p.position LIMIT ?",
            (project_id, state, max(1, min(int(n), MOST_DISPUTES))),
        ).fetchall()
        return [_dispute(connection, row) for row in rows]


def _dispute(connection: sqlite3.Connection, row: sqlite3.Row) -> Dispute:
    def all_of(sql: str) -> list[dict[str, Any]]:
        return [dict(found) for found in connection.execute(sql, (row["id"],))]

    return Dispute(
        pair=row["id"],
        image=row["image"],
        width=row["width"],
        height=row["height"],
        scene=row["scene"],
        a=(row["a_row"], row["a_col"]),
        b=(row["b_row"], row["b_col"]),
        route=row["route"],
        state=row["state"],
        relations=relations(row["layered"]),
        answers=all_of(
            "SELECT u.alias, r.relation, r.answer, r.reason, r.confidence, r.active_ms, r.round, a.kind, r.mode,"
            " r.late, r.surplus, r.received_at AS at FROM live l JOIN responses r ON r.uuid = l.uuid"
            " JOIN assignments a ON a.id = r.assignment JOIN people u ON u.id = r.person"
            " WHERE l.pair = ? ORDER BY r.seq"
        ),
        votes=all_of("SELECT model, output, value_a, value_b, vote FROM votes WHERE pair = ? ORDER BY model"),
        decisions=all_of(
            "SELECT relation, result, policy, by_person AS by, reason, at FROM decisions WHERE pair = ? ORDER BY id"
        ),
    )
