"""NYU Depth V2 as its authors publish it: one MATLAB v7.3 file, which HDF5 shows with all axes reversed.

The 1449 images have their official shapes; only the 654 test images are written, from a few ready-made chunks.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

LIST = Path(__file__).parents[3] / "dabench" / "datasets" / "splits" / "nyu-test.txt"
TEST = [int(line) for line in LIST.read_text().split()]
GROUPS = {"kitchen", "bedroom", "home_office"}
IMAGES = 654
SOLID = {"filled"}
ONE_FILE = True


def picture(seed: int) -> npt.NDArray[np.uint8]:
    """``uint8 [480, 640, 3]`` that neither a transposition nor a swap of channels leaves alone."""
    rows, columns = np.mgrid[:480, :640]
    channels = [(rows // 2 + seed) % 256, (columns // 3) % 256, np.full_like(rows, 10 * seed)]
    return np.stack(channels, -1).astype(np.uint8)


def depth(seed: int, field: str) -> npt.NDArray[np.float32]:
    """``float32 [480, 640]``: 1 to 5 m; raw depth has a hole in its upper left that filled depth has not."""
    rows, columns = np.mgrid[:480, :640] // 16
    values = 1 + rows / 15 + columns / 40 + seed / 8  # in blocks, which pack well
    if field == "raw":
        values[:100, :50] = 0
    return values.astype(np.float32)


def seed_of(index: int) -> int:
    """Which of the contents a labelled image has."""
    return index % 4


def write_mat(path: Path) -> None:
    """Write the file by MATLAB's shapes: what has [i, j, ..., n] there has [n, ..., j, i] here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"compression": "gzip", "compression_opts": 1}
    with h5py.File(path, "w", userblock_size=512) as file:
        images = file.create_dataset("images", (1449, 3, 640, 480), "u1", chunks=(1, 3, 640, 480), **options)
        arrays = {"rawDepths": "raw", "depths": "filled"}
        maps = {
            key: file.create_dataset(key, (1449, 640, 480), "<f4", chunks=(1, 640, 480), **options) for key in arrays
        }
        for seed in range(4):
            packed = zlib.compress(np.ascontiguousarray(picture(seed).transpose(2, 1, 0)).tobytes(), 1)
            depths = {
                key: zlib.compress(np.ascontiguousarray(depth(seed, field).T).tobytes(), 1)
                for key, field in arrays.items()
            }
            for index in (i for i in TEST if seed_of(i) == seed):
                images.id.write_direct_chunk((index, 0, 0, 0), packed)
                for key, content in depths.items():
                    maps[key].id.write_direct_chunk((index, 0, 0), content)
        words = file.create_group("#refs#")
        for name in sorted(GROUPS):
            words[name] = np.array([[ord(letter)] for letter in name], np.uint16)
        cells = file.create_dataset("sceneTypes", (1, 1449), h5py.ref_dtype)
        cells[0] = np.array([words[sorted(GROUPS)[i % 3]].ref for i in range(1449)], h5py.ref_dtype)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(512))


def build(folder: Path) -> Path:
    write_mat(folder / "nyu-d" / "nyu_depth_v2_labeled.mat")
    return folder
