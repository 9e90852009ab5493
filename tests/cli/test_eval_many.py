"""``dabench eval`` with patterns and kept predictions, and ``dabench search``, as a user calls them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dabench import protocols
from dabench.cli import main
from dabench.cli.choice import matching
from dabench.cli.progress import running_scores
from dabench.run import PassProgress, Progress


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def dabench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command as the console script does, in a folder of its own; a traceback fails the test."""
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["dabench", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        code = ended.value.code
        return Answer(code if isinstance(code, int) else int(code is not None), captured.out, captured.err)

    return run


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were loaded."""
    from dabench import registry

    names: list[str] = []
    load = registry.load_model

    def watched(name: str, **options: Any) -> Any:
        names.append(name)
        return load(name, **options)

    monkeypatch.setattr(registry, "load_model", watched)
    return names


def summaries(answer: Answer) -> dict[str, Any]:
    return {s["protocol"]["id"]: s for s in json.loads(answer.out)}


class TestPatterns:
    def test_a_pattern_takes_the_newest_versions_unless_it_speaks_of_versions(self) -> None:
        found = {p.id for p in matching("kitti-unidepth*")}
        assert "kitti-unidepth@2" in found and "kitti-unidepth@1" not in found
        assert {p.id for p in matching("kitti-unidepth@*")} == {"kitti-unidepth@1", "kitti-unidepth@2"}

    def test_all_that_match_are_scored(self, dabench: Command) -> None:
        answer = dabench("eval", "-m", "constant", "-p", "mini-*", "--limit", 2, "--json")
        assert answer.code == 0, answer.err
        assert set(summaries(answer)) == {i for i, p in protocols.all_protocols().items() if p.name.startswith("mini-")}

    @pytest.mark.parametrize("pattern", ["mini-pair?", "mini-[p]*", "mini-pairs@*"])
    def test_shell_patterns(self, dabench: Command, pattern: str) -> None:
        answer = dabench("eval", "-m", "constant", "-p", pattern, "--limit", 1, "--json")
        assert set(summaries(answer)) == {"mini-pairs@1"}

    def test_nothing_matches(self, dabench: Command) -> None:
        answer = dabench("eval", "-m", "constant", "-p", "minni-*")
        assert answer.code == 2 and "no protocol matches 'minni-*'" in answer.err and "did you mean mini" in answer.err

    def test_what_a_pattern_finds_and_the_data_lacks_is_told(self, dabench: Command, tmp_path: Path) -> None:
        """A set that is not there does not keep the others from being scored, unless it was named itself."""
        answer = dabench("eval", "-m", "constant", "-p", "*pairs*", "--data-root", tmp_path, "--limit", 1, "--json")
        assert answer.code == 1 and set(summaries(answer)) == {"mini-pairs@1"}
        assert "pairs@1" in answer.err and "annotations.json" in answer.err
        strict = dabench("eval", "-m", "constant", "-p", "mini-*", "-p", "pairs", "--data-root", tmp_path, "--out", "o")
        assert strict.code == 2 and not Path("o").exists()
        nothing = dabench("eval", "-m", "constant", "-p", "kitti-*", "--data-root", tmp_path, "--out", "o")
        assert nothing.code == 2 and "kitti" in nothing.err and not Path("o").exists()

    def test_what_a_pattern_finds_for_another_output_is_left_out(
        self, dabench: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        base = protocols.get("mini-depth")
        text = base.text.replace('name = "mini-depth"', 'name = "mini-metric"')
        text = text.replace('disparity = "least-squares-disparity"', 'disparity = "refuse"')
        known = {**protocols.all_protocols(), "mini-metric@1": protocols.parse(text, "x")}
        monkeypatch.setattr(protocols, "all_protocols", lambda: known)
        answer = dabench("eval", "-m", "constant", "-p", "mini-*", "--limit", 1, "--json")
        assert answer.code == 0 and "mini-metric@1" not in summaries(answer) and "mini-depth@1" in summaries(answer)
        assert "not for disparity output, left out: mini-metric@1" in answer.err
        named = dabench("eval", "-m", "constant", "-p", "mini-metric", "--limit", 1, "--out", "o")
        assert named.code == 2 and "affine-invariant disparity" in named.err and "-p mini-depth@1" in named.err
        both = dabench("eval", "-m", "constant", "-p", "mini-metric", "-p", "mini-depth", "--limit", 1, "--out", "o")
        assert both.code == 1 and "does not score it" in both.err


class TestKeeping:
    def test_a_second_protocol_needs_no_model(self, dabench: Command, loads: list[str]) -> None:
        common = ("eval", "-m", "location-prior", "--limit", 3, "--json")
        first = dabench(*common, "-p", "mini-depth", "--keep-predictions", "--out", "kept")
        assert first.code == 0 and loads == ["location-prior"]
        second = dabench(*common, "-p", "mini-pairs", "--out", "kept")
        assert second.code == 0 and loads == ["location-prior"]
        assert "3 scores from kept predictions; the model was not loaded" in second.err
        fresh = dabench(*common, "-p", "mini-pairs", "--out", "fresh")
        assert loads == ["location-prior"] * 2
        for key in ("metrics", "counts", "coverage", "groups", "model", "protocol", "dataset"):
            assert summaries(second)["mini-pairs@1"][key] == summaries(fresh)["mini-pairs@1"][key], key
        run_json = json.loads(Path("kept/location-prior/mini-pairs@1/run.json").read_text())
        assert (
            run_json["identity"]
            == json.loads(Path("fresh/location-prior/mini-pairs@1/run.json").read_text())["identity"]
        )

    def test_more_images_load_the_model_for_those(self, dabench: Command, loads: list[str]) -> None:
        common = ("eval", "-m", "location-prior", "-p", "mini-pairs", "--out", "kept", "--json")
        dabench(*common, "--limit", 2, "--keep-predictions")
        answer = dabench("eval", "-m", "location-prior", "-p", "mini-depth", "--out", "kept", "--limit", 3)
        assert answer.code == 0 and loads == ["location-prior"] * 2
        assert "2 scores from kept predictions\n" in answer.err

    def test_other_options_are_another_model(self, dabench: Command, loads: list[str]) -> None:
        common = ("eval", "-m", "location-prior", "--limit", 2, "--out", "kept")
        dabench(*common, "-p", "mini-pairs", "--keep-predictions")
        answer = dabench(*common, "-p", "mini-depth", "--precision", "bf16")
        assert answer.code == 2 and "settings.precision: 'fp32' there, 'bf16' now" in answer.err
        assert "--fresh" in answer.err and "--out" in answer.err
        fresh = dabench(*common, "-p", "mini-depth", "--precision", "bf16", "--fresh")
        assert fresh.code == 0 and "kept predictions" not in fresh.err

    def test_kept_maps_are_saved_maps(self, dabench: Command) -> None:
        dabench("eval", "-m", "location-prior", "-p", "mini-depth", "--limit", 2, "--out", "kept", "--keep-predictions")
        answer = dabench("eval", "--predictions", "kept/location-prior/predictions/mini/full", "--output-kind",
                         "disparity", "-p", "mini-depth", "--limit", 2, "--out", "saved", "--json")  # fmt: skip
        assert answer.code == 0, answer.err
        first = json.loads(Path("kept/location-prior/mini-depth@1/summary.json").read_text())
        assert summaries(answer)["mini-depth@1"]["metrics"] == first["metrics"]
        refused = dabench("eval", "--predictions", "kept", "--output-kind", "depth", "--keep-predictions")
        assert refused.code == 2 and "kept already" in refused.err


GRID = """
dataset = "mini"
base = "mini-depth"

[axes.space]
depth = { space = "depth" }
disparity = { space = "disparity" }

[axes.cap]
"5 m" = { valid = { max = 5.0 } }
none = { valid = { max = "unset" } }
"""


class TestSearch:
    def test_the_recipe_of_a_run_is_found(self, dabench: Command) -> None:
        models = ("-m", "location-prior", "-m", "constant")
        evaluated = dabench("eval", *models, "-p", "mini-depth", "--limit", 4, "--keep-predictions", "--json")
        rows = ["model,metric,value"]
        for summary in json.loads(evaluated.out):
            for metric in ("abs_rel", "delta1"):
                rows.append(f"{summary['model']['name']},{metric},{summary['metrics'][metric]['value']:.4f}")
        Path("published.csv").write_text("\n".join(rows))
        Path("grid.toml").write_text(GRID)
        common = ("search", *models, "-d", "mini", "--published", "published.csv", "--grid", "grid.toml", "--limit", 4)
        answer = dabench(*common)
        assert answer.code == 0, answer.err
        assert "4 recipes, nearest first" in answer.out and "explain the numbers as well as the best" in answer.err
        assert "only a part of the images was scored" in answer.err
        found = json.loads(dabench(*common, "--json").out)
        assert found["recipes"][0]["choices"] == {"space": ["depth"], "cap": ["none"]}
        assert found["recipes"][0]["distance"] == 0 and len(found["recipes"]) == 4
        [content] = Path("runs/search/mini").rglob("ranking.json")
        assert json.loads(content.read_text()) == found and content.with_suffix(".csv").is_file()

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["-d", "sintel"], "name the models"),
            (["-d", "sintel", "-m", "constnt"], "did you mean 'constant'"),
            (["-d", "sintel", "-m", "constant"], "no number of constant on sintel"),
            (["-d", "sintel", "-m", "depth-anything-v2-large"], "--label"),
            (["-d", "sintel", "--predictions", "a=b"], "--output-kind"),
            (["-d", "sintel", "--predictions", "a", "--output-kind", "depth"], "NAME=DIR"),
            (["-d", "mini", "-m", "constant", "--published", "p.csv"], "no built-in grid"),
            (["-d", "mini", "-m", "constant", "--published", "p.csv", "--grid", "gone.toml"], "gone.toml"),
        ],
    )
    def test_a_wrong_call(self, dabench: Command, arguments: list[str], told: str) -> None:
        Path("p.csv").write_text("model,metric,value\nconstant,abs_rel,0.1\n")
        answer = dabench("search", *arguments)
        assert answer.code == 2 and told in answer.err, answer.err
        assert not Path("runs").exists()


def test_running_scores_fit_a_line() -> None:
    runs = {f"p{n}@1": Progress(1, 2, n, 0.1 * n, metric="abs_rel") for n in range(5)}
    text = running_scores(PassProgress("kitti", 1, 2, 0, runs))
    assert text == "p0@1 abs_rel 0.0000  p1@1 abs_rel 0.1000  p2@1 abs_rel 0.2000  +2  [red]4 failed[/]"
    only = {"a@1": Progress(1, 2, 0, 0.5, metric="accuracy")}
    assert running_scores(PassProgress("da-2k", 1, 2, 0, only)) == "accuracy 50.0 %"
