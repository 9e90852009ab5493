"""Both boundary F1 against their definitions, written out neighbour by neighbour."""

from __future__ import annotations

import numpy as np
import pytest

from dabench.scoring.boundary import boundary_f1_depth_pro, boundary_f1_moge
from dabench.scoring.dense import DenseScore, score_dense
from dabench.scoring.rule import DenseRule
from dabench.types import Output, Prediction

BOTH = (boundary_f1_depth_pro, boundary_f1_moge)


def steps(seed: int, shape: tuple[int, int] = (17, 21), noise: float = 0.05) -> np.ndarray:
    """Patches at different depths, so that there are edges of every height."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(1, 2.2, (shape[0] // 4 + 1, shape[1] // 4 + 1))
    return np.kron(coarse, np.ones((4, 4)))[: shape[0], : shape[1]] * np.exp(rng.normal(0, noise, shape))


def depth_pro(p: np.ndarray, g: np.ndarray, valid: np.ndarray) -> float:
    height, width = g.shape
    total = weight = 0.0
    for t in np.linspace(1.05, 1.25, 10):
        precisions, recalls = [], []
        for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            found = wanted = matched = 0
            for r in range(height):
                for c in range(width):
                    r2, c2 = r + down, c + right
                    if not (0 <= r2 < height and 0 <= c2 < width and valid[r, c] and valid[r2, c2]):
                        continue
                    # inverse depth of the neighbour over that of the pixel
                    a, b = p[r, c] / p[r2, c2] > t, g[r, c] / g[r2, c2] > t
                    found, wanted, matched = found + a, wanted + b, matched + (a and b)
            precisions.append(matched / max(found, 1))
            recalls.append(matched / max(wanted, 1))
        precision, recall = np.mean(precisions), np.mean(recalls)
        f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
        total, weight = total + t * f1, weight + t
    return total / weight


def moge(p: np.ndarray, g: np.ndarray, valid: np.ndarray) -> float:
    height, width = g.shape
    scores = []
    for radius in (1, 2, 3):
        total = weight = 0.0
        for t in np.linspace(0.05, 0.25, 10):
            found = wanted = matched = 0
            for r in range(radius, height - radius):
                for c in range(radius, width - radius):
                    for down in range(-radius, radius + 1):
                        for right in range(-radius, radius + 1):
                            if down**2 + right**2 > radius**2 + 1e-5 or not (
                                valid[r, c] and valid[r + down, c + right]
                            ):
                                continue
                            a = p[r + down, c + right] / p[r, c] > 1 + t
                            b = g[r + down, c + right] / g[r, c] > 1 + t
                            found, wanted, matched = found + a, wanted + b, matched + (a and b)
            precision, recall = matched / max(wanted, 1e-12), matched / max(found, 1e-12)
            total += t * (2 * precision * recall / max(precision + recall, 1e-12))
            weight += t
        scores.append(total / weight)
    return float(np.mean(scores))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [1.0, 0.8, 0.05])
def test_they_equal_their_definitions(seed: int, share: float) -> None:
    g, p = steps(seed), steps(seed, noise=0.12)
    valid = np.random.default_rng(seed).random(g.shape) < share
    assert boundary_f1_depth_pro(p, g, valid) == pytest.approx(depth_pro(p, g, valid), rel=1e-12)
    assert boundary_f1_moge(p, g, valid) == pytest.approx(moge(p, g, valid), rel=1e-12)


@pytest.mark.parametrize("measure", BOTH)
def test_perfect_flat_empty_and_scaled(measure) -> None:  # type: ignore[no-untyped-def]
    g, everywhere = steps(1), np.ones((17, 21), bool)
    assert measure(g, g, everywhere) == pytest.approx(1.0)
    assert measure(3.7 * g, g, everywhere) == pytest.approx(1.0)
    assert measure(np.ones_like(g), g, everywhere) == 0.0
    assert np.isnan(measure(g, g, ~everywhere))
    noisy = steps(1, noise=0.1)
    assert 0.0 < measure(noisy, g, everywhere) < 1.0
    assert measure(noisy, g, everywhere) == pytest.approx(measure(noisy * 0.01, g, everywhere), rel=1e-9)
    assert measure(g[:, ::-1], g, everywhere) < 0.9


@pytest.mark.parametrize("measure", BOTH)
def test_the_border_of_a_hole_is_no_edge(measure) -> None:  # type: ignore[no-untyped-def]
    g = steps(2)
    valid = np.ones(g.shape, bool)
    valid[5:9, 5:12] = False
    p, damaged = steps(2, noise=0.1), g.copy()
    damaged[5:9, 5:12] = 1e-3
    assert measure(p, g, valid) == measure(p, damaged, valid)


def test_thresholds_are_strict() -> None:
    g = np.array([[1.0, 1.25, 1.0, 1.25]] * 8)
    p = np.where(g > 1, 1.25 * (1 + 1e-9), 1.0)
    both = boundary_f1_depth_pro(p, g, np.ones(g.shape, bool))
    t = np.linspace(1.05, 1.25, 10)
    half = 2 / 4  # two of the four directions have edges, and the last threshold none in the ground truth
    assert both == pytest.approx((half * t[:9]).sum() / t.sum(), rel=1e-9)


class TestInAScore:
    def score(self, values: np.ndarray, depth: np.ndarray, output: Output, **changes: object) -> DenseScore:
        rule = DenseRule(
            {Output.DISPARITY: "least-squares-disparity", Output.DEPTH: "least-squares-depth", Output.METRIC: "none"},
            metrics=("boundary_f1_depth_pro", "boundary_f1_moge"),
            **changes,  # type: ignore[arg-type]
        )
        valid = np.isfinite(depth)
        return score_dense(Prediction(values.astype(np.float32), output), depth.astype(np.float32), valid, rule)

    def test_a_perfect_map_of_any_kind(self) -> None:
        depth = steps(3)
        for output, values in (
            (Output.DISPARITY, 4 / depth + 1),
            (Output.DEPTH, 2 * depth + 1),
            (Output.METRIC, depth),
        ):
            for name, value in self.score(values, depth, output, depth_max=80.0).metrics.items():
                assert value == pytest.approx(1.0, abs=0.01), name

    def test_moge_measures_before_the_floor_and_depth_pro_after(self) -> None:
        depth = steps(3, noise=0.0)
        floored = self.score(4 / depth, depth, Output.DISPARITY, disparity_floor=2.0, depth_max=80.0).metrics
        assert floored["boundary_f1_depth_pro"] == 0.0
        assert floored["boundary_f1_moge"] == pytest.approx(1.0, abs=0.01)

    def test_the_crop_is_all_there_is(self) -> None:
        depth = steps(4, (40, 50))
        values = steps(4, (40, 50), noise=0.1)
        inside = self.score(values, depth, Output.METRIC, crop_region=(7, 30, 9, 41), depth_max=80.0)
        alone = self.score(values[7:30, 9:41], depth[7:30, 9:41], Output.METRIC, depth_max=80.0)
        assert inside == alone

    def test_leaving_pixels_out_does_not_pay(self) -> None:
        depth = steps(5, (30, 40))
        values = steps(5, (30, 40), noise=0.03)
        answered = self.score(values, depth, Output.METRIC, depth_max=80.0).metrics
        values[np.random.default_rng(0).random(values.shape) < 0.05] = np.nan
        withheld = self.score(values, depth, Output.METRIC, depth_max=80.0)
        assert withheld.n_usable < withheld.n_valid
        for name, value in withheld.metrics.items():
            assert 0.0 <= value < answered[name]
        values[:] = np.nan
        assert set(self.score(values, depth, Output.METRIC, depth_max=80.0).metrics.values()) == {0.0}
