"""Under every protocol a perfect prediction has no error, and the same prediction mirrored has."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from dabench import protocols
from dabench.errors import ModelError
from dabench.protocols import Protocol
from dabench.protocols.rule import dense_rule
from dabench.scoring.crops import KB_SIZE, kb_window
from dabench.scoring.dense import DenseScore, Prepared, fit_pixels_of_many
from dabench.types import MAP_OUTPUTS, Output, Prediction

DEPTH = [p for p in protocols.all_protocols().values() if p.task == "depth"]
SIZES = {"kitti": (375, 1242), "nyu-d": (480, 640), "diode": (768, 1024)}
AFFINE = ("least-squares-disparity", "least-squares-depth", "ridge-depth", "l1-depth", "lad-depth")
# A ridge of 1e-9 and a minimum found on float32 samples leave a little.
TOLERANCE = {"ridge-depth": 1e-5, "l1-depth": 1e-5, "l1-scale": 1e-5, "lad-depth": 1e-5}

Array = npt.NDArray[np.float32]


@cache
def scene(height: int, width: int) -> Array:
    """Depth between 1.5 m and 8.4 m, inside the range of every protocol, not symmetric, with edges at blocks."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    wave = np.sin(columns / width * 9.0 + rows / height * 4.0) + 0.5 * np.cos(rows / height * 17.0)
    slope = columns / width - 0.3 * rows / height
    raw = wave + 1.5 * slope
    smooth = 1.5 + 4.5 * (raw - raw.min()) / np.ptp(raw)
    blocks = (rows // 20 + columns // 30) % 3 == 0
    return np.where(blocks, 1.4 * smooth, smooth).astype(np.float32)


def perfect(depth: Array, protocol: Protocol, output: Output) -> Array:
    """What a model of this output kind predicts when it is right up to what the protocol forgives."""
    assert protocol.alignment is not None
    method = protocol.alignment.method(output)
    g = depth.astype(np.float64)
    scale, shift = (3.0, 0.2) if method in AFFINE else (3.0, 0.0)
    if method == "none":
        scale, shift = 1.0, 0.0
    if output is Output.DISPARITY:
        exact = scale / g + shift if method in ("least-squares-disparity", "none") else scale / g
    elif method == "least-squares-disparity":  # a depth is inverted before the fit
        exact = 1.0 / (scale / g + shift)
    else:
        exact = scale * g + shift
    return exact.astype(np.float32)


def scored(protocol: Protocol, output: Output, *, mirrored: bool) -> DenseScore:
    rule = dense_rule(protocol)
    if protocol.dataset.split == "val-selection":
        size = KB_SIZE
    else:
        size = SIZES.get(protocol.dataset.name, (120, 200))
    depth = scene(*size)
    values = perfect(depth, protocol, output)
    values = values[:, ::-1].copy() if mirrored else values
    window = None
    if protocol.crop.image == "kb":
        top, left = window = kb_window(*size)
        values = values[top : top + KB_SIZE[0], left : left + KB_SIZE[1]].copy()
    prepared = Prepared(Prediction(values, output), depth, np.ones(size, bool), window)
    if protocol.alignment is not None and protocol.alignment.scope == "sequence":
        return prepared.score(rule, fit_pixels_of_many([prepared.fit_pixels(rule)] * 2, rule))
    return prepared.score(rule)


CASES = [(p.id, output) for p in DEPTH if p.alignment is not None for output in MAP_OUTPUTS]


@pytest.mark.parametrize(("name", "output"), CASES, ids=lambda v: str(v))
def test_perfect_is_perfect_and_mirrored_is_not(name: str, output: Output) -> None:
    protocol = protocols.get(name)
    assert protocol.alignment is not None
    method = protocol.alignment.method(output)
    if method == "refuse":
        with pytest.raises(ModelError):
            scored(protocol, output, mirrored=False)
        return
    good, bad = (scored(protocol, output, mirrored=mirrored) for mirrored in (False, True))
    assert good.n_valid > 10_000 and good.n_usable == good.n_valid
    tolerance = TOLERANCE.get(method, 1e-6)
    worst = {"abs_rel": tolerance, "bad_pixel": 0.0}
    best = {"delta1": 1.0, "boundary_f1_moge": 1.0}
    for metric, value in good.metrics.items():
        if metric in worst:
            assert value <= worst[metric], metric
        elif metric in best:
            assert value == pytest.approx(best[metric], abs=1e-3), metric
    assert bad.metrics["abs_rel"] > 0.05


@pytest.mark.parametrize("name", ["kitti-marigold", "diode-marigold", "nyu-moge-affine-depth"])
def test_a_depth_of_zero_is_a_prediction(name: str) -> None:
    """Diffusion models put the nearest point at 0. It is no missing value where the source fits scale and shift."""
    depth = scene(375, 1242)
    nearest = np.quantile(depth, 0.05)
    depth = np.maximum(depth, np.float32(nearest))
    values = ((depth - depth.min()) / np.ptp(depth)).astype(np.float32)
    assert 0.04 < (values == 0).mean() < 0.2
    errors = {}
    for version in (1, 2):
        rule = dense_rule(protocols.get(f"{name}@{version}"))
        score = Prepared(Prediction(values, Output.DEPTH), depth, np.ones(depth.shape, bool)).score(rule)
        errors[version] = score.metrics["abs_rel"]
        assert (score.n_usable == score.n_valid) == (version == 2)
    assert errors[2] < 1e-5 and errors[1] > 0.01


def test_every_output_kind_is_scored_somewhere_on_every_dataset() -> None:
    for dataset in {p.dataset.name for p in DEPTH}:
        methods = [
            (o, p.alignment.method(o)) for p in DEPTH if p.dataset.name == dataset and p.alignment for o in MAP_OUTPUTS
        ]
        assert {output for output, method in methods if method != "refuse"} == set(MAP_OUTPUTS), dataset
