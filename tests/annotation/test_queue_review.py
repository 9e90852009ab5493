"""Before and after the answers: the qualification round, and what adjudicators do with disputes."""

from __future__ import annotations

import uuid

import pytest
from annotation_studies import PLAIN, moves, person, result, say, state, truth_of

from annotation import queue
from annotation.errors import NotAllowedError, NotFoundError, StepError
from annotation.settings import ProjectSettings, Qualification
from annotation.store import replay
from dabench.errors import UsageError


def qualified(new_study, clock, **wish):
    settings = ProjectSettings(qualification=Qualification(**({"pairs": 4, "pass_at": 3, "tries": 2} | wish)), **PLAIN)
    return new_study(settings=settings, qualification=6, clock=clock)


def test_qualification_comes_first_with_feedback_and_opens_the_work(new_study, clock):
    study = qualified(new_study, clock)
    ann = person(study, "ann")
    assert queue.qualification_state(study, 1, ann).state == "open"
    feedback = []
    for answer in ("right", "wrong", "right", "right"):
        task, receipt = say(study, "ann", answer)
        assert task.qualification
        assert receipt.feedback.note.startswith("the answer is ")
        feedback.append((receipt.feedback.right, receipt.feedback.passed))
    assert feedback == [(True, None), (False, None), (True, None), (True, True)]
    now = queue.qualification_state(study, 1, ann)
    assert (now.state, now.right, now.done) == ("passed", 3, 4)
    batch = queue.next_tasks(study, 1, ann)
    assert batch.done == 0
    assert not any(task.qualification for task in batch.tasks)
    with pytest.raises(NotFoundError):
        queue.undo(study, ann, str(uuid.uuid4()))
    mine = study.store.one("SELECT uuid FROM responses WHERE person = ? LIMIT 1", ann)["uuid"]
    with pytest.raises(StepError, match="qualification"):
        queue.undo(study, ann, str(uuid.uuid4()), mine)


def test_who_fails_all_rounds_gets_no_work(new_study, clock):
    study = qualified(new_study, clock)
    ann = person(study, "ann")
    rounds = []
    for _ in range(2):
        answers = [say(study, "ann", "wrong") for _ in range(4)]
        rounds.append({task.pair for task, _ in answers})
        assert answers[-1][1].feedback.passed is False
    assert len(rounds[0] | rounds[1]) == 6, "a second round takes the pairs that were not seen first"
    batch = queue.next_tasks(study, 1, ann)
    assert (batch.tasks, batch.waiting) == ([], "qualification failed")
    assert queue.qualification_state(study, 1, ann).state == "failed"
    assert replay.verify(study).same


def test_a_round_is_no_longer_than_there_are_pairs(new_study, clock):
    study = qualified(new_study, clock, pairs=50, pass_at=50)
    assert queue.qualification_state(study, 1, person(study, "ann")).pairs == 6
    for _ in range(6):
        _, receipt = say(study, "ann", "right")
    assert receipt.feedback.passed is True


def disputed(one_pair):
    study = one_pair()
    say(study, "ann", "right")
    say(study, "ben", "wrong")
    return study, study.store.one("SELECT id FROM pairs")["id"]


def test_a_dispute_shows_everything_and_is_decided_with_a_reason(one_pair):
    study, pair = disputed(one_pair)
    adam = person(study, "adam")
    (dispute,) = queue.disputes(study, 1)
    truth = truth_of(study)
    assert [(a["alias"], a["answer"]) for a in dispute.answers] == [("ann", truth), ("ben", "ab"[truth == "a"])]
    assert {vote["model"] for vote in dispute.votes} == {"near-sighted", "steady", "contrarian"}
    with pytest.raises(UsageError, match="needs a reason"):
        queue.decide(study, adam, str(uuid.uuid4()), pair, "a", "  ")
    with pytest.raises(UsageError, match="result 'c'"):
        queue.decide(study, adam, str(uuid.uuid4()), pair, "c", "why not")
    step = str(uuid.uuid4())
    for _ in range(2):
        assert queue.decide(study, adam, step, pair, "a", "the edge is nearer").state == "final"
    assert moves(study) == ["answered", "disputed", "adjudicated", "final"]
    with pytest.raises(StepError, match="another decision"):
        queue.decide(study, adam, step, pair, "b", "the edge is nearer")
    queue.decide(study, adam, str(uuid.uuid4()), pair, "b", "looked again")
    rows = study.store.query("SELECT result, policy, by_person, reason FROM decisions")
    assert [tuple(row) for row in rows] == [
        ("a", "adjudication", "adam", "the edge is nearer"),
        ("b", "adjudication", "adam", "looked again"),
    ]
    queue.undo(study, person(study, "ben"), str(uuid.uuid4()))
    say(study, "ben", "right")
    assert (state(study), result(study)) == ("final", "b"), "no answer overrules a decision"


def test_a_dropped_pair_stays_with_its_reason_and_can_be_taken_back(one_pair):
    study, pair = disputed(one_pair)
    adam = person(study, "adam")
    assert queue.decide(study, adam, str(uuid.uuid4()), pair, "drop", "ambiguous").state == "dropped"
    (shown,) = queue.disputes(study, 1, "dropped")
    assert [d["reason"] for d in shown.decisions] == ["ambiguous"]
    with pytest.raises(StepError, match="dropped already"):
        queue.decide(study, adam, str(uuid.uuid4()), pair, "drop", "ambiguous")
    assert queue.decide(study, adam, str(uuid.uuid4()), pair, "a", "it is clear at 1:1").state == "final"


def test_a_reopened_pair_is_asked_afresh_also_of_those_who_answered(one_pair):
    study, pair = disputed(one_pair)
    open_task = queue.next_tasks(study, 1, person(study, "cat"))
    assert open_task.tasks == []
    assert queue.decide(study, person(study, "adam"), str(uuid.uuid4()), pair, "reopen", "new rules").state == "queued"
    for alias in ("ann", "ben", "cat"):
        say(study, alias, "right")
    assert (state(study), result(study)) == ("final", truth_of(study))
    rounds = study.store.query(
        "SELECT u.alias, max(a.round) r FROM assignments a JOIN people u ON u.id = a.person GROUP BY 1"
    )
    assert {row["alias"]: row["r"] for row in rounds} == {"ann": 2, "ben": 2, "cat": 1}
    assert replay.verify(study).same


def test_nobody_looks_at_answers_while_people_are_asked(one_pair):
    study = one_pair()
    say(study, "ann", "right")
    pair = study.store.one("SELECT id FROM pairs")["id"]
    for asked in ("queued", "answered", "proposed"):
        with pytest.raises(NotAllowedError, match="cannot be seen"):
            queue.disputes(study, 1, asked)
    with pytest.raises(StepError, match="still being asked"):
        queue.decide(study, person(study, "adam"), str(uuid.uuid4()), pair, "a", "hurry")
    assert queue.decide(study, person(study, "adam"), str(uuid.uuid4()), pair, "drop", "wrong image").state == "dropped"
    assert queue.next_tasks(study, 1, person(study, "ben")).waiting == "finished"
