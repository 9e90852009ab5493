"""Releases: what is in them, that they never change, and that they can be scored at once."""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import pytest
from annotation_studies import make_study, truth
from PIL import Image

import dabench
from annotation import atomic
from annotation.errors import NotFoundError, StepError, StudyError, StudyFullError
from annotation.formats.released import lettered
from annotation.releases import folder as release_folder
from annotation.releases.freezing import describe, digest, standing_responses
from annotation.releases.licences import UnlicensedError
from annotation.releases.names import checked_release_name, image_keys, safe_scene, scene_folders
from annotation.releases.release import find_release, list_releases, make_release, rebuild
from annotation.store.store import canonical_json
from annotation.study import Study
from dabench import datasets
from dabench.cli.choice import load_predictions
from dabench.errors import UnknownNameError, UsageError
from dabench.types import PairSample

PEOPLE = ("ann", "ben", "cat")
ARROWS = ("queued", "answered", "agreed", "final")


def pair_rows(study: Study, purpose: str = "label") -> list[Any]:
    return study.store.query("SELECT * FROM pairs WHERE purpose = ? ORDER BY position", purpose)


def right(pair: Any) -> str:
    return truth((pair["a_row"], pair["a_col"]), (pair["b_row"], pair["b_col"]))


def answer(study: Study, pair: Any, answers: Mapping[str, str], relation: str = "closer", **fields: Any) -> list[str]:
    """Store people's answers as the events that the queue would; their uuids."""
    uuids = []
    with study.store.write("server") as write:
        for alias, said in answers.items():
            number = write.one("SELECT coalesce(max(id), 0) + 1 AS n FROM assignments")["n"]
            known = write.one(
                "SELECT s.id FROM assignments s JOIN people w ON w.id = s.person WHERE s.pair = ? AND w.alias = ?",
                pair["id"], alias,
            )  # fmt: skip
            swap = number % 2
            if known is None:
                write.append(
                    "assignment.issued",
                    {"id": number, "pair": pair["id"], "person": alias, "round": 1, "kind": "label", "swap": swap,
                     "lease_until": write.now + 1000},
                )  # fmt: skip
            uuid = str(uuid4())
            order = {"a": "second" if swap else "first", "b": "first" if swap else "second"}
            write.append(
                "response.given",
                {"uuid": uuid, "assignment": number if known is None else known["id"], "pair": pair["id"],
                 "person": alias, "round": 1, "relation": relation, "shown": order.get(said, said), "answer": said,
                 "swap": swap, "active_ms": 1500, "wall_ms": 2000,
                 "client": {"instructions_version": 2, "viewport": [390, 844, 3]}, **fields},
            )  # fmt: skip
            uuids.append(uuid)
    return uuids


def decide(
    study: Study, pair: Any, result: str, relation: str = "closer", by: str = "policy", to: str = "final"
) -> None:
    with study.store.write("server") as write:
        policy = "first-two-checkers" if by == "policy" else "adjudication"
        write.append(
            "decision.made",
            {"uuid": None, "pair": pair["id"], "relation": relation, "result": result, "policy": policy, "by": by},
        )
        state = write.one("SELECT state FROM pairs WHERE id = ?", pair["id"])["state"]
        path = {"final": ARROWS, "dropped": ("queued", "answered", "dropped"), "": ()}[to]
        for before, after in itertools.pairwise(path):
            if before == state:
                write.append("pair.moved", {"id": pair["id"], "from": before, "to": after})
                state = after


def label(study: Study, pair: Any, said: str | None = None) -> None:
    """Three people answer alike and the pair is final."""
    said = said or right(pair)
    answer(study, pair, dict.fromkeys(PEOPLE, said))
    decide(study, pair, said)


@pytest.fixture(scope="module")
def labelled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labelled") / "study"
    with make_study(path) as study:
        rows = pair_rows(study)
        for pair in rows[:10]:
            label(study, pair)
        decide(study, rows[10], "drop", by="adam", to="dropped")
    return path


@pytest.fixture
def labelled(labelled_once: Path, tmp_path: Path) -> Iterator[Study]:
    """Ten of twelve pairs final; one dropped, one open."""
    shutil.copytree(labelled_once, tmp_path / "study")
    with Study.open(tmp_path / "study") as study:
        yield study


def content_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def meta_of(folder: Path) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
    return meta


class TestContent:
    def test_only_final_pairs_are_in_it(self, new_study: Callable[..., Study], clock: Any) -> None:
        study = new_study(clock=clock, gold=2, qualification=1)
        rows = pair_rows(study)
        for pair in rows[:7]:
            label(study, pair)
        decide(study, rows[7], "drop", by="adam", to="dropped")
        label(study, rows[8], "equal")
        for pair in [*pair_rows(study, "gold"), *pair_rows(study, "qualification")]:
            label(study, pair)
        release = make_release(study, "v1")
        assert [pair["id"] for pair in release.content["pairs"]] == sorted(row["id"] for row in rows[:7])
        assert release.content["left_out"] == {"dropped": 1, "equal": 1, "for tests of people": 3, "not final": 3}
        text = b"".join(content_of(release.folder).values()).decode(errors="replace")
        hidden = [*pair_rows(study, "gold"), *pair_rows(study, "qualification")]
        assert all(row["id"] not in text for row in hidden)

    def test_the_newest_decision_is_the_label(self, labelled: Study) -> None:
        pair = pair_rows(labelled)[0]
        other = "ab"[right(pair) == "a"]
        decide(labelled, pair, other, by="adam", to="")
        release = make_release(labelled, "v1")
        [found] = [entry for entry in release.content["pairs"] if entry["id"] == pair["id"]]
        assert found["labels"] == {"closer": other} and found["decided_by"] == {"closer": "adjudication"}

    def test_a_stricter_policy_can_be_asked_for(self, study: Study) -> None:
        rows = pair_rows(study)
        answer(study, rows[0], {"ann": "a", "ben": "a", "cat": "b"})
        decide(study, rows[0], "a")
        label(study, rows[1])
        answer(study, rows[2], {"ann": "a", "ben": "b"})
        decide(study, rows[2], "b", by="adam")
        assert len(make_release(study, "all").content["pairs"]) == 3
        strict = make_release(study, "strict", policy="unanimous-3")
        assert {pair["id"] for pair in strict.content["pairs"]} == {rows[1]["id"], rows[2]["id"]}, "adjudicated stays"
        assert strict.content["left_out"]["not agreed under this policy"] == 1
        assert strict.content["policy"] == "unanimous-3"
        with pytest.raises(UnknownNameError):
            make_release(study, "other", policy="unanimus-3")

    def test_layers(self, new_study: Callable[..., Study], clock: Any) -> None:
        study = new_study(images=1, pairs_per_image=2, layered=True, clock=clock)
        for pair, (front, back) in zip(pair_rows(study), [("a", "b"), ("b", "equal")], strict=True):
            for relation, said in (("front", front), ("back", back)):
                answer(study, pair, dict.fromkeys(PEOPLE, said), relation)
            decide(study, pair, front, "front")
            decide(study, pair, back, "back")
        release = make_release(study, "v1")
        [entries] = json.loads((release.folder / "annotations.json").read_text()).values()
        by_id = {row["id"]: row for row in pair_rows(study)}
        [described] = meta_of(release.folder)["pairs"].values()
        first, second = (by_id[entry["id"]] for entry in described)
        for row, entry, told in zip((first, second), entries, described, strict=True):
            front = "a" if row["position"] == 0 else "b"
            assert entry["point1"] == [row[f"{front}_row"], row[f"{front}_col"]]
            assert told["labels"] == {"front": "point1", "back": "point2" if row["position"] == 0 else "equal"}

    def test_nothing_final_is_refused(self, study: Study) -> None:
        with pytest.raises(StepError, match=r"no final pair to release.*12 not final"):
            make_release(study, "v1")
        assert not study.releases.exists() and list_releases(study) == []


class TestFolder:
    def test_da2k_s_exact_format(self, labelled: Study) -> None:
        release = make_release(labelled, "v1")
        annotations = json.loads((release.folder / "annotations.json").read_text())
        by_points = {(r["a_row"], r["a_col"], r["b_row"], r["b_col"]): r for r in pair_rows(labelled)}
        seen = 0
        for key, entries in annotations.items():
            top, scene, name = key.split("/")
            assert top == "images" and scene in ("indoor", "outdoor", "underwater")
            sha256 = hashlib.sha256((release.folder / key).read_bytes()).hexdigest()
            assert name == f"{sha256[:16]}.png"
            for entry in entries:
                assert list(entry) == ["point1", "point2", "closer_point"] and entry["closer_point"] == "point1"
                assert all(type(value) is int for point in (entry["point1"], entry["point2"]) for value in point)
                one, two = tuple(entry["point1"]), tuple(entry["point2"])
                assert one > two, "in these pictures the lower point is the closer one"
                assert (*one, *two) in by_points or (*two, *one) in by_points
                seen += 1
        assert seen == 10

    def test_the_true_depth_map_scores_all_and_its_negation_nothing(self, labelled: Study, tmp_path: Path) -> None:
        release = make_release(labelled, "v1")
        for name, sign in (("true", 1.0), ("negated", -1.0)):
            for key in json.loads((release.folder / "annotations.json").read_text()):
                path = (tmp_path / name / key).with_suffix(".npy")
                path.parent.mkdir(parents=True, exist_ok=True)
                nearness = np.arange(48 * 64, dtype=np.float32).reshape(48, 64)
                np.save(path, sign * nearness)
            saved = load_predictions(tmp_path / name, "disparity", name)
            metrics = dabench.evaluate(saved, "pairs", data_root=release.folder).metrics
            expected = 1.0 if sign > 0 else 0.0
            assert metrics["accuracy"].value == metrics["accuracy_weighted"].value == expected

    def test_weights_are_those_of_the_drawing(self, labelled: Study) -> None:
        release = make_release(labelled, "v1")
        dataset = datasets.open_dataset("pairs", release.folder)
        weight_of = {}
        for key, entries in meta_of(release.folder)["pairs"].items():
            for entry, weight in zip(entries, dataset.weights(key.rsplit(".", 1)[0]) or (), strict=True):
                weight_of[entry["id"]] = weight
        for row in pair_rows(labelled)[:10]:
            assert weight_of[row["id"]] == 1 / row["probability"]

    def test_the_sidecar_fits_the_annotations(self, labelled: Study) -> None:
        release = make_release(labelled, "v1")
        meta = meta_of(release.folder)
        for name, sha256 in meta["digests"].items():
            assert hashlib.sha256((release.folder / name).read_bytes()).hexdigest() == sha256, name
        assert set(meta["digests"]) | {"meta.json"} == {p.name for p in release.folder.iterdir() if p.is_file()}
        annotations = json.loads((release.folder / "annotations.json").read_text())
        rows = {row["id"]: row for row in pair_rows(labelled)}
        for key, entries in annotations.items():
            for entry, told in zip(entries, meta["pairs"][key], strict=True):
                row = rows[told["id"]]
                assert {tuple(entry["point1"]), tuple(entry["point2"])} == {
                    (row["a_row"], row["a_col"]), (row["b_row"], row["b_col"]),
                }  # fmt: skip
                assert (told["probability"], told["route"]) == (row["probability"], row["route"])
                assert told["labels"] == {"closer": "point1"} and told["answers"] == {"closer": {"point1": 3}}
                for vote in told["votes"]:
                    assert (vote["value1"] > vote["value2"]) == (vote["vote"] == "point1")
        assert meta["counts"]["pairs"] == 10 and meta["counts"]["people"] == 3 and meta["counts"]["responses"] == 30
        assert meta["coordinates"] == {"order": ["row", "col"], "base": 0, "unit": "pixel", "of": "the released image"}
        assert meta["experts"] == ["contrarian", "near-sighted", "steady"]

    def test_columns_are_balanced_in_every_scene(self, new_study: Callable[..., Study], clock: Any) -> None:
        study = new_study(images=5, pairs_per_image=7, clock=clock)
        for pair in pair_rows(study):
            label(study, pair)
        release = make_release(study, "v1")
        with (release.folder / "pairs.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == 35
        for scene in ({row["scene"] for row in rows}, *({row["scene"]} for row in rows)):
            closer = [row["closer"] for row in rows if row["scene"] in scene]
            assert abs(closer.count("A") - closer.count("B")) <= 1
        for row in rows:
            one, two = (int(row["pa_row"]), int(row["pa_col"])), (int(row["pb_row"]), int(row["pb_col"]))
            assert (row["closer"] == "A") == (one > two)
        table = pq.read_table(release.folder / "pairs.parquet").to_pylist()
        assert [row["id"] for row in table] == [row["id"] for row in rows]
        assert all(isinstance(row["pa_row"], int) and row["probability"] in (0.25, 0.5) for row in table)
        found = lettered(describe(study, release.manifest), seed=1)
        again = lettered(describe(study, release.manifest)[::-1], seed=1)
        assert {f.pair.id: f.closer for f in found} == {f.pair.id: f.closer for f in again}
        letters = [f.closer for f in lettered(describe(study, release.manifest), seed=2)]
        assert letters != [f.closer for f in found]

    def test_responses_name_pseudonyms_only(self, labelled: Study) -> None:
        release = make_release(labelled, "v1")
        rows = pq.read_table(release.folder / "responses.parquet").to_pylist()
        assert len(rows) == 30 and {row["person"] for row in rows} == set(PEOPLE)
        pairs = {row["id"]: row for row in pq.read_table(release.folder / "pairs.parquet").to_pylist()}
        assert all(row["closer"] == pairs[row["pair"]]["closer"] for row in rows)
        assert {row["shown"] for row in rows} == {"first", "second"}
        assert {row["instructions_version"] for row in rows} == {2}
        everything = b"".join(content_of(release.folder).values())
        assert b"Ann" not in everything.replace(b"Annotat", b"") and b"viewport" not in everything

    def test_the_datasheet_counts(self, labelled: Study) -> None:
        text = (make_release(labelled, "v1").folder / "DATASHEET.md").read_text()
        assert "10 pairs of points on 3 images" in text and "30 answers of 3 people" in text
        assert "the lower point is the closer one in 100.0 % (10 of 10)" in text
        assert "Not in it: 2 pairs of the project (1 dropped, 1 not final)" in text
        assert "| CC0-1.0 | 3 |" in text and "This is the first release." in text

    def test_it_says_how_to_cite_it(self, labelled: Study) -> None:
        release = make_release(labelled, "v1")
        lines = (release.folder / "CITATION.cff").read_text().splitlines()
        said = {key: json.loads(value) for key, value in (line.split(": ", 1) for line in lines)}
        assert said["cff-version"] == "1.2.0" and said["type"] == "dataset" and said["title"] == "test study"
        assert said["version"] == "v1" and said["identifiers"][0]["value"] == f"sha256:{release.digest}"
        assert said["date-released"] == meta_of(release.folder)["made_at"][:10]


class TestImmutability:
    def test_same_state_same_digest_and_bytes(self, labelled: Study, tmp_path: Path) -> None:
        one, two = make_release(labelled, "v1"), make_release(labelled, "v2")
        assert one.digest == two.digest and len(one.digest) == 64
        assert content_of(rebuild(labelled, one, tmp_path / "again")) == content_of(one.folder)
        manifest = json.loads((one.folder / "manifest.json").read_text())
        assert digest(manifest["content"]) == one.digest == meta_of(one.folder)["digest"]

    def test_later_work_changes_nothing(self, labelled: Study, tmp_path: Path) -> None:
        release = make_release(labelled, "v1")
        before = content_of(release.folder)
        rows = pair_rows(labelled)
        decide(labelled, rows[0], "ab"[right(rows[0]) == "a"], by="adam", to="")
        answer(labelled, rows[1], {"adam": "b"})
        label(labelled, rows[11])
        with labelled.store.write("owner") as write:
            write.append("image.changed", {"sha256": rows[0]["image"], "licence": "none", "scene": "elsewhere"})
            write.append("project.changed", {"id": 1, "name": "renamed"})
        found = find_release(labelled, "v1")
        assert (found.digest, found.manifest) == (release.digest, release.manifest)
        assert content_of(rebuild(labelled, found, tmp_path / "again")) == before

    def test_a_version_lists_its_changes(self, labelled: Study) -> None:
        make_release(labelled, "v1")
        rows = pair_rows(labelled)
        decide(labelled, rows[0], "ab"[right(rows[0]) == "a"], by="adam", to="")
        decide(labelled, rows[1], "equal", by="adam", to="")
        label(labelled, rows[11])
        release = make_release(labelled, "v2")
        assert release.manifest["previous"] == "v1"
        assert release.manifest["changes"] == {
            "added": [rows[11]["id"]], "removed": [rows[1]["id"]], "relabelled": [rows[0]["id"]],
        }  # fmt: skip
        assert "Against `v1`: 1 added, 1 removed, 1 relabelled" in (release.folder / "DATASHEET.md").read_text()

    def test_a_name_is_taken_for_ever(self, labelled: Study) -> None:
        release = make_release(labelled, "v1")
        with pytest.raises(StepError, match="never change"):
            make_release(labelled, "v1")
        shutil.rmtree(release.folder)
        with pytest.raises(StepError, match="never change"):
            make_release(labelled, "v1")
        with pytest.raises(NotFoundError) as caught:
            find_release(labelled, "v2")
        assert "v1" in (caught.value.hint or "")

    def test_the_row_cannot_be_changed(self, labelled: Study) -> None:
        make_release(labelled, "v1")
        for sql in ("UPDATE releases SET digest = ''", "DELETE FROM releases"):
            with pytest.raises(Exception, match="immutable"), labelled.store.write("owner") as write:
                write.connection.execute(sql)
        assert len(list_releases(labelled)) == 1

    def test_the_digest_does_not_depend_on_spelling(self) -> None:
        assert digest({"b": "é", "a": [1, 0.5]}) == digest({"a": [1, 0.5], "b": "e\u0301"})
        assert digest({"a": 1}) == hashlib.sha256(b'{"a":1}\n').hexdigest()
        assert digest({"a": 1}) != digest({"a": 2})

    def test_standing_answers_are_the_live_ones(self, labelled: Study) -> None:
        pair = pair_rows(labelled)[11]
        [first] = answer(labelled, pair, {"ann": "a"})
        [second] = answer(labelled, pair, {"ann": "b"})  # from another tab: stored, counts nowhere
        with labelled.store.write("ann") as write:
            row = write.one("SELECT assignment FROM responses WHERE uuid = ?", first)
            write.append(
                "response.given",
                {"uuid": "undo", "assignment": row["assignment"], "pair": pair["id"], "person": "ann", "round": 1,
                 "relation": "closer", "shown": "undo", "answer": "undo", "swap": 0, "supersedes": first,
                 "lease_until": 0},
            )  # fmt: skip
            event = write.one("SELECT max(seq) AS seq FROM events")["seq"]
        [third] = answer(labelled, pair, {"ann": "b"}, reason="third")
        live = {row["uuid"] for row in labelled.store.query("SELECT uuid FROM live")}
        with labelled.store.read() as connection:
            assert {row["uuid"] for row in standing_responses(connection, 1, None)} == live
            then = {row["uuid"] for row in standing_responses(connection, 1, event)}
        assert third in live and then == live - {third} and second not in live


class TestFaults:
    @pytest.fixture
    def unlicensed(self, labelled: Study) -> Study:
        row = labelled.store.one("SELECT sha256 FROM images ORDER BY original_name LIMIT 1")
        assert row is not None
        with labelled.store.write("owner") as write:
            write.append("image.changed", {"sha256": row["sha256"], "licence": " "})
        return labelled

    def test_images_without_a_licence_are_refused(self, unlicensed: Study) -> None:
        with pytest.raises(UnlicensedError) as caught:
            make_release(unlicensed, "v1")
        assert "1 of 3 images have no licence" in str(caught.value) and "photo 0.png" in str(caught.value)
        assert "--allow-unlicensed" in (caught.value.hint or "")
        release = make_release(unlicensed, "v1", allow_unlicensed=True)
        assert release.unlicensed == ["photo 0.png"]
        assert "**1 images have no licence.**" in (release.folder / "DATASHEET.md").read_text()

    @pytest.mark.parametrize("fault", ["missing", "changed"])
    def test_an_image_that_is_not_the_labelled_one(self, labelled: Study, fault: str) -> None:
        path = next(labelled.images.glob("*.png"))
        if fault == "missing":
            path.unlink()
        else:
            Image.new("RGB", (64, 48)).save(path)
        with pytest.raises(StudyError) as caught:
            make_release(labelled, "v1")
        assert path.name in str(caught.value) and caught.value.hint
        assert list(labelled.releases.iterdir()) == [] and list_releases(labelled) == []

    @pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "v1.", "-v", "con", "NUL.txt", "x" * 65, "v 1", "é"])
    def test_names_that_are_no_folders(self, labelled: Study, name: str) -> None:
        with pytest.raises(UsageError, match="cannot name a release"):
            make_release(labelled, name)
        assert not labelled.releases.exists()

    def test_an_interrupted_export_leaves_no_half_folder(
        self, labelled: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(release_folder, "datasheet", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                make_release(labelled, "v1")
        assert list(labelled.releases.iterdir()) == [] and list_releases(labelled) == []
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(StudyFullError, match="No space left"):
                make_release(labelled, "v1")
        assert list(labelled.releases.iterdir()) == [] and list_releases(labelled) == []
        assert make_release(labelled, "v1").folder.is_dir()

    def test_an_event_that_fails_takes_the_folder_with_it(
        self, labelled: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise StudyFullError("full")

        with monkeypatch.context() as patch:
            patch.setattr("annotation.store.store.Write.append", refuse)
            with pytest.raises(StudyFullError):
                make_release(labelled, "v1")
        assert list(labelled.releases.iterdir()) == []

    @pytest.mark.parametrize("moment", ["writing", "renamed"])
    def test_a_kill_is_healed_by_the_same_command(self, labelled: Study, moment: str) -> None:
        """Killed while the files are written, and between the rename and the commit."""
        target = {"writing": "annotation.releases.folder.datasheet", "renamed": "annotation.atomic._sync"}[moment]
        code = f"""
            import os, pathlib
            from annotation import atomic
            from annotation.releases import folder as release_folder
            from annotation.study import Study
            from annotation.releases.release import make_release
            study = Study.open({str(labelled.path)!r})
            real = atomic._sync
            def kill(path, *rest):
                if {moment!r} == "writing" or pathlib.Path(path).name == "releases":
                    os.kill(os.getpid(), 9)
                real(path)
            module, name = {target!r}.rsplit(".", 1)
            setattr({{"annotation.releases.folder": release_folder, "annotation.atomic": atomic}}[module], name, kill)
            make_release(study, "v1")
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, timeout=120)
        assert done.returncode == -9, done.stderr
        assert list_releases(labelled) == []
        assert (labelled.releases / "v1").exists() == (moment == "renamed")
        release = make_release(labelled, "v1")
        assert [path.name for path in labelled.releases.iterdir()] == ["v1"]
        assert datasets.open_dataset("pairs", release.folder).total_targets == 10

    def test_a_folder_of_somebody_else_is_kept(self, labelled: Study, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        (other / "notes.txt").write_text("mine")
        with pytest.raises(UsageError, match="exists already"):
            make_release(labelled, "v1", out=other)
        assert (other / "notes.txt").read_text() == "mine" and list_releases(labelled) == []
        release = make_release(labelled, "v1", out=tmp_path / "new")
        assert release.folder == tmp_path / "new" and (release.folder / "annotations.json").is_file()

    def test_two_at_once(self, labelled: Study) -> None:
        """The second finds the name taken only when it commits, and leaves the first one's folder alone."""
        with atomic.whole_folder(labelled.releases / "v1") as (folder, _):
            (folder / "half.txt").write_text("of the other")
            assert make_release(labelled, "v1").folder.is_dir()
            assert (folder / "half.txt").is_file()
            shutil.rmtree(labelled.releases / "v1")

    def test_words_of_people_stay_words(self, labelled: Study) -> None:
        row = labelled.store.one("SELECT sha256 FROM images ORDER BY original_name LIMIT 1")
        assert row is not None
        evil = {"scene": "=1+1|<script>", "licence": "<b>|x", "author": "@SUM(A1)\n# head", "source": "-2"}
        with labelled.store.write("owner") as write:
            write.append("image.changed", {"sha256": row["sha256"], **evil})
        release = make_release(labelled, "v1")
        [licence] = [
            found for found in csv.DictReader((release.folder / "licences.csv").read_text().splitlines(keepends=True))
            if found["sha256"] == row["sha256"]
        ]  # fmt: skip
        assert (licence["scene"], licence["author"], licence["source"]) == (
            "'=1+1|<script>", "'@SUM(A1)\n# head", "'-2",
        )  # fmt: skip
        assert licence["image"].startswith("images/1_1_script/")
        text = (release.folder / "DATASHEET.md").read_text()
        assert "| \\<b\\>\\|x | 1 |" in text and "<script>" not in text and "\n# head" not in text
        assert meta_of(release.folder)["counts"]["scenes"]["=1+1|<script>"] == 4, "JSON holds the words as they are"


class TestNames:
    @pytest.mark.parametrize(
        ("scene", "folder"),
        [
            ("indoor", "indoor"), ("transparent_reflective", "transparent_reflective"), ("", "unsorted"),
            ("Straße am Café", "strae_am_cafe"), ("../../etc", "etc"), ("a/b\\c", "a_b_c"), ("CON", "con_"),
            ("v1.5", "v1_5"), ("x" * 99, "x" * 48),
        ],
    )  # fmt: skip
    def test_a_scene_is_a_safe_folder(self, scene: str, folder: str) -> None:
        assert safe_scene(scene) == folder

    def test_scenes_without_latin_letters_stay_apart(self) -> None:
        folders = scene_folders(["室内", "室外", "In door", "in-door"])
        assert len(set(folders.values())) == 4
        assert all(name.isascii() and name.replace("_", "").isalnum() for name in folders.values())
        assert folders == scene_folders(reversed(["室内", "室外", "In door", "in-door"]))

    def test_names_that_share_their_beginning_are_written_out(self) -> None:
        images = [{"sha256": "0" * 16 + c * 48, "file": f"x.{c}.jpg", "scene": "s"} for c in "ab"]
        keys = image_keys([*images, {"sha256": "1" * 64, "file": "y.png", "scene": "s"}])
        assert keys["1" * 64] == f"images/s/{'1' * 16}.png"
        assert keys[images[0]["sha256"]] == f"images/s/{images[0]['sha256']}.jpg" and len(set(keys.values())) == 3

    def test_a_good_name(self) -> None:
        assert checked_release_name("v1.0-rc_2") == "v1.0-rc_2" and checked_release_name("1") == "1"


def test_the_event_log_without_names(labelled: Study) -> None:
    release = make_release(labelled, "v1")
    lines = [json.loads(line) for line in gzip.decompress(release_folder.event_lines(labelled)).splitlines()]
    events = list(labelled.store.events())
    assert [line["seq"] for line in lines] == [event.seq for event in events]
    added = [line["data"] for line in lines if line["kind"] == "person.added"]
    assert added and all(data["name"] == data["alias"] for data in added)
    assert lines[-1]["kind"] == "release.made" and lines[-1]["data"]["digest"] == release.digest
    assert canonical_json(lines[-1]["data"]["manifest"]) == canonical_json(release.manifest)


def test_a_file_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "b.txt"
    atomic.write_file(path, b"one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StudyFullError):
            atomic.write_file(path, b"two")
    assert path.read_bytes() == b"one" and list(path.parent.iterdir()) == [path]


def test_evaluate_in_python(labelled: Study) -> None:
    """Rows of these pictures grow brighter downwards, where the truth is nearer; pairs on one row have no order."""
    release = make_release(labelled, "v1")
    sample = datasets.open_dataset("pairs", release.folder).load(next(iter(meta_of(release.folder)["images"]))[:-4])
    assert isinstance(sample, PairSample) and sample.group in ("indoor", "outdoor", "underwater")
    run = dabench.evaluate(lambda image: image[..., 0].astype(np.float32), "pairs", output="disparity",
                           data_root=release.folder, name="rows")  # fmt: skip
    assert run.metrics["accuracy"].value == 1.0 and run.summary["weighting"]["pairs"] == 10
