"""Speed of scoring dense depth: ours against usual NumPy, a MoGe-style torch version and the depth-estimation package.

    python benchmarks/scoring.py [--threads 2] [--rounds 7] [--only 480x640] [--json]

All fit the same disparity to the same ground truth, invert it and measure it, from arrays in memory to numbers. Before
anything is timed, every contender's AbsRel is compared with ours. Rounds are interleaved and ratios are taken within a
round, so that other work on the machine hits all alike; medians over rounds are printed, relative to ours. A contender
whose package is missing is left out, loudly.

A stream of images is what an evaluation scores: ours takes one image a thread, and each peer whatever is faster for it,
one image a thread or all threads for an image.

The peers score one rule. Ours also scores a second rule on the same prediction, of two kinds: ``same pixels`` (another
floor, cap and alignment, as two protocols on one benchmark often differ) and ``other pixels`` (another crop and range).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch

from dabench.scoring.crops import crop_box
from dabench.scoring.dense import DenseRule, Prepared, Workers
from dabench.scoring.metrics import PIXEL_METRICS
from dabench.types import Output, Prediction

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]

RULE = DenseRule(dict.fromkeys(Output, "least-squares-disparity"), valid_min=1e-3)
CASES = {
    # size: (share of valid ground truth, first rule, second rule on the same pixels, second rule on others)
    "480x640": (
        0.76,
        dataclasses.replace(RULE, valid_max=10.0, depth_max=10.0, disparity_floor=0.1, crop_region=(45, 471, 41, 601)),
        {"disparity_floor": None, "depth_max": None},
        {"crop_region": "none"},
    ),
    "375x1242": (
        0.2,
        dataclasses.replace(RULE, valid_max=80.0, depth_max=80.0, disparity_floor=1 / 80, crop_region="garg"),
        {"disparity_floor": None, "depth_max": None},
        {"crop_region": "eigen", "crop_frame": "kb"},
    ),
    "4032x6048": (
        0.2,
        dataclasses.replace(RULE, valid_min=0.0),
        {"disparity_floor": 1 / 200, "depth_max": 200.0},
        {"valid_max": 9.0},
    ),
}


def scene(size: str, share: float) -> Arrays:
    """Prediction, depth and mask: a sloping floor with waves, and a disparity that is off by some percent."""
    height, width = map(int, size.split("x"))
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    depth = 1.2 + 8 * (1 - rows / height) + 0.5 * np.sin(columns / 40)
    values = (3 / depth + 0.2) * (1 + 0.05 * rng.standard_normal(depth.shape, dtype=np.float32))
    return values.astype(np.float32), depth.astype(np.float32), rng.random(depth.shape, dtype=np.float32) < share


def narrowed(arrays: Arrays, rule: DenseRule) -> tuple[np.ndarray, float, float]:
    """The usual mask of a rule, its floor and its cap."""
    _, depth, valid = arrays
    mask = valid & (depth > rule.valid_min)
    if rule.valid_max is not None:
        mask &= depth < rule.valid_max
    box = crop_box(*depth.shape, rule.crop_frame, rule.crop_region)
    crop = np.zeros_like(mask)
    crop[box.top : box.bottom, box.left : box.right] = True
    mask &= crop
    cap = float(depth[mask].max()) if rule.depth_max is None else rule.depth_max
    return mask, rule.disparity_floor or 1 / cap, cap


def with_numpy(arrays: Arrays, rule: DenseRule) -> dict[str, float]:
    """lstsq on the masked pixels, then eleven metrics of Eigen et al. and KITTI, as evaluation scripts write them."""
    values, depth, _ = arrays
    mask, floor, cap = narrowed(arrays, rule)
    p, g = values[mask].astype(np.float64), depth[mask].astype(np.float64)
    scale, shift = np.linalg.lstsq(np.stack([p, np.ones_like(p)], axis=1), 1 / g, rcond=None)[0]
    p = np.clip(1 / np.maximum(scale * p + shift, floor), rule.depth_min, cap)
    ratio = np.maximum(p / g, g / p)
    error = np.log(p) - np.log(g)
    return {
        "abs_rel": np.mean(np.abs(p - g) / g),
        "sq_rel": np.mean((p - g) ** 2 / g),
        "rmse": np.sqrt(np.mean((p - g) ** 2)),
        "rmse_log": np.sqrt(np.mean(error**2)),
        "log10": np.mean(np.abs(np.log10(p) - np.log10(g))),
        "silog": 100 * np.sqrt(np.mean(error**2) - np.mean(error) ** 2),
        "delta1": (ratio < 1.25).mean(),
        "delta2": (ratio < 1.25**2).mean(),
        "delta3": (ratio < 1.25**3).mean(),
        "irmse": np.sqrt(np.mean((1 / p - 1 / g) ** 2)),
        "mae": np.mean(np.abs(p - g)),
    }


def with_torch(arrays: Arrays, rule: DenseRule) -> dict[str, float]:
    """The same eleven metrics in float32 tensors after torch's least squares: MoGe's way, which reports two of them."""
    values, depth = (torch.from_numpy(a) for a in arrays[:2])
    numpy_mask, floor, cap = narrowed(arrays, rule)
    mask = torch.from_numpy(numpy_mask)
    p, g = values[mask], depth[mask]
    design = torch.stack([p, torch.ones_like(p)], dim=1)
    scale, shift = torch.linalg.solve(design.T @ design, design.T @ (1 / g))
    p = (1 / (scale * p + shift).clamp_min(floor)).clamp(rule.depth_min, cap)
    ratio = torch.maximum(p / g, g / p)
    error = p.log() - g.log()
    found = {
        "abs_rel": ((p - g).abs() / g).mean(),
        "sq_rel": ((p - g) ** 2 / g).mean(),
        "rmse": ((p - g) ** 2).mean().sqrt(),
        "rmse_log": (error**2).mean().sqrt(),
        "log10": (p.log10() - g.log10()).abs().mean(),
        "silog": 100 * error.var(correction=0).sqrt(),
        "delta1": (ratio < 1.25).float().mean(),
        "delta2": (ratio < 1.25**2).float().mean(),
        "delta3": (ratio < 1.25**3).float().mean(),
        "irmse": ((1 / p - 1 / g) ** 2).mean().sqrt(),
        "mae": (p - g).abs().mean(),
    }
    return {name: value.item() for name, value in found.items()}


def with_package(arrays: Arrays, rule: DenseRule) -> dict[str, float]:
    """The depth-estimation package: its least squares and its seven metrics."""
    from depth_estimation.evaluation.metrics import DepthMetrics, align_least_squares

    values, depth, _ = arrays
    mask, floor, cap = narrowed(arrays, rule)
    with np.errstate(divide="ignore"):
        scale, shift = align_least_squares(values, 1 / depth, mask)
    aligned = np.clip(1 / np.maximum(scale * values + shift, floor), rule.depth_min, cap)
    found: dict[str, float] = DepthMetrics()(torch.from_numpy(aligned), torch.from_numpy(depth), torch.from_numpy(mask))
    return found


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(size: str, pool: ThreadPoolExecutor, threads: int, rounds: int) -> dict[str, float]:
    """Medians over rounds of each contender's time relative to our first rule."""
    together, alone = Workers(pool.submit, threads), Workers()
    share, first, *others = CASES[size]
    arrays = scene(size, share)
    prediction = Prediction(arrays[0], Output.DISPARITY)
    same, other = (dataclasses.replace(first, **changes) for changes in others)
    contenders = {"NumPy": with_numpy, "torch": with_torch}
    try:
        import depth_estimation.evaluation.metrics  # noqa: F401

        contenders["depth-estimation"] = with_package
    except ImportError as error:
        print(f"  depth-estimation is left out: {error} (pip install depth-estimation)")

    def prepare(workers: Workers = together) -> Prepared:
        return Prepared(prediction, *arrays[1:], workers=workers)

    def rounds_of(repeats: int) -> tuple[dict[str, float], dict[str, float]]:
        """The best of a few repetitions of everybody, in turns: one image, and an image of a stream."""
        times: dict[str, float] = {}
        streams: dict[str, float] = {}
        images = range(4 * threads)

        def note(into: dict[str, float], name: str, call: Callable[[], object], images: int = 1) -> None:
            into[name] = min(seconds(call) / images, into.get(name, np.inf))

        for _ in range(repeats):
            prepared = prepare()
            note(times, "ours", lambda p=prepared: p.score(first))
            note(times, "second rule, same pixels", lambda p=prepared: p.score(same))
            note(times, "second rule, other pixels", lambda p=prepared: p.score(other))
            del prepared
            for name, contender in contenders.items():
                note(times, name, lambda c=contender: c(arrays, first))
            note(streams, "ours", lambda: list(pool.map(lambda _: prepare(alone).score(first), images)), len(images))
            torch.set_num_threads(1)
            for name, contender in contenders.items():
                call = partial(contender, arrays, first)
                note(streams, name, lambda c=call: list(pool.map(lambda _: c(), images)), len(images))
            torch.set_num_threads(threads)
        return times, {name: min(value, times[name]) for name, value in streams.items()}

    expected = prepare().score(first).metrics["abs_rel"]
    for name, contender in contenders.items():
        found = contender(arrays, first)["abs_rel"]
        if not abs(found - expected) < 1e-4 * expected:
            print(f"  ! {name} finds AbsRel {found:.6f}, ours {expected:.6f}")
    ratios: dict[str, list[float]] = {}
    for _ in range(rounds):
        times, streams = rounds_of(5 if arrays[0].size < 10**6 else 1)
        own, own_stream = times.pop("ours"), streams.pop("ours")
        for name, value in times.items():
            ratios.setdefault(name, []).append(value / own)
        for name, value in streams.items():
            ratios.setdefault(f"{name}, stream", []).append(value / own_stream)
        ratios.setdefault("(ours, milliseconds)", []).append(own * 1e3)
        ratios.setdefault("(ours, stream, milliseconds)", []).append(own_stream * 1e3)
    return {name: statistics.median(values) for name, values in ratios.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=CASES, action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    report = {}
    with ThreadPoolExecutor(options.threads) as pool:
        for size in options.only or CASES:
            print(f"{size}, {len(PIXEL_METRICS)} metrics of ours, {options.threads} threads")
            report[size] = measure(size, pool, options.threads, options.rounds)
            peers = {name: ratio for name, ratio in report[size].items() if name[0] not in "(s"}
            for name, ratio in report[size].items():
                print(f"  {name:28s} {ratio:8.2f}" + ("" if name.startswith("(") else " x ours"))
            for kind in ("", ", stream"):
                of_kind = {name: ratio for name, ratio in peers.items() if name.endswith(", stream") == bool(kind)}
                fastest = min(of_kind, key=lambda name: of_kind[name])
                print(f"  ours takes 1/{of_kind[fastest]:.1f} of the fastest peer ({fastest})")
    if options.json:
        print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
