"""Who is asked what: different people, leases, order, hidden tests and repeats, limits."""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter, defaultdict

import pytest
from annotation_studies import answer_to, make_study, person, right_answer

from annotation import queue
from annotation.errors import NotFoundError, StepError
from annotation.queue import order
from annotation.settings import ProjectSettings
from annotation.store import replay

PLAIN = {"gold_share": 0.0, "repeat_share": 0.0}


def settings(**values) -> ProjectSettings:
    return ProjectSettings(**(PLAIN | values))


def do_all(study, aliases, clock=None, answer=right_answer, limit=10_000):
    """Let people take turns until nobody has work; (alias, task) in order."""
    given = []
    busy = True
    while busy and len(given) < limit:
        busy = False
        for alias in aliases:
            batch = queue.next_tasks(study, 1, person(study, alias), 1)
            for task in batch.tasks:
                queue.give_answer(study, person(study, alias), answer_to(task, answer(task)))
                given.append((alias, task))
                busy = True
            if clock is not None:
                clock.forward(4)
    return given


def test_each_pair_goes_to_three_different_people_and_becomes_final(new_study, clock):
    study = new_study(settings=settings(), clock=clock)
    given = do_all(study, ["ann", "ben", "cat", "adam"], clock)
    people = defaultdict(list)
    for row in study.store.query("SELECT pair, person FROM assignments WHERE state = 'done'"):
        people[row["pair"]].append(row["person"])
    assert len(people) == 12
    assert all(len(who) == len(set(who)) == 3 for who in people.values())
    assert len(given) == 36
    assert {row["state"] for row in study.store.query("SELECT state FROM pairs")} == {"final"}
    assert queue.next_tasks(study, 1, person(study, "olga")).waiting == "finished"
    for row in study.store.query("SELECT p.a_row, p.b_row, d.result FROM decisions d JOIN pairs p ON p.id = d.pair"):
        assert row["result"] == ("a" if row["a_row"] > row["b_row"] else "b")


def test_one_person_is_never_asked_twice_and_waits_for_the_others(new_study, clock):
    study = new_study(settings=settings(), clock=clock)
    ann = person(study, "ann")
    assert len(do_all(study, ["ann"], clock)) == 12
    batch = queue.next_tasks(study, 1, ann)
    assert (batch.tasks, batch.waiting, batch.done, batch.left) == ([], "finished", 12, 0)


def test_two_tabs_of_one_person_show_the_same_tasks(new_study, clock):
    study = new_study(settings=settings(), clock=clock)
    ann = person(study, "ann")
    first, second = (queue.next_tasks(study, 1, ann, 3) for _ in range(2))
    assert [task.assignment for task in first.tasks] == [task.assignment for task in second.tasks]
    queue.give_answer(study, ann, answer_to(first.tasks[0], "first"))
    assert [t.assignment for t in queue.next_tasks(study, 1, ann, 3).tasks][:2] == [
        t.assignment for t in first.tasks[1:]
    ]


def test_begun_pairs_come_first_and_in_order_of_position(new_study, clock):
    study = new_study(settings=settings(), clock=clock)
    positions = {row["id"]: row["position"] for row in study.store.query("SELECT id, position FROM pairs")}
    for alias in ("ann", "ben", "cat"):
        batch = queue.next_tasks(study, 1, person(study, alias), 4)
        assert [positions[task.pair] for task in batch.tasks] == [0, 1, 2, 3]
    assert positions[queue.next_tasks(study, 1, person(study, "adam"), 1).tasks[0].pair] == 4


def test_a_lease_ends_and_the_pair_goes_to_somebody_else(new_study, clock):
    study = new_study(images=1, pairs_per_image=1, settings=settings(policy="single", lease_seconds=60), clock=clock)
    ann, ben = person(study, "ann"), person(study, "ben")
    (task,) = queue.next_tasks(study, 1, ann).tasks
    assert queue.next_tasks(study, 1, ben).waiting == "later"
    clock.forward(61)
    (taken,) = queue.next_tasks(study, 1, ben).tasks
    assert taken.pair == task.pair
    assert queue.heartbeat(study, ann, [task.assignment]) == {}, "the pair has all the people it wants"
    late = queue.give_answer(study, ann, answer_to(task, right_answer(task)))
    assert (late.status, late.late) == ("saved", True), "an answer that is thought about is accepted"
    extra = queue.give_answer(study, ben, answer_to(taken, right_answer(taken)))
    assert extra.status == "surplus"
    assert study.store.one("SELECT state FROM pairs")["state"] == "final"
    assert study.store.one("SELECT count(*) n FROM decisions")["n"] == 1


def test_signs_of_life_keep_a_lease_and_seldom_cost_an_event(new_study, clock):
    study = new_study(settings=settings(lease_seconds=100), clock=clock)
    ann, ben = person(study, "ann"), person(study, "ben")
    (task,) = queue.next_tasks(study, 1, ann, 1).tasks
    for _ in range(40):
        clock.forward(10)
        kept = queue.heartbeat(study, ann, [task.assignment, 999])
        assert list(kept) == [task.assignment]
        assert kept[task.assignment] >= clock.at + 50_000
    queue.next_tasks(study, 1, ben)
    assert study.store.one("SELECT count(*) n FROM events WHERE kind = 'assignment.expired'")["n"] == 0
    assert study.store.one("SELECT count(*) n FROM events WHERE kind = 'assignment.extended'")["n"] <= 8


def test_an_expired_task_is_taken_up_again_by_its_person(new_study, clock):
    study = new_study(settings=settings(lease_seconds=60), clock=clock)
    ann, ben = person(study, "ann"), person(study, "ben")
    (task,) = queue.next_tasks(study, 1, ann, 1).tasks
    clock.forward(120)
    queue.next_tasks(study, 1, ben, 1)
    assert study.store.one("SELECT state FROM assignments WHERE id = ?", task.assignment)["state"] == "expired"
    assert queue.heartbeat(study, ann, [task.assignment]) == {task.assignment: clock.at + 60_000}
    again = queue.next_tasks(study, 1, ann, 1).tasks[0]
    assert (again.assignment, again.first) == (task.assignment, task.first)


def test_returned_tasks_are_free_at_once(new_study, clock):
    study = new_study(images=1, pairs_per_image=1, settings=settings(policy="single"), clock=clock)
    ann, ben = person(study, "ann"), person(study, "ben")
    (task,) = queue.next_tasks(study, 1, ann).tasks
    queue.give_back(study, ben, [task.assignment])
    assert queue.next_tasks(study, 1, ben).tasks == [], "nobody returns another's task"
    queue.give_back(study, ann, [task.assignment])
    assert [t.pair for t in queue.next_tasks(study, 1, ben).tasks] == [task.pair]
    queue.give_back(study, ben, [t.assignment for t in queue.next_tasks(study, 1, ben).tasks])
    assert queue.next_tasks(study, 1, ann).tasks[0].assignment == task.assignment


def test_leases_survive_a_clock_that_jumps(new_study, clock):
    study = new_study(settings=settings(lease_seconds=600), clock=clock)
    ann = person(study, "ann")
    (task,) = queue.next_tasks(study, 1, ann, 1).tasks
    clock.forward(-86_400)
    receipt = queue.give_answer(study, ann, answer_to(task, "first"))
    assert not receipt.late
    (task,) = queue.next_tasks(study, 1, ann, 1).tasks
    clock.forward(2 * 86_400)
    assert queue.give_answer(study, ann, answer_to(task, "first")).late
    times = [event.at for event in study.store.events()]
    assert times == sorted(times)


def test_hidden_tests_and_repeats_come_at_their_shares_and_look_like_work(new_study, clock):
    study = new_study(
        images=3,
        pairs_per_image=40,
        gold=60,
        settings=ProjectSettings(policy="single", gold_share=0.2, repeat_share=0.1, repeat_distance=7),
        clock=clock,
    )
    ann = person(study, "ann")
    given = [task for _, task in do_all(study, ["ann"], clock)]
    kinds = Counter(row["kind"] for row in study.store.query("SELECT kind FROM assignments"))
    assert kinds["label"] == 120
    total = sum(kinds.values())
    assert kinds["gold"] / total == pytest.approx(0.2, abs=0.06)
    assert kinds["repeat"] / total == pytest.approx(0.1, abs=0.05)
    rows = study.store.query("SELECT pair, kind, round FROM assignments WHERE person = ? ORDER BY id", ann)
    when = defaultdict(list)
    for number, row in enumerate(rows):
        when[row["pair"]].append(number)
    assert all(len(numbers) <= 2 for numbers in when.values())
    assert min(b - a for a, b in (n for n in when.values() if len(n) == 2)) >= 7
    assert {row["round"] for row in rows if row["kind"] == "repeat"} == {2}
    for task in given:  # what a task says is the same for all kinds
        assert (task.mode, task.proposed, task.qualification, task.relations) == ("blind", None, False, ("closer",))
    assert study.store.one("SELECT count(*) n FROM decisions")["n"] == 120, "tests and repeats decide nothing"


def test_the_count_of_what_is_left_does_not_give_a_test_away(new_study, clock):
    settings = ProjectSettings(policy="single", gold_share=0.2, repeat_share=0.0)
    study = new_study(images=2, pairs_per_image=20, gold=30, settings=settings, clock=clock)
    ann, left = person(study, "ann"), []
    while (batch := queue.next_tasks(study, 1, ann, 3)).tasks:
        left.append((batch.done, batch.left))
        queue.give_answer(study, ann, answer_to(batch.tasks[0], "first"))
    total = left[0][1]
    assert left == [(number, total - number) for number in range(total)]
    assert 44 <= total <= 60
    assert study.store.one("SELECT count(*) n FROM assignments WHERE kind = 'gold'")["n"] == total - 40


def test_the_same_seed_hides_tests_at_the_same_places(tmp_path, clock):
    kinds = []
    for name, seed in (("x", 5), ("y", 5), ("z", 6)):
        with make_study(
            tmp_path / name, 2, 10, gold=10, clock=clock, settings=ProjectSettings(gold_share=0.3, seed=seed)
        ) as study:
            do_all(study, ["ann"])
            kinds.append([(r["kind"], r["pair"], r["swap"]) for r in study.store.query("SELECT * FROM assignments")])
    assert kinds[0] == kinds[1] != kinds[2]


def test_the_order_of_the_points_is_balanced_and_independent():
    pairs = [str(number) for number in range(2000)]
    swaps = {
        (alias, round): [order.swap(1, pair, alias, round) for pair in pairs]
        for alias in ("ann", "ben")
        for round in (1, 2)
    }
    for drawn in swaps.values():
        assert abs(sum(drawn) - 1000) < 4 * (2000 * 0.25) ** 0.5
    drawn = list(swaps.values())
    for i in range(4):
        for j in range(i):
            same = sum(a == b for a, b in zip(drawn[i], drawn[j], strict=True))
            assert abs(same - 1000) < 4 * (2000 * 0.25) ** 0.5
    assert all(order.as_stored(order.as_shown(x, s), s) == x for x in ("a", "b", "equal", "skip") for s in (0, 1))


def test_scenes_that_are_full_are_not_asked_any_more(new_study, clock):
    study = new_study(
        images=3, pairs_per_image=4, settings=settings(policy="single", scene_targets={"indoor": 2}), clock=clock
    )
    do_all(study, ["ann", "ben"], clock)
    counts = {
        row["scene"]: row["n"]
        for row in study.store.query(
            "SELECT i.scene, count(*) n FROM pairs p JOIN images i ON i.sha256 = p.image"
            " WHERE p.state = 'final' GROUP BY i.scene"
        )
    }
    assert counts == {"indoor": 2, "outdoor": 4, "underwater": 4}
    kept = study.store.query("SELECT scene, state, pairs FROM scene_counts WHERE pairs > 0")
    assert {(r["scene"], r["pairs"]) for r in kept if r["state"] == "final"} == set(counts.items())


def test_scene_counts_follow_an_image_that_changes_its_scene(study):
    with study.store.write("olga") as write:
        image = write.one("SELECT sha256 FROM images WHERE scene = 'indoor'")["sha256"]
        write.append("image.changed", {"sha256": image, "scene": "aerial"})
    rows = study.store.query("SELECT scene, state, pairs FROM scene_counts WHERE pairs > 0")
    assert sorted(tuple(row) for row in rows) == [(s, "queued", 4) for s in ("aerial", "outdoor", "underwater")]


def test_daily_limit_members_paused_and_closed_projects(new_study, clock):
    study = new_study(settings=settings(daily_limit=2, members=("ann",)), clock=clock)
    ann, ben = person(study, "ann"), person(study, "ben")
    assert queue.next_tasks(study, 1, ben).waiting == "not a member"
    for task in queue.next_tasks(study, 1, ann, 5).tasks:
        queue.give_answer(study, ann, answer_to(task, "first"))
    assert queue.next_tasks(study, 1, ann).waiting == "daily limit"
    clock.forward(86_400)
    assert len(queue.next_tasks(study, 1, ann, 5).tasks) == 2
    for state, waiting in (("paused", "paused"), ("closed", "finished"), ("open", "")):
        with study.store.write("olga") as write:
            write.append("project.changed", {"id": 1, "state": state})
        assert queue.next_tasks(study, 1, ann).waiting == waiting
    viewer = new_study(clock=clock)
    assert queue.next_tasks(viewer, 1, person(viewer, "vic")).waiting == "not a member"


def test_a_damaged_image_is_parked_and_the_queue_goes_on(study):
    with study.store.write("server") as write:
        image = write.one("SELECT image FROM pairs ORDER BY position LIMIT 1")["image"]
        write.append("image.changed", {"sha256": image, "state": "bad", "problem": "truncated"})
    batch = queue.next_tasks(study, 1, person(study, "ann"), 20)
    assert len(batch.tasks) == 8
    assert image not in {task.image for task in batch.tasks}


def test_unknown_people_and_projects(study):
    with pytest.raises(NotFoundError, match="person 99"):
        queue.next_tasks(study, 1, 99)
    with pytest.raises(NotFoundError, match="project 7"):
        queue.next_tasks(study, 7, 1)


def test_new_pairs_join_a_running_project(study, clock):
    ann, image = person(study, "ann"), study.store.one("SELECT sha256 FROM images LIMIT 1")["sha256"]
    do_all(study, ["ann"])
    pair = str(uuid.uuid4())
    assert queue.place_pair(study, ann, pair, 1, image, (1, 2), (30, 40), "thin part") == pair
    assert queue.place_pair(study, ann, pair, 1, image, (1, 2), (30, 40), "thin part") == pair
    assert [task.pair for task in queue.next_tasks(study, 1, person(study, "ann")).tasks] == [pair]
    with pytest.raises(StepError, match="this pair already"):
        queue.place_pair(study, ann, str(uuid.uuid4()), 1, image, (30, 40), (1, 2), "thin part")


@pytest.mark.parametrize(
    ("a", "b", "reason", "layered", "message"),
    [
        ((48, 0), (1, 1), "thin part", False, r"point a is \(48, 0\)"),
        ((0, -1), (1, 1), "thin part", False, r"point a is \(0, -1\)"),
        ((1, 1), (1, 1), "thin part", False, "both"),
        ((0, 0), (1, 1), "because", False, "reason 'because'"),
        ((0, 0), (1, 1), "thin part", True, "asks no layered pairs"),
    ],
)
def test_pairs_that_cannot_be_placed(study, a, b, reason, layered, message):
    from dabench.errors import UsageError

    image = study.store.one("SELECT sha256 FROM images LIMIT 1")["sha256"]
    with pytest.raises(UsageError, match=message):
        queue.place_pair(study, person(study, "ann"), str(uuid.uuid4()), 1, image, a, b, reason, layered)


def test_twenty_people_at_once_never_share_an_assignment(new_study):
    aliases = [f"p{number:02}" for number in range(20)]
    study = new_study(
        images=2,
        pairs_per_image=20,
        gold=5,
        people=dict.fromkeys(aliases, "annotator") | {"olga": "owner"},
        settings=ProjectSettings(policy="unanimous-3", gold_share=0.1, repeat_share=0.1, repeat_distance=3),
    )
    failures: list[BaseException] = []
    acknowledged: list[str] = []

    def work(alias: str) -> None:
        try:
            who, draw = person(study, alias), random.Random(alias)
            for _ in range(15):
                for task in queue.next_tasks(study, 1, who, 2).tasks[: draw.randint(0, 2)]:
                    receipt = queue.give_answer(study, who, answer_to(task, right_answer(task)))
                    assert receipt.status == "saved"
                    acknowledged.append(receipt.uuid)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(alias,)) for alias in aliases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    stored = [row["uuid"] for row in study.store.query("SELECT uuid FROM responses")]
    assert sorted(stored) == sorted(acknowledged)
    for row in study.store.query(
        "SELECT pair, count(*) n, count(DISTINCT person) people FROM assignments"
        " WHERE kind = 'label' AND state IN ('open', 'done') GROUP BY pair"
    ):
        assert row["n"] == row["people"] <= 3
    assert replay.verify(study).same
