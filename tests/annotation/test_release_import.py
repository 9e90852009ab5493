"""Pairs of other tools taken into a study: checked whole, kept whole, or refused whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotation_studies import truth
from PIL import Image
from typer.testing import CliRunner

from annotation.cli import app
from annotation.errors import NotFoundError
from annotation.formats import da2k
from annotation.importing import import_pairs, imported_pairs
from annotation.study import Study
from dabench.datasets.formats import EXIF_ORIENTATION
from dabench.errors import UsageError

A, B = "images/indoor/a.jpg", "images/outdoor/bé.v1.png"
PAIRS: dict[str, list[Any]] = {
    B: [{"point1": [40, 3], "point2": [1, 2], "closer_point": "point1", "note": {"by": "x"}}],
    A: [
        {"point1": [9, 9], "point2": [38, 8], "closer_point": "point2"},
        {"point1": [47, 63], "point2": [0, 0], "closer_point": "point1"},
        {"point1": [30, 63], "point2": [10, 10], "closer_point": "point1"},
    ],
}


@pytest.fixture
def fresh(tmp_path: Path) -> Any:
    with Study.open(tmp_path / "study", create=True) as study:
        yield study


def picture(path: Path, size: tuple[int, int] = (64, 48), seed: int = 0, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.fixture
def da2k_set(tmp_path: Path) -> Path:
    root = tmp_path / "da-2k"
    for seed, key in enumerate(PAIRS):
        picture(root / key, seed=seed)
    (root / "annotations.json").write_text(json.dumps(PAIRS), encoding="utf-8")
    return root


def rewrite(root: Path, content: Any) -> Path:
    (root / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return root / "annotations.json"


def rows_of(study: Study) -> list[Any]:
    return study.store.query("SELECT p.*, i.scene FROM pairs p JOIN images i ON i.sha256 = p.image ORDER BY position")


def digest_of(study: Study) -> tuple[int, list[str]]:
    return len(list(study.store.events())), sorted(path.name for path in study.path.rglob("*"))


def test_da2k_comes_in_and_goes_out_unchanged(fresh: Study, da2k_set: Path) -> None:
    done = import_pairs(fresh, da2k_set / "annotations.json")
    assert (done.pairs, done.images, done.known, done.notes) == (4, 2, 0, [])
    rows = rows_of(fresh)
    assert {(row["route"], row["purpose"], row["state"], row["gold"]) for row in rows} == {
        ("import", "label", "queued", None)
    }
    assert [row["scene"] for row in rows] == ["outdoor", "indoor", "indoor", "indoor"]
    assert fresh.project()[0] == rows[0]["project"]
    assert da2k.restored(imported_pairs(fresh)) == PAIRS and list(da2k.restored(imported_pairs(fresh))) == list(PAIRS)
    assert fresh.store.query("SELECT 1 FROM responses") == [] == fresh.store.query("SELECT 1 FROM decisions")


def test_the_stored_order_says_nothing(fresh: Study, tmp_path: Path) -> None:
    """In DA-2K's files point1 is always right; stored point a is right in about half."""
    root = tmp_path / "set"
    picture(root / A)
    entries = [{"point1": [n % 48, n // 48], "point2": [n % 47, 60], "closer_point": "point1"} for n in range(200)]
    import_pairs(fresh, rewrite(root, {A: entries}))
    first = [not json.loads(row["more"])["import"]["swapped"] for row in rows_of(fresh)]
    assert 75 < sum(first) < 125


def test_again_adds_what_is_new(fresh: Study, da2k_set: Path) -> None:
    import_pairs(fresh, da2k_set)
    more = {**PAIRS, A: [*PAIRS[A], {"point1": [1, 1], "point2": [2, 2], "closer_point": "point2"}]}
    rewrite(da2k_set, more)
    done = import_pairs(fresh, da2k_set)
    assert (done.pairs, done.images, done.known) == (1, 0, 4)
    assert done.notes == ["4 pairs were in the project already"] and len(rows_of(fresh)) == 5
    assert [row["position"] for row in rows_of(fresh)] == [0, 1, 2, 3, 4]


def test_repeated_pairs_are_kept_and_said(fresh: Study, da2k_set: Path) -> None:
    turned = {"point1": [38, 8], "point2": [9, 9], "closer_point": "point1"}
    rewrite(da2k_set, {**PAIRS, A: [*PAIRS[A], turned]})
    done = import_pairs(fresh, da2k_set)
    assert done.pairs == 5 and done.notes == ["1 pairs are in the file more than once; each was kept"]


@pytest.mark.parametrize("purpose", ["gold", "qualification"])
def test_labels_become_known_answers(study: Study, da2k_set: Path, purpose: str) -> None:
    before = len(rows_of(study))
    import_pairs(study, da2k_set, purpose=purpose)
    rows = rows_of(study)[before:]
    assert len(rows) == 4 and {row["purpose"] for row in rows} == {purpose}
    for row in rows:
        a, b = (row["a_row"], row["a_col"]), (row["b_row"], row["b_col"])
        assert row["gold"] == truth(a, b), "in these files, too, the lower point is the closer one"


def test_exif_is_applied_once(fresh: Study, tmp_path: Path) -> None:
    """A 64x48 file that is to be shown turned has 64 rows; points are of the upright picture."""
    root = tmp_path / "set"
    picture(root / A, orientation=6)
    import_pairs(fresh, rewrite(root, {A: [{"point1": [63, 47], "point2": [0, 0], "closer_point": "point1"}]}))
    [row] = fresh.store.query("SELECT width, height, orientation, file FROM images")
    assert (row["width"], row["height"], row["orientation"]) == (48, 64, 6)
    assert Image.open(fresh.images / row["file"]).getexif().get(EXIF_ORIENTATION) is None
    original = Image.open(root / A)
    assert original.size == (64, 48) and original.getexif()[EXIF_ORIENTATION] == 6, "the original is not touched"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({A: [{"point1": [48, 0], "point2": [0, 0], "closer_point": "point1"}]}, "point [48, 0] lies outside"),
        ({A: [{"point1": [0, 64], "point2": [0, 0], "closer_point": "point1"}]}, "point [0, 64] lies outside"),
        ({A: [{"point1": [5, 5], "point2": [5, 5], "closer_point": "point1"}]}, "both points are [5, 5]"),
        ({"images/indoor/none.jpg": PAIRS[A]}, "image 'images/indoor/none.jpg' is not in"),
        ({A: [PAIRS[A][0], {**PAIRS[A][0], "closer_point": "point1"}]}, "contradicts 'images/indoor/a.jpg' pair 0"),
        ({A: []}, "must hold a list of pairs"),
        ({}, "holds no pairs"),
    ],
)
def test_a_fault_refuses_the_whole_file(study: Study, da2k_set: Path, change: dict[str, Any], told: str) -> None:
    before = digest_of(study)
    path = rewrite(da2k_set, {B: PAIRS[B], **change} if change else {})
    with pytest.raises(UsageError) as caught:
        import_pairs(study, path)
    assert told in str(caught.value) and "nothing of it was imported" in str(caught.value) and caught.value.hint
    assert digest_of(study) == before


def test_every_fault_is_listed_at_once(study: Study, da2k_set: Path) -> None:
    bad = [{"point1": [900 + n, 0], "point2": [0, 0], "closer_point": "point1"} for n in range(3)]
    (da2k_set / B).write_bytes(b"no image")
    with pytest.raises(UsageError) as caught:
        import_pairs(study, rewrite(da2k_set, {B: PAIRS[B], A: [*bad, *PAIRS[A]]}))
    assert all(f"[{900 + n}, 0]" in str(caught.value) for n in range(3)) and f"image {B}" in str(caught.value)


def test_a_link_out_of_the_folder_is_refused(study: Study, da2k_set: Path, tmp_path: Path) -> None:
    outside = picture(tmp_path / "secret.jpg")
    (da2k_set / A).unlink()
    (da2k_set / A).symlink_to(outside)
    with pytest.raises(UsageError, match="lies outside of"):
        import_pairs(study, da2k_set)


def test_names_in_another_spelling_are_found(fresh: Study, da2k_set: Path) -> None:
    """A name with a combining accent, as some archives write it."""
    decomposed = da2k_set / "images/outdoor/be\u0301.v1.png"
    (da2k_set / B).rename(decomposed)
    assert import_pairs(fresh, da2k_set).pairs == 4
    names = {row["original_name"] for row in fresh.store.query("SELECT original_name FROM images")}
    assert names == set(PAIRS)


def table(path: Path, *rows: str) -> Path:
    header = "image,pa_row,pa_col,pb_row,pb_col,closer,width,height,image_sha256,scene,note"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_sizes_and_digests_are_checked(study: Study, da2k_set: Path) -> None:
    good = f"{A},1,2,30,4,B,64,48,,indoor,seen"
    for row, told in (
        (f"{A},1,2,30,4,B,48,64,,,", "says that 'images/indoor/a.jpg' has 64 rows and 48 columns; it has 48 and 64"),
        (f"{A},1,2,30,4,B,64,48,{'0' * 64},,", "is another file than the labelled one"),
        (f"{A},5,2,31,4,B,64,48,,outdoor,", "has the scene 'outdoor' here and 'indoor' before"),
    ):
        with pytest.raises(UsageError, match=told):
            import_pairs(study, table(da2k_set / "pairs.csv", good, row))
    path = table(da2k_set / "pairs.csv", good, f"{A},1,2,3,4,,,,,indoor,")
    with pytest.raises(UsageError, match="row 3: has no label, which a test pair needs"):
        import_pairs(study, path, purpose="gold")
    assert import_pairs(study, path).pairs == 2
    import_pairs(study, table(da2k_set / "pairs.csv", good), purpose="gold")
    [row] = study.store.query("SELECT gold_note, more FROM pairs WHERE purpose = 'gold'")
    assert row["gold_note"] == "seen" and json.loads(row["more"])["table"] == {"note": "seen"}


def test_projects(fresh: Study, study: Study, da2k_set: Path) -> None:
    import_pairs(fresh, da2k_set, project="glass")
    assert fresh.project("glass")[0] == 1
    with pytest.raises(NotFoundError):
        import_pairs(study, da2k_set, project="glass")
    with pytest.raises(UsageError, match="cannot be imported as 'silver'"):
        import_pairs(study, da2k_set, purpose="silver")


class TestCommand:
    def run(self, *arguments: Any) -> Any:
        return CliRunner().invoke(app, ["import", *map(str, arguments)])

    def test_import_and_export_again(self, tmp_path: Path, da2k_set: Path) -> None:
        done = self.run(tmp_path / "new", da2k_set / "annotations.json", "--licence", "CC0-1.0", "--author", "Ann")
        assert done.exit_code == 0, done.output
        assert "4 pairs imported as da2k, to be labelled; 2 new images" in done.output
        with Study.open(tmp_path / "new") as opened:
            rows = opened.store.query("SELECT licence, author, source FROM images")
            assert {tuple(row) for row in rows} == {("CC0-1.0", "Ann", "")}
        out = CliRunner().invoke(app, ["export", str(tmp_path / "new"), "--imported", "--out", str(tmp_path / "out")])
        assert out.exit_code == 0, out.output
        assert json.loads((tmp_path / "out" / "annotations.json").read_text(encoding="utf-8")) == PAIRS

    def test_diw_with_its_base(self, tmp_path: Path) -> None:
        picture(tmp_path / "DIW_test" / "a.thumb.jpg")
        file = tmp_path / "diw.csv"
        file.write_text("./DIW_test/a.thumb.jpg\n48,64,1,1,>,64,48\n")
        done = self.run(tmp_path / "new", file)
        assert done.exit_code == 0 and "note: coordinates of the file count from 1" in done.output
        with Study.open(tmp_path / "new") as opened:
            [row] = rows_of(opened)
            assert {(row["a_row"], row["a_col"]), (row["b_row"], row["b_col"])} == {(47, 63), (0, 0)}
        assert isinstance(self.run(tmp_path / "n2", file, "--base", "0").exception, UsageError)
        assert isinstance(self.run(tmp_path / "n3", tmp_path / "absent.csv").exception, UsageError)

    def test_base_is_of_diw_alone(self, tmp_path: Path, da2k_set: Path) -> None:
        result = self.run(tmp_path / "new", da2k_set / "annotations.json", "--base", "1")
        assert isinstance(result.exception, UsageError) and "--base is of DIW" in str(result.exception)
