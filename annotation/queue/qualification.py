"""The test round that comes before the work: pairs with a known answer, and whether a person has passed."""

from __future__ import annotations

import sqlite3

from annotation.store import Write
from annotation.study import Study

from . import tasks
from .order import unit
from .people import Project, Worker, project, worker
from .types import Feedback, QualificationState


def _pairs(write: Write, number: int) -> list[str]:
    return [
        row["id"]
        for row in write.query(
            "SELECT p.id FROM pairs p JOIN images i ON i.sha256 = p.image WHERE p.project = ?"
            " AND p.purpose <> 'label' AND p.purpose = 'qualification' AND i.state = 'ok'"
            " AND p.gold IS NOT NULL ORDER BY p.position, p.id",
            number,
        )
    ]


def _given(write: Write, where: Project, person: int, attempt: int) -> list[sqlite3.Row]:
    """Live answers of a round with their gold, oldest first. Of a layered pair the front layer is the tested one."""
    return write.query(
        "SELECT r.answer, p.gold, p.gold_note FROM assignments a JOIN pairs p ON p.id = a.pair"
        " JOIN live l ON (l.pair, l.person, l.round) = (a.pair, a.person, a.round) AND l.relation <> 'back'"
        " JOIN responses r ON r.uuid = l.uuid"
        " WHERE a.person = ? AND a.state = 'done' AND a.kind = 'qualification' AND p.project = ? AND a.round = ?"
        " ORDER BY r.seq",
        person,
        where.id,
        attempt,
    )


def state_of(write: Write, where: Project, who: Worker) -> QualificationState:
    """Where a person stands: ``none`` when the project has no round or no pairs for one."""
    wish = where.settings.qualification
    size = min(wish.pairs, len(_pairs(write, where.id))) if wish.pairs > 0 else 0
    pass_at = min(wish.pass_at, size)
    if size == 0:
        return QualificationState("none", 0, 0, wish.tries, 0, 0)
    rounds = write.query(
        'SELECT try, "right", "of", passed FROM qualifications WHERE project = ? AND person = ? ORDER BY try',
        where.id,
        who.id,
    )
    if rounds and (rounds[-1]["passed"] or len(rounds) >= wish.tries):
        state = "passed" if rounds[-1]["passed"] else "failed"
        return QualificationState(state, size, pass_at, wish.tries, rounds[-1]["right"], rounds[-1]["of"])
    given = _given(write, where, who.id, len(rounds) + 1)
    right = sum(row["answer"] == row["gold"] for row in given)
    return QualificationState("open", size, pass_at, wish.tries, right, len(given))


def fill(write: Write, where: Project, who: Worker, state: QualificationState, wanted: int) -> None:
    """Issue up to ``wanted`` more pairs of the running round; those seen least often come first."""
    settings = where.settings
    row = write.one("SELECT count(*) AS n FROM qualifications WHERE project = ? AND person = ?", where.id, who.id)
    assert row is not None
    attempt = row["n"] + 1
    seen = write.query(
        "SELECT a.pair, count(*) AS times, max(a.round) AS newest FROM assignments a JOIN pairs p ON p.id = a.pair"
        " WHERE a.person = ? AND a.kind = 'qualification' AND p.project = ? GROUP BY a.pair",
        who.id,
        where.id,
    )
    times = {row["pair"]: row["times"] for row in seen}
    running = {row["pair"] for row in seen if row["newest"] == attempt}
    waiting = sorted(
        (pair for pair in _pairs(write, where.id) if pair not in running),
        key=lambda pair: (times.get(pair, 0), unit(settings.seed, "qualification", who.alias, attempt, pair)),
    )
    for pair in waiting[: max(0, min(wanted, state.pairs - len(running)))]:
        tasks.issue(
            write, pair=pair, person=who.id, alias=who.alias, kind="qualification", seed=settings.seed,
            lease_until=write.now + 1000 * settings.lease_seconds, round=attempt,
        )  # fmt: skip


def after_answer(write: Write, where: Project, who: Worker, attempt: int) -> Feedback:
    """What to say about the newest answer; a complete round becomes ``project.qualified``."""
    given = _given(write, where, who.id, attempt)
    newest = given[-1]
    settled = write.one(
        "SELECT passed FROM qualifications WHERE project = ? AND person = ? AND try = ?", where.id, who.id, attempt
    )
    passed = None if settled is None else bool(settled["passed"])
    state = state_of(write, where, who)
    if settled is None and state.state == "open" and len(given) >= state.pairs:
        right = sum(row["answer"] == row["gold"] for row in given)
        passed = right >= state.pass_at
        write.append(
            "project.qualified",
            {
                "project": where.id, "person": who.alias, "try": attempt, "right": right, "of": len(given),
                "passed": passed,
            },
        )  # fmt: skip
    return Feedback(newest["answer"] == newest["gold"], newest["gold_note"], passed)


def qualification_state(study: Study, number: int, person: int) -> QualificationState:
    """Where a person stands in a project's qualification."""
    with study.store.read() as connection:
        write = Write(connection, "server", study.store.now())
        return state_of(write, project(write, number), worker(write, person))
