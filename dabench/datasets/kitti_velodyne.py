"""KITTI laser scans projected into the left colour camera, as Monodepth2 makes its Eigen ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dabench.datasets.formats import read_bytes
from dabench.errors import SampleError
from dabench.types import GroundTruth

CAMERA_FILE = "calib_cam_to_cam.txt"
SCANNER_FILE = "calib_velo_to_cam.txt"
CALIBRATION_FILES = (CAMERA_FILE, SCANNER_FILE)
POINT_BYTES = 16

Calibration = tuple[npt.NDArray[np.float64], tuple[int, int]]


def read_scan(path: Path) -> npt.NDArray[np.float32]:
    """Read a ``.bin`` scan: little-endian float32 x, y, z, reflectance for each point (KITTI raw devkit, readme.txt).

    x points forward, y to the left, z up; metres. A file that was cut between two points cannot be told from a whole
    one.

    Returns:
        ``float32 [N, 4]`` with N > 0.

    Raises:
        SampleError: missing, empty, cut inside a point, or with values that are not finite.
    """
    content = read_bytes(path)
    if not content or len(content) % POINT_BYTES:
        raise SampleError(f"{path}: has {len(content)} bytes, not a positive multiple of {POINT_BYTES} (x, y, z, r)")
    points = np.frombuffer(content, "<f4").reshape(-1, 4)
    if not np.isfinite(points).all():
        raise SampleError(f"{path}: holds values that are not finite")
    return points.astype(np.float32, copy=False)


def read_calibration(folder: Path) -> Calibration:
    """Read a day's two calibration files.

    Returns:
        the ``float64 [3, 4]`` matrix ``P_rect_02 @ R_rect_00 @ [R | T]`` from scanner to image, and the size
        ``(height, width)`` of the rectified image (``S_rect_02``).

    Raises:
        SampleError: a file is missing, or lacks an entry or numbers of it.
    """
    camera, scanner = _entries(folder / CAMERA_FILE), _entries(folder / SCANNER_FILE)
    to_camera, rectify = np.eye(4), np.eye(4)
    to_camera[:3, :3] = _entry(scanner, "R", 9, folder / SCANNER_FILE).reshape(3, 3)
    to_camera[:3, 3] = _entry(scanner, "T", 3, folder / SCANNER_FILE)
    rectify[:3, :3] = _entry(camera, "R_rect_00", 9, folder / CAMERA_FILE).reshape(3, 3)
    project = _entry(camera, "P_rect_02", 12, folder / CAMERA_FILE).reshape(3, 4)
    width, height = _entry(camera, "S_rect_02", 2, folder / CAMERA_FILE).astype(int)
    if not (0 < width <= 65535 and 0 < height <= 65535):
        raise SampleError(f"{folder / CAMERA_FILE}: S_rect_02 gives an image of {height} rows and {width} columns")
    return project @ rectify @ to_camera, (int(height), int(width))


def _entries(path: Path) -> dict[str, str]:
    text = read_bytes(path).decode("utf-8", errors="replace")
    return {key.strip(): value for key, _, value in (line.partition(":") for line in text.splitlines())}


def _entry(entries: dict[str, str], key: str, count: int, path: Path) -> npt.NDArray[np.float64]:
    try:
        values = np.array([float(v) for v in entries.get(key, "").split()])
    except ValueError:
        values = np.array([])
    if values.shape != (count,) or not np.isfinite(values).all():
        raise SampleError(f"{path}: lacks the entry '{key}' of {count} numbers")
    return values


def project_scan(points: npt.NDArray[np.float32], calibration: Calibration) -> GroundTruth:
    """Sparse depth of a scan in the image.

    Source: nianticlabs/monodepth2, ``kitti_utils.py``, ``generate_depth_map`` with ``cam=2, vel_depth=True``. Points
    behind the scanner (x < 0) are dropped; the others are projected with reflectance replaced by 1; the pixel is the
    rounded (half to even) image coordinate minus 1, as in KITTI's MATLAB code; the value is the point's x, the distance
    ahead of the scanner, which is not the camera's z (the scanner sits 0.27 m behind the camera). Where several points
    meet, the nearest counts. Monodepth2 finds these by an index that the last pixel of a row shares with the first of
    the next; here they are two pixels, which differs only in these two columns (outside the Garg and the Eigen crop).

    Args:
        points: ``float32 [N, 4]``.
        calibration: of the day.

    Returns:
        depth ``float32 [H, W]`` in metres, 0 where no point fell, and the mask of where one did.
    """
    matrix, (height, width) = calibration
    ahead = points[points[:, 0] >= 0].astype(np.float64)
    homogeneous = ahead.copy()
    homogeneous[:, 3] = 1
    x, y, scale = matrix @ homogeneous.T
    with np.errstate(divide="ignore", invalid="ignore"):
        col, row = np.round(x / scale) - 1, np.round(y / scale) - 1
    inside = (col >= 0) & (row >= 0) & (col < width) & (row < height)
    index = row[inside].astype(np.int64) * width + col[inside].astype(np.int64)
    nearest = np.full(height * width, np.inf)
    np.minimum.at(nearest, index, ahead[inside, 0])
    depth = np.where(np.isfinite(nearest), nearest, 0).astype(np.float32).reshape(height, width)
    return GroundTruth(depth, depth > 0)
