"""KITTI (Geiger et al., IJRR 2013) with annotated depth (Uhrig et al., arXiv 1708.06500), in its official layouts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from dabench.datasets import kitti_velodyne
from dabench.datasets.base import DatasetInfo
from dabench.datasets.formats import read_image, read_kitti_depth_png
from dabench.datasets.layouts import AbsentError, IncompleteError, base_of, files_in, fingerprint
from dabench.datasets.listed import ListedDataset
from dabench.datasets.split_lists import read_split
from dabench.errors import SampleError, UsageError
from dabench.types import GroundTruth, Image

EIGEN = ("kitti-eigen", "96d966f2d0b9966c095bb63f465befb0a52952892c56ed9faafaba10bec33a44", 697)
LINEAGE = ("kitti-lineage", "8013eea4e6cc7f17c61a056afc4b8de75100b8c43658574aeeab2af74bce7894", 1269)
"""Lines ``drive frame half``; half is where the annotated depth lies, ``train`` or ``val``, or ``none``."""

DATES = ("2011_09_26", "2011_09_28", "2011_09_29", "2011_09_30", "2011_10_03")
VAL_DRIVES = frozenset(
    {f"2011_09_26_drive_{n:04d}_sync" for n in (2, 5, 13, 20, 23, 36, 79, 95, 113)}
    | {"2011_09_28_drive_0037_sync", "2011_09_29_drive_0026_sync", "2011_09_30_drive_0016_sync"}
    | {"2011_10_03_drive_0047_sync"}
)
"""The 13 drives of the official annotated ``val``."""

RAW_FOLDERS = ("raw", "raw_data", "kitti_raw", "KITTI_raw", ".")
DEPTH_FOLDERS = ("data_depth_annotated", "depth_annotated", "gts", ".")
SELECTION_FOLDERS = (
    "depth_selection/val_selection_cropped", "data_depth_selection/depth_selection/val_selection_cropped",
    "data_depth_selection/val_selection_cropped", "val_selection_cropped", ".",
)  # fmt: skip
SELECTION_SIZE = (352, 1216)
_SELECTED_IMAGE = re.compile(r"(\d{4}_\d\d_\d\d_drive_\d{4}_sync)_image_(\d{10}_image_0[23])\.png")
_SELECTED_DEPTH = re.compile(r"(\d{4}_\d\d_\d\d_drive_\d{4}_sync)_groundtruth_depth_(\d{10}_image_0[23])\.png")


class _Frame(NamedTuple):
    drive: str
    image: str
    truth: str
    label: str


class Kitti(ListedDataset):
    """Reader of five splits, all of the left colour camera but the last.

    ``eigen-benchmark``: the 652 of Eigen's 697 test frames that have annotated depth; 491 of their maps lie in the
    annotated ``train``, 161 in ``val``. ``eigen``: all 697, field ``velodyne`` only. ``eigen-benchmark-val``: those
    161. ``val-selection``: KITTI's own 1000 cropped frames (352 x 1216, both cameras), with field ``annotated`` only.
    ``lineage-1269``: the first 110 annotated frames (at most) of the 13 ``val`` drives, which DUSt3R's followers score.

    Field ``annotated``: uint16 PNG, metres times 256, 0 where nothing was measured. ``velodyne``: one laser scan
    projected into the image, whose value is the distance ahead of the scanner (`kitti_velodyne.project_scan`).

    Group: the half of the annotated depth that a drive belongs to; the frames of ``train`` are in many models' training
    sets. Sequence: the drive.

    Folders that people really have are accepted: the raw dates in ``raw``, ``raw_data``, ``kitti_raw``, ``KITTI_raw``
    or the root itself; the annotated depth in ``data_depth_annotated``, ``depth_annotated``, ``gts`` or the root, with
    ``train`` and ``val`` apart or merged, or inside the raw drives; ``val_selection_cropped`` with or without the
    folders above it. Ids are the images' paths as they are found.
    """

    info = DatasetInfo(
        name="kitti",
        title="KITTI",
        summary="street scenes from a car with laser depth: Eigen's test frames and the official depth validation",
        tasks=("depth",),
        licence="CC BY-NC-SA 3.0",
        source="Geiger et al., Vision meets Robotics, IJRR 2013; Uhrig et al., Sparsity Invariant CNNs, arXiv "
        "1708.06500; Eigen et al., arXiv 1406.2283; nianticlabs/monodepth2, splits/eigen and splits/eigen_benchmark",
        layout="layout: raw/<date>/<drive>/image_02/data/*.png (for velodyne also velodyne_points/data/*.bin and "
        "raw/<date>/calib_*.txt); data_depth_annotated/{train,val}/<drive>/proj_depth/groundtruth/image_02/*.png; "
        "depth_selection/val_selection_cropped/{image,groundtruth_depth}; also the dates in raw_data or the root, the "
        "depth in depth_annotated, gts or the root, its halves merged, or inside the raw drives",
        how_to_get="KITTI asks for a registration: log in at https://www.cvlibs.net/datasets/kitti, fetch "
        "data_depth_annotated.zip (14 GB) and data_depth_selection.zip (2 GB) from 'depth prediction' and the "
        "synced+rectified drives and calibrations from 'raw data', and unpack them into DIR/kitti",
        expected="652 annotated Eigen frames (697 with laser scans), 1000 selected, 1269 of the validation drives",
        splits=("eigen-benchmark", "eigen", "eigen-benchmark-val", "val-selection", "lineage-1269"),
        fields=("annotated", "velodyne"),
        split_images={
            "eigen-benchmark": 652, "eigen": 697, "eigen-benchmark-val": 161, "val-selection": 1000,
            "lineage-1269": 1269,
        },
    )  # fmt: skip

    def __init__(
        self,
        root: Path | None,
        *,
        task: str = "depth",
        only: frozenset[str] | None = None,
        split: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(root, task=task, only=only, split=split, field=field)
        self._calibrations: dict[str, kitti_velodyne.Calibration] = {}
        self._lock = Lock()
        if self.split == "eigen" and self.field == "annotated":
            raise UsageError(
                "dataset 'kitti': 45 of the 697 frames of split 'eigen' have no annotated depth",
                hint="use split 'eigen-benchmark', the 652 that do, or field 'velodyne'",
            )
        if self.split == "val-selection" and self.field == "velodyne":
            raise UsageError(
                "dataset 'kitti': split 'val-selection' holds cropped images without laser scans to project",
                hint="use field 'annotated'",
            )
        frames = self._selected() if self.split == "val-selection" else self._driven()
        self._files = {frame.image[: -len(".png")]: frame for frame in frames}
        self._adopt(tuple(self._files))
        if self.split == "val-selection" and only is None and len(frames) != 1000:
            raise IncompleteError(
                f"dataset 'kitti', split 'val-selection': {self.root} holds {len(frames)} frames; the official set has "
                "1000",
                hint=self.info.how_to_get,
                present=self._files,
            )
        self._fingerprint = fingerprint(
            ("kitti", self.split, self.field), ((f.label, self.folder / f.truth) for f in frames)
        )

    def _driven(self) -> list[_Frame]:
        """Frames of the raw drives."""
        prefix = base_of("kitti", self.folder, RAW_FOLDERS, DATES, "raw drives")
        lines = [line.split() for line in read_split(*(LINEAGE if self.split == "lineage-1269" else EIGEN))]
        if self.split.startswith("eigen-benchmark"):
            lines = [
                line for line in lines if line[2] in (("val",) if self.split.endswith("val") else ("train", "val"))
            ]
        frames = []
        folders: dict[tuple[str, str], str] = {}
        for drive, number, half in lines:
            date = drive[:10]
            if self.field == "velodyne":
                truth = f"{prefix}{date}/{drive}/velodyne_points/data/{number}.bin"
            else:
                if (drive, half) not in folders:
                    folders[drive, half] = self._depth_folder(prefix, drive, half)
                truth = f"{folders[drive, half]}/{number}.png"
            frames.append(
                _Frame(drive, f"{prefix}{date}/{drive}/image_02/data/{number}.png", truth, f"{drive}/{number}")
            )
        return frames

    def _depth_folder(self, prefix: str, drive: str, half: str) -> str:
        """Where a drive's annotated depth lies below the root; the official place if it is nowhere."""
        inner = f"{drive}/proj_depth/groundtruth/image_02"
        places = [f"{base}/{middle}{inner}" for base in DEPTH_FOLDERS for middle in (f"{half}/", "")]
        places.append(f"{prefix}{drive[:10]}/{inner}")
        return next((p.removeprefix("./") for p in places if (self.folder / p).is_dir()), places[0])

    def _selected(self) -> list[_Frame]:
        """Frames of ``val_selection_cropped``: whatever has an image, a depth map, or is selected."""
        prefix = base_of("kitti", self.folder, SELECTION_FOLDERS, ("groundtruth_depth",), "the cropped selection")
        base = self.folder / prefix
        images = map(_SELECTED_IMAGE.fullmatch, files_in(base / "image"))
        depths = map(_SELECTED_DEPTH.fullmatch, files_in(base / "groundtruth_depth"))
        wanted = (_SELECTED_IMAGE.fullmatch(f"{Path(i).name}.png") for i in self.only or ())
        keys = sorted({m.groups() for m in (*images, *depths, *wanted) if m})
        if not keys:
            raise AbsentError(
                f"dataset 'kitti', split 'val-selection': {self.root} holds no val_selection_cropped",
                hint=f"{self.info.how_to_get}\n  {self.info.layout}",
            )
        return [
            _Frame(
                drive,
                f"{prefix}image/{drive}_image_{rest}.png",
                f"{prefix}groundtruth_depth/{drive}_groundtruth_depth_{rest}.png",
                f"{drive}/{rest}",
            )
            for drive, rest in keys
        ]

    @property
    def total_samples(self) -> int:
        return self.info.split_images[self.split]

    def files(self, sample_id: str) -> tuple[str, ...]:
        frame = self._files[sample_id]
        if self.field == "annotated":
            return frame.image, frame.truth
        day = self._day(frame)
        return frame.image, frame.truth, *(f"{day}/{name}" for name in kitti_velodyne.CALIBRATION_FILES)

    def _day(self, frame: _Frame) -> str:
        """The folder of a raw drive's day, which holds the calibration."""
        return frame.image.partition(f"/{frame.drive}/")[0]

    def advice(self, missing: Sequence[str]) -> str:
        first = (self.folder / self._files[missing[0]].image).with_suffix(".jpg")
        if first.is_file():
            return f"{first.name} is there, but a copy in JPEG is another image and scores differently"
        lacking = Counter(self.group(i) for i in missing if not (self.folder / self._files[i].truth).is_file())
        if self.field == "velodyne" or self.split == "val-selection" or not lacking:
            return ""
        there = len(self._ids) - lacking.total()
        listed = " and ".join(f"{count} of data_depth_annotated/{half}" for half, count in sorted(lacking.items()))
        return f"{there} of {len(self._ids)} depth maps are there; missing are {listed}"

    def group(self, sample_id: str) -> str:
        return "val" if self._files[sample_id].drive in VAL_DRIVES else "train"

    def sequence(self, sample_id: str) -> str:
        return self._files[sample_id].drive

    def image(self, sample_id: str) -> Image:
        image = read_image(self.folder / self._files[sample_id].image)
        if self.split == "val-selection" and image.shape[:2] != SELECTION_SIZE:
            raise SampleError(
                f"{self.folder / self._files[sample_id].image}: is {image.shape[0]} x {image.shape[1]}; the images of "
                f"val_selection_cropped are {SELECTION_SIZE[0]} x {SELECTION_SIZE[1]}"
            )
        return image

    def ground_truth(self, sample_id: str) -> GroundTruth:
        frame = self._files[sample_id]
        if self.field == "annotated":
            return GroundTruth(*read_kitti_depth_png(self.folder / frame.truth))
        day = self._day(frame)
        with self._lock:
            if day not in self._calibrations:
                self._calibrations[day] = kitti_velodyne.read_calibration(self.folder / day)
        return kitti_velodyne.project_scan(kitti_velodyne.read_scan(self.folder / frame.truth), self._calibrations[day])
