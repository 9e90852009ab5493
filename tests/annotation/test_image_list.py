"""Folders and lists of images, and mistakes in them by line."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest

from annotation.image_list import list_images
from dabench.errors import UsageError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_the_scene_is_the_first_subfolder(tmp_path: Path) -> None:
    touch(tmp_path / "b.JPG", tmp_path / "indoor/a.png", tmp_path / "outdoor/deep/c.webp")
    touch(
        tmp_path / ".hidden/d.jpg", tmp_path / "indoor/._a.png", tmp_path / "notes.txt", tmp_path / "annotations.json"
    )
    assert [(i.name, i.scene) for i in list_images(tmp_path)] == [
        ("b.JPG", ""), ("indoor/a.png", "indoor"), ("outdoor/deep/c.webp", "outdoor"),
    ]  # fmt: skip


def test_a_study_in_the_folder_and_loops_of_links_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "study/study.db", tmp_path / "study/images/0123.jpg", tmp_path / "s/b.jpg")
    (tmp_path / "s/up").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / "s")
    assert sorted(i.path.name for i in list_images(tmp_path)) == ["a.jpg", "b.jpg"]


def test_a_name_that_is_no_utf8_is_readable_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    touch(path)
    (image,) = list_images(tmp_path)
    assert image.path.is_file() and image.name.encode().decode() == "caf\ufffd.jpg"


def test_the_layout_of_da2k_has_its_scenes_below_images(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "Gebäude.jpg")
    touch(tmp_path / "images/indoor" / name, tmp_path / "images/x.jpg")
    found = list_images(tmp_path)
    assert [(i.name, i.scene) for i in found] == [("images/indoor/Gebäude.jpg", "indoor"), ("images/x.jpg", "")]
    assert all(i.path.is_file() for i in found)


def test_a_csv_list_keeps_what_it_says(tmp_path: Path) -> None:
    touch(tmp_path / "p/a.jpg", tmp_path / "p/b.jpg")
    (tmp_path / "list.csv").write_text(
        "\ufefffile,scene,source,author,license,retrieved,keyword,camera\n"
        'p/b.jpg,indoor,https://example.org/1,"Doe, Jane",CC-BY-4.0,2026-11-24,room,X100\n'
        "\n"
        "p/a.jpg,,,,,2026-11-24T10:00:00+00:00,,\n",
        encoding="utf-8",
    )
    a, b = list_images(tmp_path / "list.csv")
    assert (b.scene, b.source, b.author, b.licence, b.retrieved, b.keyword, b.more) == (
        "indoor", "https://example.org/1", "Doe, Jane", "CC-BY-4.0", "2026-11-24", "room", {"camera": "X100"},
    )  # fmt: skip
    assert (a.name, a.licence, a.more) == ("p/a.jpg", "", {"camera": ""})


def test_a_json_lines_list_says_the_same(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    row = {"file": "a.jpg", "scene": "aerial", "licence": "CC0-1.0", "rating": 4, "tags": ["x"]}
    (tmp_path / "list.jsonl").write_text(json.dumps(row) + "\n\n")
    (image,) = list_images(tmp_path / "list.jsonl")
    assert (image.scene, image.licence, image.more) == ("aerial", "CC0-1.0", {"rating": 4, "tags": ["x"]})


def test_mistakes_are_all_named_by_line(tmp_path: Path) -> None:
    touch(tmp_path / "sub/a.jpg", tmp_path / "outside.jpg")
    (tmp_path / "sub/dir").mkdir()
    (tmp_path / "sub/list.csv").write_text(
        "file,retrieved\na.jpg,2026-01-01\nb.jpg,\n../outside.jpg,\na.jpg,yesterday\na.jpg,\n,\nx,y,z\ndir,\n"
    )
    with pytest.raises(UsageError) as error:
        list_images(tmp_path / "sub/list.csv")
    for part in (
        "line 3: b.jpg does not exist", "line 4: ../outside.jpg lies outside", "line 5: 'retrieved' is not an ISO date",
        "line 6: a.jpg is on line 2 already", "line 7: 'file' is empty", "line 8: 3 cells", "line 9: dir is not a file",
    ):  # fmt: skip
        assert part in str(error.value)
    assert "line 2:" not in str(error.value)


def test_mistakes_in_json_lines(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    (tmp_path / "l.jsonl").write_text(
        '{"file": 3}\n[1]\n{"file": \n{"file": "a.jpg", "scene": 1}\n{"file": "a\\u0000"}\n'
        '{"file": "a.jpg", "n": NaN}\n{"file": "a.jpg", "author": "\\ud800"}\n'
    )
    with pytest.raises(UsageError) as error:
        list_images(tmp_path / "l.jsonl")
    for part in (
        "line 1: 'file' is not text",
        "line 2: not a JSON object",
        "line 3: not JSON",
        "line 4: 'scene'",
        "line 5: 'a\\x00' is no file name",
        "line 6: not JSON: NaN",
        "line 7: not JSON",
    ):
        assert part in str(error.value)


def test_a_link_out_of_the_folder_of_the_list_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "private.jpg", tmp_path / "set/a.jpg")
    (tmp_path / "set/b.jpg").symlink_to(tmp_path / "private.jpg")
    (tmp_path / "set/list.csv").write_text(f"file\nb.jpg\n{tmp_path / 'private.jpg'}\n")
    with pytest.raises(UsageError) as error:
        list_images(tmp_path / "set/list.csv")
    assert str(error.value).count("lies outside") == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name,scene\n", "no column 'file'"), (b"", "no column 'file'"), (b"file,a,a\n", "two columns"),
        (b"file\n\xff\n", "not UTF-8"), (b'file\n"a\n', "line"), (b"file\n", "holds no image"),
    ],
)  # fmt: skip
def test_lists_that_are_none(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "l.csv").write_bytes(content)
    with pytest.raises(UsageError, match=says):
        list_images(tmp_path / "l.csv")


def test_nothing_to_list(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "no", "does not exist"), (tmp_path, "holds no image")):
        with pytest.raises(UsageError, match=says):
            list_images(path)
    touch(tmp_path / "a.pdf")
    with pytest.raises(UsageError, match="neither a folder nor a list"):
        list_images(tmp_path / "a.pdf")
