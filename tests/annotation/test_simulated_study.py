"""The whole way once: scenes with known depth, proposed pairs, three people who err, disputes, a release, its scores.

The true depth is known, so each number that the tool predicts can be held against what really came out.
"""

from __future__ import annotations

import csv
import uuid
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import dabench
from annotation import queue
from annotation.policy import POLICIES
from annotation.projects import create_project
from annotation.proposals.propose import propose
from annotation.proposals.settings import ProposalSettings
from annotation.releases.release import Release, make_release
from annotation.reporting import dashboard
from annotation.settings import ProjectSettings
from annotation.simulate import Point, SimulatedAnnotator, simulate
from annotation.study import Study
from model_zoo.depth_anything_v2.training.sketch import room, table_top
from model_zoo.predictions import SavedPredictions

pytestmark = pytest.mark.slow

ERROR = 0.03
IMAGES = 20
FAR = 1000.0
PEOPLE = [SimulatedAnnotator(alias, error=ERROR) for alias in ("p02", "p03", "p04")]


@dataclass
class Loop:
    """What the way leaves: the study, its release, and the truth."""

    study: Study
    project: int
    release: Release
    depths: dict[str, np.ndarray]

    def closer(self, image: str, a: Point, b: Point) -> str:
        """``a`` or ``b``, empty where a person could not tell: within one percent."""
        near, far = (float(self.depths[image][point]) for point in (a, b))
        if max(near, far) < 1.01 * min(near, far):
            return ""
        return "a" if near < far else "b"

    def shown(self, image: str, first: Point, second: Point) -> str:
        return {"a": "first", "b": "second", "": ""}[self.closer(image, first, second)]

    def truths(self, state: str) -> dict[str, str]:
        """Truth of each pair in a state."""
        rows = self.study.store.query("SELECT * FROM pairs WHERE project = ? AND state = ?", self.project, state)
        return {
            row["id"]: self.closer(row["image"], (row["a_row"], row["a_col"]), (row["b_row"], row["b_col"]))
            for row in rows
        }


def draw_scenes(folder: Path) -> dict[str, np.ndarray]:
    """Pictures and their depth in metres, float32 [168, 224], by path without suffix; beside them, experts who err."""
    depths = {}
    draw = np.random.default_rng(7)
    for number in range(IMAGES):
        scene, make = (("indoor", room), ("object", table_top))[number % 2]
        view = make(np.random.default_rng(number))
        name = f"{scene}/picture {number:02d}"
        (folder / "images" / scene).mkdir(parents=True, exist_ok=True)
        pixels = (255 * view.image ** (1 / 2.2)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
        depths[name] = np.where(view.depth > 0, view.depth, FAR).astype(np.float32)
        for expert in range(3):
            noise = cv2.resize(
                draw.normal(0, 0.15, (4, 5)).astype(np.float32), (224, 168), interpolation=cv2.INTER_CUBIC
            )
            path = folder / f"expert{expert}" / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, (1.0 / (depths[name] * np.exp(noise))).astype(np.float32))
    return depths


def add_people(study: Study) -> None:
    with study.store.write("owner") as write:
        write.append("person.added", {"alias": "p01", "name": "Judge", "role": "adjudicator"})
        for person in PEOPLE:
            write.append("person.added", {"alias": person.alias, "name": person.alias, "role": "annotator"})


def review(loop: Loop) -> None:
    """The adjudicator knows the truth, and drops what nobody can tell, also where three coins fell alike."""
    [judge] = loop.study.store.query("SELECT id FROM people WHERE alias = 'p01'")

    def decide(pair: str, result: str) -> None:
        queue.decide(loop.study, judge["id"], str(uuid.uuid4()), pair, result, "looked again")

    while found := queue.disputes(loop.study, loop.project):
        for dispute in found:
            decide(dispute.pair, loop.closer(dispute.image, dispute.a, dispute.b) or "drop")
    for pair, truth in loop.truths("final").items():
        if not truth:
            decide(pair, "drop")


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("loop")
    depths = draw_scenes(folder)
    experts = [f"noisy{n}={folder / f'expert{n}'}:disparity" for n in range(3)]
    path = folder / "study"
    with Study.open(path, create=True) as study:
        balanced = create_project(study, "balanced", ProjectSettings(policy="unanimous-3").to_dict())
        create_project(study, "free", ProjectSettings(policy="single", repeat_share=0.0).to_dict())
        add_people(study)
    settings = ProposalSettings(pairs_per_image=8, control_share=0.3)
    report = propose(folder / "images", path, settings=settings, seed=1, project="balanced", experts=experts)
    assert not report.failed and report.pairs > 120
    free = ProposalSettings(pairs_per_image=5, uniform=True, balance=False)
    propose(folder / "images", path, settings=free, seed=2, project="free", experts=experts)
    study = Study.open(path)
    by_sha = {
        row["sha256"]: depths[row["original_name"].removesuffix(".png").removeprefix("images/")]
        for row in study.store.query("SELECT sha256, original_name FROM images")
    }
    whole = Loop(study, balanced, None, by_sha)  # type: ignore[arg-type]
    simulate(study, balanced, PEOPLE, whole.shown, seed=11)
    review(whole)
    whole.release = make_release(study, "v1", project="balanced", allow_unlicensed=True)
    yield whole
    study.close()


def answers_of(loop: Loop) -> dict[str, list[str]]:
    """Answers of each clear pair in the order in which they came, ``a`` for right and ``b`` for wrong."""
    rows = loop.study.store.query(
        "SELECT r.pair, r.answer FROM live l JOIN responses r ON r.uuid = l.uuid"
        " JOIN assignments s ON s.id = r.assignment WHERE s.kind IN ('label', 'check') ORDER BY r.seq"
    )
    truths = {pair: truth for pair, truth in (loop.truths("final") | loop.truths("dropped")).items() if truth}
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["pair"] in truths:
            found[row["pair"]].append("a" if row["answer"] == truths[row["pair"]] else "b")
    return found


def test_every_pair_came_to_an_end(loop: Loop) -> None:
    states = dashboard(loop.study, loop.project)["progress"]["states"]
    assert states["final"] + states["dropped"] == sum(states.values()) > 120
    assert all(loop.truths("final").values()) and not any(loop.truths("dropped").values())
    assert loop.truths("dropped") and states["final"] > 0.8 * sum(states.values())


def test_labels_are_as_wrong_and_as_many_as_the_policies_predict(loop: Loop) -> None:
    answers = answers_of(loop)
    assert len(answers) > 120 and all(len(given) == 3 for given in answers.values())
    single = np.mean([said == "b" for given in answers.values() for said in given])
    assert abs(single - ERROR) < 3 * np.sqrt(ERROR * (1 - ERROR) / (3 * len(answers)))
    for name in ("single", "unanimous-2", "two-then-third", "majority-3", "unanimous-3", "first-two-checkers"):
        policy = POLICIES[name]
        expected = policy.expected(ERROR)
        verdicts = [policy.judge(given) for given in answers.values()]
        kept = np.array([verdict.outcome == "agreed" for verdict in verdicts])
        wrong = np.array([verdict.label == "b" for verdict in verdicts])[kept]
        n = len(verdicts)
        assert abs(kept.mean() - expected.kept) <= 3 * np.sqrt(expected.kept * (1 - expected.kept) / n) + 1e-9, name
        assert abs(wrong.sum() - len(wrong) * expected.wrong) <= 3 * np.sqrt(len(wrong) * expected.wrong) + 0.5, name


def test_the_dashboard_predicts_what_came_out(loop: Loop) -> None:
    found = dashboard(loop.study, loop.project, draws=200)
    error = found["forecast"]["error"]["agreement"]
    assert error["low"] < ERROR < error["high"] and error["n"] > 120
    [chosen] = [line for line in found["forecast"]["policies"] if line["chosen"]]
    assert chosen["policy"] == "unanimous-3" and chosen["wrong"] < 0.001
    labels = {pair["id"]: pair["labels"]["closer"] for pair in loop.release.content["pairs"]}
    assert labels == loop.truths("final")
    assert {line["model"] for line in found["shortcuts"]["groups"][0]["experts"]} == {"noisy0", "noisy1", "noisy2"}
    by_route = {group["name"]: group for group in found["shortcuts"]["groups"] if group["by"] == "route"}
    right = {name: np.mean([e["accuracy"]["value"] for e in group["experts"]]) for name, group in by_route.items()}
    assert right["control"] > 0.9 and right["disagreement"] < 0.75


def lower(_image: str, first: Point, second: Point) -> str:
    return "first" if first[0] > second[0] else "second"


def test_the_audit_fires_on_an_unbalanced_set_and_is_quiet_on_a_balanced_one(loop: Loop) -> None:
    """The unbalanced set is one in which the lower point is nearly always the closer one."""
    project, _ = loop.study.project("free")
    simulate(loop.study, project, PEOPLE[:1], lower, seed=12)
    audits = {name: dashboard(loop.study, name, draws=200)["shortcuts"]["groups"] for name in ("free", "balanced")}
    assert all(cue["accuracy"]["n"] > 80 for groups in audits.values() for cue in groups[0]["cues"])
    warned = {cue["cue"] for cue in audits["free"][0]["cues"] if cue["warn"]}
    assert "lower" in warned and "point a" not in warned
    assert not any(cue["warn"] for group in audits["balanced"] for cue in group["cues"])


def test_the_release_scores_the_truth_fully_and_its_negation_not_at_all(loop: Loop, tmp_path: Path) -> None:
    with (loop.release.folder / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        path = tmp_path / "maps" / Path(row["image"]).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, loop.depths[row["image_sha256"]])
    scores = {}
    for name, output in (("truth", "metric"), ("negation", "disparity")):
        run = dabench.evaluate(
            SavedPredictions(tmp_path / "maps", dabench.types.Output(output), name),
            "pairs",
            data_root=loop.release.folder,
        )
        assert run.summary["counts"]["pairs"] == len(rows) and run.summary["coverage"] == 1.0
        scores[name] = (run.metrics["accuracy"].value, run.metrics["accuracy_weighted"].value)
    assert scores == {"truth": (1.0, 1.0), "negation": (0.0, 0.0)}
    constant = np.mean([row["closer"] == "A" for row in rows])
    assert abs(constant - 0.5) < 3 * np.sqrt(0.25 / len(rows))
