"""The bundled `mini` benchmark: `python -m dabench.render.mini OUT` makes it again, byte for byte."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from dabench.render.dataset import depth_path, generate, merge_samples, write_atomically
from dabench.render.sample import SCENE_TYPES, Settings

SETTINGS = Settings(seed=2026, split="heldout", size=(192, 256), views=2, samples=4)
SCENES = 72
EACH = 13
"""Images kept of every scene type."""


def make(out: Path, *, workers: int = 2, scratch: Path | None = None) -> int:
    """Render held-out scenes and keep `EACH` images of every type, one a scene as far as they last; the image count."""
    work = scratch or Path(tempfile.mkdtemp())
    generate(work, SCENES, SETTINGS, workers=workers)
    kept: Counter[str] = Counter()
    records: dict[str, Any] = {}
    found = [json.loads(path.read_text()) for path in sorted((work / "scenes").glob("[0-9]*.json"))]
    for view in range(SETTINGS.views):
        for record in found:
            for image, entry in list(record.items())[view : view + 1]:
                if kept[entry["scene"]] < EACH:
                    kept[entry["scene"]] += 1
                    records[image] = entry
    missing = {scene: EACH - kept[scene] for scene in SCENE_TYPES if kept[scene] < EACH}
    if missing:
        raise RuntimeError(f"too few usable views: {missing}; raise SCENES")
    for image in records:
        for name in (image, depth_path(image)):
            write_atomically(out / name, (work / name).read_bytes())
    merge_samples(out, SETTINGS, dict(sorted(records.items())))
    if scratch is None:
        shutil.rmtree(work)
    return len(records)


if __name__ == "__main__":
    make(Path(sys.argv[1]), scratch=Path(sys.argv[2]) if len(sys.argv) > 2 else None)
