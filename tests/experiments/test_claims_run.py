"""The study from one end to the other in miniature of the miniature, what it keeps, and the page that is committed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dabench.errors import CheckpointError, DabenchError, RecordError, UnknownNameError
from experiments.claims import page, run, study
from experiments.claims.arms import ARMS, BUDGETS, TEACHER, arms_of, chosen, start_of
from experiments.claims.measure import HIGHER_IS_BETTER
from experiments.claims.study import Places, estimate, read_result, remaining

SMOKE, CPU = BUDGETS["smoke"], BUDGETS["cpu"]
LARGEST_PAGE = 300_000


@pytest.mark.slow
def test_smoke_trains_labels_measures_and_reports_and_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--budget", "smoke", "--work", str(tmp_path)]
    assert run.main([*arguments, "--only", "H1,H6"]) == 0
    places = run.places_of(SMOKE, tmp_path, None)
    trained = {path.stem for path in places.results.glob("*.json")}
    assert trained == {"start-tiny-0", "teacher-0", "S-0", "R-pseudo-0", "S+R-noisy-0"}
    result = json.loads(places.result("R-pseudo", 0).read_text())
    sizes = {name: spec.count for name, spec in SMOKE.domains.tests.items()}
    assert {test: {m: len(v) for m, v in scores.items()} for test, scores in result["scores"].items()} == {
        test: dict.fromkeys(HIGHER_IS_BETTER, count) for test, count in sizes.items()
    }
    pool = places.data / SMOKE.domains.r_pool.folder
    [labels] = pool.glob("labels-*")
    assert json.loads((labels / "run.json").read_text())["teacher"]["input_size"] == min(SMOKE.size)
    text = (places.page / "RESULTS.md").read_text()
    assert "What this cannot show" in text and "Not run yet: R-noisy." in text
    assert all((places.page / link).is_file() for link in re.findall(r"!\[[^]]*]\(([^)]+)\)", text))

    def untouched() -> dict[Path, int]:
        files = [*places.results.iterdir(), *places.data.rglob("*.*"), *places.work.glob("arms/*/model.safetensors")]
        return {path: path.stat().st_mtime_ns for path in files if path.is_file()}

    before = untouched()
    assert run.main([*arguments, "--only", "H1,H6"]) == 0
    assert untouched() == before
    (places.page / "RESULTS.md").write_text("old")
    assert page.stale(SMOKE, places)
    assert run.main([*arguments, "--report"]) == 0
    assert (places.page / "RESULTS.md").read_text() == text and not page.stale(SMOKE, places)

    places.result("S", 0).unlink()
    arms = arms_of(chosen(["H1"]))
    assert remaining(arms, SMOKE, places) == [(ARMS["S"], 0)]
    changed = json.loads(places.result("R-pseudo", 0).read_text()) | {"key": "of another recipe"}
    places.result("R-pseudo", 0).write_text(json.dumps(changed))
    # the teacher's weights are there, so only what is missing is made
    assert remaining(arms, SMOKE, places) == [(ARMS["S"], 0), (ARMS["R-pseudo"], 0)]
    monkeypatch.setattr(study, "train", None)  # trained already: it is measured again
    assert re.match(r"\d+ s, on R abs_rel 0\.", study.train_and_measure(ARMS["S"], 0, SMOKE, places))
    again = read_result(places, ARMS["S"], 0, SMOKE)
    assert again is not None and again["scores"].keys() == sizes.keys()


def test_what_is_left_and_how_long_it_takes(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "results", tmp_path)
    places.results.mkdir()
    arms = arms_of(chosen(["H1"]))
    todo = remaining(arms, CPU, places)
    assert todo[:2] == [(start_of("tiny"), 0), (TEACHER, 0)] and len(todo) == 2 + 2 * CPU.seeds
    assert TEACHER not in {arm for arm, _ in remaining(arms_of(chosen(["H6"])), CPU, places)}
    start, teacher, student = CPU.seconds
    expected = start + max((teacher + 2 * CPU.seeds * student) / CPU.at_once, teacher)
    assert estimate(arms, CPU, places) == pytest.approx(expected)
    for seed in range(CPU.seeds):
        done = {"key": study.result_key(ARMS["S"], seed, CPU), "seconds": 1000.0}
        places.result("S", seed).write_text(json.dumps(done))
    assert [arm for arm, _ in remaining(arms, CPU, places)][2:] == [ARMS["R-pseudo"]] * CPU.seeds
    assert estimate(arms, CPU, places) == pytest.approx(start + (teacher + 3000) / CPU.at_once)


def job(name: str, needs: tuple[str, ...], call: Callable[[], str]) -> Any:
    return study._Job(name, needs, (call,))


def test_a_failed_training_stops_what_needs_it_and_nothing_else() -> None:
    order: list[str] = []

    def done(name: str) -> Callable[[], str]:
        def call() -> str:
            order.append(name)
            return "fine"

        return call

    def broken() -> str:
        raise DabenchError("the network collapsed")

    jobs = [
        job("student", ("labels",), done("student")),
        job("labels", ("teacher",), done("labels")),
        job("teacher", (), done("teacher")),
        job("wrong-student", ("wrong-labels",), done("wrong-student")),
        job("wrong-labels", (), broken),
        job("alone", (), done("alone")),
    ]
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        problems = study._carry_out(jobs, pool, said.append)
    assert sorted(order) == ["alone", "labels", "student", "teacher"]
    assert order.index("teacher") < order.index("labels") < order.index("student")
    assert problems == ["wrong-labels: the network collapsed", "wrong-student: needs wrong-labels"]


def test_the_list_trains_nothing_and_wrong_names_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--list", "--work", str(tmp_path), "--results", str(tmp_path / "kept")]) == 0
    shown = capsys.readouterr().out
    assert "R-pseudo-e20-t10" in shown and "62 trainings left" in shown
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnknownNameError, match="H2"):
        run.main(["--only", "H1,H2", "--list"])
    with pytest.raises(RecordError, match="no results"):
        run.main(["--report", "--work", str(tmp_path), "--results", str(tmp_path / "kept")])


def test_the_page_says_what_the_results_say() -> None:
    budget = page.budget_with_results([CPU, BUDGETS["gpu"]], run.HERE / "results")
    if budget is None:
        assert not (run.HERE / "RESULTS.md").exists()
        pytest.skip("no results are kept yet")
    places = run.places_of(budget, None, None)
    assert not page.stale(budget, places), "python experiments/claims/run.py --report"
    text = (places.page / "RESULTS.md").read_text()
    links = set(re.findall(r"!\[[^]]*]\(([^)]+)\)", text))
    assert all((places.page / link).is_file() for link in links)
    assert sum((places.page / link).stat().st_size for link in links) < LARGEST_PAGE


def test_a_start_that_is_no_longer_bundled_is_taken_from_where_it_was_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = hashlib.sha256(b"earlier weights").hexdigest()
    monkeypatch.setattr(study, "BUNDLED", ("depth-anything-v2-tiny", earlier))
    target = tmp_path / f"bundled-{earlier[:8]}.safetensors"
    with pytest.raises(CheckpointError, match="is not the network that this study goes on from") as caught:
        study._bring_bundled(tmp_path)
    assert f"git show {study.BUNDLED_COMMIT}:" in str(caught.value.hint) and str(target) in str(caught.value.hint)
    target.write_bytes(b"earlier weights")
    study._bring_bundled(tmp_path)
    target.write_bytes(b"others")
    with pytest.raises(CheckpointError):
        study._bring_bundled(tmp_path)
