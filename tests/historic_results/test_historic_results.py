"""Records that earlier versions wrote must load for ever, and mean what they meant.

``schema-N/<model>/<protocol>`` holds runs as dabench wrote them when N was the newest schema (with the machine's name
taken out). They are never edited and never removed. Idea: MTEB, ``tests/historic_results``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dabench import protocols
from dabench.records import SCHEMA, RunFolder, find_runs, read_json, to_json
from dabench.run import Run
from dabench.summary import summarise

HERE = Path(__file__).parent
RUNS = find_runs([HERE])


def test_every_schema_has_runs() -> None:
    assert {path.relative_to(HERE).parts[0] for path in RUNS} == {f"schema-{i}" for i in range(1, SCHEMA + 1)}
    assert {path.name for path in RUNS} >= {"mini-pairs@1", "mini-depth@1"}


@pytest.fixture(params=RUNS, ids=lambda p: p.relative_to(HERE).as_posix())
def folder(request: pytest.FixtureRequest) -> RunFolder:
    return RunFolder(request.param)


def test_it_loads(folder: RunFolder) -> None:
    assert folder.is_complete()
    manifest, summary = read_json(folder.path / "run.json"), read_json(folder.path / "summary.json")
    assert manifest["protocol"]["id"] == summary["protocol"]["id"] == folder.path.name
    lines = list(folder.read_samples().values())
    assert len(lines) == summary["counts"]["expected"] == 2
    run = Run(summary, lines, folder.path)
    for name, metric in run.metrics.items():
        assert metric.value == pytest.approx(summary["metrics"][name]["value"])
        assert metric.ci95[0] <= metric.value <= metric.ci95[1]
    assert set(run.groups) == {"aerial", "indoor"} and not run.ok


def test_its_numbers_still_follow_from_its_samples(folder: RunFolder) -> None:
    """How samples become one number belongs to the schema and the protocol; a silent change would show here."""
    manifest, summary = read_json(folder.path / "run.json"), read_json(folder.path / "summary.json")
    protocol = protocols.parse(manifest["protocol"]["text"], folder.path.name)
    assert protocol.sha256 == summary["protocol"]["sha256"] == manifest["protocol"]["sha256"]
    again: dict[str, Any] = to_json(
        summarise(
            protocol,
            list(folder.read_samples().values()),
            model=summary["model"],
            dataset=summary["dataset"],
            partial=summary["partial"],
        )
    )
    assert set(again) == set(summary)
    for key in set(summary) - {"metrics", "groups", "timing"}:
        assert again[key] == summary[key], key
    assert flat(again["metrics"]) == pytest.approx(flat(summary["metrics"]), rel=1e-9)
    assert flat(again["groups"]) == pytest.approx(flat(summary["groups"]), rel=1e-9)


def flat(value: Any, path: str = "") -> dict[str, float]:
    """Numbers of a nested record by dotted path; null, where nothing can be said, as -1."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in flat(inner, f"{path}.{key}").items()}
    if isinstance(value, list):
        return {k: v for i, inner in enumerate(value) for k, v in flat(inner, f"{path}.{i}").items()}
    return {path: -1.0 if value is None else float(value)}


def test_the_stored_files_have_no_nan(folder: RunFolder) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    read = 0
    for path in folder.path.iterdir():
        for text in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
            read += isinstance(json.loads(text, parse_constant=refuse), dict)
    assert read > 2
