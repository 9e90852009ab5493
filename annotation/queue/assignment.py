"""Tasks for a person: what is open already, then new ones, each held for the person by a lease."""

from __future__ import annotations

import math
import sqlite3

from annotation.store import Write
from annotation.study import Study

from . import choosing, qualification, tasks
from .order import slot
from .people import Project, Worker, alias_of, project, worker
from .types import TaskBatch

MOST_TASKS = 20
COUNT_AT_ONCE = 200
"""Up to so many pairs left for a person, those that others hold and scenes that are full are left out of the count."""
DAY_MS = 86_400_000


def next_tasks(study: Study, project_id: int, person: int, n: int = 4) -> TaskBatch:
    """Up to ``n`` tasks (1 to 20): the person's open ones first, so that two tabs of one person show the same.

    Raises:
        NotFoundError: no such person or project.
        StudyLockedError, StudyFullError: nothing was issued.
    """
    n = max(1, min(int(n), MOST_TASKS))
    with study.store.write(alias_of(study, person)) as write:
        where, who = project(write, project_id), worker(write, person)
        done = _done(write, where, who)
        if not who.works_in(where.settings):
            return TaskBatch([], done, 0, "not a member")
        if where.state != "open":
            return TaskBatch([], done, None, "paused" if where.state == "paused" else "finished")
        _expire(write, who)
        test = qualification.state_of(write, where, who)
        if test.state == "failed":
            return TaskBatch([], done, 0, "qualification failed")
        if test.state == "open":
            held = tasks.open_of(write, where.id, who.id, qualification=True)
            qualification.fill(write, where, who, test, n - len(held))
            built = _renewed(write, where, who, qualified=False)[:n]
            return TaskBatch([tasks.build(write, row) for row in built], done, test.pairs - test.done)
        room = min(n, _room_today(write, where, who))
        if room <= 0:
            return TaskBatch([], done, None, "daily limit")
        held = tasks.open_of(write, where.id, who.id, qualification=False)
        if len(held) < room:
            _fill(write, where, who, room - len(held))
        built = _renewed(write, where, who, qualified=True)
        left = _left(write, where, who, done) + len(built)
        waiting = ""
        if not built:
            waiting = "later" if choosing.others_hold_some(write, where, who) else "finished"
        return TaskBatch([tasks.build(write, row) for row in built[:room]], done, left, waiting)


def heartbeat(study: Study, person: int, assignments: list[int]) -> dict[int, int]:
    """Keep tasks: assignment -> end of its lease, for those of the person that are open now.

    One that had expired is taken up again if its pair still wants somebody.
    """
    alias = alias_of(study, person)
    with study.store.write(alias) as write:
        rows = [row for number in dict.fromkeys(assignments) if (row := _own(write, number, person)) is not None]
        for row in rows:
            where = project(write, row["project"])
            if row["state"] == "open":
                tasks.extend(write, [row], where.settings.lease_seconds)
            elif row["state"] in ("expired", "returned") and _still_wanted(row, where):
                tasks.issue(
                    write, pair=row["pair"], person=person, alias=alias, kind=row["kind"], seed=where.settings.seed,
                    lease_until=write.now + 1000 * where.settings.lease_seconds, proposed=row["proposed"], known=row,
                )  # fmt: skip
        now = [_own(write, row["id"], person) for row in rows]
        return {row["id"]: row["lease_until"] for row in now if row is not None and row["state"] == "open"}


def give_back(study: Study, person: int, assignments: list[int]) -> None:
    """Return tasks that the person will not do now. Tests and repeats stay theirs: nobody else could take them."""
    with study.store.write(alias_of(study, person)) as write:
        rows = [_own(write, number, person) for number in dict.fromkeys(assignments)]
        ended = [
            row["id"]
            for row in rows
            if row is not None and row["state"] == "open" and row["kind"] in ("label", "check")
        ]
        if ended:
            write.append("assignment.returned", {"assignments": ended})


def _own(write: Write, number: int, person: int) -> sqlite3.Row | None:
    return write.one(
        "SELECT a.*, p.project, p.state AS pair_state, p.taken, p.wanted, p.asked_from FROM assignments a"
        " JOIN pairs p ON p.id = a.pair WHERE a.id = ? AND a.person = ?",
        number,
        person,
    )


def _still_wanted(row: sqlite3.Row, where: Project) -> bool:
    wanted = where.ask if row["wanted"] is None else row["wanted"]
    asked = row["pair_state"] in ("queued", "answered") and row["id"] > row["asked_from"]
    return bool(asked and row["taken"] < wanted and where.state == "open")


def _expire(write: Write, who: Worker) -> None:
    """End the leases of others that have run out. The person's own are renewed instead."""
    rows = write.query(
        "SELECT id FROM assignments WHERE state = 'open' AND kind IN ('label', 'check') AND lease_until < ?"
        " AND person <> ? LIMIT 200",
        write.now,
        who.id,
    )
    if rows:
        write.append("assignment.expired", {"assignments": [row["id"] for row in rows]}, actor="server")


def _renewed(write: Write, where: Project, who: Worker, *, qualified: bool) -> list[sqlite3.Row]:
    held = tasks.open_of(write, where.id, who.id, qualification=not qualified)
    if tasks.extend(write, held, where.settings.lease_seconds):
        held = tasks.open_of(write, where.id, who.id, qualification=not qualified)
    return held


def _fill(write: Write, where: Project, who: Worker, missing: int) -> None:
    """Issue up to ``missing`` tasks. Tests and repeats come between ordinary ones, never after the last."""
    settings = where.settings
    pairs = choosing.candidates(write, where, who, missing)
    until = write.now + 1000 * settings.lease_seconds
    count = choosing.issued(write, where, who)
    for _ in range(missing):
        if not pairs:
            return
        kind: str = slot(settings.seed, who.alias, count, settings.gold_share, settings.repeat_share)
        hidden = known = None
        if kind != "label":
            hidden = (choosing.hidden_gold if kind == "gold" else choosing.hidden_repeat)(write, where, who)
        if hidden is not None:
            pair, proposed = hidden
        else:
            row = pairs.pop(0)
            pair, proposed = row["id"], None
            kind = "check" if where.policy.checks and row["taken"] > 0 else "label"
            if where.open_checks and not row["layered"]:
                proposed = choosing.first_answer(write, pair, row["asked_from"])
            known = choosing.known_assignment(write, pair, who.id, row["asked_from"])
        tasks.issue(
            write, pair=pair, person=who.id, alias=who.alias, kind=kind, seed=settings.seed, lease_until=until,
            proposed=proposed, known=known,
        )  # fmt: skip
        count += known is None


def _done(write: Write, where: Project, who: Worker) -> int:
    row = write.one("SELECT done FROM progress WHERE project = ? AND person = ?", where.id, who.id)
    return 0 if row is None else int(row["done"])


def _room_today(write: Write, where: Project, who: Worker) -> int:
    """How many answers this person may still give today (UTC)."""
    limit = where.settings.daily_limit
    if limit <= 0:
        return MOST_TASKS
    row = write.one(
        "SELECT count(DISTINCT r.assignment) AS n FROM responses r JOIN live l ON l.uuid = r.uuid"
        " JOIN pairs p ON p.id = r.pair"
        " WHERE r.person = ? AND r.received_at >= ? AND p.project = ? AND p.purpose <> 'qualification'",
        who.id,
        write.now - write.now % DAY_MS,
        where.id,
    )
    assert row is not None
    return limit - int(row["n"])


def _left(write: Write, where: Project, who: Worker, done: int) -> int:
    """Tasks that could still come, with the tests and repeats between them: were these left out, the count would stand
    still after each of them and give it away.

    While they are few, pairs that others hold and scenes that are full are left out, and the hidden tasks are those
    that will come. Beyond, the pairs in question that the person has not had stand for the ordinary tasks, and the
    count is rounded up to tens.
    """
    settings = where.settings
    row = write.one("SELECT had FROM progress WHERE project = ? AND person = ?", where.id, who.id)
    pairs = choosing.open_pairs(write, where) - (0 if row is None else int(row["had"]))
    hidden = settings.gold_share + settings.repeat_share
    if pairs > COUNT_AT_ONCE:
        return 10 * math.ceil(pairs / max(1 - hidden, 0.1) / 10)
    pairs = choosing.count_candidates(write, where, who)
    gold, count, left = choosing.count_gold(write, where, who), choosing.issued(write, where, who), 0
    while pairs > 0:
        kind = slot(settings.seed, who.alias, count + left, settings.gold_share, settings.repeat_share)
        left += 1
        if kind == "gold" and gold > 0:
            gold -= 1
        elif kind != "repeat" or done + left <= settings.repeat_distance:
            pairs -= 1
        elif left > 20 * COUNT_AT_ONCE:
            break
    return left
