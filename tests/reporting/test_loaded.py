"""Records are found, loaded and judged complete or not, whatever schema wrote them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dabench.errors import RecordError
from dabench.records import SCHEMA
from dabench.reporting.loaded import find_records, load_record

HISTORIC = Path(__file__).resolve().parents[1] / "historic_results"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder with two runs."""
    shutil.copytree(HISTORIC / f"schema-{SCHEMA}" / "example", tmp_path / "out" / "example")
    return tmp_path / "out" / "example"


def test_records_of_every_schema_load() -> None:
    records = find_records([HISTORIC])
    assert {record.path.relative_to(HISTORIC).parts[0] for record in records} == {
        f"schema-{n}" for n in range(1, SCHEMA + 1)
    }
    for record in records:
        assert record.model == "example" and record.protocol_id == record.path.name == record.protocol.id
        assert record.complete and not record.partial and not record.ok
        samples = record.samples()
        assert len(samples) == record.summary["counts"]["expected"]
        assert [line["id"] for line in samples] == sorted(line["id"] for line in samples)


def test_a_folder_with_one_run_is_that_run(model: Path) -> None:
    run = model / "mini-pairs@1"
    assert load_record(run).path == run
    with pytest.raises(RecordError, match="2 runs") as caught:
        load_record(model)
    assert str(run) in str(caught.value) and str(model / "mini-depth@1") in str(caught.value)
    shutil.rmtree(model / "mini-depth@1")
    assert load_record(model).path == load_record(model.parent).path == run


def test_what_is_no_run_is_said_to_be_none(tmp_path: Path, model: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="holds no run"):
        load_record(tmp_path / "empty")
    for load in (load_record, lambda path: find_records([path])):
        with pytest.raises(RecordError, match="absent is not a folder"):
            load(tmp_path / "absent")
    assert find_records([tmp_path / "empty"]) == []
    (model / "mini-pairs@1" / "run.json").write_text('{"schema": 1, "model": {"name": "x"}}')
    with pytest.raises(RecordError, match="which model and protocol"):
        load_record(model / "mini-pairs@1")


def test_an_unfinished_run_loads_and_is_not_complete(model: Path) -> None:
    run = model / "mini-pairs@1"
    (run / "summary.json").unlink()
    record = load_record(run)
    assert not record.complete and not record.ok and not record.partial and record.summary == {}
    assert len(record.samples()) == 2
    assert [r.complete for r in find_records([model])] == [True, False]


def test_counts_that_do_not_add_up_are_not_complete(model: Path) -> None:
    summary = model / "mini-pairs@1" / "summary.json"
    content = json.loads(summary.read_text())
    content["counts"]["expected"] += 1
    summary.write_text(json.dumps(content))
    assert not load_record(summary.parent).complete


def test_partial_is_known_before_the_summary(model: Path) -> None:
    run = model / "mini-pairs@1"
    (run / "summary.json").unlink()
    info = json.loads((run / "run.json").read_text())
    info["selection"]["partial"] = True
    (run / "run.json").write_text(json.dumps(info))
    assert load_record(run).partial


def test_an_edited_protocol_is_noticed(model: Path) -> None:
    run = model / "mini-pairs@1"
    info = json.loads((run / "run.json").read_text())
    info["protocol"]["text"] += "\n# changed\n"
    (run / "run.json").write_text(json.dumps(info))
    record = load_record(run)
    with pytest.raises(RecordError, match="was edited"):
        _ = record.protocol
