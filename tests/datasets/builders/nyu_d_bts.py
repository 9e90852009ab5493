"""NYU Depth V2 as BTS extracts it: folders of scene types, JPEG images, raw depth in millimetres, 0-based names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from dataset_builders import encoded, fill
from dataset_builders.nyu_d import TEST, depth, picture

NAME = "nyu-d"
ABSENT = {("test", "filled"): "holds rawDepths only"}
SCENES = ("bathroom", "kitchen", "study_room")
GROUPS = set(SCENES)


def jpeg(seed: int) -> bytes:
    done, content = cv2.imencode(".jpg", picture(seed)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return bytes(content.tobytes())


def millimetres(seed: int) -> bytes:
    return encoded((depth(seed, "raw").astype(np.float64) * 1000).astype(np.uint16))


def build(folder: Path) -> Path:
    test = folder / "nyu-d" / "official_splits" / "test"
    names = [f"{SCENES[i % 3]}/@_{i:05d}" for i in TEST]
    fill((test / f"{n.replace('@', 'rgb')}.jpg" for n in names), [jpeg(i) for i in range(3)])
    fill((test / f"{n.replace('@', 'sync_depth')}.png" for n in names), [millimetres(i) for i in range(3)])
    return folder


def truth_file(root: Path, sample_id: str, split: str, field: str) -> Path:
    return root / f"{sample_id.replace('/rgb_', '/sync_depth_')}.png"


def image_file(root: Path, sample_id: str) -> Path:
    return root / f"{sample_id}.jpg"
