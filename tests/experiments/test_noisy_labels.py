"""The label corruptor: each fault alone against what it should do to a depth map whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.claims.noisy_labels import SensorFaults, corrupt

NONE = SensorFaults(0, 0, 0, 0, 1, 0, 0, 0, 0, 0)


def only(**faults: float) -> SensorFaults:
    """A sensor with these faults and no other."""
    return SensorFaults(**{**NONE.__dict__, **faults})


def room() -> np.ndarray:
    """A slanted floor before a wall at 6 m, a post 2 px and a box 30 px wide at 2 m, sky in a corner; [120, 160]."""
    depth = np.full((120, 160), 6.0, np.float32)
    depth[60:] = np.linspace(6.0, 1.5, 60, dtype=np.float32)[:, None]
    depth[10:100, 40:42] = 2.0
    depth[30:80, 90:120] = 2.0
    depth[:15, 130:] = 0.0
    return depth


def test_without_faults_depth_and_mask_are_the_exact_ones() -> None:
    for faults in (NONE, SensorFaults().scaled(0.0)):
        depth, valid = corrupt(room(), np.random.default_rng(0), faults)
        np.testing.assert_allclose(depth, room(), rtol=1e-6)
        np.testing.assert_array_equal(valid, room() > 0)


def test_default_faults_are_repeatable_and_keep_the_contract() -> None:
    exact = room()
    before = exact.copy()
    depth, valid = corrupt(exact, np.random.default_rng(3))
    again, same = corrupt(exact, np.random.default_rng(3))
    other, _ = corrupt(exact, np.random.default_rng(4))
    np.testing.assert_array_equal(exact, before)
    np.testing.assert_array_equal(depth, again)
    np.testing.assert_array_equal(valid, same)
    assert (depth != other).any()
    assert depth.dtype == np.float32 and valid.dtype == bool and depth.shape == exact.shape
    assert not valid[exact == 0].any() and (depth[~valid] == 0).all() and (depth[valid] > 0).all()
    assert np.isfinite(depth).all() and 0.6 < valid[exact > 0].mean() < 1.0


def test_thin_parts_vanish_and_thick_ones_stay() -> None:
    _, valid = corrupt(room(), np.random.default_rng(0), only(thin=3))
    assert not valid[12:50, 40:42].any()
    assert valid[30:80, 90:120].all() and valid[20:30, 50:80].all()


def test_edges_are_smeared_over_both_sides_only_near_them() -> None:
    depth, valid = corrupt(room(), np.random.default_rng(0), only(edge_blur=1.5))
    row = depth[40, 84:96]
    assert valid.all() or not valid[:15, 130:].any()
    assert ((row > 2.3) & (row < 5.7)).sum() >= 3 and (np.diff(row) <= 1e-5).all()
    np.testing.assert_allclose(depth[40, 60:80], 6.0, rtol=1e-4)
    np.testing.assert_allclose(depth[55, 100:110], 2.0, rtol=1e-4)
    np.testing.assert_allclose(depth[5, 133:], 0.0)  # sky is no surface to smear
    assert abs(depth[17, 140] - 6.0) < 1e-4


def test_holes_take_their_share_and_lie_at_edges() -> None:
    exact = room()
    _, valid = corrupt(exact, np.random.default_rng(1), only(hole_share=0.05))
    lost = (exact > 0) & ~valid
    assert lost.sum() / (exact > 0).sum() == pytest.approx(0.05, abs=0.002)
    near_box = np.zeros_like(lost)
    near_box[24:86, 84:126] = True
    near_box[36:74, 96:114] = False
    assert lost[near_box].mean() > 3 * lost[20:55, 50:80].mean()


def test_glass_reports_only_farther_depth_in_some_patches() -> None:
    exact, changed = room(), 0
    for seed in range(8):
        depth, valid = corrupt(exact, np.random.default_rng(seed), only(glass_patches=2.0, glass_reach=2.5))
        ratio = depth[valid] / exact[valid]
        assert ratio.min() > 1 - 1e-5 and ratio[np.abs(ratio - 1) > 1e-4].size < 0.9 * ratio.size
        changed += int((ratio > 1.1).sum())
    assert changed > 500


def test_repeated_patterns_give_jumps_both_ways() -> None:
    exact = np.full((96, 128), 4.0, np.float32)
    exact[:, 64:] = 2.0
    ratios = []
    for seed in range(8):
        depth, valid = corrupt(exact, np.random.default_rng(seed), only(repeat_patches=2.0, repeat_shift=12.0))
        ratios.append(depth[valid] / exact[valid])
    ratio = np.concatenate(ratios)
    assert (ratio > 1.02).any() and (ratio < 0.98).any()
    assert (np.abs(ratio - 1) < 1e-5).mean() > 0.5


def test_noise_grows_with_the_square_of_depth() -> None:
    exact = np.full((200, 200), 1.0, np.float32)
    exact[:, 100:] = 3.0
    depth, _ = corrupt(exact, np.random.default_rng(0), only(noise=0.004))
    assert depth[:, :100].std() == pytest.approx(0.004, rel=0.1)
    assert depth[:, 100:].std() == pytest.approx(9 * 0.004, rel=0.1)


def test_quantisation_leaves_that_many_levels() -> None:
    exact = np.tile(np.geomspace(1.0, 20.0, 300, dtype=np.float32), (4, 1))
    depth, valid = corrupt(exact, np.random.default_rng(0), only(quantisation=16))
    assert 12 <= len(np.unique(depth[valid])) <= 18
    far_error = np.abs(depth - exact)[:, 200:][valid[:, 200:]].mean()
    assert far_error > 3 * np.abs(depth - exact)[:, :100][valid[:, :100]].mean()


def test_far_limit_counts_in_medians() -> None:
    exact = np.full((20, 20), 2.0, np.float32)
    exact[:4] = 9.0
    _, valid = corrupt(exact, np.random.default_rng(0), only(far=4.0))
    assert not valid[:4].any() and valid[4:].all()


def test_stronger_is_worse() -> None:
    exact, errors = room(), []
    for strength in (0.25, 1.0, 2.0):
        total = 0.0
        for seed in range(6):
            depth, valid = corrupt(exact, np.random.default_rng(seed), SensorFaults().scaled(strength))
            total += float(np.abs(depth[valid] / exact[valid] - 1).mean())
        errors.append(total)
    assert errors[0] < errors[1] < errors[2]


def test_a_map_without_surface_stays_empty() -> None:
    depth, valid = corrupt(np.zeros((8, 9), np.float32), np.random.default_rng(0))
    assert not valid.any() and (depth == 0).all()
