"""Scores of predictions whose quality is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from experiments.claims.measure import APART, FARTHEST, PAIRS, UNIT, draw_pairs, measure, score


def scene() -> np.ndarray:
    """A floor from 2 m to 12 m before a wall, boxes at 3 m, a ceiling that is nearer at the top, sky in a corner."""
    depth = np.full((84, 112), 12.0, np.float32)
    depth[42:] = np.linspace(12, 2, 42, dtype=np.float32)[:, None]
    depth[:20] = np.linspace(2, 12, 20, dtype=np.float32)[:, None]
    depth[30:70, 20:40] = 3.0
    depth[35:60, 70:75] = 4.0
    depth[:10, 100:] = 0
    return depth


def disparity_of(depth: np.ndarray) -> np.ndarray:
    return np.where(depth > 0, 1 / np.where(depth > 0, depth, 1), 0).astype(np.float32)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (250.0, 40.0)])
def test_the_truth_up_to_scale_and_shift_is_perfect(scale: float, shift: float) -> None:
    depth = scene()
    prediction = (scale * disparity_of(depth) + shift).astype(np.float32)
    found = score(prediction, depth, draw_pairs(depth, 0))
    assert found["abs_rel"] == pytest.approx(0, abs=1e-3)
    assert (found["delta1"], found["pairs"]) == (1.0, 1.0)
    assert found["boundary_f1"] == pytest.approx(1, abs=0.02)


def test_upside_down_order_gets_no_pair_and_the_sky_does_not_count() -> None:
    depth = scene()
    pairs = draw_pairs(depth, 0)
    assert score(-disparity_of(depth), depth, pairs)["pairs"] == 0
    odd = disparity_of(depth)
    odd[depth == 0] = 99
    assert score(odd, depth, pairs) == score(disparity_of(depth), depth, pairs)


def test_pairs_are_clear_repeatable_and_not_won_by_the_height_in_the_image() -> None:
    depth = scene()
    pairs = draw_pairs(depth, 3)
    assert pairs == draw_pairs(depth, 3) and pairs != draw_pairs(depth, 4)
    assert len(pairs) == PAIRS
    for pair in pairs:
        near, far = depth[pair.point1], depth[pair.point2]
        assert 0 < near * APART < far < FARTHEST
    low_is_near = np.repeat(np.arange(84, dtype=np.float32)[:, None], 112, 1)
    assert score(low_is_near, depth, pairs)["pairs"] == 0.5


def test_blur_costs_edges_most() -> None:
    depth = scene()
    depth[depth == 0] = 12
    sharp = disparity_of(depth)
    scores = [score(cv2.GaussianBlur(sharp, (0, 0), sigma), depth, draw_pairs(depth, 0)) for sigma in (0.5, 1.5, 4.0)]
    edges = [found["boundary_f1"] for found in scores]
    assert edges[0] > edges[1] > edges[2] and edges[2] < 0.5
    assert scores[1]["delta1"] > 0.9


def test_a_network_is_scored_image_by_image_in_units() -> None:
    class Bottom(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            rows = torch.linspace(0, 1, images.shape[2])[:, None]
            return rows.expand(images.shape[0], images.shape[2], images.shape[3])

    sloping = np.repeat(np.linspace(9, 1, 84, dtype=np.float32)[:, None], 112, 1)
    flat = np.full((84, 112), 3.0, np.float32)
    truth = [(name, np.zeros((84, 112, 3), np.uint8), depth) for name, depth in (("a", sloping), ("b", flat))]
    found = measure(Bottom(), truth, torch.device("cpu"))
    assert [len(column) for column in found.values()] == [2, 2, 2, 2]
    assert found["pairs"] == [None, None]  # the upper point of a floor is never the nearer one; a wall has no pairs
    assert found["delta1"][1] == round(1 / UNIT)
    assert found["abs_rel"][0] is not None and 0 < found["abs_rel"][0] * UNIT < 2
