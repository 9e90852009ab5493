"""Metrics, alignment and the dense rule against NumPy, formulas written out in float64, and one real network."""

from __future__ import annotations

import math
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dabench.errors import ModelError
from dabench.scoring.alignment import least_squares
from dabench.scoring.dense import DenseRule, DenseScore, score_dense
from dabench.scoring.metrics import HIGHER_IS_BETTER, PIXEL_METRICS, dense_metrics
from dabench.types import MAP_OUTPUTS, Output, Prediction

METHOD = {
    Output.DISPARITY: "least-squares-disparity",
    Output.DEPTH: "least-squares-depth",
    Output.METRIC: "none",
}


def rule(**changes: object) -> DenseRule:
    values = {
        "method": METHOD,
        "valid_min": 0.0,
        "valid_max": None,
        "disparity_floor": None,
        "depth_min": 1e-3,
        "depth_max": None,
    }
    return DenseRule(**{**values, **changes})  # type: ignore[arg-type]


def score(values: np.ndarray, depth: np.ndarray, output: Output, **changes: object) -> DenseScore:
    prediction = Prediction(np.asarray(values, dtype=np.float32), output)
    return score_dense(prediction, depth.astype(np.float32), np.isfinite(depth) & (depth > 0), rule(**changes))


def scene(seed: int = 0, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(1.5 + rows * 0.11 + 0.3 * np.sin(cols / 3.0) + rng.uniform(0, 0.4, shape))


def worse(name: str, value: float, reference: float, slack: float = 1e-9) -> bool:
    """Whether ``value`` is no better than ``reference``."""
    if name in HIGHER_IS_BETTER:
        return value <= reference + slack
    return value >= reference - slack * max(1.0, abs(reference))


def written_out(p: list[float], g: list[float]) -> dict[str, float]:
    """Every formula of Eigen et al. and the KITTI devkit, pixel by pixel, without a single array operation."""
    n = len(p)

    def mean(values: list[float]) -> float:
        return math.fsum(values) / n

    logs = [math.log(a) - math.log(b) for a, b in zip(p, g, strict=True)]
    both = list(zip(p, g, strict=True))
    return {
        "abs_rel": mean([abs(a - b) / b for a, b in both]),
        "sq_rel": mean([(a - b) ** 2 / b for a, b in both]),
        "rmse": math.sqrt(mean([(a - b) ** 2 for a, b in both])),
        "rmse_log": math.sqrt(mean([x**2 for x in logs])),
        "log10": mean([abs(math.log10(a) - math.log10(b)) for a, b in both]),
        "silog": 100 * math.sqrt(mean([(x - mean(logs)) ** 2 for x in logs])),
        **{f"delta{i}": mean([float(max(a / b, b / a) < 1.25**i) for a, b in both]) for i in (1, 2, 3)},
        "irmse": math.sqrt(mean([(1 / a - 1 / b) ** 2 for a, b in both])),
        "mae": mean([abs(a - b) for a, b in both]),
        "sq_rel_squared": mean([((a - b) / b) ** 2 for a, b in both]),
        "silog_half": math.sqrt(mean([x**2 for x in logs]) - 0.5 * mean(logs) ** 2),
        "silog_bessel": 100 * math.sqrt(math.fsum((x - mean(logs)) ** 2 for x in logs) / (n - 1)),
        "rmse_log10": math.sqrt(mean([(math.log10(a) - math.log10(b)) ** 2 for a, b in both])),
        "bad_pixel": 100 * mean([float(max(a / b, b / a) > 1.25) for a, b in both]),
    }


@pytest.mark.parametrize("seed", range(4))
def test_metrics_equal_the_written_out_formulas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    g = rng.uniform(0.3, 80, 200)
    p = g * np.exp(rng.normal(0, 0.4, 200))
    expected = written_out(p.tolist(), g.tolist())
    found = dense_metrics(p, g)
    assert set(found) == set(PIXEL_METRICS) == set(expected)
    for name in PIXEL_METRICS:
        assert found[name] == pytest.approx(expected[name], rel=1e-11, abs=1e-13), name


def test_delta_is_strict_at_the_threshold() -> None:
    found = dense_metrics(np.array([1.25, 1.0, 1.2499]), np.array([1.0, 1.25, 1.0]))
    assert found["delta1"] == pytest.approx(1 / 3)
    assert found["delta2"] == 1.0


def test_perfect_and_empty() -> None:
    g = scene()
    perfect = dense_metrics(g, g)
    assert all(perfect[name] == (1.0 if name in HIGHER_IS_BETTER else 0.0) for name in PIXEL_METRICS)
    empty = dense_metrics(np.empty(0), np.empty(0))
    assert set(empty) == set(PIXEL_METRICS) and all(math.isnan(v) for v in empty.values())
    masked = score(g, np.full_like(g, np.nan), Output.DISPARITY)
    assert (masked.n_valid, masked.n_usable, masked.fit) == (0, 0, None)
    assert all(math.isnan(v) for v in masked.metrics.values())


@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (1e6, 1.0), (-3e4, 1e-2), (5.0, 1e-5)])
def test_fit_equals_numpy(mean: float, spread: float) -> None:
    rng = np.random.default_rng(3)
    p = mean + spread * rng.standard_normal(2000)
    g = rng.uniform(0.1, 2, 2000) + 0.4 * (p - mean) / spread
    fit = least_squares(p, g)
    design = np.stack([p - mean, np.ones_like(p)], axis=1)  # centred, or lstsq itself loses the digits
    scale, shift = np.linalg.lstsq(design, g, rcond=None)[0]
    assert fit.scale == pytest.approx(scale, rel=1e-7)
    assert fit.scale * mean + fit.shift == pytest.approx(shift, rel=1e-7)
    slope, intercept = np.polyfit(p - mean, g, 1)
    assert (fit.scale, fit.scale * mean + fit.shift) == pytest.approx((slope, intercept), rel=1e-7)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1 / 3, 1e-30, -7e5, 3e38])
def test_constant_prediction_carries_no_information(value: float) -> None:
    g = np.random.default_rng(0).uniform(1, 9, 999)
    for kind in (np.float32, np.float64):  # the mean of float64 values is rounded, and leaves a spread of rounding only
        fit = least_squares(np.full(999, value, dtype=kind), g)
        assert fit.scale == 0.0 and fit.shift == pytest.approx(g.mean(), rel=1e-14)
    assert math.isnan(least_squares(np.empty(0), np.empty(0)).scale)


def test_constant_map_is_scored_not_failed() -> None:
    depth = scene()
    found = score(np.full(depth.shape, 0.25), depth, Output.DISPARITY)
    assert found.n_usable == found.n_valid == depth.size
    inverse = 1 / depth.astype(np.float32).astype(np.float64)
    assert found.metrics["mae"] == pytest.approx(np.abs(1 / inverse.mean() - 1 / inverse).mean(), rel=1e-9)


def test_fastdepth_real_network(shared_data: Path) -> None:
    depth = np.load(shared_data / "fastdepth" / "depth.npy")
    values = np.load(shared_data / "fastdepth" / "pred.npy")[0, 0]
    metric = score(values, depth, Output.METRIC)
    assert metric.metrics["abs_rel"] == pytest.approx(0.1405, abs=5e-5)
    assert metric.metrics["rmse"] == pytest.approx(0.6180, abs=5e-5)
    assert metric.metrics["delta1"] == pytest.approx(0.7773, abs=5e-5)
    assert metric.fit is None
    fitted = score(values, depth, Output.DEPTH, depth_max=1e9)
    assert fitted.fit is not None
    assert (fitted.fit.scale, fitted.fit.shift) == pytest.approx((1.2909, -0.5614), abs=5e-5)
    assert fitted.metrics["abs_rel"] == pytest.approx(0.1117, abs=5e-5)
    assert fitted.metrics["delta1"] == pytest.approx(0.8229, abs=5e-5)


def test_midas_float_and_png_map_score_the_same(shared_data: Path) -> None:
    from PIL import Image

    floats = np.load(shared_data / "midas" / "moon.npy")
    png = np.asarray(Image.open(shared_data / "midas" / "moon.png")).astype(np.float32)
    depth = scene(1, floats.shape)
    a, b = (score(v, depth, Output.DISPARITY) for v in (floats, png))
    assert floats.min() < 0 and a.n_usable == a.n_valid
    for name in PIXEL_METRICS:
        assert a.metrics[name] == pytest.approx(b.metrics[name], rel=1e-4, abs=1e-4), name


def test_perfect_disparity_is_perfect_and_its_mirror_image_is_not() -> None:
    depth = scene(5, (60, 80))
    disparity = 400.0 / depth - 3.0
    assert score(disparity, depth, Output.DISPARITY).metrics["abs_rel"] < 1e-6
    assert score(disparity[:, ::-1], depth, Output.DISPARITY).metrics["abs_rel"] > 0.02
    assert score(disparity[::-1], depth, Output.DISPARITY).metrics["abs_rel"] > 0.1
    assert score(depth * 3 + 1, depth, Output.DEPTH).metrics["abs_rel"] < 1e-6
    assert score(depth * 3 + 1, depth, Output.DISPARITY).metrics["abs_rel"] > 0.01  # fitted in the other space


@settings(max_examples=60, deadline=None)
@given(
    scale=st.floats(0.01, 100),
    shift=st.floats(-50, 50),
    seed=st.integers(0, 5),
    output=st.sampled_from([Output.DISPARITY, Output.DEPTH]),
)
def test_affine_output_is_scored_whatever_its_scale_and_shift(
    scale: float, shift: float, seed: int, output: Output
) -> None:
    depth = scene(seed)
    values = (1 / depth if output is Output.DISPARITY else depth) + np.random.default_rng(seed).normal(
        0, 0.05, depth.shape
    )
    if output is Output.DEPTH:
        shift = abs(shift)  # a depth that is not positive is not usable
    plain, moved = (score(v, depth, output) for v in (values, values * scale + shift))
    assert moved.n_usable == plain.n_usable == depth.size
    # float32 keeps 24 bits of scale * v + shift: the larger the shift, the fewer are left of v
    precision = 2.0**-22 * (1 + (abs(shift) + 5 * scale) / scale)
    for name in ("abs_rel", "rmse", "rmse_log", "mae"):
        assert moved.metrics[name] == pytest.approx(plain.metrics[name], rel=20 * precision, abs=precision), name


def test_metric_output_is_not_rescaled() -> None:
    depth = scene()
    assert score(depth * 0.5, depth, Output.METRIC).metrics["abs_rel"] == pytest.approx(0.5, abs=1e-6)


def test_disparity_floor() -> None:
    depth = np.array([[1.0, 2.0, 4.0, 8.0, 8.0, 8.0]])
    values = np.array([[1.0, 0.5, 0.25, 0.125, 0.125, -3.0]])
    default = score(values, depth, Output.DISPARITY)
    assert default.fit is not None
    inverse = default.fit.scale * values + default.fit.shift
    assert inverse.min() < 1 / 8  # the outlier needs the floor
    expected = 1 / np.maximum(inverse, 1 / 8)
    assert default.metrics["mae"] == pytest.approx(np.abs(expected - depth).mean(), rel=1e-6)
    unclipped = score(values, depth, Output.DISPARITY, depth_max=1e6)
    assert unclipped.metrics["mae"] == pytest.approx(default.metrics["mae"], rel=1e-9), "floored, not only clipped"
    given_floor = score(values, depth, Output.DISPARITY, disparity_floor=0.25)
    expected = 1 / np.maximum(inverse, 0.25)
    assert given_floor.metrics["mae"] == pytest.approx(np.abs(expected - depth).mean(), rel=1e-6)


def test_valid_range_is_strict_and_ground_truth_alone_decides_it() -> None:
    depth = np.array([[0.0, 1.0, 2.0, 3.0, np.inf, np.nan]])
    prediction = Prediction(np.full((1, 6), np.nan, np.float32), Output.METRIC)
    found = score_dense(prediction, depth.astype(np.float32), np.ones((1, 6), bool), rule(valid_min=1.0, valid_max=3.0))
    assert (found.n_valid, found.n_usable) == (1, 0)
    assert found.metrics["delta3"] == 0.0
    excluded = score_dense(prediction, depth.astype(np.float32), np.zeros((1, 6), bool), rule())
    assert excluded.n_valid == 0


@pytest.mark.parametrize("output", list(MAP_OUTPUTS))
def test_all_unusable_is_the_worst_score(output: Output) -> None:
    depth = scene()
    nothing = score(np.full(depth.shape, np.nan), depth, output)
    assert (nothing.n_valid, nothing.n_usable, nothing.fit) == (depth.size, 0, None)
    anything = score(scene(9), depth, output)
    for name in PIXEL_METRICS:
        assert worse(name, nothing.metrics[name], anything.metrics[name]), name


def test_negative_disparity_is_usable_and_negative_depth_is_not() -> None:
    depth = scene()
    values = np.where(depth < 3, -1.0, 1.0)
    assert score(values, depth, Output.DISPARITY).n_usable == depth.size
    for output in (Output.DEPTH, Output.METRIC):
        assert score(values, depth, output).n_usable == int((depth.astype(np.float32) >= 3).sum())


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_withholding_pixels_never_improves_a_score(data: st.DataObject) -> None:
    """Without a fit, one value replaced by NaN, an infinity, zero or a negative number makes no metric better."""
    depth = data.draw(hnp.arrays(np.float64, (3, 4), elements=st.floats(0.02, 60)))
    values = data.draw(hnp.arrays(np.float64, (3, 4), elements=st.floats(1e-4, 300)))
    row, col = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 3))
    answered = score(values, depth, Output.METRIC)
    spoiled = values.copy()
    spoiled[row, col] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -1.0]))
    withheld = score(spoiled, depth, Output.METRIC)
    assert withheld.n_usable == answered.n_usable - 1 and withheld.n_valid == answered.n_valid
    for name in PIXEL_METRICS:
        assert worse(name, withheld.metrics[name], answered.metrics[name]), name


def test_withholding_pixels_does_not_even_out_a_wrong_scale() -> None:
    """silog measures spread: among values that are all far too small, too small is the better way to be wrong."""
    depth = np.array([[6.0, 6.0, 6.0, 6.0, 6.0, 10.0]])
    values = np.array([[0.002, 0.002, 0.002, 0.002, 10.0, 0.003]])
    answered = score(values, depth, Output.METRIC)
    values[0, 4] = np.nan
    assert worse("silog", score(values, depth, Output.METRIC).metrics["silog"], answered.metrics["silog"])


def test_withholding_good_pixels_of_a_fitted_map_never_improves_it() -> None:
    depth = scene()
    rng = np.random.default_rng(0)
    for output in (Output.DISPARITY, Output.DEPTH):
        values = (1 / depth if output is Output.DISPARITY else depth) * np.exp(rng.normal(0, 0.05, depth.shape))
        before = score(values, depth, output)
        values[rng.random(depth.shape) < 0.1] = np.nan
        after = score(values, depth, output)
        for name in PIXEL_METRICS:
            assert worse(name, after.metrics[name], before.metrics[name]), (output, name)


def test_refused_output_says_so() -> None:
    depth = scene()
    with pytest.raises(ModelError, match="does not score metric"):
        score(depth, depth, Output.METRIC, method={**METHOD, Output.METRIC: "refuse"})
