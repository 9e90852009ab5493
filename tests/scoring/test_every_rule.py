"""The compiled scorer against a plain float64 NumPy twin, over every choice that a rule can make."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from dabench.errors import ModelError, SampleError
from dabench.protocols.schema import AlignmentMethod
from dabench.scoring import pixels
from dabench.scoring.crops import crop_box, kb_window
from dabench.scoring.dense import DenseScore, Fit, Prepared, Workers, fit_pixels_of_many, score_dense
from dabench.scoring.metrics import HIGHER_IS_BETTER, PIXEL_METRICS
from dabench.scoring.rule import DenseRule
from dabench.types import MAP_OUTPUTS, Output, Prediction

METHODS = [method for method in get_args(AlignmentMethod) if method != "refuse"]


def rule_of(method: str, **changes: Any) -> DenseRule:
    return DenseRule(method=dict.fromkeys(Output, method), **changes)


def pixel_metrics(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    n, d, e = p.size, np.log(p / g), p - g
    ratio = np.maximum(p / g, g / p)
    log_mean = d.sum() / n
    return {
        "abs_rel": np.mean(np.abs(e) / g),
        "sq_rel": np.mean(e**2 / g),
        "sq_rel_squared": np.mean(e**2 / g**2),
        "rmse": np.sqrt(np.mean(e**2)),
        "rmse_log": np.sqrt(np.mean(d**2)),
        "rmse_log10": np.sqrt(np.mean(np.log10(p / g) ** 2)),
        "log10": np.mean(np.abs(np.log10(p / g))),
        "silog": 100 * np.std(d),
        "silog_half": np.sqrt(np.mean(d**2) - 0.5 * log_mean**2),
        "silog_bessel": 100 * np.std(d, ddof=1) if n > 1 else np.nan,
        "delta1": np.mean(ratio < 1.25),
        "delta2": np.mean(ratio < 1.25**2),
        "delta3": np.mean(ratio < 1.25**3),
        "bad_pixel": 100 * np.mean(ratio > 1.25),
        "irmse": np.sqrt(np.mean((1 / p - 1 / g) ** 2)),
        "mae": np.mean(np.abs(e)),
    }


def least_absolute(x: np.ndarray, y: np.ndarray, w: np.ndarray, shift: bool) -> tuple[float, float, float]:
    """Scale, shift and value of the minimum, as a linear programme over scale, shift and the parts of each residual."""
    n = x.size
    design = np.stack([x, np.ones(n) if shift else np.zeros(n)], axis=1)
    a = np.concatenate([design, -np.eye(n), np.eye(n)], axis=1)
    cost = np.concatenate([[0, 0], w, w])
    done = linprog(cost, A_eq=a, b_eq=y, bounds=[(None, None)] * 2 + [(0, None)] * (2 * n), method="highs")
    assert done.status == 0
    return done.x[0], done.x[1] if shift else 0.0, done.fun


def twin_fit(method: str, x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Scale and shift by the textbook, or None."""
    if x.size == 0:
        return None
    if method == "median-ratio":
        return np.median(y) / np.median(x), 0.0
    if method == "lower-median-ratio":
        return np.sort(y)[(y.size - 1) // 2] / np.sort(x)[(x.size - 1) // 2], 0.0
    if method == "median-of-ratios":
        return np.median(y / x), 0.0
    if method == "weiszfeld-scale":
        s = y.mean() / x.mean()
        for _ in range(10):
            w = 1 / (abs(s * x - y) + 1e-8)
            s = (w * x * y).sum() / (w * x * x).sum()
        return max(s, 1e-3), 0.0
    if method == "least-squares-scale":
        return (x @ y) / (x @ x), 0.0
    if method == "ridge-depth":
        # Cramer's rule in extended precision: for one pixel the condition number is 1e9.
        x, y = x.astype(np.longdouble), y.astype(np.longdouble)
        xx, x1, n, xy, y1 = (x * x).sum() + 1e-9, x.sum(), x.size + np.longdouble(1e-9), (x * y).sum(), y.sum()
        det = xx * n - x1 * x1
        return float((xy * n - x1 * y1) / det), float((xx * y1 - x1 * xy) / det)
    if method == "l1-scale":
        s, t, _ = least_absolute(x, y, 1 / y, shift=False)
        return s, t
    if x.min() == x.max():
        return None
    if method in ("l1-depth", "lad-depth"):
        s, t, _ = least_absolute(x, y, 1 / y if method == "l1-depth" else np.ones_like(y), shift=True)
        return s, t
    s, t = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y, rcond=None)[0]
    return s, t


def twin(values: np.ndarray, output: Output, depth: np.ndarray, valid: np.ndarray, rule: DenseRule) -> dict[str, Any]:
    """Everything but resampling and sampling grids, without a shortcut."""
    g = depth.astype(np.float64)
    if rule.clip_to is not None:
        g = np.minimum(g, rule.clip_to)
    with np.errstate(invalid="ignore"):
        mask = valid & (g > 0) & np.isfinite(g)
        if rule.quantile_share is not None:
            limit = rule.quantile_factor * np.quantile(g[mask], rule.quantile_share) if mask.any() else 0
            mask &= g <= limit
        mask &= (g >= rule.valid_min) if rule.min_inclusive else (g > rule.valid_min)
        if rule.valid_max is not None:
            mask &= (g <= rule.valid_max) if rule.max_inclusive else (g < rule.valid_max)
    box = crop_box(*depth.shape, rule.crop_frame, rule.crop_region)
    inside = np.zeros_like(mask)
    inside[box.top : box.bottom, box.left : box.right] = True
    mask &= inside
    g, p = g[mask], values[mask].astype(np.float64)
    if g.size < rule.min_pixels or g.size == 0:
        return {"n_valid": 0, "n_usable": 0, "fit": None, **dict.fromkeys(PIXEL_METRICS, np.nan)}

    method = rule.method[output]
    in_disparity = output is Output.DISPARITY if method == "none" else method == "least-squares-disparity"
    invert = (output is Output.DISPARITY) != in_disparity
    raw = p.copy()
    usable = np.isfinite(p)
    if rule.fit_floor is not None:
        p = np.where(usable, np.maximum(p, np.float32(rule.fit_floor)), p)
    if invert or not in_disparity:
        usable &= p > 0
    near, far = rule.depth_min, g.max() if rule.depth_max is None else rule.depth_max
    floor = 1 / g.max() if rule.disparity_floor is None else rule.disparity_floor
    x = np.full_like(p, np.nan)
    x[usable] = 1 / p[usable] if invert else p[usable]
    y = 1 / g if in_disparity else g
    fit = None
    if method != "none" and usable.any():
        part = usable & (p > 0) if rule.fit_on == "positive" else usable
        fit = twin_fit(method, x[part], y[part])
        if fit is not None and fit[0] < 0 and rule.negative_scale == "median-ratio" and np.median(x[part]) > 0:
            fit = np.median(y[part]) / np.median(x[part]), 0.0
        if fit is None:
            absolute = method in ("l1-depth", "lad-depth")
            fit = (0.0, 0.0 if in_disparity else far) if rule.degenerate == "farthest" else (0.0, y[usable].mean())
            assert not absolute or rule.degenerate == "farthest", (
                "the middle of a sum of deviations is tested elsewhere"
            )
    s, t = fit or (1.0, 0.0)
    z = s * x + t
    if in_disparity:
        z = 1 / np.maximum(z, floor)
    z = np.clip(z, near, far)

    def measured(fill: np.ndarray) -> dict[str, float]:
        whole = np.where(usable, z, fill)
        return pixel_metrics(1 / whole, 1 / g) if rule.space == "disparity" else pixel_metrics(whole, g)

    if usable.all():
        metrics = measured(z)
    elif rule.unusable == "range-ends":
        is_disparity = output is Output.DISPARITY
        infinite = ((raw <= 0) & ~np.isnan(raw) & invert) | (raw == -np.inf) if is_disparity else raw == np.inf
        metrics = measured(np.where(infinite, far, near))
    else:
        ends = [(far - g > g - near), (far / g > g / near), (1 / g - 1 / far > 1 / near - 1 / g), g > 0, g < 0]
        # The spread of logarithms is worst where the nearest k count as far: every k is tried.
        rank = np.argsort(np.argsort(np.where(usable, np.inf, g), kind="stable"))
        ends += [rank < k for k in range(int((~usable).sum()) + 1)]
        tries = [measured(np.where(end, far, near)) for end in ends]
        metrics = {n: (min if n in HIGHER_IS_BETTER else max)(m[n] for m in tries) for n in PIXEL_METRICS}
    return {"n_valid": g.size, "n_usable": int(usable.sum()), "fit": fit, **metrics}


def scene(seed: int, shape: tuple[int, int] = (19, 23)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    depth = 1.5 + rows * 0.2 + 0.5 * np.sin(cols / 3.0) + rng.uniform(0, 0.8, shape)
    return depth.astype(np.float32), rng.random(shape) < 0.8


def predicted(depth: np.ndarray, output: Output, seed: int, noise: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed + 1)
    with np.errstate(divide="ignore"):
        clean = 3 / depth + 0.2 if output is Output.DISPARITY else 0.4 * depth + 0.3
    return (clean * np.exp(rng.normal(0, noise, depth.shape))).astype(np.float32)


def agree(values: np.ndarray, output: Output, depth: np.ndarray, valid: np.ndarray, rule: DenseRule) -> None:
    expected = twin(values, output, depth, valid, rule)
    found = score_dense(Prediction(values, output), depth, valid, rule)
    assert (found.n_valid, found.n_usable) == (expected["n_valid"], expected["n_usable"])
    if expected["fit"] is None:
        assert found.fit is None
    else:
        assert found.fit is not None
        assert (found.fit.scale, found.fit.shift) == pytest.approx(expected["fit"], rel=1e-7, abs=1e-9)
    for name in PIXEL_METRICS:
        assert found.metrics[name] == pytest.approx(expected[name], rel=1e-6, abs=1e-7, nan_ok=True), name


@pytest.mark.parametrize("output", list(MAP_OUTPUTS))
@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_every_output(method: str, output: Output) -> None:
    depth, valid = scene(1)
    for changes in ({}, {"space": "disparity"}, {"depth_max": 3.0, "disparity_floor": 0.3}):
        agree(predicted(depth, output, 1), output, depth, valid, rule_of(method, **changes))


REGIONS = st.sampled_from(
    ["none", "garg", "garg-rounded", "eigen", (2, 15, 3, 20), (0, 99, 0, 99), (4, 5, 6, 7), (30, 40, 0, 5)]
)


@settings(max_examples=100, deadline=None)
@given(
    data=st.data(),
    seed=st.integers(0, 30),
    output=st.sampled_from(list(MAP_OUTPUTS)),
    method=st.sampled_from([m for m in METHODS if not m.startswith(("l1", "lad"))]),
)
def test_random_rules_on_damaged_predictions(data: st.DataObject, seed: int, output: Output, method: str) -> None:
    depth, valid = scene(seed)
    depth[0, :4] = [np.nan, np.inf, 0.0, -1.0]
    values = predicted(depth, output, seed)
    rng = np.random.default_rng(seed)
    if data.draw(st.booleans(), "damage"):
        spoiled = rng.random(values.shape) < 0.1
        values[spoiled] = rng.choice(np.float32([np.nan, np.inf, -np.inf, 0, -1, -0.01]), int(spoiled.sum()))
    if data.draw(st.booleans(), "shifted below zero"):
        values = values - np.float32(np.median(values[np.isfinite(values)]))
    if data.draw(st.booleans(), "upside down"):
        values = values[::-1].copy()
    quantile = data.draw(st.booleans(), "quantile")
    rule = rule_of(
        method,
        valid_min=data.draw(st.sampled_from([0.0, 1e-3, 2.5])),
        valid_max=data.draw(st.sampled_from([None, 4.0, 5.5])),
        min_inclusive=data.draw(st.booleans()),
        max_inclusive=data.draw(st.booleans()),
        clip_to=data.draw(st.sampled_from([None, 4.0, 5.0])),
        quantile_share=0.5 if quantile else None,
        quantile_factor=1.2 if quantile else None,
        min_pixels=data.draw(st.sampled_from([1, 10, 10_000])),
        crop_region=data.draw(REGIONS),
        disparity_floor=data.draw(st.sampled_from([None, 0.1, 0.3])),
        depth_min=data.draw(st.sampled_from([1e-3, 1.0])),
        depth_max=data.draw(st.sampled_from([None, 3.0, 80.0])),
        fit_on=data.draw(st.sampled_from(["usable", "positive"])),
        fit_floor=data.draw(st.sampled_from([None, 0.05])),
        negative_scale=data.draw(st.sampled_from(["keep", "median-ratio"])),
        degenerate=data.draw(st.sampled_from(["constant", "farthest"])),
        unusable=data.draw(st.sampled_from(["worst", "range-ends"])),
        space=data.draw(st.sampled_from(["depth", "disparity"])),
    )
    agree(values, output, depth, valid, rule)


def test_several_rules_on_one_prediction_score_as_alone() -> None:
    depth, valid = scene(4, (60, 90))
    values = predicted(depth, Output.DISPARITY, 4)
    values[5, 5:9] = np.nan
    rules = [
        rule_of(method, crop_region=region, space=space, depth_max=far, disparity_floor=floor, unusable=unusable)
        for method in ("least-squares-disparity", "median-ratio", "lad-depth", "ridge-depth")
        for region in ("none", "garg")
        for space in ("depth", "disparity")
        for far, floor in ((None, None), (6.0, 0.01), (6.0, 0.4))
        for unusable in ("worst", "range-ends")
    ]
    together = Prepared(Prediction(values, Output.DISPARITY), depth, valid)
    for rule in [*rules, *reversed(rules)]:
        alone = score_dense(Prediction(values, Output.DISPARITY), depth, valid, rule)
        assert together.score(rule) == alone


@pytest.mark.parametrize("count", [2, 3, 64])
def test_threads_change_nothing(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "WORTH_SHARING", 2)
    depth, valid = scene(5, (700, 300))
    values = predicted(depth, Output.DISPARITY, 5)
    for region in ("garg", "none", (10, 690, 100, 120)):
        rule = rule_of("least-squares-disparity", crop_region=region, valid_max=60.0)
        alone = Prepared(Prediction(values, Output.DISPARITY), depth, valid).score(rule)
        with ThreadPoolExecutor(count) as pool:
            workers = Workers(pool.submit, count)
            shared = Prepared(Prediction(values, Output.DISPARITY), depth, valid, workers=workers)
            assert shared.score(rule) == alone


def test_an_error_in_another_thread_is_raised() -> None:
    def fail(first: int, last: int) -> None:
        if first:
            raise ZeroDivisionError

    with ThreadPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
        Workers(pool.submit, 2).run(fail, range(40))


def test_memory_that_is_used_again_leaves_no_trace() -> None:
    """Images of many sizes, several at once, in one set of workers."""
    cases = []
    for seed, shape in enumerate([(40, 50), (90, 120), (41, 50), (300, 400), (40, 50), (5, 5)] * 2):
        depth, valid = scene(seed, shape)
        values = predicted(depth, Output.DISPARITY, seed)
        values[0, 0] = np.nan
        rules = [
            rule_of("least-squares-disparity", crop_region=r, valid_max=m)
            for r in ("none", "garg")
            for m in (4.0, 90.0)
        ]
        cases.append((Prediction(values, Output.DISPARITY), depth, valid, rules))
    expected = [[score_dense(*case[:3], rule) for rule in case[3]] for case in cases]
    workers = Workers()

    def all_of(case: tuple[Any, ...]) -> list[DenseScore]:
        prepared = Prepared(*case[:3], workers=workers)
        return [prepared.score(rule) for rule in case[3]]

    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            assert repr(list(pool.map(all_of, cases))) == repr(expected)  # which takes NaN for NaN
    assert len(workers._spare) <= 4


def test_many_rules_hold_few_pixels() -> None:
    depth, valid = scene(3, (50, 60))
    prepared = Prepared(Prediction(predicted(depth, Output.DISPARITY, 3), Output.DISPARITY), depth, valid)
    rules = [rule_of("median-ratio", crop_region=(0, 50, 0, width)) for width in range(5, 60)]
    scores = [prepared.score(rule) for rule in rules]
    assert len(prepared._pixels) <= 4 and len({s.n_valid for s in scores}) > 50
    assert [prepared.score(rule) for rule in rules] == scores
    prepared.release()
    assert not prepared._pixels and [prepared.score(rule) for rule in rules] == scores


def test_large_images_equal_the_twin() -> None:
    depth, valid = scene(6, (480, 640))
    for output in MAP_OUTPUTS:
        agree(predicted(depth, output, 6), output, depth, valid, rule_of("least-squares-disparity"))


@pytest.mark.parametrize("width", [1, 2, 70_000])
def test_unusual_shapes(width: int) -> None:
    depth, valid = scene(7, (3, width))
    valid[:] = True
    agree(predicted(depth, Output.METRIC, 7), Output.METRIC, depth, valid, rule_of("none"))


def test_degenerate_fits() -> None:
    depth, valid = scene(8)
    flat = np.full_like(depth, 0.7)
    for method in ("least-squares-disparity", "least-squares-depth"):
        for degenerate in ("constant", "farthest"):
            agree(flat, Output.DISPARITY, depth, valid, rule_of(method, degenerate=degenerate, depth_max=80.0))
    capped = score_dense(
        Prediction(flat, Output.DISPARITY),
        depth,
        valid,
        rule_of("least-squares-disparity", degenerate="farthest", disparity_floor=1 / 80, depth_max=80.0),
    )
    assert capped.metrics["mae"] == pytest.approx((80 - depth[valid].astype(float)).mean())
    g = depth[valid].astype(float)
    middle = score_dense(Prediction(flat, Output.DEPTH), depth, valid, rule_of("lad-depth"))
    assert middle.metrics["mae"] == pytest.approx(np.abs(np.median(g) - g).mean(), rel=1e-9)
    weighted = score_dense(Prediction(flat, Output.DEPTH), depth, valid, rule_of("l1-depth"))
    assert weighted.metrics["abs_rel"] <= min(np.mean(abs(c - g) / g) for c in g) + 1e-9
    positive = rule_of("least-squares-disparity", fit_on="positive")
    assert score_dense(Prediction(-flat, Output.DISPARITY), depth, valid, positive).n_usable == valid.sum()


def test_a_rule_that_refuses_says_so() -> None:
    depth, valid = scene(0)
    for call in (Prepared.score, Prepared.fit_pixels):
        with pytest.raises(ModelError, match="does not score depth"):
            call(Prepared(Prediction(depth, Output.DEPTH), depth, valid), rule_of("refuse"))


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    depth, valid = scene(0)
    with pytest.raises(SampleError, match="mask of shape"):
        Prepared(Prediction(depth, Output.DEPTH), depth, valid[:, :-1])
    with pytest.raises(ModelError, match="not a map"):
        Prepared(Prediction(depth[None], Output.DEPTH), depth, valid)


class TestWindow:
    """A prediction of KITTI's benchmark crop alone."""

    depth, valid = scene(9, (375, 1242))

    def prepared(self, values: np.ndarray) -> Prepared:
        return Prepared(Prediction(values, Output.METRIC), self.depth, self.valid, window=kb_window(375, 1242))

    @pytest.mark.parametrize("frame", ["full", "kb"])
    @pytest.mark.parametrize("region", ["garg", "eigen"])
    def test_the_crops_lie_inside_it(self, frame: str, region: str) -> None:
        rule = rule_of("none", crop_frame=frame, crop_region=region)
        whole = score_dense(Prediction(self.depth * 1.1, Output.METRIC), self.depth, self.valid, rule)
        part = self.prepared((self.depth * 1.1)[23:375, 13:1229]).score(rule)
        assert part == whole and part.n_usable == part.n_valid

    def test_pixels_outside_it_are_counted_and_not_usable(self) -> None:
        found = self.prepared((self.depth * 1.1)[23:, 13:1229]).score(rule_of("none", depth_max=80.0))
        assert found.n_valid == self.valid.sum()
        assert found.n_usable == self.valid[23:, 13:1229].sum() < found.n_valid

    def test_another_size_is_resized_to_it(self) -> None:
        coarse = np.full((176, 608), 2.0, np.float32)
        found = self.prepared(coarse).score(rule_of("none", crop_frame="kb"))
        assert found.n_usable == found.n_valid
        assert found.metrics["mae"] == pytest.approx(
            np.abs(2 - self.depth[23:, 13:1229][self.valid[23:, 13:1229]]).mean(), rel=1e-6
        )

    def test_it_must_fit(self) -> None:
        small = Prepared(Prediction(self.depth[:300], Output.METRIC), self.depth[:300], self.valid[:300], (0, 0))
        with pytest.raises(SampleError, match="window"):
            small.score(rule_of("none"))


class TestSequence:
    """One fit for several images."""

    scenes = tuple(scene(seed, (17, 13 + seed)) for seed in (3, 4, 5))

    def parts(self, output: Output) -> list[Prepared]:
        return [Prepared(Prediction(predicted(d, output, 1) + i, output), d, v) for i, (d, v) in enumerate(self.scenes)]

    @pytest.mark.parametrize("negative_scale", ["keep", "median-ratio"])
    @pytest.mark.parametrize("output", list(MAP_OUTPUTS))
    @pytest.mark.parametrize("method", [m for m in METHODS if m != "none"])
    def test_it_is_the_fit_of_all_pixels_together(self, method: str, output: Output, negative_scale: str) -> None:
        rule = rule_of(method, negative_scale=negative_scale)
        parts = self.parts(output)
        fit = fit_pixels_of_many([part.fit_pixels(rule) for part in parts], rule)
        values = [predicted(d, output, 1)[v] + i for i, (d, v) in enumerate(self.scenes)]
        x, y = np.concatenate(values).astype(float), np.concatenate([d[v] for d, v in self.scenes]).astype(float)
        if method == "least-squares-disparity":
            x, y = x if output is Output.DISPARITY else 1 / x, 1 / y
        elif output is Output.DISPARITY:
            x = 1 / x
        assert (fit.scale, fit.shift) == pytest.approx(twin_fit(method, x, y), rel=1e-7, abs=1e-9)
        score = parts[0].score(rule, fit)
        assert score.fit == fit and score.metrics["abs_rel"] > 0

    def test_nothing_to_fit(self) -> None:
        rule = rule_of("median-ratio", valid_min=100.0)
        assert fit_pixels_of_many([p.fit_pixels(rule) for p in self.parts(Output.DEPTH)], rule) == Fit(1.0, 0.0)
        assert fit_pixels_of_many([], rule) == Fit(1.0, 0.0)
        none = rule_of("none")
        parts = self.parts(Output.METRIC)
        assert fit_pixels_of_many([p.fit_pixels(none) for p in parts], none) == Fit(1.0, 0.0)
        assert parts[0].score(none, Fit(2.0, 1.0)).fit is None

    def test_a_constant_sequence(self) -> None:
        depth, valid = self.scenes[0]
        flat = Prepared(Prediction(np.ones_like(depth), Output.DEPTH), depth, valid)
        for degenerate, expected in (("constant", depth[valid].astype(float).mean()), ("farthest", 80.0)):
            rule = rule_of("least-squares-depth", degenerate=degenerate, depth_max=80.0)
            fit = fit_pixels_of_many([flat.fit_pixels(rule)] * 2, rule)
            assert (fit.scale, fit.shift) == (0.0, pytest.approx(expected))

    def test_methods_do_not_mix(self) -> None:
        one, other = rule_of("median-ratio"), rule_of("l1-scale")
        part = self.parts(Output.DEPTH)[0]
        with pytest.raises(ModelError, match="l1-scale and by median-ratio"):
            fit_pixels_of_many([part.fit_pixels(one), part.fit_pixels(other)], one)


def test_only_the_named_metrics_are_given() -> None:
    depth, valid = scene(2)
    names = ("delta1", "boundary_f1_moge", "abs_rel")
    rule = dataclasses.replace(rule_of("none"), metrics=names)
    assert tuple(score_dense(Prediction(depth, Output.METRIC), depth, valid, rule).metrics) == names
    empty = score_dense(Prediction(depth, Output.METRIC), depth, np.zeros_like(valid), rule)
    assert tuple(empty.metrics) == names and all(np.isnan(v) for v in empty.metrics.values())
