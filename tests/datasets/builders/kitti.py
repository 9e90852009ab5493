"""KITTI: raw drives with scans and calibration, annotated depth in both halves, and the cropped selection.

Written from the readme files of the raw devkit and of the depth devkit. The frames are those of the shipped lists.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_builders import encoded, fill, picture

LISTS = Path(__file__).parents[3] / "dabench" / "datasets" / "splits"
REFUSED = {
    ("eigen", "annotated"): "45 of the 697 frames .* have no annotated depth",
    ("val-selection", "velodyne"): "without laser scans",
}
SEQUENCES = True
HEIGHT, WIDTH = 8, 20
CAMERA = f"""calib_time: 09-Jan-2012 13:57:47
corner_dist: 9.950000e-02
S_rect_00: {WIDTH}.0 {HEIGHT}.0
R_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_00: 10 0 9 0 0 10 4 0 0 0 1 0
S_rect_02: {WIDTH}.000000e+00 {HEIGHT}.000000e+00
R_rect_02: 0 0 0 0 0 0 0 0 0
P_rect_02: 10 0 9.5 0.4 0 10 4 0.01 0 0 1 0.002
"""
SCANNER = """calib_time: 15-Mar-2012 11:37:16
R: 0 -1 0 0 0 -1 1 0 0
T: 0.01 -0.07 -0.27
delta_f: 0.000000e+00 0.000000e+00
"""
POINTS = 301


def frames() -> list[tuple[str, str, str]]:
    """Drive, frame and half (``train``, ``val``, ``none``) of all raw frames that some split has."""
    lines = [line for name in ("eigen", "lineage") for line in (LISTS / f"kitti-{name}.txt").read_text().split("\n")]
    return sorted({(d, f, h) for d, f, h in (line.split() for line in lines if line)})


def depth_map(seed: int, height: int, width: int) -> bytes:
    """Metres times 256 between 1 m and 90 m on about a third of the pixels."""
    rng = np.random.default_rng(seed)
    values = rng.integers(256, 90 * 256, (height, width), dtype=np.uint16)
    values[rng.random((height, width)) > 0.3] = 0
    values[-1, 3] = 5000
    return encoded(values)


def scan(seed: int) -> bytes:
    """Points all around the car; the number is odd, so that half of the file is no whole number of points."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 1, (POINTS, 4)) * (10, 10, 1, 0.3)
    points[:20] = (5, 0.2, -0.1, 0.5)
    return points.astype("<f4").tobytes()


def build(folder: Path) -> Path:
    root = folder / "kitti"
    every = frames()
    fill(
        (root / f"raw/{d[:10]}/{d}/image_02/data/{f}.png" for d, f, _ in every),
        [encoded(picture(i, HEIGHT, WIDTH)) for i in range(5)],
    )
    fill(
        (root / f"raw/{d[:10]}/{d}/velodyne_points/data/{f}.bin" for d, f, _ in every),
        [scan(i) for i in range(5)],
    )
    fill(
        (
            root / f"data_depth_annotated/{h}/{d}/proj_depth/groundtruth/image_02/{f}.png"
            for d, f, h in every
            if h != "none"
        ),
        [depth_map(i, HEIGHT, WIDTH) for i in range(7)],
    )
    for date in {d[:10] for d, _, _ in every}:
        (root / "raw" / date / "calib_cam_to_cam.txt").write_text(CAMERA)
        (root / "raw" / date / "calib_velo_to_cam.txt").write_text(SCANNER)
    selected = [(f"2011_09_26_drive_{2 + i % 9:04d}_sync", f"{i:010d}_image_0{2 + i % 2}") for i in range(1000)]
    selection = root / "depth_selection/val_selection_cropped"
    ramp = np.tile(np.arange(1216, dtype=np.uint16) // 8, (352, 1))[..., None] + np.zeros(3, np.uint16)
    fill(
        (selection / f"image/{d}_image_{rest}.png" for d, rest in selected),
        [encoded((ramp + i).astype(np.uint8)) for i in range(2)],
    )
    fill(
        (selection / f"groundtruth_depth/{d}_groundtruth_depth_{rest}.png" for d, rest in selected),
        [depth_map(i, 352, 1216) for i in range(2)],
    )
    return folder


def truth_file(root: Path, sample_id: str, split: str, field: str) -> Path:
    if split == "val-selection":
        return (
            root
            / f"{sample_id.replace('/image/', '/groundtruth_depth/').replace('_image_0', '_@_0', 1)}.png".replace(
                "_@_0", "_groundtruth_depth_0", 1
            )
        )
    _, date, drive, *_, frame = sample_id.split("/")
    if field == "velodyne":
        return root / f"raw/{date}/{drive}/velodyne_points/data/{frame}.bin"
    half = next(h for d, f, h in frames() if (d, f) == (drive, frame))
    return root / f"data_depth_annotated/{half}/{drive}/proj_depth/groundtruth/image_02/{frame}.png"
