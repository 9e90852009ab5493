"""Any folder of images with a depth map each, described by a small file ``dataset.toml`` in it::

    expected = 60                 # number of images; optional, and an error if another number is there

    [images]
    folder = "images"             # searched with its subfolders; "." is the set's own folder
    suffix = [".jpg", ".png"]     # what follows the name that image and map share, here "images/<name>.jpg"

    [depth]
    folder = "depth"
    suffix = "_depth.png"         # .npy .png (16-bit) .tif .pfm .exr .hdf5; here "depth/<name>_depth.png"
    metres_per_value = 0.001
    invalid = [65535]             # values that mean "not measured"; 0, negative and non-finite ones never count
    means = "z"                   # along the optical axis, or "distance" from the camera, which needs ...
    focal_length = 886.81         # ... the focal length in pixels (or [horizontal, vertical])
    principal_point = [383.5, 511.5]  # row and column; the middle of the image if not given
    key = "dataset"               # data set in HDF5 files; not needed if there is only one

Only ``[depth]`` ``suffix`` and ``metres_per_value`` have to be given.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct, ValidationError, convert

from dabench.datasets.base import Dataset, DatasetInfo, check_selection
from dabench.datasets.depth_maps import SUFFIXES, read_depth_map
from dabench.datasets.formats import read_image
from dabench.datasets.layouts import fingerprint
from dabench.datasets.listed import fault_list
from dabench.errors import DatasetError
from dabench.types import DepthMap, GroundTruth, Image

DESCRIPTION = "dataset.toml"
SHORT = """\
    [images]
    folder = "images"
    [depth]
    folder = "depth"
    suffix = ".png"
    metres_per_value = 0.001"""

Positive = Annotated[float, Meta(gt=0, le=1e9)]
Suffix = Annotated[str, Meta(min_length=2)]
Count = Annotated[int, Meta(gt=0)]


class ImageFiles(Struct, frozen=True, forbid_unknown_fields=True):
    """Which files are images: below ``folder``, ending in one of ``suffix``."""

    folder: str = "images"
    suffix: Suffix | Annotated[tuple[Suffix, ...], Meta(min_length=1)] = (".jpg", ".jpeg", ".png")

    @property
    def suffixes(self) -> tuple[str, ...]:
        return (self.suffix,) if isinstance(self.suffix, str) else self.suffix


class DepthFiles(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which files are depth maps, and what their values mean; see the module for an example."""

    suffix: Suffix
    metres_per_value: Positive
    folder: str = "depth"
    invalid: tuple[float, ...] = ()
    means: Literal["z", "distance"] = "z"
    # msgspec 0.22 corrupts memory where a bounded number may also be a fixed tuple; checked below instead
    focal_length: float | tuple[float, float] | None = None
    principal_point: tuple[float, float] | None = None
    key: str | None = None


class Description(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of ``dataset.toml``."""

    depth: DepthFiles
    images: ImageFiles = ImageFiles()
    expected: Count | None = None


def parse_description(text: str, origin: str) -> Description:
    """Validate the text of a ``dataset.toml``.

    Raises:
        DatasetError: not TOML, an unknown or missing field, a wrong value, or fields that contradict each other.
    """
    try:
        description = convert(tomllib.loads(text), Description, strict=True)
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise DatasetError(f"{origin}: {error}", hint=Folder.info.layout) from error
    depth, problems = description.depth, []
    for section, folder in (("images", description.images.folder), ("depth", depth.folder)):
        if PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts or not folder:
            problems.append(f"{section}.folder '{folder}' is not a folder inside the set")
    if not depth.suffix.lower().endswith(SUFFIXES):
        problems.append(f"depth.suffix '{depth.suffix}' ends in none of {', '.join(SUFFIXES)}")
    if depth.means == "distance" and depth.focal_length is None:
        problems.append("depth.means is 'distance', which only a focal_length (in pixels) turns into depth")
    lengths = depth.focal_length if isinstance(depth.focal_length, tuple) else (depth.focal_length or 1.0,)
    if depth.focal_length == 0 or not all(0 < length < np.inf for length in lengths):
        problems.append(f"depth.focal_length {depth.focal_length} is not positive")
    if depth.means == "z" and (depth.focal_length is not None or depth.principal_point is not None):
        problems.append("depth.focal_length and principal_point have no use unless means is 'distance'")
    if problems:
        raise DatasetError(f"{origin}: {'; '.join(problems)}", hint=Folder.info.layout)
    return description


class Folder(Dataset):
    """Reader of a folder with a ``dataset.toml``. Groups and sequences are the folders below that of the images."""

    info = DatasetInfo(
        name="folder",
        title="Folder of images and depth maps",
        summary="any images with depth maps (.npy, 16-bit .png, .tif, .pfm, .exr, .hdf5), described by a dataset.toml",
        tasks=("depth",),
        licence="that of the set",
        source="described in the documentation of dabench.datasets.folder",
        layout="layout: images/<name>.jpg, depth/<name><suffix> and dataset.toml with a section [depth] that gives "
        "suffix and metres_per_value (see the documentation of dabench.datasets.folder for all fields)",
        how_to_get="point --data-root at a folder that holds dataset.toml",
        root_is_set=True,
    )

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
        assert root is not None
        path = root / DESCRIPTION
        try:
            text = path.read_bytes().decode("utf-8")
        except FileNotFoundError as error:
            hint = f"{self.info.how_to_get}\n  {self.info.layout}\n  a short one:\n{SHORT}"
            raise DatasetError(f"dataset 'folder': {path} is missing", hint=hint) from error
        except (OSError, ValueError) as error:
            raise DatasetError(f"dataset 'folder': {path} is not readable: {error}", hint=self.info.layout) from error
        self._description = parse_description(text, str(path))
        self._files: dict[str, tuple[str, str]] = {}
        faults = self._collect(root)
        check_selection(only, frozenset(self._files), self.info.name)
        self._ids = tuple(i for i in self._files if only is None or i in only)
        for sample_id in self._ids:
            faults += [f"missing {p}" for p in self._files[sample_id] if not (root / p).is_file()]
        if faults:
            raise DatasetError(f"dataset 'folder': {root} is refused:{fault_list(faults)}", hint=self.info.layout)
        truths = [(depth, root / depth) for _, depth in self._files.values()]
        self._fingerprint = fingerprint([text, *self._files], truths)

    def _collect(self, root: Path) -> list[str]:
        """Pair images and maps by the name that they share; what is wrong with the set as a whole."""
        images, depth = self._description.images, self._description.depth
        faults: list[str] = []
        found: dict[str, str] = {}
        rivals = [depth.suffix] if PurePosixPath(images.folder) == PurePosixPath(depth.folder) else []
        for path, suffix in _files_below(root, images.folder, images.suffixes, rivals):
            name = path[: -len(suffix)]
            if name in found:
                faults.append(f"two images have the name '{name}': {found[name]} and {path}")
            found[name] = path
        rivals = list(images.suffixes) if rivals else []
        names = set(found)
        for path, suffix in _files_below(root, depth.folder, [depth.suffix], rivals):
            names.add(_join(images.folder, _below(depth.folder, path[: -len(suffix)])))
        for name in sorted(names):
            image = found.get(name, name + images.suffixes[0])
            key = str(PurePosixPath(image).with_suffix(""))
            if key in self._files:
                faults.append(f"two images have the id '{key}': {self._files[key][0]} and {image}")
            self._files[key] = (image, _join(depth.folder, _below(images.folder, name)) + depth.suffix)
        if not self._files:
            faults.append(
                f"no image below '{images.folder}' ends in {', '.join(images.suffixes)}, and no map below "
                f"'{depth.folder}' in {depth.suffix}"
            )
        elif self._description.expected not in (None, len(self._files)):
            faults.append(f"holds {len(self._files)} images; {DESCRIPTION} expects {self._description.expected}")
        return faults

    @property
    def ids(self) -> tuple[str, ...]:
        return self._ids

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def total_samples(self) -> int:
        return len(self._files)

    def group(self, sample_id: str) -> str:
        """The topmost folder below that of the images, or ``""``."""
        return next(iter(self._folders(sample_id)), "")

    def sequence(self, sample_id: str) -> str:
        """The folder of the image below that of the images, or ``""``."""
        return "/".join(self._folders(sample_id))

    def _folders(self, sample_id: str) -> tuple[str, ...]:
        return PurePosixPath(_below(self._description.images.folder, sample_id)).parts[:-1]

    def image(self, sample_id: str) -> Image:
        assert self.root is not None
        return read_image(self.root / self._files[sample_id][0])

    def ground_truth(self, sample_id: str) -> GroundTruth:
        """The map in metres along the optical axis.

        Raises:
            SampleError: it cannot be decoded.
        """
        assert self.root is not None
        rules = self._description.depth
        values = read_depth_map(self.root / self._files[sample_id][1], key=rules.key)
        with np.errstate(invalid="ignore", over="ignore"):
            metres = values.astype(np.float64) * rules.metres_per_value
            if rules.means == "distance":
                metres *= self._cosines((values.shape[0], values.shape[1]))
            depth: DepthMap = metres.astype(np.float32)
        valid = np.isfinite(depth) & (depth > 0)
        for unmeasured in rules.invalid:
            # a float file holds the nearest number of its own kind
            valid &= values != (np.asarray(unmeasured).astype(values.dtype) if values.dtype.kind == "f" else unmeasured)
        return GroundTruth(depth, valid)

    def _cosines(self, size: tuple[int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Depth over distance at every pixel."""
        rules = self._description.depth
        assert rules.focal_length is not None
        lengths = rules.focal_length if isinstance(rules.focal_length, tuple) else (rules.focal_length,) * 2
        row, column = rules.principal_point or ((size[0] - 1) / 2, (size[1] - 1) / 2)
        y, x = (np.arange(size[0]) - row) / lengths[1], (np.arange(size[1]) - column) / lengths[0]
        return np.asarray(1 / np.sqrt(x[None, :] ** 2 + y[:, None] ** 2 + 1), dtype=np.float64)


def _files_below(root: Path, folder: str, suffixes: Sequence[str], rivals: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Paths below the root and the longest suffix that fits; hidden files and what a longer rival fits are left out."""
    visited: set[str] = set()
    for place, folders, names in os.walk(root / folder, followlinks=True):
        visited.add(os.path.realpath(place))
        folders[:] = [
            f for f in sorted(folders) if not f.startswith(".") and os.path.realpath(Path(place, f)) not in visited
        ]
        for name in sorted(names):
            fitting = [s for s in suffixes if name.lower().endswith(s.lower()) and len(name) > len(s)]
            longest = max(fitting, key=len, default="")
            beaten = any(len(r) > len(longest) and name.lower().endswith(r.lower()) for r in rivals)
            if longest and not beaten and not name.startswith("."):
                yield Path(place, name).relative_to(root).as_posix(), longest


def _below(folder: str, path: str) -> str:
    return path if PurePosixPath(folder) == PurePosixPath(".") else str(PurePosixPath(path).relative_to(folder))


def _join(folder: str, path: str) -> str:
    return str(PurePosixPath(folder) / path)
