"""Each part of the dashboard against answers made by hand."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.policy import POLICIES
from annotation.reporting.agreement import agreement_report, error_of_agreement, first_two_agreement, table
from annotation.reporting.brightness import Brightness
from annotation.reporting.forecast import accuracy_intervals, answer_error, design_effect, forecast
from annotation.reporting.people import people_report, sittings
from annotation.reporting.reading import AnswerRow, Material, PairRow, Person
from annotation.reporting.scenes import scene_progress, total_progress
from annotation.reporting.shortcuts import control_report, preferred, shortcut_report
from annotation.reporting.skips import skip_report
from annotation.reporting.times import decision_seconds, time_ledger
from annotation.settings import ProjectSettings

OPTIONS = {"level": 0.95, "draws": 200, "seed": 0}


def pair(number: int, **changes) -> PairRow:
    values = {
        "id": f"pair {number}", "image": f"image {number // 2}", "scene": "indoor", "stratum": "", "route": "manual",
        "a": (10, 10), "b": (20, 30), "a_area": None, "b_area": None, "layered": False, "purpose": "label",
        "gold": None, "state": "final", "width": 41, "height": 31, "file": f"{number // 2}.png",
    }  # fmt: skip
    return PairRow(**(values | changes))


def answer(number: int, person: int, said: str, *, at: int = 0, seconds: float = 3.0, **changes) -> AnswerRow:
    shown = {"a": "first", "b": "second"}.get(said, said)
    values = {
        "pair": f"pair {number}", "person": person, "round": 1, "relation": "closer", "kind": "label", "shown": shown,
        "answer": said, "reason": "", "mode": "blind", "active_ms": int(seconds * 1000), "wall_ms": 9000,
        "received_at": at,
    }  # fmt: skip
    return AnswerRow(**(values | changes))


def material(
    pairs: list[PairRow], answers: list[AnswerRow], labels: dict[int, str] | None = None, **changes
) -> Material:
    people = {n: Person(n, f"p{n:02d}", f"Person {n}", "annotator", True) for n in (1, 2, 3)}
    values = {
        "study": "s", "project": 1, "name": "main", "state": "open", "settings": ProjectSettings(), "event": 1,
        "pairs": {p.id: p for p in pairs}, "answers": answers, "people": people,
        "labels": {(f"pair {n}", "closer"): label for n, label in (labels or {}).items()}, "votes": {},
        "spent": [(a.kind, a.active_ms, a.wall_ms) for a in answers], "decided": [],
        "images": Counter({p.scene: 1 for p in pairs}),
    }  # fmt: skip
    return Material(**(values | changes))


class TestScenes:
    def test_what_is_left_follows_the_target_and_the_answers_given(self) -> None:
        states = ["final", "final", "answered", "queued", "queued", "queued"]
        pairs = [pair(n, state=state) for n, state in enumerate(states)]
        answers = [answer(2, 1, "a", seconds=5.0)]
        aims = ProjectSettings(scene_targets={"indoor": 4, "outdoor": 3})
        indoor, outdoor = scene_progress(material(pairs, answers, settings=aims), 3.0, 1.0, 0.95)
        assert indoor["done"] == 2 and indoor["target"] == 4 and indoor["fill"] == 0.5 and indoor["short"] == 0
        assert indoor["expected"] == 4 and outdoor["expected"] == 0
        assert indoor["answers_left"] == 2 + 3  # the pair that is under way comes first
        assert indoor["hours_left"] == pytest.approx(5 * 5.0 / 3600 / 0.97)  # with the repeats in between
        assert outdoor["pairs"] == 0 and outdoor["short"] == 3
        total = total_progress(material(pairs, answers), [indoor, outdoor])
        assert total["target"] == 7 and total["fill"] == pytest.approx(2 / 7) and total["states"]["queued"] == 3

    def test_without_targets_all_open_pairs_are_left(self) -> None:
        pairs = [pair(n, state="queued") for n in range(5)]
        [scene] = scene_progress(material(pairs, []), 2.5, 0.8, 0.95)
        assert scene["answers_left"] == 13 and scene["target"] is None and scene["expected"] == 4
        assert math.isnan(scene["hours_left"])
        layered = [pair(n, state="queued", layered=True) for n in range(5)]
        assert scene_progress(material(layered, []), 2.5, 0.8, 0.95)[0]["answers_left"] == 25

    def test_a_full_scene_asks_nothing(self) -> None:
        pairs = [pair(0), pair(1, state="queued")]
        aims = ProjectSettings(scene_targets={"indoor": 1})
        [scene] = scene_progress(material(pairs, [], settings=aims), 3.0, 1.0, 0.95)
        assert scene["answers_left"] == 0 and scene["hours_left"] == 0.0 and scene["fill"] == 1.0


class TestAgreement:
    def test_who_counts(self) -> None:
        pairs = [pair(0), pair(1, purpose="gold", gold="a"), pair(2)]
        answers = [
            answer(0, 1, "a"), answer(0, 2, "b"), answer(0, 3, "a"), answer(1, 1, "a", kind="gold"),
            answer(1, 2, "a", kind="gold"), answer(2, 1, "a"), answer(2, 2, "a", mode="open"),
            answer(2, 1, "b", round=2, kind="repeat"), answer(2, 3, "skip", mode="open"),
        ]  # fmt: skip
        found = table(material(pairs, answers))
        assert found.items == [("pair 0", "closer"), ("pair 2", "closer")]
        assert (found.ratings >= 0).tolist() == [[True, True, True], [True, False, False]]
        assert found.ratings[0, 0] == found.ratings[0, 2] != found.ratings[0, 1]
        assert found.first_two[1].tolist() == [-1, -1]
        report = agreement_report(material(pairs, answers), found, **OPTIONS)
        assert report["open_checks"]["n"] == 1 and report["open_checks"]["confirmed"]["value"] == 1.0
        binary = report["views"][0]
        assert binary["items"] == 1 and binary["answers"] == 3 and binary["raw"]["value"] == pytest.approx(1 / 3)
        assert {tuple(couple["people"]) for couple in binary["cohen"]} == {
            ("p01", "p02"),
            ("p01", "p03"),
            ("p02", "p03"),
        }

    def test_skips_count_as_a_third_answer_in_one_view_and_are_missing_in_the_other(self) -> None:
        answers = [answer(0, 1, "a"), answer(0, 2, "skip"), answer(1, 1, "skip"), answer(1, 2, "equal")]
        given = material([pair(0), pair(1)], answers)
        binary, three = agreement_report(given, table(given), **OPTIONS)["views"]
        assert binary["items"] == 0 and math.isnan(binary["raw"]["value"])
        assert three["items"] == 2 and three["raw"]["value"] == 0.5

    def test_the_error_is_found_from_the_first_two_answers_however_many_follow(self) -> None:
        # A third person is asked only where the first two differ, which makes all couples together look worse.
        draw = np.random.default_rng(4)
        pairs, answers = [], []
        for n in range(3000):
            truth = "ab"[int(draw.random() < 0.5)]
            other = "ab"[truth == "a"]
            said = [other if draw.random() < 0.08 else truth for _ in range(3)]
            pairs.append(pair(n, a=(1, 1), b=(2, 2)))
            people = draw.permutation([1, 2, 3])
            for who, what in list(zip(people, said, strict=True))[: 3 if said[0] != said[1] else 2]:
                answers.append(answer(n, int(who), what))
        given = material(pairs, answers)
        raw, error = first_two_agreement(table(given), **OPTIONS)
        assert raw["n"] == 3000 and raw["value"] == pytest.approx(0.08**2 + 0.92**2, abs=0.02)
        assert error["low"] < 0.08 < error["high"] and error["value"] == pytest.approx(0.08, abs=0.01)
        view = agreement_report(given, table(given), **OPTIONS)["views"][0]
        assert view["raw"]["value"] > raw["value"]  # of a dissent, one couple of three agrees in the end

    def test_error_of_agreement_inverts_what_two_people_give(self) -> None:
        for error in (0.0, 0.01, 0.2, 0.5):
            assert error_of_agreement(error**2 + (1 - error) ** 2) == pytest.approx(error, abs=1e-9)
        assert error_of_agreement(0.3) == 0.5 and math.isnan(error_of_agreement(math.nan))

    def test_a_second_opinion_says_which_settled_labels_it_would_change(self) -> None:
        answers = [answer(n, who, "a") for n in range(8) for who in (1, 2, 3)]
        labels = dict.fromkeys(range(7), "a") | {7: "b"}
        given = material([pair(n) for n in range(8)], answers, labels)
        opinion = agreement_report(given, table(given), **OPTIONS)["dawid_skene"]
        assert opinion["differs"] == 1 and opinion["items"] == 8
        given = material([pair(n, state="disputed") for n in range(8)], answers, labels)
        assert agreement_report(given, table(given), **OPTIONS)["dawid_skene"]["differs"] == 0


class TestPeople:
    def test_figures_of_one_person(self) -> None:
        pairs = [pair(n) for n in range(4)] + [pair(n, purpose="gold", gold="a") for n in (4, 5, 6)]
        answers = [
            answer(0, 1, "a", seconds=0.3), answer(1, 1, "b", seconds=2.0), answer(2, 1, "skip", reason="bad image"),
            answer(4, 1, "a", kind="gold"), answer(5, 1, "b", kind="gold"), answer(6, 1, "skip", kind="gold"),
            answer(0, 1, "a", round=2, kind="repeat"), answer(1, 1, "a", round=2, kind="repeat"),
            answer(0, 2, "a"), answer(1, 2, "a"),
        ]  # fmt: skip
        first, second, third = people_report(material(pairs, answers), 0.95)
        assert first["answers"] == 8 and first["by_kind"] == {"label": 3, "gold": 3, "repeat": 2}
        assert first["gold"]["value"] == 0.5 and first["gold"]["n"] == 2
        assert first["repeat"]["value"] == 0.5 and first["repeat"]["n"] == 2
        assert first["skip_rate"]["value"] == 2 / 8
        assert first["first_rate"]["n"] == 6 and first["first_rate"]["value"] == pytest.approx(4 / 6)
        assert first["fast"]["value"] == 1 / 8
        assert first["agreement"]["n"] == 2 and first["agreement"]["value"] == 0.5
        assert first["seconds"]["median"] == 3.0 and first["hours"] == pytest.approx((0.3 + 2.0 + 6 * 3.0) / 3600)
        assert second["agreement"]["n"] == 2 and second["gold"]["n"] == 0
        assert third["answers"] == 0 and third["last"] is None and third["flags"] == []

    def test_the_button_is_judged_as_shown(self) -> None:
        answers = [answer(n, 1, "ab"[n % 2], shown="first") for n in range(60)]
        [person, *_] = people_report(material([pair(n) for n in range(60)], answers), 0.95)
        assert person["first_rate"]["value"] == 1.0
        assert any("answers A in 100%" in flag for flag in person["flags"])

    def test_flags_need_evidence(self) -> None:
        gold = [pair(n, purpose="gold", gold="a") for n in range(30)]
        good = [answer(n, 1, "a", kind="gold", shown=("first", "second")[n % 2]) for n in range(30)]
        bad = [answer(n, 2, "ab"[n % 3 == 0], kind="gold", seconds=0.2) for n in range(30)]
        little = [answer(n, 3, "b", kind="gold") for n in range(2)]
        first, second, third = people_report(material(gold, good + bad + little), 0.95)
        assert first["flags"] == []
        assert len(second["flags"]) == 2 and "67% right" in second["flags"][0] and "400 ms" in second["flags"][1]
        assert third["flags"] == []

    def test_drift_compares_the_ends_of_sittings(self) -> None:
        minute = 60_000
        times = [n * minute for n in range(30)] + [10_000_000 + n * minute for n in range(30)]
        answers = []
        for n, at in enumerate(times):
            late = n % 30 >= 20
            answers.append(answer(n, 1, "b" if late and n % 2 else "a", at=at, seconds=1.0 if late else 4.0))
            answers.append(answer(n, 2, "a", at=at))
        person = people_report(material([pair(n) for n in range(60)], answers), 0.95)[0]
        drift = person["drift"]
        assert drift["sessions"] == 2
        assert drift["early"]["seconds"] == 4.0 and drift["late"]["seconds"] == 1.0
        assert drift["early"]["agreement"]["value"] == 1.0 and drift["late"]["agreement"]["value"] == 0.5
        assert "agrees less with the others towards the end of a sitting" in person["flags"]
        assert person["curve"] == [4.0, 1.0]

    def test_a_pause_of_more_than_half_an_hour_starts_a_sitting(self) -> None:
        ends = [answer(n, 1, "a", at=at) for n, at in enumerate((0, 1_800_000, 3_600_001))]
        assert [len(part) for part in sittings(ends)] == [2, 1] and sittings([]) == []


class TestTimes:
    def test_hours_by_kind_and_cost_of_a_kept_pair(self) -> None:
        spent = [("label", 4000, 6000), ("label", 90_000, 200_000), ("check", 2000, 2000), ("gold", None, None)]
        decided = [("adam", 0), ("adam", 20_000), ("eve", 25_000), ("adam", 60_000), ("adam", 1_000_000)]
        ledger = time_ledger(material([pair(0), pair(1)], [], {0: "a", 1: "equal"}, spent=spent, decided=decided))
        kinds = {kind["kind"]: kind for kind in ledger["kinds"]}
        assert kinds["label"]["hours"] == pytest.approx((4 + 60) / 3600) and kinds["label"]["n"] == 2
        assert kinds["gold"]["n"] == 1 and kinds["gold"]["hours"] == 0.0
        assert decision_seconds(decided) == [30.0, 20.0, 30.0, 40.0, 30.0]
        assert kinds["adjudicate"]["estimated"] and kinds["adjudicate"]["hours"] == pytest.approx(150 / 3600)
        assert ledger["kept"] == 1 and ledger["seconds_per_kept"] == pytest.approx(64 + 2 + 150)
        assert ledger["idle_hours"] == pytest.approx((2 + 140) / 3600)
        assert time_ledger(material([], []))["seconds_per_kept"] is None
        assert decision_seconds([("adam", 5)]) == []


class TestShortcuts:
    @pytest.fixture
    def pictures(self, tmp_path: Path) -> Path:
        pixels = np.tile(np.arange(0, 246, 6, dtype=np.uint8), (31, 1))  # brighter to the right
        for number in range(40):
            Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        return tmp_path

    def test_what_each_cue_prefers(self) -> None:
        here = pair(0, a=(10, 10), b=(20, 30), a_area=50, b_area=40)
        light = {(here.image, 10, 10): 60.0, (here.image, 20, 30): 180.0}
        said = {
            cue: preferred(cue, here, light) for cue in ("lower", "left", "centre", "bigger", "brighter", "point a")
        }
        # centre (15, 20): both points lie 5 rows and 10 columns away
        assert said == {"lower": "b", "left": "a", "centre": "", "bigger": "a", "brighter": "b", "point a": "a"}
        flat = pair(0, a=(10, 10), b=(10, 30))
        assert preferred("lower", flat, {}) == preferred("bigger", flat, {}) == preferred("brighter", flat, {}) == ""

    def test_fires_on_an_unbalanced_set_and_is_quiet_on_a_symmetric_one(self, pictures: Path) -> None:
        draw = np.random.default_rng(0)
        rows, left, right = (draw.integers(low, high, (80, 2)) for low, high in ((0, 31), (0, 20), (20, 40)))
        pairs = [
            pair(n, a=(int(rows[n, 0]), int(left[n, 0])), b=(int(rows[n, 1]), int(right[n, 0]))) for n in range(80)
        ]
        pairs = [p for p in pairs if p.a[0] != p.b[0]]
        unbalanced = {int(p.id[5:]): "ab"[p.b[0] > p.a[0]] for p in pairs}
        found = shortcut_report(material(pairs, [], unbalanced), Brightness(pictures), **OPTIONS)
        warned = {cue["cue"] for cue in found["groups"][0]["cues"] if cue["warn"]}
        assert warned == {"lower"} and found["pictures_left"] == 0

        # Each position twice, once with either label.
        twice = [pair(n, a=p.a, b=p.b) for n, p in enumerate([q for q in pairs for _ in range(2)])]
        symmetric = {n: "ab"[n % 2] for n in range(len(twice))}
        found = shortcut_report(material(twice, [], symmetric), Brightness(pictures), **OPTIONS)
        assert all(cue["accuracy"]["value"] == 0.5 for cue in found["groups"][0]["cues"] if cue["accuracy"]["n"])
        assert not any(cue["warn"] for group in found["groups"] for cue in group["cues"])

    def test_many_looks_at_worthless_cues_raise_no_alarm(self, pictures: Path) -> None:
        # 25 pairs in each of 20 parts: by chance alone some cue is right in more than 70 % of a part nearly every time.
        beyond = warned = 0
        for seed in range(10):
            draw = np.random.default_rng(seed)
            rows, cols = draw.integers(0, 31, (500, 2)), draw.integers(0, 41, (500, 2))
            points = np.stack([rows, cols], axis=-1).tolist()
            pairs = [
                pair(n, image=str(n), scene=str(n % 20), a=tuple(a), b=tuple(b)) for n, (a, b) in enumerate(points)
            ]
            labels = {n: "ab"[int(draw.integers(2))] for n in range(500)}
            found = shortcut_report(material(pairs, [], labels), Brightness(pictures), **OPTIONS)
            cues = [cue for group in found["groups"] for cue in group["cues"] if cue["accuracy"]["n"] >= 20]
            beyond += sum(abs(cue["accuracy"]["value"] - 0.5) > 0.2 for cue in cues)
            warned += sum(cue["warn"] for cue in cues)
        assert beyond > 20 and warned <= 1

    def test_a_cue_that_is_always_wrong_gives_the_labels_away_too(self, pictures: Path) -> None:
        given = material([pair(n) for n in range(40)], [], dict.fromkeys(range(40), "a"))
        lower = shortcut_report(given, Brightness(pictures), **OPTIONS)["groups"][0]["cues"][0]
        assert lower["accuracy"]["value"] == 0.0 and lower["warn"]

    def test_few_pairs_or_a_single_image_raise_no_warning(self, pictures: Path) -> None:
        ten = material([pair(n) for n in range(10)], [], dict.fromkeys(range(10), "b"))
        few = shortcut_report(ten, Brightness(pictures), **OPTIONS)
        one = [pair(n, image="image 0") for n in range(30)]
        single = shortcut_report(material(one, [], dict.fromkeys(range(30), "b")), Brightness(pictures), **OPTIONS)
        assert not any(cue["warn"] for found in (few, single) for cue in found["groups"][0]["cues"])

    def test_only_final_pairs_and_groups_with_their_own_figures(self, pictures: Path) -> None:
        pairs = [
            pair(0, scene="indoor"),
            pair(2, scene="outdoor"),
            pair(4, state="disputed"),
            pair(6, state="answered"),
        ]
        votes = {f"pair {n}": {"m": "b" if n else "tie"} for n in (0, 2, 4, 6)}
        given = material(pairs, [], {0: "b", 2: "b", 4: "b", 6: "b"}, votes=votes)
        groups = shortcut_report(given, Brightness(pictures), **OPTIONS)["groups"]
        shown = [(group["by"], group["name"], group["pairs"]) for group in groups]
        assert shown == [("all", "all", 2), ("scene", "indoor", 1), ("scene", "outdoor", 1)]
        [expert] = groups[0]["experts"]
        assert expert["accuracy"]["value"] == 0.5 and expert["ties"] == 1 and expert["accuracy"]["n"] == 2

    def test_the_sides_of_a_balanced_stratum_are_one_part(self, pictures: Path) -> None:
        names = ("indoor/gap 0.1-0.25/lower", "indoor/gap 0.1-0.25/other", "indoor/gap 0.25+/lower", "reflection")
        given = material([pair(n, stratum=names[n % 4]) for n in range(8)], [], dict.fromkeys(range(8), "b"))
        groups = shortcut_report(given, Brightness(pictures), **OPTIONS)["groups"]
        shown = [(group["name"], group["pairs"]) for group in groups if group["by"] == "stratum"]
        assert shown == [("indoor/gap 0.1-0.25", 4), ("indoor/gap 0.25+", 2), ("reflection", 2)]

    def test_brightness_is_read_once_and_within_its_time(self, pictures: Path) -> None:
        pairs = [pair(n) for n in range(8)]
        none, left = Brightness(pictures, seconds=-1.0).of(pairs)
        assert none == {} and left == 4
        values, left = Brightness(pictures).of(pairs)
        assert left == 0 and values["image 0", 10, 10] == 60.0 and values["image 3", 20, 30] == 180.0
        for file in pictures.iterdir():
            file.unlink()
        assert Brightness(pictures).of(pairs)[0] == values
        assert Brightness(pictures).of([pair(20)]) == ({}, 0)  # a picture that is not there

    def test_large_pictures_are_read_at_half_size_with_the_same_result(self, tmp_path: Path) -> None:
        pixels = np.tile((np.arange(1600) // 8).astype(np.uint8), (1000, 1))
        Image.fromarray(pixels).save(tmp_path / "0.png")
        here = pair(0, width=1600, height=1000, a=(500, 404), b=(999, 1596))
        values, _ = Brightness(tmp_path).of([here])
        assert values["image 0", 500, 404] == pytest.approx(50, abs=1)
        assert values["image 0", 999, 1596] == pytest.approx(199, abs=1)

    def test_control_pairs_say_how_often_all_experts_are_wrong_together(self) -> None:
        pairs = [pair(n, route="control") for n in range(4)] + [pair(4, route="disagreement")]
        votes = {
            "pair 0": {"m": "a", "n": "a"}, "pair 1": {"m": "a", "n": "a"}, "pair 2": {"m": "a", "n": "b"},
            "pair 3": {"m": "b", "n": "b"}, "pair 4": {"m": "b", "n": "b"},
        }  # fmt: skip
        found = control_report(material(pairs, [], {0: "a", 1: "b", 2: "a", 4: "a"}, votes=votes), 0.95)
        assert found["pairs"] == 4 and found["wrong"]["n"] == 2 and found["wrong"]["value"] == 0.5


class TestForecast:
    def test_intervals_agree_with_known_sample_sizes(self) -> None:
        # Pairs for +- 1 point at 95 % confidence by Wilson's interval, for each accuracy.
        for accuracy, pairs in ((0.85, 4898), (0.90, 3461), (0.95, 1838), (0.97, 1143)):
            by = {line["accuracy"]: line for line in accuracy_intervals(pairs, 1.0, 0.95)}
            assert by[accuracy]["half_width"] == pytest.approx(0.01, abs=1e-5)
        assert accuracy_intervals(900, 2.0, 0.95) == accuracy_intervals(450, 1.0, 0.95)
        assert accuracy_intervals(0, 1.0, 0.95) == []

    def test_pairs_of_one_image_are_worth_less(self) -> None:
        assert design_effect([pair(n, image=str(n)) for n in range(6)]) == 1.0
        assert design_effect([pair(n) for n in range(6)]) == pytest.approx(1.3)
        assert design_effect([pair(n, image="x") for n in range(5)]) == pytest.approx(2.2)
        assert design_effect([]) == 1.0

    def test_the_larger_of_two_errors_counts(self) -> None:
        pairs = [pair(n) for n in range(100)] + [pair(n, purpose="gold", gold="a") for n in range(100, 140)]
        answers = [answer(n, who, "b" if who == 2 and n < 10 else "a") for n in range(100) for who in (1, 2)]
        easy = [answer(n, 1, "a", kind="gold") for n in range(100, 140)]
        hard = [answer(n, 1, "ab"[n < 108], kind="gold") for n in range(100, 140)]
        for gold, source, used in ((easy, "agreement", error_of_agreement(0.9)), (hard, "gold", 0.2)):
            given = material(pairs, answers + gold)
            found = answer_error(given, table(given), **OPTIONS)
            assert found.source == source and found.used == pytest.approx(used)
            shown = forecast(given, [], found, POLICIES["unanimous-3"], 0.95)
            [chosen] = [line for line in shown["policies"] if line["chosen"]]
            assert chosen["wrong"] == pytest.approx(used**3 / (used**3 + (1 - used) ** 3))
            assert shown["ambiguous"][0]["wrong"] == chosen["wrong"] < shown["ambiguous"][-1]["wrong"]

    def test_too_few_answers_give_no_forecast(self) -> None:
        given = material([pair(0)], [answer(0, 1, "a"), answer(0, 2, "b")])
        found = answer_error(given, table(given), **OPTIONS)
        assert found.source is None and math.isnan(found.used) and found.agreement["n"] == 1
        assert forecast(given, [], found, POLICIES["single"], 0.95)["policies"] == []

    def test_observed_beside_expected(self) -> None:
        pairs = [pair(0), pair(1), pair(2, state="dropped"), pair(3, state="queued")]
        answers = [answer(n, who, "a") for n in range(3) for who in (1, 2)]
        given = material(pairs, answers, {0: "a", 1: "b", 2: "drop"})
        error = answer_error(given, table(given), **OPTIONS)
        observed = forecast(given, [], error, POLICIES["unanimous-2"], 0.95)["observed"]
        assert observed["decided"] == 3 and observed["kept"]["value"] == pytest.approx(2 / 3)
        assert observed["answers"] == 2.0


def test_reasons_of_skips() -> None:
    answers = [
        answer(0, 1, "skip", reason="bad image"), answer(0, 2, "skip", reason="bad image"),
        answer(1, 1, "skip"), answer(1, 2, "equal"), answer(1, 3, "a"),
    ]  # fmt: skip
    found = skip_report(material([pair(0), pair(1)], answers), 0.95)
    assert [(line["reason"], line["n"]) for line in found["reasons"]] == [("bad image", 2), ("no reason", 1)]
    assert found["rate"]["value"] == 0.6 and found["equal"]["value"] == 0.2
