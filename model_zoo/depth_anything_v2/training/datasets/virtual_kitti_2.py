"""Virtual KITTI 2: five street scenes in ten weathers, lights and camera headings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dabench.errors import UsageError

from ..labels import DenseLabels, LabelRule, labels_from_depth
from .base import FileDataset, RuleChanges
from .files import files_in, names, one_of, read_png16

SCENES = ("Scene01", "Scene02", "Scene06", "Scene18", "Scene20")
VARIATIONS = (
    "15-deg-left", "15-deg-right", "30-deg-left", "30-deg-right", "clone", "fog", "morning", "overcast", "rain",
    "sunset",
)  # fmt: skip
MARIGOLD_VARIATIONS = ("15-deg-left", "15-deg-right", "clone", "morning", "overcast", "sunset")
SPLITS = {
    "all": (SCENES, VARIATIONS, (0,)),
    "marigold-train": (SCENES[1:], MARIGOLD_VARIATIONS, (0, 1)),
    "marigold-val": (SCENES[:1], MARIGOLD_VARIATIONS, (0, 1)),
}
"""Scenes, variations and cameras; Marigold, `data_split/vkitti_depth`, holds 20,148 and 5,364 images."""

SKY_CODE = 65535


class VirtualKitti2(FileDataset):
    """Frames of the chosen scenes, variations and cameras; 21,260 a camera.

    Depth is kept in centimetres along the optical axis; 65535 is sky and everything beyond (README of the set). CUT3R
    takes 655 m and more as sky, and so does the rule here; Depth Anything V2's metric script masks all beyond 80 m,
    which the depth range of a metric recipe does.

    Args:
        root: folder of `SceneSS/`, into which both the `rgb` and the `depth` archive are unpacked.
        split: "all" is the left camera in all scenes and variations. Depth Anything V2's metric script lists 19,559 of
            these 21,260 frames; how they were chosen is not known, and the paper's "20K" fits both. "marigold-train"
            and "marigold-val" are Marigold's.
        scenes, variations, cameras: instead of those of the split; scenes as "Scene01" or "01", cameras 0 and 1.
        rule: fields of the label rule to change.
    """

    name = "virtual-kitti-2"
    default_rule = LabelRule(sky_from=655.0)
    layout = "SceneSS/VARIATION/frames/{rgb,depth}/Camera_N/{rgb_IIIII.jpg,depth_IIIII.png}"
    home = "https://europe.naverlabs.com/research/computer-vision/proxy-virtual-worlds-vkitti-2/"
    paper_count = 20_000

    def __init__(
        self,
        root: Path,
        *,
        split: str = "all",
        scenes: Sequence[str] | None = None,
        variations: Sequence[str] | None = None,
        cameras: Sequence[int] | None = None,
        rule: RuleChanges = None,
    ) -> None:
        usual = SPLITS[one_of("split", split, tuple(SPLITS))]
        self.scenes = usual[0] if scenes is None else tuple(_scene(scene) for scene in names("scenes", scenes))
        self.variations = usual[1] if variations is None else names("variations", variations)
        for variation in self.variations:
            one_of("variation", variation, VARIATIONS)
        if cameras is not None and (not isinstance(cameras, list | tuple) or not {*cameras} <= {0, 1} or not cameras):
            raise UsageError(f"cameras must be a list of 0 (left) and 1 (right), got {cameras!r}")
        self.cameras = usual[2] if cameras is None else tuple(sorted({int(camera) for camera in cameras}))
        super().__init__(root, rule=rule)

    def _find(self) -> Iterator[str]:
        for scene in self.scenes:
            for variation in self.variations:
                for camera in self.cameras:
                    frames = self.root / scene / variation / "frames"
                    for part in ("rgb", "depth"):
                        if not (frames / part / f"Camera_{camera}").is_dir():
                            raise self.lacks(frames / part / f"Camera_{camera}")
                    for name in files_in(frames / "rgb" / f"Camera_{camera}"):
                        if re.fullmatch(r"rgb_\d{5}\.jpg", name):
                            yield f"{scene}/{variation}/frames/rgb/Camera_{camera}/{name.removesuffix('.jpg')}"

    def image_file(self, sample_id: str) -> Path:
        return self.root / f"{sample_id}.jpg"

    def depth_file(self, sample_id: str) -> Path:
        folder, _, name = sample_id.rpartition("/rgb_")
        return self.root / folder.replace("/frames/rgb/", "/frames/depth/") / f"depth_{name}.png"

    def _labels(self, sample_id: str) -> DenseLabels:
        codes = read_png16(self.depth_file(sample_id))
        return labels_from_depth(codes * np.float32(0.01), self.rule, sky=codes == SKY_CODE)


def _scene(name: str) -> str:
    return one_of("scene", name if name.startswith("Scene") else f"Scene{name}", SCENES)
