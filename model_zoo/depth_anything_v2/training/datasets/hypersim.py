"""Hypersim: photorealistic interiors, with ray distances that become depth."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dabench.errors import DatasetError, SampleError

from ..labels import DenseLabels, LabelRule, labels_from_depth, z_from_ray_distance
from .base import FileDataset, RuleChanges
from .files import Array, files_in, folders_in, one_of, read_hdf5, read_image, read_lines

FOCAL = 886.81
"""Focal length in pixels of 1024x768 images with a horizontal field of view of 60 degrees (ml-hypersim issue 9)."""

SPLIT_FILE = "metadata_images_split_scene_v1.csv"
SPLITS = ("train", "val", "test", "all")
BROKEN_CAMERAS = frozenset({("ai_004_009", "cam_01"), ("ai_038_007", "cam_00")})
"""Cameras with wrong images, named in ml-hypersim issue 22; 100 training frames each."""

_COLUMNS = ("scene_name", "camera_name", "frame_id", "included_in_public_release", "split_partition_name")
_LISTED = re.compile(r"(ai_\d{3}_\d{3})/\S*?(cam_\d{2})\S*?(?:frame\.|_fr)(\d{4})")
_PREVIEW = re.compile(r"frame\.(\d{4})\.tonemap\.jpg")
_COLOUR = re.compile(r"frame\.(\d{4})\.color\.hdf5")

GAMMA = 1 / 2.2
PERCENTILE = 90
PERCENTILE_BECOMES = 0.8


class Hypersim(FileDataset):
    """Frames of the official split: 59,343 / 7,386 / 7,690 images, and 200 more for training with the broken cameras.

    Source: github.com/apple/ml-hypersim, README.

    A pixel is a hole where the distance is NaN or `render_entity_id` is -1 (nothing was hit, as behind most windows).
    Of the entity ids only files that are there are read, unless the image is toned here, which needs them. The set has
    no sky code. Depth is z by the constant focal length 886.81, which Depth Anything V2's metric script also has; it
    is off for the few cameras with tilt-shift lenses.

    Args:
        root: folder of `ai_VVV_NNN/` and of the split file (or with it in `evermotion_dataset/analysis/`).
        split: "train", "val", "test", or "all", which takes every frame that is on disk and needs no split file.
        image: "preview", the JPEG that Depth Anything V2's lists name, or "hdf5", the colour in high dynamic range,
            toned as the authors of Hypersim do and advise for training.
        frames: a list file below `root` whose frames are taken out of the split: Depth Anything V2's own lists, or
            Marigold's `filename_list_train_filtered.txt` (at most 3 % holes, some range in depth and colour; 53,885
            images, 100 of them of a broken camera).
        broken: take the two cameras whose images are known to be wrong as well, as the split file does.
        partial: leave out scenes of the split that are not on disk, instead of refusing.
        rule: fields of the label rule to change.
    """

    name = "hypersim"
    default_rule = LabelRule()
    layout = "ai_VVV_NNN/images/scene_cam_XX_final_preview/frame.IIII.tonemap.jpg"
    home = "https://github.com/apple/ml-hypersim"
    paper_count = 60_000

    def __init__(
        self,
        root: Path,
        *,
        split: str = "train",
        image: str = "preview",
        frames: str | None = None,
        broken: bool = False,
        partial: bool = False,
        rule: RuleChanges = None,
    ) -> None:
        self.split = one_of("split", split, SPLITS)
        self.image = one_of("image", image, ("preview", "hdf5"))
        self.frames, self.broken, self.partial = frames, broken, partial
        super().__init__(root, rule=rule)

    def _find(self) -> Iterator[str]:
        there = {name for name in folders_in(self.root) if re.fullmatch(r"ai_\d{3}_\d{3}", name)}
        if not there:
            raise self.lacks(self.root / "ai_001_001", "no folder of a scene is there")
        found = self._on_disk(there) if self.split == "all" else self._of_split(there)
        wanted = self._listed()
        for scene, camera, frame in found:
            if (scene, camera) in BROKEN_CAMERAS and not self.broken:
                continue
            if wanted is None or (scene, camera, frame) in wanted:
                yield f"{scene}/images/scene_{camera}_final_preview/frame.{frame}"

    def _on_disk(self, scenes: set[str]) -> Iterator[tuple[str, str, str]]:
        kind, pattern = ("final_preview", _PREVIEW) if self.image == "preview" else ("final_hdf5", _COLOUR)
        for scene in scenes:
            images = self.root / scene / "images"
            for folder in folders_in(images):
                camera = re.fullmatch(rf"scene_(cam_\d\d)_{kind}", folder)
                for name in files_in(images / folder) if camera else ():
                    if camera and (frame := pattern.fullmatch(name)):
                        yield scene, camera[1], frame[1]

    def _of_split(self, there: set[str]) -> list[tuple[str, str, str]]:
        path = self.root / SPLIT_FILE
        if not path.is_file() and (nested := self.root / "evermotion_dataset/analysis" / SPLIT_FILE).is_file():
            path = nested
        rows = csv.DictReader(read_lines(path, f"split '{self.split}' is read from it; it comes with {self.home}"))
        lacking = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
        if lacking:
            raise DatasetError(f"{path}: has no column '{lacking[0]}'", hint=f"take the file of {self.home}")
        found = [
            (row["scene_name"], row["camera_name"], f"{int(row['frame_id']):04d}")
            for row in rows
            if row["included_in_public_release"] == "True" and row["split_partition_name"] == self.split
        ]
        absent = sorted({scene for scene, _, _ in found} - there)
        if absent and not self.partial:
            raise DatasetError(
                f"{self.root}: {len(absent)} scenes of split '{self.split}' are missing, the first is {absent[0]}",
                hint="fetch them, or set partial = true to train on the others",
            )
        return [frame for frame in found if frame[0] in there]

    def _listed(self) -> set[tuple[str, ...]] | None:
        if self.frames is None:
            return None
        path = self.root / self.frames
        listed = set()
        for line in read_lines(path, "option 'frames' names it"):
            match = _LISTED.search(line)
            if match is None:
                raise DatasetError(f"{path}: '{line}' names no scene, camera and frame of Hypersim")
            listed.add(match.groups())
        return listed

    def image_file(self, sample_id: str) -> Path:
        if self.image == "preview":
            return self.root / f"{sample_id}.tonemap.jpg"
        return self._beside(sample_id, "final_hdf5", "color")

    def depth_file(self, sample_id: str) -> Path:
        return self._beside(sample_id, "geometry_hdf5", "depth_meters")

    def _beside(self, sample_id: str, kind: str, what: str) -> Path:
        return self.root / f"{sample_id.replace('_final_preview/', f'_{kind}/')}.{what}.hdf5"

    def _read(self, sample_id: str) -> tuple[npt.NDArray[np.uint8], DenseLabels]:
        hit = self._hit(sample_id)
        path = self.image_file(sample_id)
        if self.image == "preview":
            image = read_image(path)
        else:
            colour = read_hdf5(path)
            if hit is None or colour.shape != (*hit.shape, 3):
                raise SampleError(f"{path}: has shape {list(colour.shape)}, its entity ids have another size")
            image = tone_map(colour, hit)
        return image, self._labels(sample_id, hit)

    def _hit(self, sample_id: str) -> npt.NDArray[np.bool_] | None:
        """Pixels at which the renderer hit something, where that is known."""
        path = self._beside(sample_id, "geometry_hdf5", "render_entity_id")
        if self.image == "preview" and not path.is_file():
            return None
        return np.asarray(_plane(read_hdf5(path), path) != -1)

    def _labels(self, sample_id: str, hit: npt.NDArray[np.bool_] | None = None) -> DenseLabels:
        path = self.depth_file(sample_id)
        distance = _plane(read_hdf5(path), path)
        if hit is not None and hit.shape != distance.shape:
            raise SampleError(f"{path}: has {list(distance.shape)} pixels, its entity ids have {list(hit.shape)}")
        z = z_from_ray_distance(distance, FOCAL * distance.shape[1] / 1024)
        return labels_from_depth(z, self.rule, hole=None if hit is None else ~hit)


def tone_map(colour: Array, hit: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Linear colour `[H, W, 3]` of any range -> `uint8 [H, W, 3]`, exposed so that the brighter parts keep detail.

    Of the pixels in `hit` (`bool [H, W]`), 90 % become darker than 0.8 after gamma 1/2.2. Source: ml-hypersim,
    `code/python/tools/scene_generate_images_tonemap.py`.
    """
    linear = np.asarray(colour, np.float64)  # stored as half precision: the brightest pixels may be infinite
    linear = np.where(np.isnan(linear), 0, np.clip(linear, 0, 1e9))
    scale = 1.0
    if hit.any():
        brightness = linear @ np.array([0.3, 0.59, 0.11])
        bright = float(np.percentile(brightness[hit], PERCENTILE))
        scale = 0.0 if bright < 1e-4 else PERCENTILE_BECOMES ** (1 / GAMMA) / bright
    return np.rint(255 * np.clip((scale * linear) ** GAMMA, 0, 1)).astype(np.uint8)


def _plane(values: Array, path: Path) -> Array:
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "fiu":
        raise SampleError(
            f"{path}: holds {values.dtype} of shape {list(values.shape)}; expected numbers [height, width]"
        )
    return values
