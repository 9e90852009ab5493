"""Speed of key points: ours against the automatic mask generator of segment-anything.

    python benchmarks/keypoints.py [--grid 16] [--height 1500] [--width 2000] [--encoder vit_b] [--threads 2]
        [--rounds 1]

Both run the same network with random weights on the same picture, grid and thresholds. The thresholds are set from a
coarser grid so that about 100 masks survive; random masks cover the picture, so no two boxes are held against each
other. After each round the surviving points, boxes and scores are compared. Time is that of the process on all its
cores, since other work on the machine changes the wall clock more; ratios are taken within a round.
``--grid 4`` is a quick run, in which the image encoder is most of the work.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from segment_anything import SamAutomaticMaskGenerator, SamPredictor, sam_model_registry
from torch import nn

# this folder holds an annotation.py
sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent]

from annotation.keypoints.mask_points import GridSettings, find_masks, points_of_masks  # noqa: E402
from annotation.keypoints.segment_anything_points import SegmentAnythingPoints  # noqa: E402

OFFSET = 0.2
"""Of the stability score; logits of random weights are smaller than those of trained ones."""
PASS_QUALITY = 0.4
"""Share of candidates that pass the first threshold."""
SURVIVORS = 100


def network(encoder: str) -> Any:
    """The real architecture with random weights, changed so that masks are smooth and depend on the point."""
    torch.manual_seed(0)
    sam = sam_model_registry[encoder]()
    decoder = sam.mask_decoder
    for hypernetwork in decoder.output_hypernetworks_mlps:
        hypernetwork.layers[-1].weight.data.mul_(60)
    decoder.iou_prediction_head.layers[-1].bias.data.add_(0.6)
    for layer in decoder.output_upscaling:
        if isinstance(layer, nn.ConvTranspose2d):
            kernel = layer.weight.data
            kernel.copy_(0.2 * kernel + 1.4 * kernel.mean((2, 3), keepdim=True))
    for block in decoder.transformer.layers:
        attention = block.cross_attn_image_to_token
        attention.q_proj.weight.data.mul_(2)
        attention.k_proj.weight.data.copy_(attention.q_proj.weight * 2)
        attention.out_proj.weight.data.mul_(4)
    return sam.eval().requires_grad_(False)


def picture(height: int, width: int) -> np.ndarray:
    """RGB uint8 [height, width, 3]: smooth waves and a little noise."""
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(9 * rows + 5 * columns), np.cos(20 * rows * columns), np.sin(30 * columns - 7 * rows)]
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 3))
    return np.clip(128 + 60 * np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


def thresholds(sam: Any, image: np.ndarray, grid: int) -> GridSettings:
    """Settings with which about :data:`SURVIVORS` masks of the grid survive, or a third of a small grid's."""
    coarse = GridSettings(
        points_per_side=min(grid, 6),
        pred_iou_thresh=-1.0,
        stability_score_thresh=-1.0,
        stability_score_offset=OFFSET,
        box_nms_thresh=1.0,
    )
    masks = find_masks(image, SegmentAnythingPoints(sam, coarse), coarse)
    quality = float(np.quantile([m.predicted_iou for m in masks], 1 - PASS_QUALITY))
    stable = [m.stability for m in masks if m.predicted_iou > quality and np.isfinite(m.stability)]
    share = min(SURVIVORS / (3 * grid * grid * PASS_QUALITY), 0.8)
    limit = max(float(np.quantile(stable, 1 - share)), 1e-3)
    return replace(coarse, points_per_side=grid, pred_iou_thresh=quality, stability_score_thresh=limit)


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, seconds of the process and seconds of the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = call()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def differences(ours: list[Any], stock: list[dict[str, Any]]) -> str:
    """What the surviving masks differ in, in words."""
    found = {(m.x, m.y, m.box[0], m.box[1], m.box[2] - m.box[0], m.box[3] - m.box[1]): m for m in ours}
    known = {(*m["point_coords"][0], *m["bbox"]): m for m in stock}
    points = {place[:2] for place in found} == {place[:2] for place in known}
    both = found.keys() & known.keys()
    quality = max((abs(found[k].predicted_iou - known[k]["predicted_iou"]) for k in both), default=0.0)
    stability = max((abs(found[k].stability - known[k]["stability_score"]) for k in both), default=0.0)
    return (
        f"{len(stock)} masks of the stock generator, {len(ours)} of ours, {len(both)} with the same point and box; "
        f"points {'the same' if points else 'DIFFER'}; greatest difference of predicted IoU {quality:.1e}, "
        f"of stability {stability:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=int, default=16, help="points a side")
    parser.add_argument("--height", type=int, default=1500)
    parser.add_argument("--width", type=int, default=2000)
    parser.add_argument("--encoder", choices=("vit_b", "vit_l", "vit_h"), default="vit_b")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console()
    sam, image = network(options.encoder), picture(options.height, options.width)
    settings = thresholds(sam, image, options.grid)
    ours = SegmentAnythingPoints(sam, settings)
    stock = SamAutomaticMaskGenerator(sam, output_mode="uncompressed_rle", **asdict(settings))
    predictor = SamPredictor(sam)
    frame = ours.frame((options.height, options.width))

    def encode() -> None:
        with torch.inference_mode():
            ours.encode(image, frame)

    steps: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "image encoder": (lambda: predictor.set_image(image), encode),
        "masks of all points": (lambda: stock.generate(image), lambda: find_masks(image, ours, settings)),
    }
    ratios: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, (theirs, own) in steps.items():
            known, cpu, wall = timed(theirs)
            found, own_cpu, own_wall = timed(own)
            ratios[name].append((cpu, own_cpu, own_cpu / cpu, own_wall / wall))
        console.print(differences(found, known))
    table = Table(title=f"{options.encoder}, {options.height} x {options.width}, grid {options.grid} x {options.grid}")
    for heading in ("", "stock, CPU s", "ours, CPU s", "ours / stock, CPU", "ours / stock, wall"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, rows in ratios.items():
        middle = [statistics.median(column) for column in zip(*rows, strict=True)]
        table.add_row(name, *(f"{value:.1f}" for value in middle[:2]), *(f"{value:.2f}" for value in middle[2:]))
    console.print(table)
    _, seconds, _ = timed(lambda: points_of_masks(found, image.shape[:2], ours.describe()))
    console.print(f"regions, edges and labels of {len(found)} masks, not in the table: {seconds:.1f} CPU s")


if __name__ == "__main__":
    main()
