"""Random walks: whatever people do in whatever order, states stay legal, counts stay true and the log gives it all."""

from __future__ import annotations

import contextlib
import random
import uuid
from collections import Counter
from itertools import pairwise

import pytest
from annotation_studies import Clock, answer_to, make_study, person
from hypothesis import given
from hypothesis import strategies as st

from annotation import policy, queue, states
from annotation.errors import NotFoundError, StepError
from annotation.queue.types import QualificationState
from annotation.settings import ProjectSettings, Qualification
from annotation.store import replay
from annotation.study import Study

PEOPLE = {"olga": "owner", "adam": "adjudicator", "ann": "annotator", "ben": "annotator", "cat": "annotator"}


@given(st.lists(st.sampled_from(states.STATES), max_size=12))
def test_only_drawn_arrows_exist(walk):
    here = "proposed"
    for there in walk:
        if there in states.ARROWS[here]:
            states.check("p", here, there)
            here = there
        else:
            with pytest.raises(StepError, match=f"pair p is {here}; it cannot become {there}"):
                states.check("p", here, there)


def test_every_state_can_be_reached_and_left():
    reached = {"proposed"}
    while True:
        further = reached | {target for source in reached for target in states.ARROWS[source]}
        if further == reached:
            break
        reached = further
    assert reached == set(states.ARROWS)
    assert all(states.ARROWS.values())
    assert not any(source in targets for source, targets in states.ARROWS.items())


class Session:
    """People who do at random all that they can do."""

    def __init__(self, study: Study, clock: Clock, seed: int) -> None:
        self.study, self.clock, self.draw = study, clock, random.Random(seed)
        self.held: dict[str, list] = {alias: [] for alias in PEOPLE}

    def id(self) -> str:
        return str(uuid.UUID(int=self.draw.getrandbits(128), version=4))

    def step(self) -> None:
        self.clock.forward(self.draw.choice((1, 3, 30, 400, -1000)))
        alias = self.draw.choice(list(PEOPLE))
        who = person(self.study, alias)
        action = self.draw.choices(
            ("take", "answer", "undo", "give_back", "beat", "decide", "state", "place"), (8, 20, 4, 1, 2, 3, 0.3, 0.5)
        )[0]
        with contextlib.suppress(StepError, NotFoundError):  # refused, and the tables must still be right
            getattr(self, action)(alias, who)

    def take(self, alias: str, who: int) -> None:
        self.held[alias] = queue.next_tasks(self.study, 1, who, self.draw.randint(1, 4)).tasks

    def answer(self, alias: str, who: int) -> None:
        if not self.held[alias]:
            self.take(alias, who)
        if self.held[alias]:
            task = self.held[alias].pop(self.draw.randrange(len(self.held[alias])))
            shown = self.draw.choices(("first", "second", "equal", "skip"), (8, 5, 1, 1))[0]
            answer = answer_to(task, shown, id=self.id(), relation=self.draw.choice(task.relations))
            queue.give_answer(self.study, who, answer)
            if self.draw.random() < 0.2:
                assert queue.give_answer(self.study, who, answer).status == "duplicate"

    def undo(self, alias: str, who: int) -> None:
        queue.undo(self.study, who, self.id())

    def beat(self, alias: str, who: int) -> None:
        queue.heartbeat(self.study, who, [task.assignment for task in self.held[alias]])

    def give_back(self, alias: str, who: int) -> None:
        queue.give_back(self.study, who, [task.assignment for task in self.held[alias]])

    def decide(self, alias: str, who: int) -> None:
        found = queue.disputes(self.study, 1, self.draw.choice(("disputed", "final", "dropped")))
        if found:
            dispute = self.draw.choice(found)
            result = self.draw.choice(("a", "b", "equal", "drop", "reopen"))
            relation = self.draw.choice(dispute.relations)
            queue.decide(self.study, who, self.id(), dispute.pair, result, "a reason", relation)

    def state(self, alias: str, who: int) -> None:
        with self.study.store.write("olga") as write:
            write.append("project.changed", {"id": 1, "state": self.draw.choice(("open", "open", "paused"))})

    def place(self, alias: str, who: int) -> None:
        image = self.study.store.one("SELECT sha256 FROM images LIMIT 1")["sha256"]
        a, b = ((self.draw.randrange(48), self.draw.randrange(64)) for _ in range(2))
        if a != b:
            queue.place_pair(self.study, who, self.id(), 1, image, a, b, "reflection", self.draw.random() < 0.3)


def check_counts(study: Study) -> None:
    """Every number that is kept, against the rows that it counts."""
    query = study.store.query
    for pair in query("SELECT * FROM pairs"):
        counted = query(
            "SELECT * FROM assignments WHERE pair = ? AND id > ? AND kind IN ('label', 'check')"
            " AND state IN ('open', 'done')",
            pair["id"],
            pair["asked_from"],
        )
        assert pair["taken"] == len(counted)
        assert len({row["person"] for row in counted}) == len(counted), "different people"
    for row in query("SELECT * FROM progress"):
        mine = query(
            "SELECT a.*, p.state pair_state, p.asked_from FROM assignments a JOIN pairs p ON p.id = a.pair"
            " WHERE a.person = ? AND a.kind <> 'qualification'",
            row["person"],
        )
        assert row["issued"] == len(mine)
        assert row["done"] == sum(a["state"] == "done" for a in mine)
        assert row["had"] == len(
            {
                a["pair"]
                for a in mine
                if a["kind"] in ("label", "check")
                and a["id"] > a["asked_from"]
                and a["state"] in ("open", "done")
                and a["pair_state"] in states.ASKED
            }
        )
    scenes = Counter(
        (row["scene"], row["state"])
        for row in query(
            "SELECT i.scene, p.state FROM pairs p JOIN images i ON i.sha256 = p.image WHERE purpose = 'label'"
        )
    )
    assert {
        (r["scene"], r["state"]): r["pairs"] for r in query("SELECT * FROM scene_counts WHERE pairs <> 0")
    } == scenes


def check_labels(study: Study, rule: policy.Policy) -> None:
    """Labels again, from the answers themselves."""
    query = study.store.query
    for pair in query("SELECT * FROM pairs WHERE purpose = 'label'"):
        decisions: dict[str, tuple[str, str]] = {}
        for row in query("SELECT * FROM decisions WHERE pair = ? ORDER BY id", pair["id"]):
            decisions[row["relation"]] = (row["policy"], row["result"])
        assert (pair["state"] in ("final", "dropped")) == all(
            decisions.get(name, ("", "reopen"))[1] != "reopen"
            for name in (("front", "back") if pair["layered"] else ("closer",))
        )
        if any(by == "adjudication" and result != "reopen" for by, result in decisions.values()):
            continue
        size = 2 if pair["layered"] else 1
        answers: dict[int, dict[str, str]] = {}
        for row in query(
            "SELECT r.* FROM live l JOIN responses r USING (uuid) JOIN assignments a ON a.id = r.assignment"
            " WHERE l.pair = ? AND a.id > ? AND a.kind IN ('label', 'check') ORDER BY r.seq",
            pair["id"],
            pair["asked_from"],
        ):
            answers.setdefault(row["person"], {})[row["relation"]] = row["answer"]
        if size == 1:
            verdict = rule.judge([given["closer"] for given in answers.values()])
            if verdict.outcome in ("agreed", "dropped"):
                assert decisions["closer"][1] == verdict.label
                assert pair["state"] == ("final" if verdict.outcome == "agreed" else "dropped")
            elif verdict.outcome == "disputed":
                assert pair["state"] == "disputed"
            elif pair["state"] == "disputed":
                assert any(given["closer"] == "skip" for given in answers.values())
            else:
                assert pair["state"] == ("answered" if answers else "queued")


@pytest.mark.parametrize(
    ("seed", "name", "options"),
    [
        (1, "first-two-checkers", {}),
        (2, "two-then-third", {"layered": True}),
        (3, "majority-3", {"qualification": 3}),
        (4, "first-two-checkers", {"open": True}),
        (5, "unanimous-2", {"targets": {"indoor": 3, "outdoor": 1}}),
        (6, "single", {}),
    ],
)
def test_a_random_session_is_legal_and_replays_to_the_same_digest(tmp_path, seed, name, options):
    clock = Clock()
    settings = ProjectSettings(
        policy=name, gold_share=0.1, repeat_share=0.1, repeat_distance=4, lease_seconds=300, seed=seed, layered=True,
        check_mode="open" if options.get("open") else "blind", scene_targets=options.get("targets", {}),
        qualification=Qualification(pairs=options.get("qualification", 0), pass_at=1),
    )  # fmt: skip
    with make_study(
        tmp_path / "study", 3, 5, PEOPLE, settings, clock, gold=4, qualification=options.get("qualification", 0),
        layered=options.get("layered", False),
    ) as study:  # fmt: skip
        session = Session(study, clock, seed)
        for number in range(350):
            session.step()
            if number % 50 == 49:
                check_counts(study)
        check_counts(study)
        check_labels(study, policy.named(name))
        walks: dict[str, list[str]] = {}
        for event in study.store.events(["pair.moved"]):
            walks.setdefault(event.data["id"], [event.data["from"]]).append(event.data["to"])
        for walk in walks.values():
            assert all(there in states.ARROWS[here] for here, there in pairwise(walk))
        assert len({state for walk in walks.values() for state in walk}) >= 5
        assert study.store.one("SELECT count(*) n FROM responses WHERE active_ms > wall_ms")["n"] == 0
        found = replay.verify(study)
        assert (found.differing, found.digest) == ((), found.rebuilt)
        assert found.events > 250


def test_replay_names_the_table_that_was_touched(study):
    queue.next_tasks(study, 1, person(study, "ann"))
    assert replay.verify(study).same
    study.store._writer.execute("UPDATE pairs SET gap = 0.123 WHERE position = 3")
    found = replay.verify(study)
    assert found.differing == ("pairs",)
    assert found.digest != found.rebuilt


def test_secrets_are_not_part_of_the_digest(study):
    before = replay.digest(study.store)
    study.store._writer.execute("INSERT INTO credentials VALUES (1, 'x', 0, NULL)")
    assert replay.digest(study.store) == before
    study.store._writer.execute("INSERT INTO study VALUES ('x', '1')")
    assert replay.digest(study.store) != before


def test_no_qualification_where_none_is_asked(study):
    state = queue.qualification_state(study, 1, person(study, "ann"))
    assert state == QualificationState("none", 0, 0, 2, 0, 0)
