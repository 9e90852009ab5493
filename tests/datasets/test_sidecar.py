"""``meta.json`` of a release: weights become a second metric, and nothing else changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import dabench
from dabench import datasets
from dabench.cli import build_app
from dabench.errors import DatasetError
from dabench.run import Run


def release(root: Path, probabilities: Sequence[Sequence[float | None]], wrong: Sequence[Sequence[int]]) -> Path:
    """A set whose images hold a ramp that is brighter below; pairs in ``wrong`` are labelled against the ramp."""
    annotations: dict[str, Any] = {}
    described: dict[str, Any] = {}
    ramp = np.repeat(np.arange(40, dtype=np.uint8)[:, None], 30, axis=1)
    for number, (drawn, against) in enumerate(zip(probabilities, wrong, strict=True)):
        key = f"images/scene/{number:02}.png"
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.dstack([ramp] * 3)).save(root / key)
        annotations[key] = [
            {"point1": [5, i] if i in against else [30, i], "point2": [30, i] if i in against else [5, i],
             "closer_point": "point1"}
            for i in range(len(drawn))
        ]  # fmt: skip
        described[key] = [{"id": f"{number}-{i}", "probability": p} for i, p in enumerate(drawn)]
    content = json.dumps(annotations).encode()
    (root / "annotations.json").write_bytes(content)
    digests = {"annotations.json": hashlib.sha256(content).hexdigest()}
    write_meta(root, {"format": "dabench-release", "schema": 1, "digests": digests, "pairs": described})
    return root


def write_meta(root: Path, meta: Any) -> None:
    (root / "meta.json").write_text(json.dumps(meta))


def change(root: Path, **changes: Any) -> None:
    write_meta(root, {**json.loads((root / "meta.json").read_text()), **changes})


def ramp_is_disparity(image: np.ndarray) -> np.ndarray:
    return image[..., 0].astype(np.float32)


def scored(root: Path, **options: Any) -> Run:
    return dabench.evaluate(ramp_is_disparity, "pairs", output="disparity", data_root=root, workers=1, **options)


def test_the_weighted_accuracy_is_the_ratio_of_weighted_sums(tmp_path: Path) -> None:
    probabilities = [[0.1, 1.0, None], [0.5, 0.5], [None]]
    run = scored(release(tmp_path, probabilities, wrong=[[1], [0], [0]]))
    assert run.metrics["accuracy"].value == 3 / 6
    assert run.metrics["accuracy_weighted"].value == pytest.approx((10 + 0 + 0 + 2) / (10 + 1 + 2 + 2))
    weights = [10.0, 1.0, 2.0, 2.0]
    assert run.summary["weighting"] == {
        "pairs": 4,
        "without_probability": 2,
        "effective_pairs": pytest.approx(sum(weights) ** 2 / sum(w * w for w in weights)),
    }
    assert run.samples[0]["weights"] == [10.0, 1.0, None]
    low, high = run.metrics["accuracy_weighted"].ci95
    assert low < run.metrics["accuracy_weighted"].value < high


def test_it_estimates_the_accuracy_on_the_candidates(tmp_path: Path) -> None:
    """Hard candidates are drawn ten times as often; the plain accuracy is far off, the weighted one is not."""
    rng = np.random.default_rng(3)
    hard = rng.random((200, 20)) < 0.3
    right = np.where(hard, rng.random(hard.shape) < 0.4, rng.random(hard.shape) < 0.95)
    chance = np.where(hard, 0.8, 0.08)
    drawn = rng.random(hard.shape) < chance
    drawn[:, 0] = True  # every image has a pair
    chance[:, 0] = 1.0
    probabilities = [list(chance[i, drawn[i]]) for i in range(200)]
    wrong = [list(np.flatnonzero(~right[i, drawn[i]])) for i in range(200)]
    run = scored(release(tmp_path, probabilities, wrong))
    truth = right.mean()
    low, high = run.metrics["accuracy_weighted"].ci95
    assert low <= truth <= high and high - low < 0.12
    assert run.metrics["accuracy"].ci95[1] < truth


def test_accuracy_and_protocol_stay_the_same(tmp_path: Path) -> None:
    root = release(tmp_path / "set", [[0.2, 0.9], [0.4]], wrong=[[0], []])
    weighted = scored(root)
    (root / "meta.json").unlink()
    plain = scored(root)
    assert plain.metrics["accuracy"] == weighted.metrics["accuracy"]
    assert plain.summary["protocol"] == weighted.summary["protocol"]
    assert set(plain.summary["metrics"]) == {"accuracy"} and "weighting" not in plain.summary
    assert all("weights" not in line for line in plain.samples)
    assert plain.summary["dataset"]["fingerprint"] != weighted.summary["dataset"]["fingerprint"]


def test_without_a_probability_there_is_no_weighted_figure(tmp_path: Path) -> None:
    root = release(tmp_path, [[None], [None]], wrong=[[], []])
    fingerprint = hashlib.sha256((root / "annotations.json").read_bytes()).hexdigest()
    assert datasets.open_dataset("pairs", root).fingerprint == fingerprint
    assert set(scored(root).summary["metrics"]) == {"accuracy"}


def test_a_failed_image_is_wrong_with_its_weight(tmp_path: Path) -> None:
    root = release(tmp_path, [[0.25], [0.5]], wrong=[[], []])
    (root / "images/scene/00.png").write_bytes(b"no image")
    run = scored(root)
    assert run.summary["counts"]["failed"] == 1
    assert run.metrics["accuracy_weighted"].value == pytest.approx(2 / 6)


def test_a_resumed_run_says_the_same(tmp_path: Path) -> None:
    root = release(tmp_path / "set", [[0.25], [0.5], [0.1, 0.2]], wrong=[[0], [], [1]])
    whole = scored(root, out=tmp_path / "a").summary
    scored(root, out=tmp_path / "b", limit=1)
    again = scored(root, out=tmp_path / "b").summary
    assert {k: v for k, v in whole.items() if k != "timing"} == {k: v for k, v in again.items() if k != "timing"}


def test_another_program_s_meta_is_not_ours(tmp_path: Path) -> None:
    root = release(tmp_path, [[0.25], [0.5]], wrong=[[], []])
    write_meta(root, {"name": "camera"})
    assert set(scored(root).summary["metrics"]) == {"accuracy"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"digests": {"annotations.json": "0" * 64}}, "describes another annotations.json"),
        ({"digests": 3}, "lacks 'digests'"),
        ({"pairs": {}}, "no pairs for 'images/scene/00.png'"),
        ({"pairs": {"images/scene/00.png": [{}, {}]}}, "has 2 pairs for 'images/scene/00.png'; annotations.json has 1"),
        ({"pairs": {"images/scene/00.png": [{"probability": 0}]}}, "above 0 and at most 1, got 0"),
        ({"pairs": {"images/scene/00.png": [{"probability": "1"}]}}, "above 0 and at most 1, got '1'"),
        ({"schema": 2}, "schema 2; this dabench reads 1"),
    ],
)
def test_a_sidecar_that_contradicts_is_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    root = release(tmp_path, [[0.25]], wrong=[[]])
    change(root, **changes)
    with pytest.raises(DatasetError) as caught:
        datasets.open_dataset("pairs", root)
    assert told in str(caught.value) and caught.value.hint


def test_changed_labels_are_noticed(tmp_path: Path) -> None:
    root = release(tmp_path, [[0.25]], wrong=[[]])
    text = (root / "annotations.json").read_text()
    (root / "annotations.json").write_text(text.replace('"closer_point": "point1"', '"closer_point": "point2"'))
    with pytest.raises(DatasetError, match=r"describes another annotations\.json"):
        datasets.open_dataset("pairs", root)
    (root / "meta.json").write_text("{")
    with pytest.raises(DatasetError, match="not readable JSON"):
        datasets.open_dataset("pairs", root)


def test_the_table_shows_both(tmp_path: Path) -> None:
    root = release(tmp_path, [[0.1, 1.0, None], [0.5, 0.5]], wrong=[[1], [0]])
    arguments = ["eval", "-m", "location-prior", "-d", "pairs", "--data-root", str(root), "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(build_app(), arguments, env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    assert "pair accuracy" in result.output and "60.0 %" in result.output
    assert "accuracy on the candidates" in result.output and "80.0 %" in result.output
    assert "4, worth 2" in result.output and "not drawn, left out" in result.output
