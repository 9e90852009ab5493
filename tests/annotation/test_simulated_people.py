"""Simulated people on the real queue, and what the dashboard then says of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from annotation_studies import truth

from annotation import queue
from annotation.queue import Task
from annotation.reporting import dashboard
from annotation.settings import ProjectSettings
from annotation.simulate import Point, SimulatedAnnotator, simulate
from annotation.study import Study

THREE = tuple(SimulatedAnnotator(alias, error=0.0) for alias in ("ann", "ben", "cat"))


def known(image: str, first: Point, second: Point) -> str:
    return "first" if truth(first, second) == "a" else "second"


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


def texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


class TestSimulatedAnnotator:
    task = Task(7, "p", "i", 10, 10, (1, 1), (2, 2), ("closer",), False, "blind", None, 0)

    def test_errs_skips_and_takes_time_as_told(self) -> None:
        draw = np.random.default_rng(0)
        person = SimulatedAnnotator("ann", error=0.2, skip=0.6, seconds=3.0, spread=0.5)
        clear = [person.answer(self.task, lambda *_: "second", draw, at=50)[0] for _ in range(4000)]
        vague = [person.answer(self.task, lambda *_: "", draw)[0] for _ in range(4000)]
        assert np.mean([a.shown == "first" for a in clear]) == pytest.approx(0.2, abs=0.02)
        assert {a.shown for a in clear} == {"first", "second"}
        assert np.mean([a.shown == "skip" for a in vague]) == pytest.approx(0.6, abs=0.03)
        assert all(bool(a.reason) == (a.shown == "skip") for a in vague)
        seconds = [(a.active_ms or 0) / 1000 for a in clear]
        assert np.median(seconds) == pytest.approx(3.0, rel=0.05)
        assert np.std(np.log(seconds)) == pytest.approx(0.5, rel=0.06)
        assert all(0 < a.active_ms <= a.wall_ms and a.answered_at == 50 + a.active_ms for a in clear)
        assert len({a.uuid for a in clear + vague}) == 8000

    def test_answers_each_relation_that_is_open(self) -> None:
        layered = Task(
            7, "p", "i", 10, 10, (1, 1), (2, 2), ("front", "back"), False, "blind", None, 0, {"front": "first"}
        )
        [answer] = SimulatedAnnotator("ann").answer(layered, lambda *_: "first", np.random.default_rng(0))
        assert answer.relation == "back" and answer.assignment == 7


def test_all_pairs_come_to_their_label(study: Study, clock) -> None:
    given = simulate(study, 1, THREE, known, tick=clock.forward)
    found = dashboard(study)
    assert given == found["progress"]["answers"] + sum(p["by_kind"].get("repeat", 0) for p in found["people"])
    assert found["progress"]["answers"] == 36 and found["progress"]["done"] == 12
    assert found["progress"]["answers_left"] == 0 and found["progress"]["hours_left"] == 0
    view = found["agreement"]["views"][0]
    assert view["items"] == 12 and view["raw"]["value"] == 1.0 and view["people"] == 3
    assert len(view["cohen"]) == 3 and all(couple["kappa"]["value"] in (1.0, None) for couple in view["cohen"])
    experts = {e["model"]: e["accuracy"]["value"] for e in found["shortcuts"]["groups"][0]["experts"]}
    assert experts == {"near-sighted": 1.0, "steady": 1.0, "contrarian": 0.5}
    assert found["control"]["pairs"] == 6 and found["control"]["wrong"]["n"] == 6
    assert found["control"]["wrong"]["value"] == 0.0 and found["control"]["wrong"]["high"] == pytest.approx(
        0.459, abs=1e-3
    )
    lower = found["shortcuts"]["groups"][0]["cues"][0]
    assert lower["accuracy"]["value"] == 1.0 and not lower["warn"]  # twelve pairs are too few to warn
    assert found["times"]["kept"] == 12 and found["times"]["seconds_per_kept"] == pytest.approx(36 * 3.5 / 12, rel=0.4)


def test_the_same_seed_gives_the_same_study(new_study: Callable[..., Study]) -> None:
    from annotation_studies import Clock

    shown = []
    for seed in (1, 1, 2):
        clock = Clock()
        study = new_study(clock=clock, images=2)
        simulate(
            study, 1, [SimulatedAnnotator(p.alias, error=0.3) for p in THREE], known, seed=seed, tick=clock.forward
        )
        shown.append([(e.kind, e.actor, e.at, json.dumps(e.data)) for e in study.store.events(["response.given"])])
    assert shown[0] == shown[1] != shown[2]


def test_stops_when_told(study: Study) -> None:
    assert simulate(study, 1, THREE, known, most=5) == 5
    assert dashboard(study)["progress"]["answers"] == 5


def test_the_dashboard_finds_out_how_people_were_made(new_study: Callable[..., Study], clock) -> None:
    settings = ProjectSettings(policy="two-then-third", gold_share=0.15, repeat_share=0.1, repeat_distance=5)
    study = new_study(images=45, pairs_per_image=3, gold=25, settings=settings, clock=clock, size=(32, 32))
    people = [SimulatedAnnotator(p.alias, error=0.08, seconds=2.0 + i) for i, p in enumerate(THREE)]
    simulate(study, 1, people, known, seed=3, tick=clock.forward)
    found = dashboard(study, draws=200)
    error = found["forecast"]["error"]
    assert error["agreement"]["n"] > 120 and error["agreement"]["low"] < 0.08 < error["agreement"]["high"]
    assert error["gold"]["n"] > 30 and error["gold"]["low"] < 0.08 < error["gold"]["high"]
    [chosen] = [line for line in found["forecast"]["policies"] if line["chosen"]]
    observed = found["forecast"]["observed"]
    assert observed["answers"] == pytest.approx(chosen["answers"], abs=0.12)
    assert observed["kept"]["value"] == chosen["kept"] == 1.0
    final = {row["id"]: row for row in study.store.query("SELECT * FROM pairs WHERE state = 'final'")}
    labels = {row["pair"]: row["result"] for row in study.store.query("SELECT * FROM decisions")}
    wrong = np.mean([labels[i] != truth((p["a_row"], p["a_col"]), (p["b_row"], p["b_col"])) for i, p in final.items()])
    expected = 3 * 0.08**2 - 2 * 0.08**3
    assert abs(wrong - expected) < 3 * np.sqrt(expected * (1 - expected) / len(final))
    for person, made in zip(found["people"], people, strict=True):
        assert person["seconds"]["median"] == pytest.approx(made.seconds, rel=0.25)
        assert person["gold"]["low"] < 0.92 < person["gold"]["high"]
        assert person["repeat"]["n"] >= 5 and person["first_rate"]["low"] < 0.5 < person["first_rate"]["high"]
        assert person["flags"] == []
    warned = {(w["about"], w["text"].split(" is the closer")[0]) for w in found["warnings"]}
    assert ("shortcuts", "the point that is lower in the picture") in warned


def test_nothing_of_a_pair_shows_before_it_is_settled(study: Study, clock) -> None:
    simulate(study, 1, THREE[:2], known, tick=clock.forward)  # two of three answers of each pair
    found = dashboard(study)
    assert found["progress"]["states"]["answered"] == 12 and found["progress"]["answers"] == 24
    assert found["shortcuts"]["groups"] == [found["shortcuts"]["groups"][0]]
    assert all(cue["accuracy"]["n"] == 0 for cue in found["shortcuts"]["groups"][0]["cues"])
    assert found["shortcuts"]["groups"][0]["experts"] == [] and found["control"]["wrong"]["n"] == 0
    assert found["agreement"]["dawid_skene"]["differs"] == 0
    pairs = {row["id"] for row in study.store.query("SELECT id FROM pairs")}
    images = {row["sha256"] for row in study.store.query("SELECT sha256 FROM images")}
    shown = {*texts(found), *keys(found)}
    assert not shown & (pairs | images | {"a", "b"})
    simulate(study, 1, THREE, known, seed=1, tick=clock.forward)
    assert not {*texts(dashboard(study))} & (pairs | images)


def test_an_answer_taken_back_counts_no_more_but_its_time_does(study: Study, clock) -> None:
    person = study.store.query("SELECT id FROM people WHERE alias = 'ann'")[0]["id"]
    simulate(study, 1, THREE[:1], known, most=3, tick=clock.forward)
    before = dashboard(study)
    queue.undo(study, person, "00000000-0000-4000-8000-000000000001", None)
    after = dashboard(study)
    assert after["progress"]["answers"] == 2 and before["progress"]["answers"] == 3
    assert after["times"]["hours"] == before["times"]["hours"]
