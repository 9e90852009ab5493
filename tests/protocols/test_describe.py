"""A protocol in words: every field is spoken of, a difference is never left out, crops are shown in whole pixels."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from dabench import protocols
from dabench.protocols import Protocol
from dabench.protocols.describe import (
    NOT_COMPUTED,
    crop_words,
    description,
    differences,
    expected_numbers,
    method_words,
    references,
    steps,
)
from dabench.protocols.schema import AlignmentMethod, Crop

DEPTH = protocols.get("kitti-eigen-garg@1")
EVERY_METHOD = get_args(AlignmentMethod)
ALL = sorted(protocols.all_protocols())

# A value of each field that differs from the one in DEPTH.
CHANGES: dict[str, Any] = {
    "task": None,  # changes which sections a file has
    "space": "disparity",
    "metrics": ("rmse",),
    "dataset.name": "diode",
    "dataset.split": "eigen",
    "dataset.expected": 697,
    "dataset.expected_of": "pairs",
    "valid.field": "velodyne",
    "valid.min": 0.5,
    "valid.max": 70.0,
    "valid.min_inclusive": True,
    "valid.max_inclusive": True,
    "valid.clip_to": 60.0,
    "valid.quantile_limit": {"share": 0.01, "factor": 1000.0},
    "valid.min_pixels": 10,
    "crop.image": "kb",
    "crop.frame": "kb",
    "crop.region": "eigen",
    "resampling.mode": "nearest",
    "resampling.align_corners": True,
    "inference.flip": True,
    "inference.input_size": "384",
    "alignment.disparity": "median-ratio",
    "alignment.depth": "lad-depth",
    "alignment.metric": "l1-scale",
    "alignment.scope": "sequence",
    "alignment.disparity_floor": "max-ground-truth",
    "alignment.depth_range": [1e-3, "max-ground-truth"],
    "alignment.fit_on": "positive",
    "alignment.fit_floor": 1e-3,
    "alignment.fit_max_side": 1024,
    "alignment.degenerate": "farthest",
    "alignment.negative_scale": "median-ratio",
    "alignment.unusable": "range-ends",
    "aggregation.total": "valid-weighted-mean",
    "aggregation.total_interval": None,  # one value
    "aggregation.group_interval": "wilson",
    "comparison": None,  # pairs only
}


def changed(field: str, value: Any) -> Protocol:
    raw = msgspec.to_builtins(DEPTH)
    *path, last = field.split(".")
    target = raw
    for key in path:
        target = target[key]
    target[last] = value
    return msgspec.convert(raw, Protocol)


def test_the_list_of_changes_knows_every_field() -> None:
    """A new field of the schema fails here until a difference in it is shown to be reported."""
    known: set[str] = set()
    for field in msgspec.structs.fields(Protocol):
        if field.name in NOT_COMPUTED:
            continue
        value = getattr(DEPTH, field.name)
        if hasattr(value, "__struct_fields__"):
            known |= {f"{field.name}.{inner}" for inner in value.__struct_fields__}
        else:
            known.add(field.name)
    assert known == set(CHANGES)


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, v in CHANGES.items() if v is not None])
def test_a_difference_in_any_field_is_reported(field: str, value: Any) -> None:
    other = changed(field, value)
    found = differences(DEPTH, other)
    assert found, field
    assert all(d.first != d.second for d in found)
    assert [(d.second, d.first) for d in differences(other, DEPTH)] and len(differences(other, DEPTH)) == len(found)


def test_names_and_numbers_are_no_difference() -> None:
    raw = msgspec.to_builtins(DEPTH)
    raw |= {"name": "x", "version": 7, "title": "t", "status": "published-only", "description": "d", "default": False}
    assert differences(DEPTH, msgspec.convert(raw, Protocol)) == []
    for name in ALL:
        assert differences(protocols.get(name), protocols.get(name)) == []


def test_the_two_meanings_of_kb_and_garg() -> None:
    """Zoe applies the fractions to the 352 x 1216 crop, BTS to the full frame: 13 rows apart at 375 x 1242."""
    found = {d.title: d for d in differences(protocols.get("kitti-zoedepth"), protocols.get("kitti-bts"))}
    assert "rows 166:372, columns 56:1185 of the full image at 375 x 1242" in found["crop"].first
    assert "rows 153:371, columns 44:1197 at 375 x 1242" in found["crop"].second
    assert set(found) == {"crop", "mirror", "resize", "network size"}


@pytest.mark.parametrize(
    ("region", "frame", "size", "window"),
    [
        ("garg", "full", "375 x 1242", "rows 153:371, columns 44:1197"),
        ("garg", "full", "370 x 1224", "rows 151:366, columns 43:1180"),
        ("garg", "full", "374 x 1238", "rows 152:370, columns 44:1193"),
        ("garg", "full", "370 x 1226", "rows 151:366, columns 44:1181"),
        ("garg", "full", "376 x 1241", "rows 153:372, columns 44:1196"),
        ("eigen", "full", "375 x 1242", "rows 124:342, columns 44:1197"),
        ("eigen", "full", "370 x 1224", "rows 122:337, columns 43:1180"),
        ("eigen", "full", "374 x 1238", "rows 124:341, columns 44:1193"),
        ("eigen", "full", "370 x 1226", "rows 122:337, columns 44:1181"),
        ("eigen", "full", "376 x 1241", "rows 124:343, columns 44:1196"),
        ("garg", "kb", "376 x 1241", "rows 167:373, columns 55:1184"),
        ("garg", "kb", "370 x 1226", "rows 161:367, columns 48:1177"),
        ("eigen", "kb", "375 x 1242", "rows 140:344, columns 56:1185"),
        ("eigen", "kb", "370 x 1224", "rows 135:339, columns 47:1176"),
        ("eigen", "kb", "374 x 1238", "rows 139:343, columns 54:1183"),
    ],
)
def test_crops_in_whole_pixels(region: str, frame: str, size: str, window: str) -> None:
    """Bounds computed by hand from the fractions of Garg and Eigen, truncated."""
    words = crop_words(Crop(image="kb" if frame == "kb" else "full", frame=frame, region=region), "kitti")  # type: ignore[arg-type]
    (shown,) = (part for part in words.split("; ") if part.endswith(size))
    assert shown.startswith(window)


@pytest.mark.parametrize("name", ALL)
def test_every_protocol_can_be_told(name: str) -> None:
    protocol = protocols.get(name)
    told = steps(protocol)
    assert all(step.title and step.text for step in told)
    assert len({step.title for step in told}) == len(told)
    assert told[0].title == "images" and told[-1].title == "total"
    parts = description(protocol)
    assert parts.summary
    everything = " ".join((*parts.summary, *parts.evidence, *parts.traps, *parts.differs))
    assert len(everything.split()) >= len(protocol.description.split()) - protocol.description.count(": ")
    listed = [(r.model, m, v) for r in references(protocol) for m, v in r.values]
    assert sorted(listed) == sorted((e.model, e.metric, e.value) for e in expected_numbers(protocol))


def test_a_corrected_version_keeps_the_numbers_of_its_source() -> None:
    before, after = protocols.get("kitti-dust3r@1"), protocols.get("kitti-dust3r@2")
    assert before.expected and not after.expected
    assert references(after) == references(before) and expected_numbers(before) == before.expected


def test_every_method_has_words_for_every_output() -> None:
    for method in EVERY_METHOD:
        words = {output: method_words(method, output) for output in ("disparity", "depth", "metric")}
        assert all(words.values())
        if method not in ("none", "refuse"):
            assert ("inverted" in words["depth"]) == (method == "least-squares-disparity")
            assert "inverted" in words["disparity"], "a disparity ends up as depth"
