"""A contract every shipped protocol must keep, and what a malformed one is told."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import pytest

import dabench.protocols
from dabench import datasets, protocols
from dabench.errors import ProtocolError, UnknownNameError
from dabench.scoring.metrics import DENSE_METRICS

FOLDER = Path(dabench.protocols.__file__).parent
FILES = sorted(FOLDER.glob("*.toml"))
RELEASED = Path(__file__).with_name("released.json")

PAIRS = """
name = "example"
version = 3
task = "pairs"
title = "t"
status = "house"
description = "d"
sources = ["s"]
metrics = ["accuracy"]
[dataset]
name = "pairs"
[comparison]
[aggregation]
total = "pooled-pairs"
group_interval = "wilson"
"""
DEPTH = """
name = "example"
version = 3
task = "depth"
title = "t"
status = "house"
description = "d"
sources = ["s"]
metrics = ["abs_rel", "delta1"]
[dataset]
name = "mini"
[valid]
min = 0.5
max = 10
[alignment]
depth_range = [0.1, 10.0]
[aggregation]
total = "mean-of-images"
group_interval = "bootstrap-by-image"
"""


def test_the_folder_holds_protocols() -> None:
    assert {"da-2k@1", "pairs@1", "mini-pairs@1", "mini-depth@1"} <= {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_shipped_protocol(path: Path) -> None:
    protocol = protocols.get(path.stem)
    assert protocol.id == path.stem == f"{protocol.name}@{protocol.version}"
    assert protocol.text == path.read_text(encoding="utf-8")
    assert protocol.sha256 == hashlib.sha256(protocol.text.encode()).hexdigest()
    assert all(len(source) > 10 for source in protocol.sources), "a source names a paper and section, or a file"
    assert len(protocol.description) > 80
    assert set(protocol.metrics) <= {*protocols.PAIR_METRICS, *DENSE_METRICS}
    assert set(tomllib.loads(protocol.text)) <= set(protocols.Protocol.__struct_fields__) - {"text", "sha256"}
    reader = datasets.registry().get(protocol.dataset.name)
    assert protocol.task in reader.info.tasks
    assert protocol.dataset.split in reader.info.splits
    assert protocol.valid is None or protocol.valid.field in reader.info.fields
    fixed = reader.info.split_images.get(protocol.dataset.split)
    assert fixed is None or protocol.dataset.expected_of == "pairs" or protocol.dataset.expected == fixed
    for number in protocol.expected:
        assert number.by and (number.metric != "accuracy" or 0 <= number.value <= 1)


def test_every_dataset_has_one_default_protocol() -> None:
    for name in datasets.registry():
        assert len(protocols.defaults_of(name)) == 1, name


def test_released_protocols_are_never_edited() -> None:
    """A change of a released protocol is a new version in a new file; a new file gets a line in released.json."""
    released = json.loads(RELEASED.read_text())
    now = {path.stem: hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest() for path in FILES}
    assert set(released) - set(now) == set(), "a released protocol was removed"
    edited = [name for name, sha256 in released.items() if now[name] != sha256]
    assert edited == [], "released protocols were edited; restore them and add the next version instead"
    unlisted = {name: now[name] for name in now if name not in released}
    assert unlisted == {}, f"add to {RELEASED.name}: {json.dumps(unlisted)}"


@pytest.mark.parametrize("text", [PAIRS, DEPTH], ids=["pairs", "depth"])
def test_a_minimal_protocol_is_enough(text: str) -> None:
    protocol = protocols.parse(text, "example@3.toml")
    assert protocol.id == "example@3" and protocol.default is False
    assert protocol.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert protocols.parse(text + "\n# a comment\n", "f").sha256 != protocol.sha256


@pytest.mark.parametrize(
    ("text", "old", "new", "named"),
    [
        (PAIRS, 'name = "example"', 'nmae = "example"', "nmae"),
        (PAIRS, 'title = "t"', "", "title"),
        (PAIRS, "version = 3", "version = 0", "version"),
        (PAIRS, "version = 3", 'version = "3"', "version"),
        (PAIRS, 'name = "example"', 'name = "Exam ple"', "name"),
        (PAIRS, 'task = "pairs"', 'task = "pair"', "task"),
        (PAIRS, 'status = "house"', 'status = "ok"', "status"),
        (PAIRS, 'sources = ["s"]', "sources = []", "sources"),
        (PAIRS, '["accuracy"]', "[]", "metrics"),
        (PAIRS, '["accuracy"]', '["abs_rel"]', "accuracy"),
        (PAIRS, '["accuracy"]', '["accuracy", "accuracy"]', "metrics"),
        (PAIRS, "[comparison]", "", "[comparison]"),
        (PAIRS, "[comparison]", '[comparison]\ntie = "right"', "comparison.tie"),
        (PAIRS, "[comparison]", "[comparison]\n[valid]", "[valid]"),
        (PAIRS, "[comparison]", "[comparison]\n[alignment]", "[alignment]"),
        (PAIRS, '"pooled-pairs"', '"mean-of-images"', "aggregation.total"),
        (PAIRS, 'name = "pairs"', 'name = "pairs"\nspilt = "x"', "spilt"),
        (PAIRS, 'name = "pairs"', 'name = "pairs"\nexpected = 0', "dataset.expected"),
        (PAIRS, 'name = "pairs"', 'name = "pairs"\nexpected_of = "pairs"', "dataset.expected_of"),
        (PAIRS, "version = 3", 'version = 3\nsha256 = "0"', "sha256"),
        (PAIRS, "version = 3", 'version = 3\ntext = "0"', "text"),
        (PAIRS, "version = 3", "version = 3\nversion = 4", "line 4"),
        (PAIRS, "version = 3", "version =", ""),
        (PAIRS, "[dataset]", "[[dataset]]", "dataset"),
        (
            PAIRS,
            "[comparison]",
            '[comparison]\n[[expected]]\nmodel="m"\nmetric="rmse"\nvalue=1\nkind="published"\nby="b"',
            "expected",
        ),
        (DEPTH, '"abs_rel"', '"absrel"', "absrel"),
        (DEPTH, "min = 0.5", 'field = "Raw depth"', "valid.field"),
        (DEPTH, "min = 0.5", "min = -1", "valid.min"),
        (DEPTH, "min = 0.5", "min = nan", "valid.min"),
        (DEPTH, "max = 10", "max = inf", "valid.max"),
        (DEPTH, "min = 0.5", "min = 10.0", "valid.min"),
        (DEPTH, "[0.1, 10.0]", "[10.0, 0.1]", "alignment.depth_range"),
        (DEPTH, "[0.1, 10.0]", "[0.0, 10.0]", "alignment.depth_range"),
        (DEPTH, "[0.1, 10.0]", "[0.1]", "alignment.depth_range"),
        (DEPTH, "[0.1, 10.0]", '[0.1, "max"]', "alignment.depth_range"),
        (DEPTH, "[alignment]", '[alignment]\nmetric = "median"', "alignment.metric"),
        (DEPTH, "[alignment]", "[alignment]\ndisparity_floor = 0", "alignment.disparity_floor"),
        (DEPTH, "[alignment]", "[comparison]\n[alignment]", "[comparison]"),
        (DEPTH, '"mean-of-images"', '"pooled-pairs"', "averages images"),
        (DEPTH, 'group_interval = "bootstrap-by-image"', 'group_interval = "wilson"', "bootstraps"),
        (DEPTH, 'name = "mini"', 'name = "mini"\nexpected = 3\nexpected_of = "pairs"', "counts images"),
    ],
)
def test_a_malformed_protocol_names_the_file_and_the_field(text: str, old: str, new: str, named: str) -> None:
    assert old in text
    with pytest.raises(ProtocolError) as caught:
        protocols.parse(text.replace(old, new, 1), "example@3.toml")
    assert str(caught.value).startswith("example@3.toml: ") and named in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_contradictions_are_listed_at_once() -> None:
    with pytest.raises(ProtocolError) as caught:
        protocols.parse(DEPTH.replace("min = 0.5", "min = 11").replace("[0.1, 10.0]", "[5, 4]"), "f.toml")
    assert "valid.min" in str(caught.value) and "depth_range" in str(caught.value)


def test_a_file_is_named_after_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "example@2.toml").write_text(PAIRS)
    with pytest.raises(ProtocolError, match=r"example@2\.toml: holds 'example@3'"):
        protocols.load_folder(tmp_path)
    (tmp_path / "example@2.toml").rename(tmp_path / "example@3.toml")
    assert list(protocols.load_folder(tmp_path)) == ["example@3"]


def test_windows_line_ends_do_not_change_the_hash(tmp_path: Path) -> None:
    (tmp_path / "example@3.toml").write_bytes(PAIRS.replace("\n", "\r\n").encode())
    assert protocols.load_folder(tmp_path)["example@3"].sha256 == protocols.parse(PAIRS, "f").sha256


def test_names_without_a_version_mean_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {p.id: p for v in (2, 10, 9) for p in [protocols.parse(PAIRS.replace("= 3", f"= {v}"), "f")]}
    monkeypatch.setattr(protocols, "all_protocols", lambda: versions)
    assert protocols.get("example").version == 10
    assert protocols.get("example@2").version == 2
    with pytest.raises(UnknownNameError, match="example@9"):
        protocols.get("example@99")


def test_unknown_protocol_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="da-2k") as caught:
        protocols.get("da2k")
    assert "da-2k" in caught.value.near and caught.value.exit_code == 2
