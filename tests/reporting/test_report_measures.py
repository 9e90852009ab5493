"""What a report measures itself agrees with how runs are scored, and with computations made by hand."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from matplotlib.figure import Figure

from dabench import protocols
from dabench.reporting.report.aligned import Aligned, align
from dabench.reporting.report.figures import blank, inline_svg, save_figure, style
from dabench.reporting.report.map_plots import depth_ranges, failing_share
from dabench.reporting.report.measure import COLUMNS, ROWS, DenseMeasured, PairsMeasured, evenly
from dabench.reporting.report.paired import common, difference
from dabench.reporting.report.samples import middle
from dabench.reporting.report.words import higher_is_better, interval, number
from dabench.scoring.dense import DenseRule, score_dense
from dabench.types import GroundTruth, Output, Pair, Prediction

LEAST = dict.fromkeys(Output, "least-squares-disparity")
RULES = {
    "least squares in disparity": (Output.DISPARITY, DenseRule(LEAST, disparity_floor=1 / 80, depth_max=80.0)),
    "floor of the image": (Output.DISPARITY, DenseRule(LEAST, valid_max=60.0)),
    "depth fitted in disparity": (Output.DEPTH, DenseRule(LEAST, unusable="worst")),
    "median": (Output.METRIC, DenseRule(dict.fromkeys(Output, "median-ratio"), valid_min=1.0, min_inclusive=True)),
    "as it is": (Output.METRIC, DenseRule(dict.fromkeys(Output, "none"), depth_min=2.0, depth_max=30.0)),
    "quantile and clip": (
        Output.DEPTH,
        DenseRule(dict.fromkeys(Output, "least-squares-depth"), clip_to=50.0, quantile_share=0.5, quantile_factor=2.0),
    ),
    "cropped": (Output.DISPARITY, DenseRule(LEAST, crop_region=(5, 30, 4, 41), fit_floor=0.2)),
}


def scene(shape: tuple[int, int], seed: int = 0) -> GroundTruth:
    draw = np.random.default_rng(seed)
    depth = draw.lognormal(2, 1, shape).astype(np.float32)
    return GroundTruth(depth, draw.random(shape) > 0.1)


@pytest.mark.parametrize("name", RULES)
def test_the_aligned_map_has_the_scores_of_the_run(name: str) -> None:
    output, rule = RULES[name]
    truth = scene((40, 50))
    noise = np.random.default_rng(1).lognormal(0, 0.3, (20, 25)).astype(np.float32)
    coarse = truth.depth[::2, ::2] * noise
    values = 3 / coarse + 0.1 if output is Output.DISPARITY else coarse
    prediction = Prediction(values.astype(np.float32), output)
    scored = score_dense(prediction, truth.depth, truth.valid, rule)
    fit = None if scored.fit is None else {"scale": scored.fit.scale, "shift": scored.fit.shift}
    aligned = align(prediction, truth, rule, fit, kb=False)
    assert aligned.valid.sum() == scored.n_valid and aligned.counted.sum() == scored.n_usable == scored.n_valid
    assert np.nanmean(np.abs(aligned.relative_error)) == pytest.approx(scored.metrics["abs_rel"], rel=1e-5)
    p, g = aligned.depth[aligned.counted], aligned.truth[aligned.counted]
    assert np.mean(np.maximum(p / g, g / p) < 1.25) == pytest.approx(scored.metrics["delta1"], abs=1e-3)


def test_the_crop_that_the_model_saw_lies_where_it_was_cut() -> None:
    truth = GroundTruth(np.full((375, 1242), 10.0, np.float32), np.ones((375, 1242), bool))
    rule = DenseRule(dict.fromkeys(Output, "none"), crop_frame="kb")
    aligned = align(Prediction(np.full((352, 1216), 12.0, np.float32), Output.METRIC), truth, rule, None, kb=True)
    assert aligned.counted.sum() == 352 * 1216 and not aligned.counted[:23].any() and not aligned.counted[:, :13].any()
    assert np.nanmax(aligned.relative_error) == pytest.approx(0.0), "clipped to the farthest truth"


def plain(depth: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> Aligned:
    return Aligned(depth.astype(np.float64), truth.astype(np.float64), np.ones(truth.shape, dtype=bool))


def test_depth_ranges_add_up_to_the_mean_over_images() -> None:
    measured, errors = DenseMeasured(), []
    draw = np.random.default_rng(3)
    for seed in range(8):
        truth = scene((30, 40), seed).depth
        depth = truth * draw.lognormal(0, 0.2, truth.shape)
        measured.add(plain(depth, truth))
        errors.append(float(np.mean(np.abs(depth - truth) / truth)))
    ranges = depth_ranges(measured)
    assert len(ranges) > 5
    assert sum(entry[4] for entry in ranges) == pytest.approx(1.0)
    assert sum(entry[2] * entry[4] for entry in ranges) == pytest.approx(np.mean(errors))
    assert all(a[1] == b[0] for a, b in pairwise(ranges)) and ranges[0][0] < ranges[0][1]
    assert all(entry[3][0] <= entry[2] <= entry[3][1] for entry in ranges)
    assert measured.joint.sum() == pytest.approx(8)


def test_failures_are_found_where_they_are() -> None:
    truth = np.full((90, 120), 5.0)
    depth = truth.copy()
    depth[:30, 60:] *= 2  # the top third of the right half
    depth[60:, :60] *= 1.2  # off, but by less than a quarter
    measured = DenseMeasured()
    measured.add(plain(depth, truth))
    share = failing_share(measured.failing, measured.seen)
    expected = np.zeros((ROWS, COLUMNS))
    expected[: ROWS // 3, COLUMNS // 2 :] = 100
    np.testing.assert_allclose(share.filled(-1), expected)


def test_pairs_are_measured_by_distance_gap_and_place() -> None:
    measured = PairsMeasured()
    image = np.zeros((30, 40, 3), np.uint8)
    values = np.tile(np.arange(40.0), (30, 1))
    pairs = [Pair((0, 0), (29, 39), 2), Pair((10, 5), (10, 15), 1)]
    measured.add(image, pairs, {"correct": [1, 0]}, values)
    low, high = np.percentile(values, [2, 98])
    assert measured.distance == [pytest.approx(math.hypot(29, 39) / 50), pytest.approx(10 / 50)]
    assert measured.gap == [pytest.approx(39 / (high - low)), pytest.approx(10 / (high - low))]
    wrong, seen = measured.heat()
    assert wrong.sum() == 2 and seen.sum() == 4 and wrong[1, 0] == 1 and wrong[1, 1] == 1
    measured.add(image, pairs[:1], {"correct": [0.5]}, None)
    assert measured.images == 2 and math.isnan(measured.gap[-1])


def test_the_paired_difference_is_that_of_the_totals() -> None:
    pairs = protocols.get("mini-pairs")
    a = [{"id": str(i), "n_valid": 1 + i % 3, "n_correct": i % 2} for i in range(20)]
    b = [{"id": str(i), "n_valid": 1 + i % 3, "n_correct": 1} for i in range(1, 20)]
    both = common(a, b)
    assert [line["id"] for line, _ in both] == [str(i) for i in range(1, 20)]
    found = difference(pairs, "accuracy", both)
    assert found is not None
    total = sum(line["n_valid"] for line in b)
    expected = (19 - sum(line["n_correct"] for line in a)) / total
    assert found.difference == pytest.approx(expected) and found.values[1] == pytest.approx(19 / total)
    assert found.ci95[0] < found.difference < found.ci95[1] and found.clusters == 19


def test_sequences_weigh_alike_in_a_paired_difference() -> None:
    total = SimpleNamespace(total="mean-of-sequences")
    recipe = cast(protocols.Protocol, SimpleNamespace(task="depth", aggregation=total))
    values = {"a": [1.0, 2.0, 3.0], "b": [10.0]}
    lines = [{"id": f"{s}{i}", "sequence": s, "abs_rel": v} for s in values for i, v in enumerate(values[s])]
    others = [{**line, "abs_rel": line["abs_rel"] + (3.0 if line["sequence"] == "a" else 1.0)} for line in lines]
    found = difference(recipe, "abs_rel", common(lines, others))
    assert found is not None and found.clusters == 2
    assert found.values[0] == pytest.approx((2 + 10) / 2) and found.difference == pytest.approx((3 + 1) / 2)
    assert difference(recipe, "abs_rel", []) is None


def test_samples_are_chosen_evenly_and_around_the_median() -> None:
    lines = [{"id": i} for i in range(1000)]
    chosen = [line["id"] for line in evenly(lines, 11)]
    assert chosen[0] == 0 and chosen[-1] == 999 and len(set(chosen)) == 11
    assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 1
    assert evenly(lines[:5], 11) == lines[:5]
    assert [line["id"] for line in middle(lines)] == [499, 500, 501]
    assert middle(lines[:4]) == [], "all of them are among the worst"


def drawing(name: str) -> Figure:
    with style():
        figure, axes = blank()
        axes.plot([0, 1], [0, 1])
        axes.set_xlabel(name)
    return figure


def test_figures_can_stand_side_by_side_and_be_saved(tmp_path: Any) -> None:
    from xml.etree import ElementTree

    drawn = []
    for name in ("one", "two"):
        figure = drawing(name)
        drawn.append(inline_svg(figure, name, 'says "<b>"'))
        paths = save_figure(figure, tmp_path / "figures", name)
        assert [path.suffix for path in paths] == [".pdf", ".svg"] and paths[0].read_bytes().startswith(b"%PDF")
    ids = [{e.get("id") for e in ElementTree.fromstring(text).iter() if e.get("id")} for text in drawn]
    assert ids[0] and not ids[0] & ids[1]
    assert "currentColor" in drawn[0] and "currentColor" not in (tmp_path / "figures" / "one.svg").read_text()
    assert inline_svg(drawing("two"), "two", 'says "<b>"') == drawn[1], "the same figure is the same bytes"


def test_numbers_are_printed_as_the_field_prints_them() -> None:
    assert number("accuracy", 0.953) == "95.3 %" and number("accuracy", -0.01, signed=True) == "-1.0 points"
    assert number("abs_rel", 0.05) == "0.0500" and number("silog", 33.808) == "33.81" and number("rmse", None) == "–"
    assert interval("accuracy", (0.9, 0.96)) == "[90.0, 96.0]" and interval("rmse", (None, None)) == ""
    assert higher_is_better("delta1") and not higher_is_better("whdr") and higher_is_better("boundary_f1_moge")
