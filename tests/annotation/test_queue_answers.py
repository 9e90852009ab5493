"""What becomes of an answer: stored once, counted by the policy, taken back, judged, decided upon."""

from __future__ import annotations

import dataclasses
import uuid

import pytest
from annotation_studies import (
    PLAIN,
    answer_to,
    make_study,
    moves,
    person,
    result,
    right_answer,
    say,
    state,
    truth_of,
    wrong_answer,
)

from annotation import queue
from annotation.errors import NotAllowedError, NotFoundError, StepError
from annotation.projects import change_project
from annotation.queue import order
from annotation.settings import ProjectSettings
from annotation.store import replay
from dabench.errors import UsageError


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
