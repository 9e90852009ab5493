"""`dabench reproduce`: which numbers are measured again, when they agree, and what the exit code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dabench.cli import build_app
from dabench.errors import UsageError
from dabench.protocols import all_protocols
from dabench.registry import models
from dabench.reporting.expected import PublishedNumber, published
from dabench.reporting.reproduction import choose, expectations, judge, runs_of

runner = CliRunner()
PAPER = "Depth Anything V2, arXiv 2406.09414"


def number(value: float, metric: str = "accuracy", **other: Any) -> PublishedNumber:
    protocol = "mini-pairs@1" if metric == "accuracy" else "mini-depth@1"
    fields = {
        "model": "prior", "model_id": "location-prior", "protocol": protocol, "protocol_label": "mini",
        "kind": "published", "source": "a paper", "metric": metric, "value": value,
    }  # fmt: skip
    return PublishedNumber(**{**fields, **other})


def reproduce(*arguments: str) -> Any:
    return runner.invoke(build_app(), ["reproduce", *arguments])


def test_numbers_of_runnable_models_under_protocols_of_ours() -> None:
    names = [name for name in models() if models().get(name).status != "published-only"]
    found = expectations(published(), names)
    assert len(found) > 300 and {e.model for e in found} <= set(names)
    for e in found:
        assert e.metric in all_protocols()[e.protocol].metrics and not e.number.group
    table = {(e.model, e.metric): e.value for e in choose(found, "2") if e.protocol == "nyu-dav2-table2@1"}
    assert table["depth-anything-v2-large", "abs_rel"] == 0.045 and table["depth-anything-v2-large", "delta1"] == 0.979
    assert {e.number.source for e in choose(found, "table-2")} == {f"{PAPER}, Table 2"}
    assert {e.model for e in choose(found, "lotus-d-v1.0")} == {"lotus-d-v1.0"}, "as tables call it: lotus-d"
    assert {e.protocol for e in choose(found, "kitti-*")} == {
        e.protocol for e in found if e.protocol.startswith("kitti-")
    }
    assert runs_of(choose(found, "da-2k"))["depth-anything-v2-base"] == [all_protocols()["da-2k@1"]]
    with pytest.raises(UsageError, match="no number of 'no-such'"):
        choose(found, "no-such")


def test_tolerance_is_half_a_printed_digit_and_the_slack_of_machines() -> None:
    found = expectations(
        [
            number(0.5, "abs_rel"),
            number(0.123, "abs_rel", protocol="mini-depth@1"),
            number(0.97),
            number(0.5, "delta1"),
        ],
        ["location-prior"],
    )
    by = {(e.metric, e.value): e.tolerance for e in found}
    assert by["abs_rel", 0.5] == pytest.approx(0.0005 + 0.005), "the source prints three decimals of this metric"
    assert by["abs_rel", 0.123] == pytest.approx(0.0005 + 0.00123)
    assert by["accuracy", 0.97] == pytest.approx(0.005 + 0.003) and by["delta1", 0.5] == pytest.approx(0.05 + 0.003)


def summary(value: float | None, **other: Any) -> dict[str, Any]:
    made = {"partial": False, "counts": {"failed": 0}, "coverage": 1.0, "metrics": {"accuracy": {"value": value}}}
    return {**made, **other}


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        (summary(0.9779), "agrees"),
        (summary(0.9621), "agrees"),
        (summary(0.9781), "differs"),
        (summary(0.9619), "differs"),
        (summary(0.97, partial=True), "not run"),
        (summary(0.97, coverage=0.99), "not run"),
        (summary(0.97, counts={"failed": 1}), "not run"),
        (summary(None), "not run"),
    ],
)
def test_verdicts(run: dict[str, Any], verdict: str) -> None:
    found = expectations([number(0.97)], ["location-prior"])
    assert [v.verdict for v in judge(found, {("location-prior", "mini-pairs@1"): run})] == [verdict]
    assert judge(found, {})[0].measured is None


@pytest.mark.parametrize(("values", "code"), [((0.498,), 0), ((0.498, 0.6), 1)])
def test_it_measures_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: tuple[float, ...], code: int
) -> None:
    numbers = [number(value, source=f"paper {place}") for place, value in enumerate(values)]
    monkeypatch.setattr("dabench.reporting.expected.published", lambda: tuple(numbers))
    result = reproduce("location-prior", "--out", str(tmp_path), "--json")
    assert result.exit_code == code, result.output
    told = json.loads(result.stdout)
    measured = json.loads((tmp_path / "location-prior/mini-pairs@1/summary.json").read_text())["metrics"]["accuracy"][
        "value"
    ]
    assert [t["measured"] for t in told] == [measured] * len(values)
    assert [t["verdict"] for t in told] == ["agrees", "differs"][: len(values)]
    assert told[0]["difference"] == pytest.approx(measured - 0.498) and told[0]["about_status"]
    table = reproduce("mini-pairs", "--out", str(tmp_path))
    assert table.exit_code == code and "published: paper 0" in table.stdout and "agrees" in table.stdout


def test_without_data_nothing_is_loaded_and_each_dataset_is_told_once(tmp_path: Path) -> None:
    result = reproduce("2", "--out", str(tmp_path), "--data-root", str(tmp_path))
    assert result.exit_code == 1 and "0 agrees, 0 differs" in result.output
    assert result.output.count("not run, no data: kitti") == 1 and not list(tmp_path.iterdir())


def test_dry_run_lists_what_is_needed(tmp_path: Path) -> None:
    result = reproduce("3", "--dry-run", "--json", "--out", str(tmp_path))
    assert result.exit_code == 0
    plan = {line["model"]: line for line in json.loads(result.stdout)}
    small = plan["depth-anything-v2-small"]
    assert small["protocol"] == "da-2k@1" and small["data"] == "missing" and small["seconds"] is None
    card = {
        "schema": 1,
        "timings": [{"median_seconds": 3.0, "batch_size": 2}, {"median_seconds": 2.0, "batch_size": 1}],
    }
    folder = tmp_path / "depth-anything-v2-small" / "bench"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps(card))
    result = reproduce("nyu-dav2-table2", "--dry-run", "--json", "--out", str(tmp_path))
    [small] = [line for line in json.loads(result.stdout) if line["model"] == "depth-anything-v2-small"]
    assert small["images"] == 654 and small["seconds"] == 1.5 * 654
    assert "nyu-dav2-table2@1" in reproduce("depth-anything-v2-small", "--dry-run").stdout
