"""The export command: releases in other formats, and what it refuses."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from annotation_studies import Clock, answer_to, make_study, person, right_answer
from typer.testing import CliRunner, Result

from annotation import queue
from annotation.cli import app
from annotation.formats import coco, da2k, label_studio, tables
from annotation.formats.reading import Found
from annotation.importing import import_pairs
from annotation.releases.exporting import FORMATS, export
from annotation.releases.release import Release, find_release, make_release
from annotation.settings import ProjectSettings
from annotation.store.replay import verify
from annotation.study import Study
from dabench.errors import DabenchError, UsageError

SETTINGS = ProjectSettings(policy="unanimous-2", gold_share=0.0, repeat_share=0.0)


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clock = Clock()
    path = tmp_path_factory.mktemp("finished") / "study"
    with make_study(path, settings=SETTINGS, clock=clock) as study:
        for alias in ("ann", "ben"):
            number = person(study, alias)
            while tasks := queue.next_tasks(study, 1, number, 4).tasks:
                for task in tasks:
                    row = study.store.one("SELECT position FROM pairs WHERE id = ?", task.pair)
                    assert row is not None
                    shown = "skip" if row["position"] == 5 else right_answer(task)
                    reason = "cannot tell" if shown == "skip" else ""
                    queue.give_answer(study, number, answer_to(task, shown, reason=reason))
                    clock.forward(3)
    return path


@pytest.fixture
def finished(finished_once: Path, tmp_path: Path) -> Iterator[Study]:
    """Twelve pairs, answered by two people through the queue; one pair skipped by both."""
    shutil.copytree(finished_once, tmp_path / "study")
    with Study.open(tmp_path / "study") as study:
        yield study


@pytest.fixture
def release(finished: Study) -> Release:
    return make_release(finished, "v1")


def run(study: Study, *arguments: Any) -> Result:
    return CliRunner().invoke(app, ["export", str(study.path), *map(str, arguments)])


def refusal(study: Study, *arguments: Any) -> DabenchError:
    result = run(study, *arguments)
    assert isinstance(result.exception, DabenchError), result.output
    return result.exception


def closer_first(found: Found) -> set[Any]:
    assert not found.faults
    return {(p.image, p.a, p.b) if p.label == "a" else (p.image, p.b, p.a) for p in found.pairs}


def test_the_whole_way_from_answers_to_a_release(finished: Study, release: Release) -> None:
    assert len(release.content["pairs"]) == 11 and release.content["left_out"] == {"not final": 1}
    rows = pq.read_table(release.folder / "pairs.parquet").to_pylist()
    assert {(row["answers"], row["agreeing"]) for row in rows} == {(2, 2)}
    for row in rows:
        closer, farther = ("pa", "pb") if row["closer"] == "A" else ("pb", "pa")
        assert row[f"{closer}_row"] > row[f"{farther}_row"]


def test_every_format_says_the_same(finished: Study, release: Release, tmp_path: Path) -> None:
    wanted = closer_first(da2k.read(release.folder / "annotations.json"))
    assert len(wanted) == 11
    folders = {form: export(finished, release, form, out=tmp_path / form, seed=4) for form in FORMATS}
    assert closer_first(da2k.read(folders["da2k"])) == wanted
    assert closer_first(tables.read(folders["csv"] / "pairs.csv")) == wanted
    assert closer_first(tables.read(folders["parquet"] / "pairs.parquet")) == wanted
    assert closer_first(label_studio.read(folders["label-studio"] / "tasks.json")) == wanted
    assert closer_first(coco.read(folders["coco"] / "pairs.json")) == wanted
    lines = {name: [json.loads(line) for line in (folders["questions"] / f"{name}.jsonl").read_text().splitlines()]
             for name in ("questions", "answers")}  # fmt: skip
    said = set()
    for question, answer in zip(lines["questions"], lines["answers"], strict=True):
        points = {letter: tuple(point) for letter, point in question["points"].items()}
        said.add((question["image"], points.pop(answer["answer"]), *points.values()))
        assert (folders["questions"] / question["picture"]).is_file()
    assert said == wanted
    meta = json.loads((release.folder / "meta.json").read_text())
    for form in set(FORMATS) - {"da2k"}:
        about = json.loads((folders[form] / "about.json").read_text())
        assert about["seed_of_letters"] == 4
        for name in ("tool", "digest", "policy", "tie", "coordinates", "orientation", "counts", "rules"):
            assert about[name] == meta[name], name


def test_answers_in_label_studio(finished: Study, release: Release, tmp_path: Path) -> None:
    folder = export(finished, release, "label-studio", out=tmp_path / "ls", prefix="/data/local-files/?d=")
    tasks = json.loads((folder / "tasks.json").read_text())
    with (folder / "people.csv").open(newline="") as stream:
        people = {int(row["completed_by"]): row["person"] for row in csv.DictReader(stream)}
    assert people == {1: "ann", 2: "ben"} and len(tasks) == 11
    for task in tasks:
        assert {entry["completed_by"] for entry in task["annotations"]} == {1, 2}
        choices = {entry["result"][2]["value"]["choices"][0] for entry in task["annotations"]}
        assert choices == {task["predictions"][0]["result"][2]["value"]["choices"][0]}
        assert {entry["lead_time"] for entry in task["annotations"]} == {2.5}
        assert task["data"]["image"].startswith("/data/local-files/?d=images/")


def test_a_release_comes_into_another_study_with_its_rights(release: Release, tmp_path: Path) -> None:
    with Study.open(tmp_path / "other", create=True) as other:
        assert import_pairs(other, release.folder / "annotations.json").pairs == 11
        rights = {tuple(row) for row in other.store.query("SELECT licence, author FROM images")}
        assert rights == {("CC0-1.0", "A. Photographer")}
        assert import_pairs(other, release.folder / "pairs.csv").known == 11, "the same pairs in another format"


class TestCommand:
    def test_make_then_export(self, finished: Study, tmp_path: Path) -> None:
        made = run(finished, "--release", "v1")
        assert made.exit_code == 0, made.output
        found = find_release(finished, "v1")
        assert f"release v1: 11 pairs on 3 images, digest {found.digest}" in made.output
        assert f"dabench eval -d pairs --data-root {finished.releases / 'v1'}" in made.output
        for form in ("csv", "questions", "csv"):  # the default folder is made anew
            done = run(finished, "--release", "v1", "--format", form)
            assert done.exit_code == 0, done.output
            assert (finished.path / "exports" / f"v1-{form}" / "about.json").is_file()
        events = run(finished, "--release", "v1", "--events")
        assert events.exit_code == 0 and "answers of test pairs" in events.output
        log = gzip.decompress((finished.path / "exports" / "v1-events.jsonl.gz").read_bytes())
        assert b'"release.made"' in log and b"Ann" not in log

    def test_make_and_export_at_once(self, finished: Study, tmp_path: Path) -> None:
        done = run(finished, "--release", "v1", "--format", "coco", "--out", tmp_path / "coco")
        assert done.exit_code == 0, done.output
        assert (tmp_path / "coco" / "pairs.json").is_file() and (finished.releases / "v1" / "meta.json").is_file()
        here = run(finished, "--release", "v2", "--out", tmp_path / "here")
        assert here.exit_code == 0 and (tmp_path / "here" / "annotations.json").is_file()
        assert "against v1: 0 added, 0 removed, 0 relabelled" in here.output
        again = run(finished, "--release", "v2", "--format", "da2k", "--out", tmp_path / "again")
        assert again.exit_code == 0
        same = [(tmp_path / name / "meta.json").read_bytes() for name in ("here", "again")]
        assert same[0] == same[1]

    def test_what_it_refuses(self, finished: Study, tmp_path: Path) -> None:
        assert "none yet" in (refusal(finished).hint or "")
        run(finished, "--release", "v1")
        assert "v1" in (refusal(finished).hint or "")
        assert "never change" in str(refusal(finished, "--release", "v1"))
        assert "never change" in str(refusal(finished, "--release", "v1", "--format", "csv", "--policy", "single"))
        assert "no format 'zip'" in str(refusal(finished, "--release", "v1", "--format", "zip"))
        assert "no imported pairs" in str(refusal(finished, "--imported"))
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine.txt").write_text("mine")
        told = refusal(finished, "--release", "v1", "--format", "csv", "--out", tmp_path / "full")
        assert isinstance(told, UsageError) and "exists already" in str(told)
        assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]

    def test_without_a_licence(self, finished: Study) -> None:
        with finished.store.write("owner") as write:
            write.append("image.changed", {"sha256": write.one("SELECT sha256 FROM images")["sha256"], "licence": ""})
        assert "have no licence" in str(refusal(finished, "--release", "v1"))
        done = run(finished, "--release", "v1", "--allow-unlicensed")
        assert done.exit_code == 0 and "note: 1 images have no licence" in done.output

    def test_nobody_else_is_written_to(self, finished: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        """An export that breaks in the middle leaves no folder."""
        run(finished, "--release", "v1")

        def broken(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("annotation.formats.tables.parquet_bytes", broken)
        with pytest.raises(KeyboardInterrupt):
            export(finished, find_release(finished, "v1"), "parquet")
        assert not list((finished.path / "exports").iterdir())


class TestBackup:
    def run(self, *arguments: Any) -> Result:
        return CliRunner().invoke(app, ["backup", *map(str, arguments)])

    def test_a_copy_comes_back_with_its_releases(self, finished: Study, release: Release, tmp_path: Path) -> None:
        for _ in range(3):
            done = self.run(finished.path, "--keep", 2)
            assert done.exit_code == 0, done.output
            with finished.store.write("owner") as write:
                write.append("study.set", {"name": "another"})
        copies = sorted(finished.backups.iterdir())
        assert len(copies) == 2 and str(copies[-1]) in done.output
        restored = self.run("--restore", copies[-1], "--into", tmp_path / "back")
        assert restored.exit_code == 0 and "images" in restored.output
        shutil.copytree(finished.images, tmp_path / "back" / "images")
        with Study.open(tmp_path / "back") as back:
            assert find_release(back, "v1").digest == release.digest
            again = export(back, find_release(back, "v1"), "da2k", out=tmp_path / "again")
        one, two = ((folder / "pairs.csv").read_bytes() for folder in (again, release.folder))
        assert one == two

    def test_a_study_is_never_overwritten(self, finished: Study) -> None:
        self.run(finished.path)
        [copy] = finished.backups.iterdir()
        assert "not overwritten" in str(self.run("--restore", copy, "--into", finished.path).exception)
        for arguments in ((), ("--restore", copy), (finished.path, "--into", "x"), (finished.path, "--restore", copy)):
            assert isinstance(self.run(*arguments).exception, UsageError)


def test_the_log_alone_gives_the_releases(finished: Study, release: Release, tmp_path: Path) -> None:
    with finished.store.write("owner") as write:
        write.append("project.changed", {"id": 1, "state": "closed"})
    make_release(finished, "v2")
    assert verify(finished).same
