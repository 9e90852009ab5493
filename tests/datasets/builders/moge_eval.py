"""The layout of MoGe's evaluation bundle: ten sets of tiny images, log-depth PNG files and normalised intrinsics."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from dataset_builders import encoded, fill, picture
from PIL import Image, PngImagePlugin

FOLDERS = {
    "nyuv2": ("NYUv2", 654), "kitti": ("KITTI", 652), "eth3d": ("ETH3D", 454), "ibims-1": ("iBims-1", 4),
    "gso": ("GSO", 4), "sintel": ("Sintel", 1064), "ddad": ("DDAD", 4), "diode": ("DIODE", 771),
    "spring": ("Spring", 4), "hammer": ("HAMMER", 4),
}  # fmt: skip
HEIGHT, WIDTH = 24, 32


def log_png(codes: np.ndarray, near: float | str, far: float | str, **text: str) -> bytes:
    """A 16-bit PNG with the text chunks of MoGe's writer."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in {"near": str(near), "far": str(far), **text}.items():
        chunks.add_text(key, value)
    stream = io.BytesIO()
    Image.fromarray(codes.astype(np.uint16)).save(stream, format="PNG", pnginfo=chunks)
    return stream.getvalue()


def codes_of(seed: int) -> np.ndarray:
    codes = np.random.default_rng(seed).integers(1, 65535, (HEIGHT, WIDTH))
    codes[:8], codes[8:12] = 0, 65535
    return codes


def meta(fx: float = 0.9, fy: float = 1.2, cx: float = 0.52, cy: float = 0.47) -> bytes:
    return json.dumps({"intrinsics": [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]}).encode()


def build(folder: Path) -> Path:
    for name, count in FOLDERS.values():
        root = folder / "moge-eval" / name
        items = [f"scene_{number % 3}/{number:04d}" for number in range(count)]
        fill((root / i / "image.jpg" for i in items), [encoded(picture(s, HEIGHT, WIDTH), ".jpg") for s in range(2)])
        fill((root / i / "depth.png" for i in items), [log_png(codes_of(s), 0.5, 80.0) for s in range(2)])
        fill((root / i / "meta.json" for i in items), [meta()])
        (root / ".index.txt").write_text("\n".join(items) + "\n")
    return folder


def truth_file(root: Path, sample_id: str, split: str, field: str) -> Path:
    return (root / sample_id).with_name("depth.png")
