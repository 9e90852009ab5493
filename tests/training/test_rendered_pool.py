"""The pool of rendered images: labels, held-out seeds, growth, half-written and damaged files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from model_zoo.depth_anything_v2.training.rendered import (
    READ_ATTEMPTS,
    RenderedPool,
    disparity_from_depth,
    drawn_pairs,
    held_out,
)


def test_label_is_min_max_inverse_depth_with_sky_at_zero() -> None:
    depth = np.array([[1.0, 2.0], [4.0, 0.0]], np.float32)
    np.testing.assert_allclose(disparity_from_depth(depth) / 65535, [[1, 0.5], [0.25, 0]], atol=1e-5)
    np.testing.assert_allclose(disparity_from_depth(depth[:, :1]) / 65535, [[1], [0]], atol=1e-5)
    assert disparity_from_depth(np.full((2, 2), 3, np.float32)).max() == 0
    assert disparity_from_depth(np.zeros((2, 2), np.float32)).max() == 0


def test_pool_splits_by_seed_and_grows(write_rendered_set, tmp_path: Path) -> None:
    seeds = list(range(60))
    write_rendered_set(tmp_path, seeds[:30])
    pool = RenderedPool((tmp_path,), holdout_every=4)
    assert pool.scan() == 30 and pool.scan() == 0
    write_rendered_set(tmp_path, seeds)
    assert pool.scan() == 30
    train, validation = ({int(sample.id.split("_")[-1]) for sample in part} for part in (pool.train, pool.validation))
    assert train | validation == set(seeds) and not train & validation
    assert validation == {seed for seed in seeds if held_out(seed, 4)} and validation
    assert [sample.id for sample in pool.train] == sorted(sample.id for sample in pool.train)


def test_validation_limit_does_not_leak_into_training(write_rendered_set, tmp_path: Path) -> None:
    write_rendered_set(tmp_path, list(range(40)))
    pool = RenderedPool((tmp_path,), holdout_every=4, validation_limit=2)
    pool.scan()
    assert len(pool.validation) == 2
    assert not any(held_out(int(sample.id.split("_")[-1]), 4) for sample in pool.train)


def test_only_the_first_root_is_validated_and_repeats_weigh_the_draw(write_rendered_set, tmp_path: Path) -> None:
    write_rendered_set(tmp_path / "a", list(range(40)))
    write_rendered_set(tmp_path / "b", list(range(40)), prefix="b")
    pool = RenderedPool((tmp_path / "a", tmp_path / "b"), repeats=(9, 1), holdout_every=8)
    pool.scan()
    assert pool.validation and not any("/b_" in sample.id for sample in pool.validation)
    rng = np.random.default_rng(0)
    drawn = [sample.id for _ in range(300) for sample in pool.draw(rng, 4)]
    assert 0.05 < np.mean(["/b_" in name for name in drawn]) < 0.15
    once = [sample.id for sample in pool.draw(rng, 20)]
    assert len(set(once)) == 20


def test_half_written_index_is_left_for_later(write_rendered_set, tmp_path: Path) -> None:
    write_rendered_set(tmp_path, [1, 2, 3])
    whole = (tmp_path / "metadata.json").read_text()
    (tmp_path / "metadata.json").write_text(whole[: len(whole) // 2])
    pool = RenderedPool((tmp_path, tmp_path / "absent"))
    assert pool.scan() == 0
    (tmp_path / "metadata.json").write_text(whole)
    assert pool.scan() == 3


@pytest.mark.parametrize("damage", ["image", "depth", "shape"])
def test_damaged_file_is_counted_and_skipped_but_retried(write_rendered_set, tmp_path: Path, damage: str) -> None:
    write_rendered_set(tmp_path, [1, 2, 3])
    name = "images/indoor/a_0002.jpg" if damage == "image" else "depth/indoor/a_0002.png"
    content = (tmp_path / name).read_bytes()
    if damage == "shape":
        cv2.imwrite(str(tmp_path / name), np.ones((5, 5), np.uint16))
    else:
        (tmp_path / name).write_bytes(content[:20])
    pool = RenderedPool((tmp_path,), holdout_every=10**9)
    assert pool.scan() == 2
    assert list(pool.unreadable.values()) == [1]
    for _ in range(READ_ATTEMPTS):
        pool.scan()
    assert list(pool.unreadable.values()) == [READ_ATTEMPTS]
    (tmp_path / name).write_bytes(content)
    assert pool.scan() == 0  # given up
    fresh = RenderedPool((tmp_path,), holdout_every=10**9)
    assert fresh.scan() == 3


def test_annotated_pairs_are_read_nearer_point_first(write_rendered_set, tmp_path: Path) -> None:
    write_rendered_set(tmp_path, [1])
    pair = {"point1": [1, 2], "point2": [3, 4], "closer_point": "point2"}
    (tmp_path / "annotations.json").write_text(json.dumps({"images/indoor/a_0001.jpg": [pair]}))
    pool = RenderedPool((tmp_path,))
    pool.scan()
    assert (pool.train + pool.validation)[0].pairs.tolist() == [[3, 4, 1, 2]]


def test_drawn_pairs_are_right_clear_and_fair_to_the_location_prior() -> None:
    rng = np.random.default_rng(0)
    disparity = rng.integers(0, 65535, (40, 50)).astype(np.uint16)
    pairs = drawn_pairs(disparity, 7)
    assert len(pairs) == 4
    near, far = disparity[pairs[:, 0], pairs[:, 1]].astype(int), disparity[pairs[:, 2], pairs[:, 3]].astype(int)
    assert (near - far > 5000).all()
    assert (pairs[:, 0] > pairs[:, 2]).sum() == 2
    assert len(drawn_pairs(np.zeros((40, 50), np.uint16), 7)) == 0
