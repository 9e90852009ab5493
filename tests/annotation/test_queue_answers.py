"""What becomes of an answer: stored once, counted by the policy, taken back, judged, decided upon."""

from __future__ import annotations

import dataclasses
import uuid

import pytest
from annotation_studies import answer_to, make_study, person, right_answer, wrong_answer

from annotation import queue
from annotation.errors import NotAllowedError, NotFoundError, StepError
from annotation.projects import change_project
from annotation.queue import order
from annotation.settings import ProjectSettings, Qualification
from annotation.store import replay
from dabench.errors import UsageError

PLAIN = {"gold_share": 0.0, "repeat_share": 0.0}


@pytest.fixture
def one_pair(new_study, clock):
    """``one_pair(policy=..., ...)``: a study with one image and one pair."""

    def make(layered=False, pairs=1, **settings):
        return new_study(
            images=1,
            pairs_per_image=pairs,
            settings=ProjectSettings(**(PLAIN | settings)),
            clock=clock,
            layered=layered,
        )

    return make


def state(study) -> str:
    return study.store.one("SELECT state FROM pairs ORDER BY position LIMIT 1")["state"]


def moves(study) -> list[str]:
    return [event.data["to"] for event in study.store.events(["pair.moved"])]


def say(study, alias: str, answer: str, **fields):
    """Let a person answer their first task with ``right | wrong | equal | skip``; the task and the receipt."""
    task = queue.next_tasks(study, 1, person(study, alias), 1).tasks[0]
    shown = {"right": right_answer(task), "wrong": wrong_answer(task)}.get(answer, answer)
    return task, queue.give_answer(study, person(study, alias), answer_to(task, shown, **fields))


def result(study, relation="closer") -> str | None:
    row = study.store.one("SELECT result FROM decisions WHERE relation = ? ORDER BY id DESC LIMIT 1", relation)
    return None if row is None else row["result"]


def truth_of(study) -> str:
    row = study.store.one("SELECT a_row, a_col, b_row, b_col FROM pairs ORDER BY position LIMIT 1")
    return "a" if (row["a_row"], row["a_col"]) > (row["b_row"], row["b_col"]) else "b"


def test_every_arrow_to_a_final_label_is_an_event(one_pair):
    study = one_pair()
    for alias in ("ann", "ben", "cat"):
        say(study, alias, "right")
    assert moves(study) == ["answered", "agreed", "final"]
    assert (result(study), state(study)) == (truth_of(study), "final")
    row = study.store.one("SELECT policy, by_person FROM decisions")
    assert tuple(row) == ("first-two-checkers", "policy")


def test_the_first_dissent_goes_to_review_and_frees_the_third_person(one_pair):
    study = one_pair(pairs=2)
    tasks = {alias: queue.next_tasks(study, 1, person(study, alias), 1).tasks[0] for alias in ("ann", "ben", "cat")}
    say(study, "ann", "right")
    say(study, "ben", "wrong")
    assert (state(study), result(study)) == ("disputed", None)
    assert queue.next_tasks(study, 1, person(study, "cat"), 1).tasks[0].pair != tasks["cat"].pair
    surplus = queue.give_answer(study, person(study, "cat"), answer_to(tasks["cat"], right_answer(tasks["cat"])))
    assert (surplus.status, surplus.late, state(study)) == ("surplus", False, "disputed")


@pytest.mark.parametrize(
    ("policy", "answers", "end", "label"),
    [
        ("unanimous-2", ["right", "right"], "final", "truth"),
        ("two-then-third", ["right", "wrong", "right"], "final", "truth"),
        ("two-then-third", ["right", "wrong", "equal"], "disputed", None),
        ("majority-3", ["wrong", "right", "right"], "final", "truth"),
        ("unanimous-3", ["right", "right", "wrong"], "disputed", None),
        ("single", ["right"], "final", "truth"),
        ("unanimous-2", ["equal", "equal"], "dropped", "equal"),
        ("single", ["skip", "right"], "final", "truth"),
        ("single", ["skip", "skip"], "disputed", None),
        ("unanimous-2", ["right", "skip", "right"], "final", "truth"),
    ],
)
def test_policies_act_on_answers(one_pair, policy, answers, end, label):
    study = one_pair(policy=policy)
    for alias, answer in zip(("ann", "ben", "cat"), answers, strict=False):
        assert state(study) in ("queued", "answered")
        say(study, alias, answer)
    assert (state(study), result(study)) == (end, truth_of(study) if label == "truth" else label)


def test_a_skip_when_nobody_is_left_goes_to_review(one_pair):
    study = one_pair()
    for alias, answer in (("ann", "right"), ("ben", "skip"), ("cat", "right")):
        say(study, alias, answer, reason="cannot tell")
    assert state(study) == "disputed", "three annotators, one of whom skipped: nobody is left to agree"
    assert {a["reason"] for a in queue.disputes(study, 1)[0].answers} == {"cannot tell"}


def test_an_answer_is_stored_once_however_often_it_is_sent(one_pair):
    study = one_pair()
    task = queue.next_tasks(study, 1, person(study, "ann")).tasks[0]
    answer = answer_to(task, "first")
    first = queue.give_answer(study, person(study, "ann"), answer)
    for _ in range(3):
        again = queue.give_answer(study, person(study, "ann"), answer)
        assert (again.status, again.received_at) == ("duplicate", first.received_at)
    assert study.store.one("SELECT count(*) n FROM responses")["n"] == 1
    with pytest.raises(StepError, match="belongs to another answer"):
        queue.give_answer(study, person(study, "ann"), dataclasses.replace(answer, shown="second"))
    with pytest.raises(StepError, match="belongs to another answer"):
        queue.give_answer(study, person(study, "ben"), answer)


def test_the_second_of_two_tabs_changes_nothing(one_pair):
    study = one_pair(policy="single")
    task = queue.next_tasks(study, 1, person(study, "ann")).tasks[0]
    queue.give_answer(study, person(study, "ann"), answer_to(task, right_answer(task)))
    other = queue.give_answer(study, person(study, "ann"), answer_to(task, wrong_answer(task)))
    assert other.status == "surplus"
    assert [entry["shown"] for entry in queue.history(study, 1, person(study, "ann"))] == [right_answer(task)]
    assert result(study) == truth_of(study)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("uuid", "1", "uuid '1'"),
        ("uuid", "123E4567-E89B-42D3-A456-426614174000", "not a UUID"),
        ("shown", "a", "shown 'a'"),
        ("shown", "undo", "shown 'undo'"),
        ("relation", "nearer", "relation 'nearer'"),
        ("relation", "front", "not asked"),
        ("confidence", "sure", "confidence 'sure'"),
        ("reason", "x" * 501, "501 characters"),
        ("active_ms", -1, "active_ms is -1"),
        ("active_ms", 3001, "active_ms is 3001 and wall_ms only 3000"),
        ("shown_at", 2**60, "shown_at"),
        ("client", {"x": "y" * 5000}, "at most 4000 bytes"),
        ("client", {"x": float("nan")}, "not plain JSON"),
    ],
)
def test_answers_that_no_page_sends(one_pair, field, value, message):
    study = one_pair()
    task = queue.next_tasks(study, 1, person(study, "ann")).tasks[0]
    answer = dataclasses.replace(answer_to(task, "first"), **{field: value})
    with pytest.raises(UsageError, match=message):
        queue.give_answer(study, person(study, "ann"), answer)
    assert study.store.one("SELECT count(*) n FROM responses")["n"] == 0


def test_answers_for_others_and_to_nothing(one_pair):
    study = one_pair(allow_equal=False)
    task = queue.next_tasks(study, 1, person(study, "ann")).tasks[0]
    with pytest.raises(NotAllowedError, match="somebody else"):
        queue.give_answer(study, person(study, "ben"), answer_to(task, "first"))
    with pytest.raises(NotFoundError, match="assignment 77"):
        queue.give_answer(study, person(study, "ann"), dataclasses.replace(answer_to(task, "first"), assignment=77))
    with pytest.raises(StepError, match="does not offer 'equal'"):
        queue.give_answer(study, person(study, "ann"), answer_to(task, "equal"))


def test_undo_across_images_and_answering_anew(new_study, clock):
    study = new_study(
        images=20,
        pairs_per_image=3,
        settings=ProjectSettings(policy="single", **PLAIN),
        clock=clock,
        people={"ann": "annotator"},
    )
    ann = person(study, "ann")
    order_given = []
    for _ in range(60):
        task, _ = say(study, "ann", "wrong")
        order_given.append(task.pair)
    taken_back = [queue.undo(study, ann, str(uuid.uuid4())).task.pair for _ in range(55)]
    assert taken_back == order_given[:4:-1]
    assert queue.next_tasks(study, 1, ann, 1).done == 5
    for _ in range(55):
        say(study, "ann", "right")
    labels = study.store.query("SELECT state, count(*) n FROM pairs GROUP BY state")
    assert [tuple(row) for row in labels] == [("final", 60)]
    assert study.store.one("SELECT count(*) n FROM responses")["n"] == 60 + 55 + 55, "nothing is deleted"
    assert replay.verify(study).same


def test_undo_is_idempotent_and_guarded(one_pair):
    study = one_pair(policy="single")
    ann = person(study, "ann")
    with pytest.raises(NotFoundError, match="no answer to take back"):
        queue.undo(study, ann, str(uuid.uuid4()))
    _, receipt = say(study, "ann", "right")
    with pytest.raises(NotAllowedError):
        queue.undo(study, person(study, "ben"), str(uuid.uuid4()), receipt.uuid)
    step = str(uuid.uuid4())
    first = queue.undo(study, ann, step, receipt.uuid)
    assert queue.undo(study, ann, step, receipt.uuid).response == first.response == receipt.uuid
    with pytest.raises(StepError, match="taken back before"):
        queue.undo(study, ann, str(uuid.uuid4()), receipt.uuid)
    with pytest.raises(StepError, match="another answer"):
        queue.undo(study, ann, receipt.uuid)
    assert study.store.one("SELECT count(*) n FROM responses")["n"] == 2


def test_undo_takes_a_label_back_with_it(one_pair):
    study = one_pair(policy="unanimous-2")
    say(study, "ann", "right")
    say(study, "ben", "right")
    queue.undo(study, person(study, "ben"), str(uuid.uuid4()))
    assert (state(study), result(study)) == ("answered", "reopen")
    queue.undo(study, person(study, "ann"), str(uuid.uuid4()))
    assert state(study) == "queued"
    say(study, "ann", "wrong")
    say(study, "ben", "wrong")
    assert (state(study), result(study)) == ("final", "ab"[truth_of(study) == "a"])


def test_a_surplus_answer_stands_in_when_another_is_taken_back(one_pair, clock):
    study = one_pair(policy="unanimous-2", lease_seconds=60)
    slow = queue.next_tasks(study, 1, person(study, "cat")).tasks[0]
    clock.forward(100)
    say(study, "ann", "right")
    _, ben = say(study, "ben", "right")
    receipt = queue.give_answer(study, person(study, "cat"), answer_to(slow, right_answer(slow)))
    assert (receipt.status, receipt.late) == ("surplus", True)
    queue.undo(study, person(study, "ben"), str(uuid.uuid4()), ben.uuid)
    assert (state(study), result(study)) == ("final", truth_of(study))


def test_another_policy_is_applied_to_what_is_answered_already(one_pair):
    study = one_pair(policy="unanimous-3", pairs=3)
    ann, ben = (queue.next_tasks(study, 1, person(study, alias), 2).tasks for alias in ("ann", "ben"))
    for alias, tasks in (("ann", ann), ("ben", ben)):
        queue.give_answer(study, person(study, alias), answer_to(tasks[0], right_answer(tasks[0])))
    queue.give_answer(study, person(study, "ann"), answer_to(ann[1], right_answer(ann[1])))
    change_project(study, 1, settings={"policy": "unanimous-2"})
    states = [row["state"] for row in study.store.query("SELECT state FROM pairs ORDER BY position")]
    assert states == ["final", "answered", "queued"]
    change_project(study, 1, settings={"policy": "majority-5"})
    assert [row["wanted"] for row in study.store.query("SELECT wanted FROM pairs ORDER BY position")] == [
        None,
        None,
        None,
    ]
    assert [task.pair for task in queue.next_tasks(study, 1, person(study, "cat"), 9).tasks] == [
        row["id"] for row in study.store.query("SELECT id FROM pairs ORDER BY position")
    ][1:], "a label that was made stays"


def test_layered_pairs_need_both_relations(one_pair):
    study = one_pair(layered=True, policy="unanimous-2")
    ann, ben = person(study, "ann"), person(study, "ben")
    task = queue.next_tasks(study, 1, ann).tasks[0]
    assert task.relations == ("front", "back")
    with pytest.raises(StepError, match="'closer' is not asked"):
        queue.give_answer(study, ann, answer_to(task, "first", relation="closer"))
    say(study, "ann", "right")
    half = queue.next_tasks(study, 1, ann).tasks[0]
    assert half.answered == {"front": right_answer(task)}
    assert state(study) == "queued"
    say(study, "ann", "wrong")
    assert state(study) == "answered"
    say(study, "ben", "right")
    say(study, "ben", "wrong")
    truth = truth_of(study)
    assert (result(study, "front"), result(study, "back")) == (truth, "ab"[truth == "a"])
    assert state(study) == "final"
    undone = queue.undo(study, ben, str(uuid.uuid4()))
    assert undone.task.answered == {"front": right_answer(undone.task)}
    assert state(study) == "answered"
    say(study, "ben", "right")
    assert state(study) == "disputed"
    decided = queue.decide(study, person(study, "adam"), str(uuid.uuid4()), task.pair, "b", "glass", "back")
    assert (decided.state, result(study, "front"), result(study, "back")) == ("final", truth, "b")


def test_open_checks_show_the_first_answer_as_each_person_sees_it(new_study, clock):
    study = new_study(images=1, pairs_per_image=12, settings=ProjectSettings(check_mode="open", **PLAIN), clock=clock)
    first = queue.next_tasks(study, 1, person(study, "ann"), 1).tasks[0]
    assert (first.mode, first.proposed) == ("blind", None)
    assert queue.next_tasks(study, 1, person(study, "ben"), 1).tasks[0].pair != first.pair, "a check waits for a label"
    say(study, "ann", "right")
    checks = [t for t in queue.next_tasks(study, 1, person(study, "cat"), 12).tasks if t.pair == first.pair]
    (check,) = checks
    assert (check.mode, check.proposed) == ("open", right_answer(check))
    queue.give_answer(study, person(study, "cat"), answer_to(check, right_answer(check)))
    modes = study.store.query(
        "SELECT r.mode, a.kind FROM responses r JOIN assignments a ON a.id = r.assignment ORDER BY r.seq"
    )
    assert [tuple(row) for row in modes] == [("blind", "label"), ("open", "check")]


def test_open_checks_hide_tests_among_checks(tmp_path, clock):
    settings = ProjectSettings(check_mode="open", gold_share=0.9, repeat_share=0)
    with make_study(tmp_path / "study", 1, 40, settings=settings, clock=clock, gold=30) as study:
        shown = []
        for _ in range(30):
            task, _ = say(study, "ann", "right")
            row = study.store.one(
                "SELECT gold, proposed FROM assignments a JOIN pairs p ON p.id = a.pair WHERE a.id = ?", task.assignment
            )
            if row["gold"] is not None:
                shown.append(None if row["proposed"] is None else row["proposed"] == row["gold"])
        assert set(shown) == {None, True, False}


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


@pytest.mark.parametrize("seed", range(6))
def test_the_label_does_not_depend_on_which_point_is_called_a(tmp_path, clock, seed):
    """The same people with the same opinions under other seeds, hence other orders of the points."""
    with make_study(
        tmp_path / "study", 1, 8, settings=ProjectSettings(policy="majority-3", seed=seed, **PLAIN), clock=clock
    ) as study:
        for alias in ("ann", "ben", "cat"):
            while tasks := queue.next_tasks(study, 1, person(study, alias), 1).tasks:
                right = order.unit(0, alias, tasks[0].pair) < 0.7
                say(study, alias, "right" if right else "wrong")
        labels = {row["pair"]: row["result"] for row in study.store.query("SELECT pair, result FROM decisions")}
        for row in study.store.query("SELECT * FROM pairs"):
            votes = sum(order.unit(0, alias, row["id"]) < 0.7 for alias in ("ann", "ben", "cat"))
            truth = "a" if (row["a_row"], row["a_col"]) > (row["b_row"], row["b_col"]) else "b"
            assert labels[row["id"]] == (truth if votes >= 2 else "ab"[truth == "a"])
