"""Formats: what is written is what is read, and every fault of a file is named."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.formats import coco, da2k, detecting, diw, label_studio, questions, tables
from annotation.formats.reading import DEEPEST, Found, read_json, refuse
from annotation.formats.released import ReleasedPair, lettered
from annotation.releases import exporting
from dabench.errors import UsageError
from model_zoo.vlm.marking import marked

SHA = "ab" * 32
IMAGES = {SHA: {"sha256": SHA, "width": 640, "height": 480, "licence": "CC0-1.0", "source": ""}}


def released(number: int, closer: str = "a", scene: str = "indoor", **changes: Any) -> ReleasedPair:
    values: dict[str, Any] = {
        "id": f"pair-{number:04}", "image": SHA, "key": f"images/{scene}/{SHA[:16]}.jpg", "scene": scene,
        "a": (number % 480, 3), "b": (7, (number + 5) % 640), "labels": {"closer": closer}, "route": "disagreement",
        "stratum": "", "probability": 0.5, "gap": 0.25, "score": -0.5, "reason": "", "layered": False,
        "sources": ("sam", "region"), "answers": {"closer": {closer: 3}}, "votes": [], "decided_by": {},
    }  # fmt: skip
    return ReleasedPair(**(values | changes))


def written(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def points(found: Found) -> list[Any]:
    return [(pair.image, pair.a, pair.b, pair.label) for pair in found.pairs]


FILE = {
    "images/outdoor/ünïcode name.v2.jpg": [
        {"point1": [3, 4], "point2": [1, 2], "closer_point": "point1", "extra": {"a": [1, None, "é"]}},
        {"point1": [9, 9], "point2": [8, 8], "closer_point": "point2"},
    ],
    "images/indoor/a.png": [{"point1": [0, 0], "point2": [5, 1], "closer_point": "point1", "weight": 0.1}],
}


class TestDa2k:
    def test_a_round_trip_loses_nothing(self, tmp_path: Path) -> None:
        found = da2k.read(written(tmp_path / "annotations.json", FILE))
        assert not found.faults and [pair.label for pair in found.pairs] == ["a", "b", "a"]
        assert [pair.scene for pair in found.pairs] == ["outdoor", "outdoor", "indoor"]
        entries = da2k.restored(found.pairs)
        assert entries == FILE and list(entries) == list(FILE), "values, unknown keys and order"
        data = da2k.encoded(entries)
        again = da2k.read(written(tmp_path / "again.json", data))
        assert da2k.encoded(da2k.restored(again.pairs)) == data == da2k.encoded(FILE)
        assert "ünïcode".encode() in data and data.endswith(b"\n}\n") and b"\r" not in data

    @settings(max_examples=40, deadline=None)
    @given(
        st.dictionaries(
            st.text("abcé0_- .", min_size=1, max_size=8).map(lambda name: f"images/s/{name}x.jpg"),
            st.lists(
                st.tuples(*[st.tuples(*[st.integers(0, 9999)] * 2)] * 2, st.booleans()),
                min_size=1, max_size=4,
            ),
            min_size=1, max_size=4,
        )
    )  # fmt: skip
    def test_any_file_comes_back(self, tmp_path_factory: Any, content: dict[str, list[Any]]) -> None:
        entries = {
            key: [
                {"point1": list(a), "point2": list(b), "closer_point": f"point{1 + second}"} for a, b, second in pairs
            ]
            for key, pairs in content.items()
        }
        path = written(tmp_path_factory.mktemp("da2k") / "annotations.json", da2k.encoded(entries))
        assert json.loads(path.read_text(encoding="utf-8")) == entries
        assert da2k.encoded(da2k.restored(da2k.read(path).pairs)) == path.read_bytes()

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ([], "holds a list"),
            ({"/etc/passwd": []}, "'/etc/passwd' is not a path below"),
            ({"images/../../x.jpg": []}, "is not a path below"),
            ({"C:\\x.jpg": []}, "is not a path below"),
            ({"images/a.jpg": []}, "must hold a list of pairs"),
            ({"images/a.jpg": [[1]]}, "pair 0: is not an object"),
            ({"images/a.jpg": [{"point1": [1.5, 2]}]}, "point1 must be [row, col] in whole pixels, got [1.5, 2]"),
            ({"images/a.jpg": [{"point1": [1, 2], "point2": [-1, 2]}]}, "point2 must be"),
            ({"images/a.jpg": [{"point1": [1, 2], "point2": [2, 2], "closer_point": 1}]}, "got 1"),
        ],
    )
    def test_faults(self, tmp_path: Path, content: Any, told: str) -> None:
        found = da2k.read(written(tmp_path / "annotations.json", content))
        assert len(found.faults) == 1 and told in found.faults[0]

    def test_a_release_puts_the_closer_point_first(self) -> None:
        [entries] = da2k.entries_of([released(1, "a"), released(2, "b")]).values()
        assert entries == [
            {"point1": [1, 3], "point2": [7, 6], "closer_point": "point1"},
            {"point1": [7, 7], "point2": [2, 3], "closer_point": "point1"},
        ]


class TestJson:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("{", "not readable JSON"),
            ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
            ('{"a": NaN}', "NaN is no number"),
            ("[" * 100_000 + "]" * 100_000, "not readable JSON"),
            ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), f"more than {DEEPEST} levels"),
            (b"\xff\xfe", "not UTF-8"),
        ],
    )
    def test_what_is_refused(self, tmp_path: Path, text: Any, told: str) -> None:
        with pytest.raises(UsageError, match=told):
            read_json(written(tmp_path / "a.json", text))

    def test_what_is_read(self, tmp_path: Path) -> None:
        deep = "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1)
        assert read_json(written(tmp_path / "a.json", deep)) is not None
        assert read_json(written(tmp_path / "b.json", b"\xef\xbb\xbf[1]")) == [1]

    def test_a_refusal_lists_everything(self, tmp_path: Path) -> None:
        refuse(tmp_path, [])
        with pytest.raises(UsageError) as caught:
            refuse(tmp_path, [f"fault {number}" for number in range(40)])
        assert "fault 29" in str(caught.value) and "and 10 more" in str(caught.value)


class TestTables:
    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "'quoted", "'=1"])
    def test_formulas_are_escaped_in_csv_alone(self, text: str) -> None:
        rows = [{"a": text, "b": -1.5, "c": None, "d": True}]
        data = tables.csv_bytes(rows, ["a", "b", "c", "d"])
        [cells] = list(csv.reader(io.StringIO(data.decode(), newline="")))[1:]
        assert cells == [f"'{text}", "-1.5", "", "1"] and tables.unescaped(cells[0]) == text
        back = pq.read_table(io.BytesIO(tables.parquet_bytes(rows, {"a": "string", "b": "float64"}))).to_pylist()
        assert back == [{"a": text, "b": -1.5}]

    @settings(max_examples=200, deadline=None)
    @given(st.text("=+-@\t\r\n'\"a,é ", max_size=6))
    def test_every_text_comes_back(self, text: str) -> None:
        cell = tables.escaped(text)
        assert tables.unescaped(cell) == text and not cell.startswith(tables.DANGEROUS)
        data = tables.csv_bytes([{"a": text, "b": 1}], ["a", "b"])
        assert list(csv.reader(io.StringIO(data.decode(), newline="")))[1:] == [[cell, "1"]]

    @pytest.mark.parametrize("name", ["pairs.csv", "pairs.parquet"])
    def test_pairs_come_back(self, tmp_path: Path, name: str) -> None:
        pairs = [released(number, "ab"[number % 2], reason="=evil", scene="-s") for number in range(9)]
        rows = tables.pair_rows(lettered(pairs), IMAGES)
        if name.endswith("csv"):
            path = written(tmp_path / name, tables.csv_bytes(rows, list(tables.PAIR_COLUMNS)))
            assert (
                b"\n=" not in path.read_bytes() and b",=" not in path.read_bytes() and b",-s" not in path.read_bytes()
            )
        else:
            path = written(tmp_path / name, tables.parquet_bytes(rows, tables.PAIR_COLUMNS))
        assert detecting.detect_format(path) == "table"
        found = tables.read(path)
        assert not found.faults and len(found.pairs) == 9
        for pair, stated in zip(pairs, found.pairs, strict=True):
            closer, farther = pair.points_closer_first()
            assert ((stated.a, stated.b) if stated.label == "a" else (stated.b, stated.a)) == (closer, farther)
            assert (stated.size, stated.sha256, stated.scene) == ((480, 640), SHA, "-s")
            assert stated.more["table"]["reason"] == "=evil" and stated.more["table"]["id"] == pair.id

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("image,pa_row\nx.jpg,1\n", "has no column pa_col, pb_row, pb_col"),
            ("image,pa_row,pa_col,pb_row,pb_col\nx.jpg,1,2,3\n", "row 2: pb_col must be a whole number, got None"),
            ("image,pa_row,pa_col,pb_row,pb_col\nx.jpg,1,2,3,4,5\n", "row 2: has more cells"),
            ("image,pa_row,pa_col,pb_row,pb_col\nx.jpg,1,2,3,4.5\n", "pb_col must be a whole number, got '4.5'"),
            ("image,pa_row,pa_col,pb_row,pb_col\nx.jpg,1,2,3,-4\n", "pb_col is -4, below 0"),
            ("image,pa_row,pa_col,pb_row,pb_col\n../x.jpg,1,2,3,4\n", "is not a path below"),
            ("image,pa_row,pa_col,pb_row,pb_col,closer\nx.jpg,1,2,3,4,a\n", "closer must be A, B, equal or empty"),
        ],
    )
    def test_faults(self, tmp_path: Path, text: str, told: str) -> None:
        found = tables.read(written(tmp_path / "pairs.csv", text))
        assert len(found.faults) == 1 and told in found.faults[0]

    def test_damaged_files(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="not readable Parquet"):
            tables.read(written(tmp_path / "a.parquet", b"PAR1 no"))
        with pytest.raises(UsageError, match="two columns"):
            tables.read(written(tmp_path / "a.csv", "image,image\n"))
        table = pa.table({"image": ["x"], "pa_row": ["one"], "pa_col": [1], "pb_row": [1], "pb_col": [1]})
        pq.write_table(table, tmp_path / "b.parquet")
        assert "pa_row must be a whole number" in tables.read(tmp_path / "b.parquet").faults[0]


class TestLabelStudio:
    def test_every_pixel_of_every_size_comes_back(self) -> None:
        """In the arithmetic of doubles that Python's floats have; NumPy's are the same."""
        for size in range(1, 8193):
            pixels = np.arange(size)
            percents = 100.0 * (pixels + 0.5) / size
            np.testing.assert_array_equal(np.floor(percents * size / 100.0), pixels)
        for size in (1, 3, 7, 639, 1500, 4801, 8191, 8192):
            for index in {0, size // 3, size // 2, size - 1}:
                stored = json.loads(json.dumps(label_studio.percent(index, size)))
                assert label_studio.pixel(stored, size) == index
        assert label_studio.pixel(100.0, 640) == 639 and label_studio.pixel(0.0, 640) == 0

    def tasks(self, pairs: Sequence[ReleasedPair], said: Any = None) -> list[Any]:
        return label_studio.tasks(lettered(pairs), IMAGES, said or {}, "v1")

    def test_tasks_come_back(self, tmp_path: Path) -> None:
        pairs = [released(number, "ab"[number % 2]) for number in range(12)]
        path = written(tmp_path / "tasks.json", self.tasks(pairs))
        assert detecting.detect_format(path) == "label-studio"
        found = label_studio.read(path)
        assert not found.faults
        for pair, stated in zip(pairs, found.pairs, strict=True):
            first, second = (stated.a, stated.b) if stated.label == "a" else (stated.b, stated.a)
            assert (first, second) == pair.points_closer_first()
            assert (stated.image, stated.sha256, stated.size) == (pair.key, SHA, (480, 640))

    def test_answers_are_annotations(self, tmp_path: Path) -> None:
        pair = released(1)
        [found] = lettered([pair])
        row = {"person": 7, "relation": "closer", "shown": "first", "closer": found.closer, "active_ms": 2500,
               "received_at": 1_800_000_000_123, "response": "u1"}  # fmt: skip
        skip = {**row, "response": "u2", "shown": "skip", "closer": "skip", "person": 8, "active_ms": None}
        [task] = self.tasks([pair], {pair.id: [row, skip]})
        given, skipped = task["annotations"]
        assert (given["completed_by"], given["lead_time"], given["was_cancelled"]) == (7, 2.5, False)
        assert given["created_at"] == "2027-01-15T08:00:00.123Z"
        assert (skipped["was_cancelled"], skipped["lead_time"], len(skipped["result"])) == (True, None, 2)
        kinds = [item["type"] for item in given["result"]]
        assert kinds == ["keypointlabels", "keypointlabels", "choices"]
        assert all(0 <= item["value"][axis] <= 100 for item in given["result"][:2] for axis in "xy")
        for item in given["result"]:
            assert f'name="{item["from_name"]}"' in label_studio.CONFIG
        task["annotations"][0]["result"][2]["value"]["choices"] = ["equal"]
        [stated] = label_studio.read(written(tmp_path / "t.json", [task])).pairs
        assert stated.label == "equal", "the annotation counts, not the prediction nor the cancelled one"
        assert stated.more["label_studio"]["annotations"][1]["was_cancelled"] is True

    def test_people_who_differ_give_no_label(self, tmp_path: Path) -> None:
        pair = released(1)
        row = {"shown": "first", "active_ms": 1, "received_at": 0}
        rows = [{**row, "person": n, "closer": letter, "response": letter} for n, letter in enumerate("AB")]
        found = label_studio.read(written(tmp_path / "t.json", self.tasks([pair], {pair.id: rows})))
        assert found.pairs[0].label is None and found.notes == ["1 tasks have no label that all annotations agree on"]

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda t: t.pop("data"), "has no data"),
            (lambda t: t["data"].update(image="../../etc/passwd"), "is not a path below"),
            (lambda t: t.update(predictions=[]), "neither an annotation nor a prediction"),
            (lambda t: t["predictions"][0]["result"].pop(0), "has 1 of the two points"),
            (lambda t: t["predictions"][0]["result"][0]["value"].update(x=100.1), "outside the image"),
            (lambda t: t["predictions"][0]["result"][0]["value"].update(keypointlabels=["B"]), "not one A and one B"),
            (lambda t: t["predictions"][0]["result"][0].update(original_width=0), "no original_width"),
            (lambda t: t["predictions"][0]["result"][0].update(image_rotation=90), "was rotated"),
            (lambda t: t["predictions"][0]["result"][2]["value"].update(choices=["left"]), "closer is 'left'"),
        ],
    )
    def test_faults(self, tmp_path: Path, change: Any, told: str) -> None:
        [task] = self.tasks([released(1)])
        change(task)
        found = label_studio.read(written(tmp_path / "t.json", [task]))
        assert len(found.faults) == 1 and told in found.faults[0] and found.faults[0].startswith("task 1:")

    @pytest.mark.parametrize(
        ("address", "path"),
        [
            ("images/a b.jpg", "images/a b.jpg"),
            ("/data/local-files/?d=set/images/a%20b.jpg", "set/images/a b.jpg"),
            ("/data/upload/3/1f2e3d4c-a.b.jpg", "a.b.jpg"),
            ("https://example.org/x/a.jpg", "x/a.jpg"),
            (None, ""),
        ],
    )
    def test_addresses_of_images(self, address: Any, path: str) -> None:
        assert label_studio.image_path(address) == path


class TestCoco:
    def test_it_comes_back(self, tmp_path: Path) -> None:
        pairs = [released(number, "ab"[number % 2]) for number in range(8)]
        content = coco.dataset(lettered(pairs), IMAGES, "v1", "d" * 64)
        [category] = content["categories"]
        assert category["keypoints"] == ["A", "B"] and "x = col + 0.5" in content["info"]["description"]
        first = content["annotations"][0]["keypoints"]
        [found] = lettered(pairs[:1], 0)
        assert sorted(first[0:2]) and first[2] == first[5] == 2 and all(v % 1 == 0.5 for v in (*first[:2], *first[3:5]))
        assert {(first[1] - 0.5, first[0] - 0.5), (first[4] - 0.5, first[3] - 0.5)} == {found.first, found.second}
        closer = [annotation["attributes"]["closer"] for annotation in content["annotations"]]
        assert closer.count("A") == 4
        path = written(tmp_path / "coco.json", content)
        assert detecting.detect_format(path) == "coco"
        for pair, stated in zip(pairs, coco.read(path).pairs, strict=True):
            assert ((stated.a, stated.b) if stated.label == "a" else (stated.b, stated.a)) == pair.points_closer_first()
            assert (stated.size, stated.sha256) == ((480, 640), SHA)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda c: c.pop("images"), "has no lists"),
            (lambda c: c["annotations"][0].update(image_id=9), "image 9 is not in the file"),
            (lambda c: c["annotations"][0].update(keypoints=[1, 2, 0, 3, 4, 2]), "two labelled keypoints"),
            (lambda c: c["images"][0].pop("width"), "no width and height"),
            (lambda c: c["annotations"][0]["attributes"].update(closer="x"), "closer must be A, B or equal"),
        ],
    )
    def test_faults(self, tmp_path: Path, change: Any, told: str) -> None:
        content = coco.dataset(lettered([released(1)]), IMAGES, "v1", "")
        change(content)
        found = coco.read(written(tmp_path / "coco.json", content))
        assert len(found.faults) == 1 and told in found.faults[0]


class TestDiw:
    def test_two_lines_a_pair_from_one(self, tmp_path: Path) -> None:
        path = written(
            tmp_path / "DIW_test.csv", "./DIW_test/a.thumb\n10,20,30,40,>,320,240\nDIW_test/b.thumb\n1,1,2,2,<,9,9\n"
        )
        assert detecting.detect_format(path) == "diw"
        found = diw.read(path)
        assert points(found) == [
            ("DIW_test/a.thumb", (9, 19), (29, 39), "b"),
            ("DIW_test/b.thumb", (0, 0), (1, 1), "a"),
        ]
        assert [pair.size for pair in found.pairs] == [(240, 320), (9, 9)]
        assert found.notes == ["coordinates of the file count from 1"] and found.pairs[0].more["diw"]["base"] == 1
        assert points(diw.read(path, base=0))[0][1:3] == ((10, 20), (30, 40))

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("a.jpg\n", "a record has two"),
            ("a.jpg\n1,2,3\n", "line 2: has 3 columns"),
            ("a.jpg\n1,2,3,4,=,5,6\n", "neither '<' nor '>'"),
            ("a.jpg\n1,2,x,4,<,5,6\n", "not whole numbers"),
            ("a.jpg\n0,2,3,4,<,5,6\n", "coordinate below 1"),
            ("/a.jpg\n1,2,3,4,<,5,6\n", "is not a path below"),
        ],
    )
    def test_faults(self, tmp_path: Path, text: str, told: str) -> None:
        found = diw.read(written(tmp_path / "d.csv", text))
        assert len(found.faults) == 1 and told in found.faults[0]


class TestQuestions:
    def test_a_constant_answer_is_right_half_of_the_time(self, tmp_path: Path) -> None:
        """In DA-2K's order the first point is always right; here no letter and no place is."""
        pairs = [released(number, "ab"[number % 3 == 0], scene=f"s{number % 5}") for number in range(41)]
        image = np.full((480, 640, 3), 90, np.uint8)
        questions.write(tmp_path, lettered(pairs, 3), lambda _: image, release="v1", seed=3, side=128)
        asked = [json.loads(line) for line in (tmp_path / "questions.jsonl").read_text().splitlines()]
        right = {d["id"]: d["answer"] for d in map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())}
        assert [question["id"] for question in asked] == [pair.id for pair in pairs] == list(right)
        for letter in "AB":
            assert abs(sum(answer == letter for answer in right.values()) / 41 - 0.5) <= 0.03
            for scene in range(5):
                own = [right[pair.id] for pair in pairs if pair.scene == f"s{scene}"]
                assert abs(own.count(letter) - len(own) / 2) <= 0.5
        stored_first = [tuple(q["points"]["A"]) == pair.a for q, pair in zip(asked, pairs, strict=True)]
        assert 8 < sum(stored_first) < 33, "no fixed order of the stored points"
        for question, pair in zip(asked, pairs, strict=True):
            assert "answer" not in question and question["seed"] == 3 and question["choices"] == ["A", "B"]
            closer = tuple(question["points"][right[pair.id]])
            assert closer == pair.points_closer_first()[0]
        expected, _ = marked(image, tuple(map(tuple, asked[4]["points"].values())), 128)  # type: ignore[arg-type]
        from PIL import Image

        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / asked[4]["picture"])), expected)

    @pytest.mark.parametrize("count", [1, 2, 67, 500])
    def test_balance_at_any_size(self, count: int) -> None:
        letters = [found.closer for found in lettered([released(n) for n in range(count)], seed=count)]
        assert abs(letters.count("A") - letters.count("B")) <= 1


def test_what_cannot_be_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be told"):
        detecting.detect_format(written(tmp_path / "a.zip", b"PK"))
    with pytest.raises(UsageError, match="no format 'zip'"):
        detecting.read_pairs(tmp_path, "zip")


def test_the_page_tells_of_every_format_and_column() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "annotate-formats.md").read_text(encoding="utf-8")
    told = page.split("## Formats to write")[1]
    write, read = told.split("## Formats to read")
    assert all(f"`{form}`" in write for form in exporting.FORMATS)
    assert all(f"`{form}`" in read for form in detecting.FORMATS)
    assert all(name in read for name in tables.NEEDED)
