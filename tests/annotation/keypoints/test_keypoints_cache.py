"""Key points are kept by image, checkpoint and settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotation.keypoints import CachedPoints, KeyPoints, RegionPoints, RegionSettings, open_generator


class Counting(RegionPoints):
    """Regions; counts the images that it looked at."""

    calls = 0

    def generate(self, image: np.ndarray) -> KeyPoints:
        self.calls += 1
        return super().generate(image)


def noise(seed: int, shape: tuple[int, int] = (40, 50)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def same(a: KeyPoints, b: KeyPoints) -> bool:
    arrays = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("labels", "holds", "edges"))
    kinds = all(getattr(a, name).dtype == getattr(b, name).dtype for name in ("labels", "holds", "edges"))
    return arrays and kinds and a.points == b.points and a.generator == b.generator


def test_a_second_look_is_a_file(tmp_path: Path) -> None:
    inner = Counting()
    kept = CachedPoints(inner, tmp_path)
    first = kept.generate(noise(0))
    assert same(kept.generate(noise(0)), first) and inner.calls == 1
    assert (kept.hits, kept.misses) == (1, 1)
    again = CachedPoints(Counting(), tmp_path)
    assert same(again.generate(np.asfortranarray(noise(0))), first) and again.hits == 1
    assert same(first, RegionPoints().generate(noise(0)))


def test_other_image_shape_settings_or_checkpoint_is_another_file(tmp_path: Path) -> None:
    image = noise(0)

    class Named(Counting):
        def describe(self) -> dict[str, Any]:
            return {**super().describe(), "checkpoint_sha256": "ab"}

    paths = {
        CachedPoints(RegionPoints(), tmp_path).path_of(image),
        CachedPoints(RegionPoints(), tmp_path).path_of(noise(1)),
        CachedPoints(RegionPoints(), tmp_path).path_of(image.reshape(50, 40, 3)),
        CachedPoints(RegionPoints(RegionSettings(regions=9)), tmp_path).path_of(image),
        CachedPoints(Named(), tmp_path).path_of(image),
    }
    assert len(paths) == 5


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "text", "other shape"])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: str) -> None:
    kept = CachedPoints(Counting(), tmp_path)
    first = kept.generate(noise(0))
    path = kept.path_of(noise(0))
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    if damage == "other shape":
        kept.generate(noise(0, (20, 30)))
        data = bytearray(kept.path_of(noise(0, (20, 30))).read_bytes())
    path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "text": b"not a zip"}.get(damage, bytes(data)))
    misses = kept.misses
    assert same(kept.generate(noise(0)), first) and kept.misses == misses + 1
    assert same(kept.generate(noise(0)), first) and kept.misses == misses + 1


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "import numpy as np\n"
        "from annotation.keypoints import CachedPoints, RegionPoints\n"
        "class Dies(RegionPoints):\n"
        "    seen = 0\n"
        "    def generate(self, image):\n"
        "        self.seen += 1\n"
        "        if self.seen == 3:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().generate(image)\n"
        "kept = CachedPoints(Dies(), sys.argv[1])\n"
        "for seed in range(5):\n"
        "    kept.generate(np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[3], check=False)
    if os.name != "nt":
        assert done.returncode == -signal.SIGKILL
    kept = open_generator(cache=tmp_path)
    assert isinstance(kept, CachedPoints)
    for seed in range(5):
        kept.generate(noise(seed))
    assert (kept.hits, kept.misses) == (2, 3)
    assert len(list(tmp_path.iterdir())) == 5
