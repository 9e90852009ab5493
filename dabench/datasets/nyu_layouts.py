"""The four forms in which NYU Depth V2's labelled images go around, as samples with a common numbering."""

from __future__ import annotations

import abc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dabench.datasets.formats import read_image, read_scaled_depth_png
from dabench.datasets.layouts import files_in, folders_in
from dabench.errors import DatasetError, ImageError, SampleError
from dabench.types import GroundTruth, Image

LABELLED = 1449
SIZE = (480, 640)
SCENE = re.compile(r"\w[\w .-]*")
"""Names of folders that become part of ids."""


@dataclass(frozen=True)
class NyuSample:
    """A labelled image: its 0-based index among the 1449, its id, its files below the root."""

    index: int
    id: str
    image: str
    truth: str


class NyuLayout(abc.ABC):
    """One form of the set that a root has.

    Attributes:
        name: for messages.
        fields: the ground truth it holds; ``lacks`` says why it does not hold the others.
    """

    name: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]
    lacks: ClassVar[str] = ""

    def __init__(self, root: Path, base: str) -> None:
        self.root = root
        self.base = base

    @classmethod
    @abc.abstractmethod
    def find(cls, root: Path) -> NyuLayout | None:
        """The layout, if a root has it."""

    @abc.abstractmethod
    def samples(self, field: str, only: frozenset[str]) -> Iterator[NyuSample]:
        """What is on disk or selected, in any order, with duplicates and indices outside the split."""

    @abc.abstractmethod
    def absent(self, index: int) -> str:
        """The file name of an image that is not there."""

    @abc.abstractmethod
    def scene(self, sample: NyuSample) -> str:
        """Scene type (kitchen, office), or ``""`` where the layout does not say."""

    @abc.abstractmethod
    def image(self, sample: NyuSample) -> Image: ...

    @abc.abstractmethod
    def depth(self, sample: NyuSample, field: str) -> npt.NDArray[np.float32]:
        """Metres as stored, 0 where nothing was measured."""

    def checked_image(self, sample: NyuSample) -> Image:
        image = self.image(sample)
        if image.shape != (*SIZE, 3):
            raise ImageError(
                f"{self.root / sample.image}: '{sample.id}' is {list(image.shape)}, not 480 x 640 in colour"
            )
        return image

    def ground_truth(self, sample: NyuSample, field: str) -> GroundTruth:
        depth, path = self.depth(sample, field), self.root / sample.truth
        if depth.shape != SIZE:
            raise SampleError(f"{path}: depth of '{sample.id}' is {list(depth.shape)}, not 480 x 640")
        if not np.isfinite(depth).all() or (depth < 0).any():
            raise SampleError(
                f"{path}: depth of '{sample.id}' holds values that are no depths: below zero or not finite"
            )
        return GroundTruth(depth, depth > 0)


def hdf5_values(file: Any, key: str, path: Path, index: Any = ()) -> npt.NDArray[Any]:
    """Read an array, or one entry along its first axis.

    Raises:
        SampleError: it is missing or damaged.
    """
    try:
        return np.asarray(file[key][index])
    except (KeyError, OSError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise SampleError(f"{path}: '{key}' cannot be read: {error}") from error


@contextmanager
def hdf5_file(path: Path) -> Iterator[Any]:
    """Open an HDF5 file for reading, without the locks that network file systems refuse.

    Raises:
        SampleError: it is missing, truncated or another format.
    """
    import h5py  # half a second

    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise SampleError(f"{path}: is no readable HDF5 file: {error}") from error
    with file:
        yield file


class LabelledMat(NyuLayout):
    """``nyu_depth_v2_labeled.mat`` of the authors: MATLAB v7.3, an HDF5 file whose axes are those of MATLAB reversed.

    ``images`` is ``uint8 [1449, 3, 640, 480]``; ``rawDepths`` (the Kinect's depth in the colour image, 0 in holes) and
    ``depths`` (the same with its holes filled by colourisation) are ``float32 [1449, 640, 480]`` in metres. Ids are the
    0-based index in five digits. Source: the dataset's page, https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html.
    """

    name = "nyu_depth_v2_labeled.mat"
    fields = ("raw", "filled")
    KEYS: ClassVar = {"raw": "rawDepths", "filled": "depths"}

    @classmethod
    def find(cls, root: Path) -> NyuLayout | None:
        return cls(root, "") if (root / cls.name).is_file() else None

    def samples(self, field: str, only: frozenset[str]) -> Iterator[NyuSample]:
        path = self.root / self.name
        try:
            with hdf5_file(path) as file:
                self._check(file, path, self.KEYS[field])
        except SampleError as error:
            raise DatasetError(
                f"dataset 'nyu-d': {error.message}", hint="fetch the file again; it has about 2.8 GB"
            ) from error
        for index in range(LABELLED):
            yield NyuSample(index, f"{index:05d}", self.name, self.name)

    def _check(self, file: Any, path: Path, depths: str) -> None:
        wanted = {"images": (LABELLED, 3, 640, 480), depths: (LABELLED, 640, 480)}
        for key, shape in wanted.items():
            found = getattr(file.get(key), "shape", None)
            if found != shape:
                raise SampleError(
                    f"{path}: '{key}' is {'missing' if found is None else list(found)}; in the official file it is "
                    f"{list(shape)}, MATLAB's axes reversed"
                )

    def absent(self, index: int) -> str:
        return self.name

    def scene(self, sample: NyuSample) -> str:
        return self._scene_types[sample.index] if self._scene_types else ""

    @cached_property
    def _scene_types(self) -> tuple[str, ...]:
        """Of all 1449 images; a MATLAB cell array, references to arrays of UTF-16 code units. Not read when opened."""
        with hdf5_file(self.root / self.name) as file:
            try:
                references = np.asarray(file["sceneTypes"]).reshape(LABELLED)
                return tuple(_matlab_string(file, reference) for reference in references)
            except (KeyError, ValueError, TypeError, AttributeError, OSError, RuntimeError):
                return ()

    def image(self, sample: NyuSample) -> Image:
        path = self.root / self.name
        try:
            with hdf5_file(path) as file:
                values = hdf5_values(file, "images", path, sample.index)
        except SampleError as error:
            raise ImageError(f"{error.message} (image '{sample.id}')") from error
        return np.ascontiguousarray(values.transpose(2, 1, 0), dtype=np.uint8)

    def depth(self, sample: NyuSample, field: str) -> npt.NDArray[np.float32]:
        path = self.root / self.name
        with hdf5_file(path) as file:
            values = hdf5_values(file, self.KEYS[field], path, sample.index)
        return np.ascontiguousarray(values.T, dtype=np.float32)


def _matlab_string(file: Any, reference: Any) -> str:
    """A referenced array of UTF-16 code units as a string, by the low-level calls: they are four times as fast."""
    from h5py import h5r, h5s

    found = h5r.dereference(reference, file.id)
    units = np.empty(found.shape, found.dtype)
    found.read(h5s.ALL, h5s.ALL, units)
    return "".join(map(chr, units.reshape(-1)))


class _Tree(NyuLayout):
    """Folders of scene types with an image and a depth map in millimetres for each."""

    fields = ("raw",)
    bases: ClassVar[tuple[str, ...]]
    image_name: ClassVar[str]
    depth_name: ClassVar[str]
    image_pattern: ClassVar[re.Pattern[str]]
    depth_pattern: ClassVar[re.Pattern[str]]
    first: ClassVar[int]

    @classmethod
    def find(cls, root: Path) -> NyuLayout | None:
        for base in cls.bases:
            for scene in folders_in(root / base):
                if any(map(cls.image_pattern.fullmatch, files_in(root / base / scene))):
                    return cls(root, "" if base == "." else f"{base}/")
        return None

    def samples(self, field: str, only: frozenset[str]) -> Iterator[NyuSample]:
        found = set()
        for scene in folders_in(self.root / self.base):
            for name in files_in(self.root / self.base / scene):
                match = self.image_pattern.fullmatch(name) or self.depth_pattern.fullmatch(name)
                if match and not SCENE.fullmatch(scene):
                    raise DatasetError(
                        f"dataset 'nyu-d': folder {scene!r} of {self.root / self.base} holds images and is no name of "
                        "a scene type",
                        hint="names of scene types are made of letters, digits, '_', '-', '.' and spaces",
                    )
                if match:
                    found.add(int(match[1]))
                    yield self._sample(scene, int(match[1]))
        for wanted in only:
            scene, _, name = wanted.removeprefix(self.base).partition("/")
            match = self.image_pattern.fullmatch(f"{name}.{self.image_name.rpartition('.')[2]}")
            if match and int(match[1]) not in found and SCENE.fullmatch(scene):
                yield self._sample(scene, int(match[1]))

    def _sample(self, scene: str, number: int) -> NyuSample:
        image = f"{self.base}{scene}/{self.image_name % number}"
        truth = f"{self.base}{scene}/{self.depth_name % number}"
        return NyuSample(number - self.first, image.rpartition(".")[0], image, truth)

    def scene(self, sample: NyuSample) -> str:
        return PurePosixPath(sample.image).parent.name

    def absent(self, index: int) -> str:
        return f"{self.base}<scene>/{self.image_name % (index + self.first)}"

    def image(self, sample: NyuSample) -> Image:
        return read_image(self.root / sample.image)

    def depth(self, sample: NyuSample, field: str) -> npt.NDArray[np.float32]:
        return read_scaled_depth_png(self.root / sample.truth, 1e-3)[0]


class BtsTree(_Tree):
    """What BTS and ZoeDepth use: JPEG images whose white border is blacked out, ``rawDepths`` cut to millimetres.

    The number in the name is the 0-based index. Source: cleinc/bts,
    ``utils/extract_official_train_test_set_from_mat.py``.
    """

    name = "the tree of BTS and ZoeDepth (official_splits/test)"
    lacks = "it holds rawDepths only; filled depth is in nyu_depth_v2_labeled.mat and in FastDepth's files"
    bases = ("official_splits/test", "nyu_depth_v2/official_splits/test", "test", ".")
    image_name, depth_name, first = "rgb_%05d.jpg", "sync_depth_%05d.png", 0
    image_pattern, depth_pattern = re.compile(r"rgb_(\d{5})\.jpg"), re.compile(r"sync_depth_(\d{5})\.png")


class MarigoldTree(_Tree):
    """What Marigold uses: PNG images, depth in millimetres. The number in the name is the 1-based index.

    Beside each ``depth_%04d.png`` lies a ``filled_%04d.png`` which is no filled depth: its author says that the set
    holds raw depth only (prs-eth/Marigold, issue 114). Source: prs-eth/Marigold, ``src/dataset/nyu_dataset.py``.
    """

    name = "the tree of Marigold (rgb_%04d.png)"
    lacks = "its filled_*.png are raw depth again (prs-eth/Marigold, issue 114); filled depth is in the .mat file"
    bases = ("test", "nyu_labeled_extracted/test", "nyuv2/test", ".")
    image_name, depth_name, first = "rgb_%04d.png", "depth_%04d.png", 1
    image_pattern, depth_pattern = re.compile(r"rgb_(\d{4})\.png"), re.compile(r"depth_(\d{4})\.png")


class FastDepthFiles(NyuLayout):
    """What sparse-to-dense and FastDepth use: one HDF5 file an image, named by its 1-based index.

    ``rgb`` is ``uint8 [3, 480, 640]``, ``depth`` ``float32 [480, 640]`` in metres, and is the filled depth. Source:
    fangchangma/sparse-to-dense.pytorch, ``dataloaders/dataloader.py``; on the field, issue 40 of
    zzangjinsun/NLSPN_ECCV20.
    """

    name = "FastDepth's files (val/official/*.h5)"
    fields = ("filled",)
    lacks = "its depth is the filled one; raw depth is in nyu_depth_v2_labeled.mat and in the tree of BTS"
    BASES: ClassVar = ("val/official", "nyudepthv2/val/official", "official", ".")
    PATTERN: ClassVar = re.compile(r"(\d{5})\.h5")

    @classmethod
    def find(cls, root: Path) -> NyuLayout | None:
        for base in cls.BASES:
            if any(map(cls.PATTERN.fullmatch, files_in(root / base))):
                return cls(root, "" if base == "." else f"{base}/")
        return None

    def samples(self, field: str, only: frozenset[str]) -> Iterator[NyuSample]:
        selected = {f"{wanted.removeprefix(self.base)}.h5" for wanted in only}
        for name in files_in(self.root / self.base) | selected:
            match = self.PATTERN.fullmatch(name)
            if match:
                path = f"{self.base}{name}"
                yield NyuSample(int(match[1]) - 1, path.removesuffix(".h5"), path, path)

    def scene(self, sample: NyuSample) -> str:
        return ""

    def absent(self, index: int) -> str:
        return f"{self.base}{index + 1:05d}.h5"

    def image(self, sample: NyuSample) -> Image:
        path = self.root / sample.image
        try:
            with hdf5_file(path) as file:
                values = hdf5_values(file, "rgb", path)
        except SampleError as error:
            raise ImageError(error.message) from error
        if values.ndim != 3 or values.dtype != np.uint8:
            raise ImageError(f"{path}: 'rgb' is {values.dtype} {list(values.shape)}, not uint8 [3, 480, 640]")
        return np.ascontiguousarray(values.transpose(1, 2, 0))

    def depth(self, sample: NyuSample, field: str) -> npt.NDArray[np.float32]:
        path = self.root / sample.truth
        with hdf5_file(path) as file:
            values = hdf5_values(file, "depth", path)
        if values.dtype.kind != "f":
            raise SampleError(f"{path}: 'depth' is {values.dtype}, not metres in floating point")
        return np.ascontiguousarray(values, dtype=np.float32)


LAYOUTS: tuple[type[NyuLayout], ...] = (LabelledMat, BtsTree, MarigoldTree, FastDepthFiles)
