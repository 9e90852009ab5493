"""The search for a recipe: it finds one that was hidden, says what it cannot tell, and scores as eval does."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dabench.datasets import registry
from dabench.errors import DatasetError, ProtocolError, UsageError
from dabench.evaluate import evaluate
from dabench.inference import CallableModel
from dabench.kept import KeptModel, PredictionStore
from dabench.recipe_grid import Grid, built_in, make_grid, read_grid
from dabench.records import find_runs
from dabench.search import GridScores, reachable, score_grid
from dabench.search_ranking import profile, rank, write_ranking
from dabench.search_targets import Target, load_targets
from dabench.types import DepthModel, ModelInfo, Output, Prediction

METRICS = ("abs_rel", "delta1")
AXES: dict[str, dict[str, dict[str, Any]]] = {
    "space": {"depth": {"space": "depth"}, "disparity": {"space": "disparity"}},
    "fit": {
        "1/g": {"alignment": {"disparity": "least-squares-disparity"}},
        "g": {"alignment": {"disparity": "least-squares-depth"}},
    },
    "cap": {
        "3 m": {"valid": {"max": 3.0}, "alignment": {"depth_range": [1e-3, 3.0]}},
        "none": {"valid": {"max": "unset"}},
    },
    "floor": {
        "1/cap": {"alignment": {"disparity_floor": "1/valid.max"}},
        "1e-3": {"alignment": {"disparity_floor": 1e-3}},
    },
    "split": {"all": {"dataset": {"split": "all"}}, "even": {"dataset": {"split": "even"}}},
}


class Wavy(DepthModel):
    """Disparity with an error of its own."""

    def __init__(self, name: str, strength: float) -> None:
        self.info = ModelInfo(name, Output.DISPARITY)
        self.strength, self.calls = strength, 0

    def predict(self, image: np.ndarray) -> Prediction:
        self.calls += 1
        codes = image[..., 0].astype(np.float64) + 256.0 * image[..., 1]
        depth = (1.0 + codes / 1000.0) * np.exp(self.strength * np.sin(codes))
        return Prediction((1.0 / depth).astype(np.float32), Output.DISPARITY)


def models() -> list[Wavy]:
    return [Wavy("weak", 0.3), Wavy("strong", 0.1)]


def published(grid: Grid, number: int, root: Path, rounded: int = 3) -> list[Target]:
    """What a paper would print that used this recipe."""
    targets = []
    for model in models():
        run = evaluate(model, grid.recipes[number].protocol, data_root=root)
        for metric in METRICS:
            value = round(run.metrics[metric].value, rounded)
            targets.append(Target(model.info.name, metric, value, 0.5 * 10.0**-rounded, "a paper"))
    return targets


def scores_of(grid: Grid, root: Path, out: Path, **options: Any) -> dict[str, GridScores]:
    return {m.info.name: score_grid(m, grid, data_root=root, out=out, **options) for m in models()}


class TestGrid:
    def test_every_combination_that_makes_sense_once(self, recipe: Any) -> None:
        grid = make_grid(recipe(), AXES, METRICS)
        assert len(grid.recipes) == 2 * 2 * 3 * 2, "1/cap needs a cap"
        assert all(r.rule.metrics == METRICS for r in grid.recipes)
        floors = {r.rule.disparity_floor for r in grid.recipes if r.choices["floor"] == ("1/cap",)}
        assert list(floors) == [pytest.approx(1 / 3)]
        assert {r.split for r in grid.recipes} == {"all", "even"}

    def test_choices_that_mean_the_same_are_one_recipe(self, recipe: Any) -> None:
        axes = {
            "cap": {"4 m": {"valid": {"max": 4.0}}, "four": {"valid": {"max": 4.0}}, "5 m": {"valid": {"max": 5.0}}}
        }
        grid = make_grid(recipe(), axes, METRICS)
        assert [r.choices["cap"] for r in grid.recipes] == [("4 m", "four"), ("5 m",)]

    def test_the_hash_tells_grids_apart(self, recipe: Any) -> None:
        first = make_grid(recipe(), AXES, METRICS)
        assert first.sha256 == make_grid(recipe("toy-b"), AXES, METRICS).sha256, "a name changes no number"
        assert first.sha256 != make_grid(recipe(), AXES, ("abs_rel",)).sha256
        assert first.sha256 != make_grid(recipe(field="far"), AXES, METRICS).sha256

    @pytest.mark.parametrize(
        ("axes", "error", "told"),
        [
            ({"a": {"b": {"valid": {"maximum": 3.0}}}}, ProtocolError, "maximum"),
            ({"a": {"b": {"space": "sideways"}}}, ProtocolError, "sideways"),
            ({"a": {"b": {"valid": {"min": 5.0, "max": 3.0}}}}, UsageError, "contradicts itself"),
            ({"a": {"b": {"alignment": {"scope": "sequence"}}}}, UsageError, "averages images"),
            ({"a": {"b": {"aggregation": {"total": "valid-weighted-mean"}}}}, UsageError, "averages images"),
            ({str(n): {str(i): {"space": "depth"} for i in range(10)} for n in range(5)}, UsageError, "100000"),
        ],
    )
    def test_a_bad_grid(self, recipe: Any, axes: Any, error: type[Exception], told: str) -> None:
        with pytest.raises(error, match=told):
            make_grid(recipe(), axes, METRICS)

    @pytest.mark.parametrize("dataset", ["kitti", "nyu-d", "sintel", "eth3d", "diode"])
    def test_the_built_in_grids_hold_up(self, dataset: str) -> None:
        grid = built_in(dataset, METRICS)
        assert len(grid.recipes) > 40 and grid.dataset == dataset
        info = registry().get(dataset).info
        for found in grid.recipes:
            assert found.split in info.splits and found.field in info.fields
            assert set(found.choices) == set(grid.axes)
        with pytest.raises(UsageError, match="known: kitti"):
            built_in("mini", METRICS)

    def test_sky_may_be_left_out_or_set_to_a_cap(self) -> None:
        found = {
            r.choices["cap"][0]: r for r in built_in("sintel", METRICS).recipes if r.choices["floor"] == ("1/cap",)
        }
        assert found["72 m"].rule.clip_to is None and found["72 m"].rule.valid_max == 72.0
        kept = found["beyond 72 m set to 72 m"].rule
        assert (kept.clip_to, kept.valid_max, kept.disparity_floor) == (72.0, None, pytest.approx(1 / 72))

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("base = 3\n[axes.a.b]\n", "needs dataset"),
            ('base = "mini-depth"\n', "needs dataset"),
            ('base = "mini-depth"\nextra = 1\n[axes.a.b]\n', "not extra"),
            ('base = "mini-dept"\n[axes.a.b]\n', "mini-depth"),
            ('base = "mini-depth"\n[axes.a]\nb = 3\n', "axis holds choices"),
            ('dataset = "kitti"\nbase = "mini-depth"\n[axes.a.b]\n', "a protocol of mini, not of kitti"),
            ("[", "cannot be read"),
        ],
    )
    def test_a_bad_grid_file(self, tmp_path: Path, text: str, told: str) -> None:
        (tmp_path / "grid.toml").write_text(text)
        with pytest.raises(UsageError, match=told):
            read_grid(tmp_path / "grid.toml", METRICS)


class TestScores:
    def test_they_are_what_eval_gives(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root = toy()
        grid = make_grid(recipe(), AXES, METRICS)
        model = Wavy("weak", 0.3)
        found = score_grid(model, grid, data_root=root, out=tmp_path)
        assert model.calls == 7 and found.values.shape == (7, len(grid.recipes), 2) and found.failed == {}
        for number, cell in enumerate(grid.recipes):
            run = evaluate(Wavy("weak", 0.3), cell.protocol, data_root=root)
            lines = {line["id"]: line for line in run.samples}
            for row, sample_id in enumerate(found.ids):
                if sample_id in lines:
                    assert list(found.values[row, number]) == [lines[sample_id][m] for m in METRICS]
                else:
                    assert np.isnan(found.values[row, number]).all()

    def test_large_images_share_less_and_score_the_same(
        self, toy: Any, recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, grid = toy(clips=(2,)), make_grid(recipe(), AXES, METRICS)
        small = score_grid(Wavy("weak", 0.3), grid, data_root=root, out=tmp_path / "a")
        monkeypatch.setattr("dabench.search.LARGE", 10)
        large = score_grid(Wavy("weak", 0.3), grid, data_root=root, out=tmp_path / "b")
        assert np.array_equal(small.values, large.values, equal_nan=True)

    def test_an_interrupted_search_goes_on(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root, grid = toy(), make_grid(recipe(), AXES, METRICS)

        def interrupt(state: Any) -> None:
            if state.done == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            score_grid(Wavy("weak", 0.3), grid, data_root=root, out=tmp_path, progress=interrupt)
        model = Wavy("weak", 0.3)
        resumed = score_grid(model, grid, data_root=root, out=tmp_path)
        whole = score_grid(Wavy("weak", 0.3), grid, data_root=root, out=tmp_path / "other")
        assert model.calls == 4 and np.array_equal(resumed.values, whole.values, equal_nan=True)
        assert find_runs([tmp_path]) == [], "a search is no run"
        again = Wavy("weak", 0.3)
        score_grid(again, grid, data_root=root, out=tmp_path)
        assert again.calls == 0

    def test_kept_predictions_serve_every_grid(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root = toy()
        evaluate(Wavy("weak", 0.3), recipe(), data_root=root, out=tmp_path, keep_predictions=True)

        def load() -> DepthModel:
            raise AssertionError("nothing need be predicted")

        standin = KeptModel(PredictionStore(tmp_path / "weak" / "predictions"), load)
        grid = make_grid(recipe(), AXES, METRICS)
        kept = score_grid(standin, grid, data_root=root, out=tmp_path)
        fresh = score_grid(Wavy("weak", 0.3), grid, data_root=root, out=tmp_path / "other")
        assert np.array_equal(kept.values, fresh.values, equal_nan=True)

    def test_a_sample_that_cannot_be_read(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root, grid = toy(clips=(3,)), make_grid(recipe(), AXES, METRICS)
        (root / "toy/images/clip0/01.png").write_bytes(b"")
        found = score_grid(Wavy("weak", 0.3), grid, data_root=root, out=tmp_path)
        assert list(found.failed) == ["images/clip0/01"] and "ImageError" in found.failed["images/clip0/01"]
        assert np.isnan(found.values[1]).all() and np.isfinite(found.values[0]).any()

    def test_an_affine_model_is_not_searched_unaligned(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        grid = make_grid(recipe(), {"fit": {"no": {"alignment": {"disparity": "none"}}}}, METRICS)
        with pytest.raises(UsageError, match="aligns nothing"):
            score_grid(Wavy("weak", 0.3), grid, data_root=toy(), out=tmp_path)

    def test_what_is_not_on_disk_is_left_out(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        splits = {"all": {"dataset": {"split": "all"}}, "even": {"dataset": {"split": "even"}}}
        grid = make_grid(recipe(), {"split": splits, "space": AXES["space"]}, METRICS)
        whole, absent = reachable(grid, toy(), None)
        assert absent == {} and whole.sha256 == grid.sha256
        toys = registry().get("toy")

        def gone(recipe: Any, *rest: Any) -> Any:
            if recipe.dataset.split == "even":
                raise DatasetError("not on disk")
            return toys

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dabench.search.open_for", gone)
            left, absent = reachable(grid, tmp_path, None)
            assert absent == {"split even, near": "not on disk"} and left.axes["split"] == ("all",)
            assert len(left.recipes) == 2 and left.sha256 != grid.sha256
            with pytest.raises(DatasetError, match="not on disk"):
                reachable(left.only(r for r in grid.recipes if r.split == "even"), tmp_path, None)


class TestRanking:
    @pytest.mark.parametrize("hidden", [0, 5, 9, 14, 23])
    def test_a_hidden_recipe_is_found(self, toy: Any, recipe: Any, tmp_path: Path, hidden: int) -> None:
        root, grid = toy(clips=(6, 6)), make_grid(recipe(), AXES, METRICS)
        ranking = rank(grid, scores_of(grid, root, tmp_path), published(grid, hidden, root))
        found = next(r for r in ranking if r.number == hidden)
        assert found.distance == 0.0 and found.tied, "rounding explains all of the difference"
        assert ranking[0].distance == 0.0
        assert [r.distance for r in ranking] == sorted(r.distance for r in ranking)
        assert not ranking[-1].tied and ranking[-1].distance > 0.05

    def test_what_the_images_cannot_tell_is_a_tie(self, recipe: Any) -> None:
        """Recipe 1 is farther by less than its spread over images; recipe 2 by ten times that, image by image."""
        axes = {"cap": {str(c): {"valid": {"max": float(c)}} for c in (4, 5, 6)}}
        grid = make_grid(recipe(), axes, ("abs_rel",))
        rng = np.random.default_rng(0)
        images = 40
        scores = GridScores([str(i) for i in range(images)], 3, 1)
        base = rng.normal(0.1, 0.01, images)
        scores.values[:, 0, 0] = base
        scores.values[:, 1, 0] = base + rng.normal(0.0005, 0.01, images)
        scores.values[:, 2, 0] = base + rng.normal(0.02, 0.001, images)
        target = Target("m", "abs_rel", float(base.mean()), 5e-7, "a paper")
        ranking = {r.number: r for r in rank(grid, {"m": scores}, [target])}
        assert ranking[0].tied and ranking[1].tied and not ranking[2].tied
        assert ranking[2].distance == pytest.approx(np.log(scores.values[:, 2, 0].mean() / base.mean()), rel=1e-3)

    def test_a_recipe_that_lacks_a_number_comes_last(self, recipe: Any) -> None:
        grid = make_grid(recipe(), {"cap": {"4": {"valid": {"max": 4.0}}, "5": {"valid": {"max": 5.0}}}}, ("abs_rel",))
        scores = GridScores(["a", "b", "c"], 2, 1)
        scores.values[:, 1, 0] = 0.2
        target = Target("m", "abs_rel", 0.1, 5e-4, "a paper")
        ranking = rank(grid, {"m": scores}, [target])
        assert [r.number for r in ranking] == [1, 0] and ranking[1].distance == np.inf and not ranking[1].tied
        with pytest.raises(UsageError, match="no recipe"):
            rank(grid, {"m": GridScores(["a"], 2, 1)}, [target])

    def test_errors_count_as_ratios_and_shares_as_differences(self, recipe: Any) -> None:
        grid = make_grid(recipe(), {"cap": {"4": {"valid": {"max": 4.0}}}}, METRICS)
        scores = GridScores(["a", "b"], 1, 2)
        scores.values[:, 0] = [0.2, 0.9]
        targets = [Target("m", "abs_rel", 0.1, 0.0, "p"), Target("m", "delta1", 0.8, 0.0, "p")]
        [only] = rank(grid, {"m": scores}, targets)
        assert only.distance == pytest.approx(np.sqrt((np.log(2.0) ** 2 + 0.1**2) / 2))

    def test_files_and_profile(self, toy: Any, recipe: Any, tmp_path: Path) -> None:
        root, grid = toy(), make_grid(recipe(), AXES, METRICS)
        targets = published(grid, 5, root)
        ranking = rank(grid, scores_of(grid, root, tmp_path), targets)
        content, sheet = write_ranking(tmp_path / "r", grid, ranking, targets)
        table = json.loads(content.read_text())
        assert len(table["recipes"]) == len(grid.recipes) and table["recipes"][0]["distance"] == 0
        assert {p["value"] for p in table["published"]} == {t.value for t in targets}
        rows = list(csv.DictReader(sheet.open()))
        assert len(rows) == len(grid.recipes) and rows[0]["rank"] == "1" and set(AXES) < set(rows[0])
        worth = profile(grid, ranking)
        hidden = {axis: choices[0] for axis, choices in grid.recipes[5].choices.items()}
        assert all(worth[axis][choice] == (0.0, True) for axis, choice in hidden.items())
        assert set(worth) == set(AXES) and set(worth["floor"]) == {"1/cap", "1e-3"}


def write_csv(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


class TestTargets:
    def test_a_file_of_ones_own(self, tmp_path: Path) -> None:
        path = write_csv(tmp_path / "p.csv", "model,metric,value", "a,abs_rel,0.1", "a,delta1,0.95", "b,abs_rel,0.120",
                         "c,abs_rel,9")  # fmt: skip
        targets = load_targets(path, "sintel", ["a", "b"])
        assert [(t.model, t.metric, t.value) for t in targets] == [
            ("a", "abs_rel", 0.1), ("a", "delta1", 0.95), ("b", "abs_rel", 0.12),
        ]  # fmt: skip
        assert [t.half_unit for t in targets] == pytest.approx([5e-4, 5e-3, 5e-4]), "a table prints the same places"

    def test_unlike_labels_are_not_mixed(self, tmp_path: Path) -> None:
        header = "model,dataset,protocol_label,metric,value"
        path = write_csv(tmp_path / "p.csv", header, "a,Sintel,x,abs_rel,0.1", "a,Sintel,y,abs_rel,0.2",
                         "a,KITTI,z,abs_rel,0.3")  # fmt: skip
        with pytest.raises(UsageError, match=r"2 protocol labels: x \(1\), y \(1\)") as caught:
            load_targets(path, "sintel", ["a"])
        assert "--label" in str(caught.value)
        assert [t.value for t in load_targets(path, "sintel", ["a"], "y")] == [0.2]
        assert [t.value for t in load_targets(path, "kitti", ["a"])] == [0.3]

    @pytest.mark.parametrize(
        ("rows", "told"),
        [
            (["a,abs_rel,0.1", "a,abs_rel,0.2"], "two values for abs_rel of a"),
            (["a,abs_rel,low"], "line 2: value 'low'"),
            (["a,abs_rel,-1"], "line 2"),
            (["b,abs_rel,0.1"], "no number of a"),
            (["a,accuracy,0.9"], "no number of a"),
        ],
    )
    def test_bad_rows(self, tmp_path: Path, rows: Sequence[str], told: str) -> None:
        with pytest.raises(UsageError, match=told):
            load_targets(write_csv(tmp_path / "p.csv", "model,metric,value", *rows), "sintel", ["a"])

    def test_bad_files(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="lacks the column metric"):
            load_targets(write_csv(tmp_path / "p.csv", "model,value", "a,1"), "sintel", ["a"])
        with pytest.raises(UsageError, match="cannot be read"):
            load_targets(tmp_path / "gone.csv", "sintel", ["a"])

    def test_the_published_tables_hold_the_open_question(self) -> None:
        names = ["depth-anything-v2-small", "depth-anything-v2-large"]
        targets = load_targets(None, "sintel", names, "dav2_table2_affine_inv_disparity")
        large = {t.metric: t.value for t in targets if t.model == names[1]}
        assert large == {"abs_rel": 0.487, "delta1": 0.752}


def test_a_callable_can_be_searched(toy: Any, recipe: Any, tmp_path: Path) -> None:
    model = CallableModel(lambda image: image[..., 1] + 1.0, "depth", "green")
    grid = make_grid(recipe(), {"cap": {"4": {"valid": {"max": 4.0}}}}, METRICS)
    assert np.isfinite(score_grid(model, grid, data_root=toy(), out=tmp_path).values).all()
