"""From a folder of images to drawn pairs: repeatable, resumable, growing, and as probable as it says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from annotation.keypoints import KeyPoint, KeyPoints
from annotation.proposals import ProposalReport, ProposalSettings, propose
from annotation.proposals.batch import draw_batch, scene_quotas
from annotation.proposals.experts import read_specs
from annotation.proposals.intake import StudyImage
from annotation.proposals.population import candidates_of
from annotation.proposals.propose import strata_of
from annotation.proposals.voting import read_points
from annotation.study import Study
from dabench.errors import ModelError, UsageError
from dabench.types import Output

SIZE = (64, 80)
SCENES = {"indoor": 5, "outdoor": 3}
SETTINGS = ProposalSettings(border_pixels=4, edge=4, smooth=0.5)


class Blocks:
    """A key point in each of 4 x 5 blocks, away from the middle by chance."""

    def __init__(self) -> None:
        self.asked = 0

    def describe(self) -> dict:
        return {"source": "region", "settings": {"blocks": [4, 5]}, "checkpoint": "", "checkpoint_sha256": ""}

    def generate(self, image: np.ndarray) -> KeyPoints:
        self.asked += 1
        height, width = image.shape[:2]
        shift = np.random.default_rng(int(image.sum())).integers(-3, 4, (20, 2))
        labels = np.repeat(np.repeat(np.arange(1, 21).reshape(4, 5), height // 4, 0), width // 5, 1).astype(np.uint16)
        places = [((2 * r + 1) * height // 8, (2 * c + 1) * width // 10) for r in range(4) for c in range(5)]
        points = tuple(KeyPoint(r + int(dr), c + int(dc), 256) for (r, c), (dr, dc) in zip(places, shift, strict=True))
        edges = np.zeros(labels.shape, bool)
        edges[1:] |= labels[1:] != labels[:-1]
        edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
        return KeyPoints(points, labels, np.eye(20, dtype=bool), edges, self.describe())


def smooth_noise(seed: int) -> np.ndarray:
    import cv2

    coarse = np.random.default_rng(seed).random((5, 6)).astype(np.float32)
    return cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)


def make_images(folder: Path, scenes: dict[str, int] = SCENES, start: int = 0) -> Path:
    number = start
    for scene, count in scenes.items():
        for _ in range(count):
            path = folder / scene / f"{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.stack([smooth_noise(number)] * 3, axis=-1).clip(0, 1) * 255
            PillowImage.fromarray(pixels.astype(np.uint8)).save(path)
            number += 1
    return folder


def make_maps(images: Path, folder: Path, name: str, seed: int) -> str:
    """Saved maps of an expert who mixes the truth of an image with its own view; how the expert is named."""
    for path in sorted(images.rglob("*.png")):
        target = folder / name / path.relative_to(images).with_suffix(".npy")
        target.parent.mkdir(parents=True, exist_ok=True)
        own = smooth_noise(1000 * seed + int(path.stem))
        np.save(target, 0.6 * smooth_noise(int(path.stem)) + 0.4 * own)
    return f"{name}={folder / name}:disparity"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return make_images(tmp_path / "pictures")


@pytest.fixture
def experts(tmp_path: Path, images: Path) -> list[str]:
    return [make_maps(images, tmp_path / "maps", f"expert-{k}", k) for k in (1, 2, 3)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, maps of three experts, and a study with 16 pairs, which tests only read."""
    root = tmp_path_factory.mktemp("world")
    make_images(root / "pictures")
    first_draw(root, "study")
    return root


def first_draw(root: Path, name: str, **changed: object) -> ProposalReport:
    experts = [make_maps(root / "pictures", root / "maps", f"expert-{k}", k) for k in (1, 2, 3)]
    settings = ProposalSettings(border_pixels=4, edge=4, smooth=0.5, control_share=0.25)
    options = {"settings": settings, "seed": 3, "generator": Blocks(), "experts": experts, **changed}
    return propose(root / "pictures", root / name, **options)


def dump(path: Path) -> list[dict]:
    """All that the pairs of a study say, in their order."""
    with Study.open(path) as study:
        pairs = [dict(row) for row in study.store.query("SELECT * FROM pairs ORDER BY project, position")]
        for pair in pairs:
            votes = study.store.query("SELECT * FROM votes WHERE pair = ? ORDER BY model", pair["id"])
            pair["votes"] = [dict(row) for row in votes]
            pair.pop("created")
    return pairs


def test_images_become_pairs_with_votes_and_probabilities(tmp_path: Path) -> None:
    make_images(tmp_path / "pictures")
    report = first_draw(tmp_path, "study")
    assert (report.listed, report.added, report.failed, report.pairs, report.total) == (8, 8, [], 16, 16)
    pairs = dump(tmp_path / "study")
    # a quarter of 10 and of 6 pairs, each rounded up or down
    assert Counter(pair["route"] for pair in pairs)["control"] in (3, 4, 5)
    with Study.open(tmp_path / "study") as study:
        scenes = dict(map(tuple, study.store.query("SELECT sha256, scene FROM images")))
        points = {row["id"]: row for row in study.store.query("SELECT * FROM keypoints")}
        sources = [row["source"] for row in study.store.query("SELECT source FROM generators")]
        strata = strata_of(study)
    assert Counter(scenes[pair["image"]] for pair in pairs) == {"indoor": 10, "outdoor": 6}
    assert max(Counter(pair["image"] for pair in pairs).values()) == 2 and sources == ["region"]
    assert [pair["position"] for pair in pairs] == list(range(1, 17))
    order = [pair["image"] for pair in pairs]
    assert order[::2] == order[1::2], "pairs of an image come together"
    places = [scenes[image] for image in order[::2]]
    assert "outdoor" in places[:3] and "indoor" in places[:2] and "outdoor" in places[-4:], "scenes are interleaved"
    for pair in pairs:
        for point in "ab":
            key = points[pair[f"{point}_keypoint"]]
            assert (key["row"], key["col"], key["image"]) == (pair[f"{point}_row"], pair[f"{point}_col"], pair["image"])
        assert 0 < pair["probability"] <= 1 and pair["gap"] >= 0.05 and pair["state"] == "queued"
        votes = [vote["vote"] for vote in pair["votes"]]
        assert (len(set(votes)) == 1) == (pair["route"] == "control") and len(votes) == 3
        for vote in pair["votes"]:
            spread = json.loads(vote["more"])["spread"]
            difference = (vote["median_a"] - vote["median_b"]) / spread
            assert vote["vote"] == ("tie" if abs(difference) < 0.01 else "a" if difference > 0 else "b")
    assert {1, -1} == {np.sign(pair["a_row"] - pair["b_row"]) for pair in pairs} - {0}
    assert sum(s.candidates for s in strata) == report.stages["gap"].pairs and sum(s.drawn for s in strata) == 16
    assert sum(s.expected for s in strata) == pytest.approx(16, abs=1e-4)
    counts = [left.pairs for left in report.stages.values()]
    assert counts[0] == 8 * 190 and counts == sorted(counts, reverse=True)


def test_raw_values_are_those_of_the_maps(world: Path) -> None:
    with Study.open(world / "study") as study:
        names = dict(map(tuple, study.store.query("SELECT sha256, original_name FROM images")))
        cached = study.cache / "experts" / "expert-1"
        assert {p.stem for p in cached.glob("*.png")} == {p.stem for p in cached.glob("*.npz")} == set(names)
    for pair in dump(world / "study"):
        for vote in pair["votes"]:
            saved = np.load((world / "maps" / vote["model"] / names[pair["image"]]).with_suffix(".npy"))
            for point in "ab":
                r, c = pair[f"{point}_row"], pair[f"{point}_col"]
                half = saved.astype(np.float16).astype(float)
                assert vote[f"value_{point}"] == half[r, c]
                assert vote[f"median_{point}"] == np.median(half[r - 2 : r + 3, c - 2 : c + 3])
            low, high = np.percentile(half, [2, 98])
            assert json.loads(vote["more"])["spread"] == pytest.approx(high - low)


def test_the_same_seed_gives_the_same_pairs_and_another_one_others(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "pictures", tmp_path / "pictures")
    first_draw(tmp_path, "study")
    first_draw(world, "other", seed=4)
    one, two, other = (
        json.dumps(dump(p), sort_keys=True) for p in (world / "study", tmp_path / "study", world / "other")
    )
    assert one == two != other


def test_a_second_call_adds_nothing_and_new_images_come_at_the_end(
    tmp_path: Path, images: Path, experts: list[str]
) -> None:
    call = {"settings": SETTINGS, "seed": 1, "generator": Blocks(), "experts": experts}
    propose(images, tmp_path / "study", **call)
    before = dump(tmp_path / "study")
    with Study.open(tmp_path / "study") as study:
        events = study.store.one("SELECT count(*) n FROM events")["n"]
    again = propose(images, tmp_path / "study", **call)
    assert (again.added, again.pairs, again.total, again.proposed_before) == (0, 0, 16, 8)
    with Study.open(tmp_path / "study") as study:
        assert study.store.one("SELECT count(*) n FROM events")["n"] == events
    make_images(images, {"indoor": 1, "aerial": 2}, start=50)
    for k, expert in enumerate(experts, start=1):
        make_maps(images, tmp_path / "maps", expert.split("=")[0], k)
    grown = propose(images, tmp_path / "study", **call)
    assert (grown.added, grown.pairs, grown.total) == (3, 6, 22)
    after = dump(tmp_path / "study")
    assert after[:16] == before and [pair["position"] for pair in after] == list(range(1, 23))
    other = propose(images, tmp_path / "study", **call, project="second")
    assert (other.added, other.pairs, other.total) == (0, 22, 22)


@pytest.mark.parametrize(
    ("asked", "already", "quotas"),
    [
        ({}, {}, {"in": 10, "out": 6}),
        ({"pairs": 7}, {}, {"in": 4, "out": 3}),
        ({"pairs": 15}, {}, {"in": 9, "out": 6}),
        ({"pairs": 99}, {"in": 2}, {"in": 10, "out": 6}),
        ({"pairs": 8}, {"in": 4}, {"in": 0, "out": 4}),
        ({"pairs": 8}, {"in": 8}, {"in": 0, "out": 0}),
        ({"scene_pairs": {"in": 3}}, {"in": 1}, {"in": 2, "out": 6}),
        ({"pairs": 5, "scene_pairs": {"out": 4}}, {}, {"in": 1, "out": 4}),
        ({"scene_pairs": {"out": 0}}, {}, {"in": 10, "out": 0}),
    ],
)
def test_quotas_of_scenes(asked: dict, already: dict, quotas: dict) -> None:
    assert scene_quotas({"in": 10, "out": 6}, already, ProposalSettings(**asked)) == quotas


def test_a_quota_that_cannot_be_met_is_said_and_one_without_images_refused(world: Path) -> None:
    scarce = ProposalSettings(border_pixels=4, edge=4, scene_pairs={"outdoor": 30}, pairs_per_image=1)
    report = first_draw(world, "scarce", settings=scarce, experts=[])
    counts = Counter()
    for stratum in report.strata:
        counts[stratum.scene] += stratum.drawn
    assert counts == {"indoor": 5, "outdoor": 3} and any("3 of 30" in note for note in report.notes)
    with Study.open(world / "scarce") as study:
        assert study.project("pairs")[1].scene_targets == {"outdoor": 30}
    with pytest.raises(UsageError, match="unknown scene 'outdor'"):
        first_draw(world, "typo", settings=ProposalSettings(scene_pairs={"outdor": 3}), experts=[])
    with Study.open(world / "typo") as study:
        assert study.store.one("SELECT count(*) n FROM images")["n"] == 0


def test_without_experts_the_draw_is_uniform(tmp_path: Path, images: Path) -> None:
    report = propose(images, tmp_path / "study", settings=SETTINGS, generator=Blocks(), experts=[])
    assert {(s.stratum, s.route) for s in report.strata} == {("indoor", "uniform"), ("outdoor", "uniform")}
    candidates = {s.stratum: s for s in report.strata}
    for pair in dump(tmp_path / "study"):
        assert pair["votes"] == [] and pair["gap"] is None
    assert report.pairs == 16 and candidates["indoor"].candidates > 100
    blind = propose(
        images, tmp_path / "blind", settings=SETTINGS, generator=Blocks(), experts=["location-prior", "random"]
    )
    assert "gap" not in blind.stages and all(pair["gap"] is None for pair in dump(tmp_path / "blind"))


def test_balance_halves_the_strata_between_lower_and_other(tmp_path: Path) -> None:
    images = make_images(tmp_path / "many", {"s": 15})
    expert = make_maps(images, tmp_path / "maps", "only", 4)
    report = propose(images, tmp_path / "study", settings=SETTINGS, generator=Blocks(), experts=[expert])
    sides = Counter()
    for stratum in report.strata:
        sides[stratum.stratum.split("/")[-1]] += stratum.drawn
    assert sum(sides.values()) == 30 and abs(sides["lower"] - 15) <= 3
    lower, centre, left = report.priors
    assert (lower.cue, centre.cue, left.cue) == ("lower", "centre", "left") and abs(lower.share - 0.5) < 0.1
    by_hand = Counter()
    for pair in dump(tmp_path / "study"):
        closer, other = pair["votes"][0]["vote"], {"a": "b", "b": "a"}.get(pair["votes"][0]["vote"])
        if other and pair["a_row"] != pair["b_row"]:
            by_hand[pair[f"{closer}_row"] > pair[f"{other}_row"]] += 1
    assert lower.pairs == sum(by_hand.values()) and lower.share == pytest.approx(by_hand[True] / lower.pairs)
    assert 0 < lower.candidates < 1


def test_pairs_are_as_probable_as_they_say(world: Path) -> None:
    """Over many seeds the weights 1 / probability add up to the candidates of each route."""
    points, readings = Blocks(), np.random.default_rng(0)
    settings = ProposalSettings(border_pixels=4, edge=4, smooth=9, control_share=0.5)
    candidates = []
    for path in sorted((world / "pictures").rglob("*.png")):
        with PillowImage.open(path) as picture:
            found = points.generate(np.asarray(picture))
        rows, cols = np.array([(p.row, p.col) for p in found.points]).T
        maps = [smooth_noise(int(path.stem)) + smooth_noise(k) for k in readings.integers(0, 10**6, 2)]
        read = [read_points(m, Output.DISPARITY, rows, cols, SIZE) for m in maps]
        image = StudyImage(path.stem, path.name, SIZE[1], SIZE[0], path.parent.name, path.name)
        candidates.append(candidates_of(image, found, read, [False, False], settings, seed=0))
    about = [{"name": name, "output": "disparity", "baseline": False} for name in "xy"]
    population, weights = Counter(), {"disagreement": [], "control": []}
    for seed in range(60):
        pairs, strata = draw_batch(candidates, about, settings, (seed, "p", 1), {})
        assert len(pairs) == 16
        population = Counter()
        for stratum in strata:
            population[stratum.route] += stratum.candidates
        for route, sums in weights.items():
            sums.append(sum(1 / pair["probability"] for pair in pairs if pair["route"] == route))
    assert min(population.values()) > 50
    for route, sums in weights.items():
        assert abs(np.mean(sums) - population[route]) < 4 * np.std(sums) / np.sqrt(len(sums)) + 1e-6


def test_bad_files_are_named_and_the_others_go_on(tmp_path: Path, images: Path, experts: list[str]) -> None:
    victim = next((images / "indoor").glob("*.png"))
    victim.write_bytes(victim.read_bytes()[:200])
    (images / "outdoor" / "text.jpg").write_text("no picture")
    shutil.copy(next((images / "outdoor").glob("*.png")), images / "outdoor" / "copy.png")
    (tmp_path / "maps" / "expert-2" / "outdoor" / "07.npy").write_bytes(b"broken")
    report = propose(images, tmp_path / "study", settings=SETTINGS, generator=Blocks(), experts=experts)
    reasons = dict(report.failed)
    assert set(reasons) == {f"indoor/{victim.name}", "outdoor/text.jpg", "outdoor/07.png"}
    assert "damaged" in reasons[f"indoor/{victim.name}"] and "expert 'expert-2' failed" in reasons["outdoor/07.png"]
    assert report.pairs == 12 and any("same picture as" in note for note in report.notes)
    (images / "outdoor" / "copy.png").unlink()
    make_maps(images, tmp_path / "maps", "expert-2", 2)
    mended = propose(images, tmp_path / "study", settings=SETTINGS, generator=Blocks(), experts=experts)
    assert mended.pairs == 2 and set(dict(mended.failed)) == {f"indoor/{victim.name}", "outdoor/text.jpg"}


def test_originals_are_never_touched_and_what_the_list_says_is_learned(tmp_path: Path, images: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in images.rglob("*.png")}
    propose(images, tmp_path / "study", settings=SETTINGS, generator=Blocks(), experts=[])
    rows = [f"{p.relative_to(images).as_posix()},moon,CC0-1.0" for p in sorted(images.rglob("*.png"))]
    (images / "list.csv").write_text("\n".join(["file,scene,licence", *rows]))
    report = propose(images / "list.csv", tmp_path / "study", settings=SETTINGS, generator=Blocks(), experts=[])
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in images.rglob("*.png")} == before
    with Study.open(tmp_path / "study") as study:
        rows = study.store.query("SELECT DISTINCT licence, scene FROM images ORDER BY scene")
    assert [tuple(row) for row in rows] == [("CC0-1.0", "indoor"), ("CC0-1.0", "outdoor")]
    assert sum("keeps scene" in note for note in report.notes) == 8 and report.pairs == 0


def test_maps_are_made_once_and_again_when_they_are_damaged_or_of_another_model(
    tmp_path: Path, images: Path, experts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_zoo.predictions import SavedPredictions

    asked = []
    real = SavedPredictions.predict_batch
    monkeypatch.setattr(SavedPredictions, "predict_batch", lambda s, i, n=None: (asked.append(n), real(s, i, n))[1])
    call = {"settings": SETTINGS, "generator": Blocks(), "experts": experts[:1]}
    propose(images, tmp_path / "study", **call)
    assert len(asked) == 8
    propose(images, tmp_path / "study", **call, project="again")
    assert len(asked) == 8
    kept = sorted((tmp_path / "study" / "cache" / "experts" / "expert-1").glob("*.npz"))
    kept[0].write_bytes(b"PK broken")
    propose(images, tmp_path / "study", **call, project="third")
    assert len(asked) == 9
    make_maps(images, tmp_path / "maps", "expert-1", 9)
    propose(images, tmp_path / "study", **call, project="fourth")
    assert len(asked) == 17


def test_a_call_that_is_killed_goes_on_and_ends_the_same(tmp_path: Path, images: Path, experts: list[str]) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[1])\n"
        "import importlib.util\n"
        "spec = importlib.util.spec_from_file_location('tests_propose', sys.argv[2])\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "def progress(what, done, of):\n    print(what, done, flush=True)\n    time.sleep(0.02)\n"
        "module.propose(Path(sys.argv[3]), Path(sys.argv[4]), settings=module.SETTINGS, seed=2,\n"
        "               generator=module.Blocks(), experts=sys.argv[5:], progress=progress)\n"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", script, str(root), __file__, str(images), str(tmp_path / "killed"), *experts]
    moment = "maps of expert-2 4"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(moment):
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait(timeout=60)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    assert dump(tmp_path / "killed") == []
    report = propose(images, tmp_path / "killed", settings=SETTINGS, seed=2, generator=Blocks(), experts=experts)
    propose(images, tmp_path / "whole", settings=SETTINGS, seed=2, generator=Blocks(), experts=experts)
    assert report.known == 8 and dump(tmp_path / "killed") == dump(tmp_path / "whole")


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["no-such-model"], "unknown model"), (["vlm"], "gives no map"), (["a=b"], "NAME=FOLDER:KIND"),
        (["a=/does/not/exist:depth"], "is not a folder"), (["random", "random"], "named twice"), ([""], "needs a name"),
    ],
)  # fmt: skip
def test_experts_that_are_none(texts: list[str], says: str) -> None:
    with pytest.raises((UsageError, ModelError), match=says):
        read_specs(texts)


def test_experts_are_named_with_their_size() -> None:
    plain, sized = read_specs(["random", "depth-anything-v2-tiny@252"])
    assert (plain.label, plain.baseline, sized.label, sized.input_size, sized.baseline) == (
        "random", True, "depth-anything-v2-tiny@252", 252, False,
    )  # fmt: skip


def test_where_a_generator_finds_nothing_regions_are_used_and_said(world: Path) -> None:
    class Blind(Blocks):
        def describe(self) -> dict:
            return {**super().describe(), "source": "sam", "checkpoint": "x", "checkpoint_sha256": "0" * 64}

        def generate(self, image: np.ndarray) -> KeyPoints:
            found = super().generate(image)
            none = KeyPoints((), found.labels, np.zeros((0, 0), bool), found.edges, self.describe())
            return none if self.asked % 4 == 0 else KeyPoints(
                found.points, found.labels, found.holds, found.edges, self.describe()
            )  # fmt: skip

    report = first_draw(world, "mixed", generator=Blind(), experts=[])
    assert report.sources == {"sam": 6, "region": 2} and report.pairs == 16
    assert any(note.startswith("2 images gave no key point") for note in report.notes)
    assert any("several kinds: region (2 images), sam (6 images)" in note for note in report.notes)
    with Study.open(world / "mixed") as study:
        rows = study.store.query("SELECT source, checkpoint_sha256 FROM generators ORDER BY source")
    assert [tuple(row) for row in rows] == [("region", ""), ("sam", "0" * 64)]


def test_nothing_is_drawn_from_pictures_without_candidates(tmp_path: Path) -> None:
    images = make_images(tmp_path / "pictures", {"s": 2})
    far = ProposalSettings(border_pixels=4, edge=4, distance=0.99)
    report = propose(images, tmp_path / "study", settings=far, generator=Blocks(), experts=[])
    assert (report.pairs, report.total, report.added) == (0, 0, 2) and report.stages["distance"].pairs == 0
