"""MD-3K: [x, y] points, and two relations a pair of which a split picks one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dataset_builders import encoded, md_3k, picture

from dabench.datasets import open_dataset
from dabench.errors import DatasetError
from dabench.types import Pair, PairSample

SPLITS = ("foreground", "background", "same", "reverse-foreground", "reverse-background")


def _set(folder: Path, annotations: dict[str, list[Any]]) -> Path:
    root = folder / "md-3k"
    for key in annotations:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(0, 20, 30)))
    (root / "annotations.json").write_text(json.dumps(annotations))
    return folder


def _pairs(data_root: Path, split: str) -> dict[str, list[Pair]]:
    dataset = open_dataset("md-3k", data_root, split=split)
    samples = [dataset.load(i) for i in dataset.ids]
    assert dataset.total_targets == sum(len(s.pairs) for s in samples if isinstance(s, PairSample))
    return {s.id: list(s.pairs) for s in samples if isinstance(s, PairSample)}


def test_a_point_is_x_and_y_and_point1_is_closer_on_the_glass(tmp_path: Path) -> None:
    root = _set(tmp_path, {"./image/a.png": [{"point1": [29, 2], "point2": [4.9, 19.2], "label": 2}]})
    [pair] = _pairs(root, "foreground")["image/a"]
    assert pair == Pair((2, 29), (19, 4), 1)
    [pair] = _pairs(root, "background")["image/a"]
    assert pair == Pair((2, 29), (19, 4), 2)


def test_splits_pick_a_layer_and_a_subset(tmp_path: Path) -> None:
    root = md_3k.build(tmp_path)
    numbers = {label: [str(n) for n, other in enumerate(md_3k.LABELS) if other == label] for label in (0, 1, 2)}
    wanted = {
        "foreground": (numbers[0] + numbers[1] + numbers[2], 0),
        "background": (numbers[1] + numbers[2], len(numbers[2])),
        "same": (numbers[1], 0),
        "reverse-foreground": (numbers[2], 0),
        "reverse-background": (numbers[2], len(numbers[2])),
    }
    assert tuple(wanted) == SPLITS
    for split, (names, second_is_closer) in wanted.items():
        found = _pairs(root, split)
        assert sorted(found) == sorted(f"images/{name}" for name in names)
        assert sum(pair.closer == 2 for pairs in found.values() for pair in pairs) == second_is_closer
    dataset = open_dataset("md-3k", root)
    assert {dataset.group(i) for i in dataset.ids} == {"same", "reverse", "foreground-only"}


def test_the_recommended_schema_says_the_same(tmp_path: Path) -> None:
    def entry(front: str, back: str, **more: str) -> dict[str, Any]:
        return {"point1": [1, 2], "point2": [3, 4], "foreground_label": front, "background_label": back, **more}

    root = _set(
        tmp_path,
        {
            "images/a.png": [entry("near", "far", subset="reverse")],
            "images/b.png": [entry("far", "far"), entry("far", "near")],
        },
    )
    closer = {split: [p.closer for ps in _pairs(root, split).values() for p in ps] for split in SPLITS}
    assert closer == {
        "foreground": [1, 2, 2], "background": [2, 2, 1], "same": [2], "reverse-foreground": [1, 2],
        "reverse-background": [2, 1],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (3, "is not an object"),
        ({"point1": [1, 2], "point2": [3, 4]}, "label must be a whole number"),
        ({"point1": [1, 2], "point2": [3, 4], "label": True}, "label must be a whole number"),
        ({"point1": [1, 2], "point2": [3, 4], "foreground_label": "near"}, "background_label must be"),
        (
            {
                "point1": [1, 2], "point2": [3, 4], "foreground_label": "near", "background_label": "far",
                "subset": "same",
            },
            "its two relations make it 'reverse'",
        ),
        ({"point1": [1], "point2": [3, 4], "label": 1}, "point1 must be"),
        ({"point1": [1, -1], "point2": [3, 4], "label": 1}, "point1 must be"),
        ({"point1": [1, 2], "point2": [1, 2], "label": 1}, "both points"),
        ({"point1": [1, 25], "point2": [1, 2], "label": 1}, r"point1 \[25, 1\] lies outside the image of 20 rows"),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, entry: Any, words: str) -> None:
    good = {"point1": [1, 2], "point2": [3, 4], "label": 1}
    root = _set(tmp_path, {"images/good.png": [good], "images/bad.png": [entry]})
    for split in ("foreground", "same"):
        with pytest.raises(DatasetError, match=rf"'images/bad.png' pair 0: .*{words}"):
            open_dataset("md-3k", root, split=split)


def test_a_subset_without_pairs_is_an_error(tmp_path: Path) -> None:
    root = _set(tmp_path, {"images/a.png": [{"point1": [1, 2], "point2": [3, 4], "label": 1}]})
    with pytest.raises(DatasetError, match="holds no pairs"):
        open_dataset("md-3k", root, split="reverse-background")
