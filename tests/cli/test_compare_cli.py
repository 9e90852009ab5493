"""``dabench compare`` as a user meets it: from scored images to a verdict, JSON, and refusals with exit code 2."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import dabench.cli

HISTORIC = Path(__file__).resolve().parents[1] / "historic_results" / "schema-1" / "example"
runner = CliRunner()


def call(*arguments: object) -> str:
    result = runner.invoke(dabench.cli.build_app(), [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1), result.output
    return result.output


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photographs whose lower point is the closer one, but for two; scored by both baselines."""
    folder = tmp_path_factory.mktemp("compare")
    annotations = {}
    for number in range(12):
        scene = "indoor" if number < 6 else "outdoor"
        name = f"images/{scene}/{number:02d}.png"
        (folder / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((30, 40, 3), number, np.uint8)).save(folder / "set" / name)
        points = {"point1": [25, 10], "point2": [5, 30]}
        annotations[name] = [{**points, "closer_point": "point2" if number in (2, 9) else "point1"}] * 2
    (folder / "set" / "annotations.json").write_text(json.dumps(annotations))
    models = ("-m", "location-prior", "-m", "constant")
    call("eval", *models, "-p", "pairs", "--data-root", folder / "set", "--out", folder / "out")
    return folder / "out"


def test_a_verdict_with_everything_to_quote(runs: Path) -> None:
    text = call("compare", runs / "constant", runs / "location-prior" / "pairs@1")
    assert "24 pairs, 12 images" in text
    assert "B is better than A in pair accuracy by 83.3 points (p = 0.002)" in text, "2 / 2^10 swaps of images"
    assert "+83.3 [" in text and "Only A right: 0 pairs; only B: 20." in text
    assert text.index("indoor") < text.index("images that differ most") < text.index("images/indoor/00")
    assert "images/indoor/02" not in text, "both are wrong there"


def test_json_is_the_same_comparison(runs: Path) -> None:
    found = json.loads(call("compare", runs / "constant", runs / "location-prior", "--json", "--top", "1"))
    (comparison,) = found["comparisons"]
    result = comparison["metrics"]["accuracy"]
    assert result["p"] == 2 / 2**10 and result["better"] == "b"
    assert result["mcnemar"] == {"only_a": 0, "only_b": 20, "p": pytest.approx(2 / 2**20), "graded": False}
    assert [len(comparison[side]) for side in ("a_better", "b_better")] == [0, 1]
    assert [run["model"] for run in found["runs"]] == ["constant", "location-prior"]


def test_what_cannot_be_told_apart_says_what_could_be(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "location-prior" / "pairs@1", tmp_path / "again" / "pairs@1")
    text = call("compare", runs / "location-prior", tmp_path / "again")
    assert "A and B cannot be told apart in pair accuracy (p = 1.000)" in text


def test_three_models_are_adjusted_for_two_comparisons(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "constant" / "pairs@1", tmp_path / "again" / "pairs@1")
    text = call("compare", runs / "location-prior", runs / "constant", tmp_path / "again")
    assert "p (Holm)" in text and "adjusted for 2 comparisons" in text and "C - A" in text and "C - B" not in text
    assert "C - B" in call("compare", runs / "location-prior", runs / "constant", tmp_path / "again", "--all-pairs")


def test_dense_depth_of_an_old_record(tmp_path: Path) -> None:
    shutil.copytree(HISTORIC / "mini-depth@1", tmp_path / "mini-depth@1")
    text = call("compare", HISTORIC / "mini-depth@1", tmp_path)
    assert "AbsRel" in text and "RMSE log" in text and "McNemar" not in text


def test_refusals_exit_with_two_and_say_why(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, reason in (
        ((runs / "constant", HISTORIC / "mini-depth@1"), "different protocols"),
        ((runs / "constant", runs), "2 runs; name one of them"),
        ((runs / "constant", runs / "constant" / "pairs@1"), "with itself"),
        ((runs / "constant",), "at least two runs"),
        ((runs / "constant", runs / "absent"), "absent is not a folder"),
    ):
        monkeypatch.setattr(sys, "argv", ["dabench", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            dabench.cli.main()
        printed = capsys.readouterr()
        assert left.value.code == 2 and printed.out == "" and reason in printed.err
