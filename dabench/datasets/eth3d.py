"""ETH3D, high-resolution multi-view benchmark (Schöps et al., CVPR 2017), training scenes, in its official layout.

Ground truth lies under ``.JPG`` names but is raw: float32, little-endian, row by row, no header, metres along the
optical axis, infinity where the laser measured nothing (eth3d.net/documentation, image formats). It is given for the
distorted images, in the raster in which they are stored: an EXIF orientation is ignored, so that pixels match.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from dabench.datasets.base import DatasetInfo
from dabench.datasets.listed import ListedDataset
from dabench.datasets.split_lists import read_split
from dabench.errors import ImageError, SampleError
from dabench.types import GroundTruth, Image, Sample

LIST_SHA256 = "5a423977e0676ded73113984c4456d48504272f22878bf09741535dbfb55c56a"
SCENE_IMAGES = {
    "courtyard": 38, "delivery_area": 44, "electro": 45, "facade": 76, "kicker": 31, "meadow": 15, "office": 26,
    "pipes": 14, "playground": 38, "relief": 31, "relief_2": 31, "terrace": 23, "terrains": 42,
}  # fmt: skip
NATIVE_SIZE = (4032, 6048)
"""Rows and columns of every distorted image and depth map: 97,542,144 bytes a map."""
IMAGE_FOLDERS = {"distorted": "dslr_images", "undistorted": "dslr_images_undistorted"}
JPEG_START = b"\xff\xd8\xff"


class Eth3d(ListedDataset):
    """Reader of the 454 images of the 13 training scenes.

    The split ``distorted`` pairs the images with the maps made for them. ``undistorted`` pairs the undistorted images
    with the same maps, as some evaluations do: the two are neither of the same size nor aligned, so `load` does not ask
    for equal sizes there, and a prediction is resized to the map like any other of another size.
    """

    info = DatasetInfo(
        name="eth3d",
        title="ETH3D high-resolution multi-view, training",
        summary="454 photographs of 13 indoor and outdoor scenes with laser-scanned depth at 24 megapixels",
        tasks=("depth",),
        licence="CC-BY-NC-SA-4.0",
        source="Schöps et al., A Multi-View Stereo Benchmark with High-Resolution Images and Multi-Camera Videos, "
        "CVPR 2017; eth3d.net/documentation",
        layout="layout: <scene>/images/dslr_images/*.JPG (or dslr_images_undistorted) and "
        "<scene>/ground_truth_depth/dslr_images/*.JPG (raw float32), for 13 scenes",
        how_to_get="run `dabench data fetch eth3d --data-root DIR`, or unpack <scene>_dslr_jpg.7z and "
        "<scene>_dslr_depth.7z (and <scene>_dslr_undistorted.7z for that split) from https://www.eth3d.net/datasets "
        "into DIR/eth3d",
        expected="454 images in 13 scenes",
        splits=("distorted", "undistorted"),
        split_images={"distorted": 454, "undistorted": 454},
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
        keys = [key.split("/") for key in read_split("eth3d", LIST_SHA256, sum(SCENE_IMAGES.values()))]
        images = IMAGE_FOLDERS[self.split]
        self._adopt([f"{scene}/images/{images}/{name}" for scene, name in keys])

    def files(self, sample_id: str) -> tuple[str, ...]:
        return f"{sample_id}.JPG", self._depth_path(sample_id)

    def group(self, sample_id: str) -> str:
        """The scene."""
        return sample_id.split("/")[0]

    def image(self, sample_id: str) -> Image:
        """The image as its pixels are stored, whatever its EXIF orientation says."""
        return _stored_pixels(self.folder / f"{sample_id}.JPG")

    def ground_truth(self, sample_id: str) -> GroundTruth:
        """Depth in the raster of the distorted image; invalid where it is not finite or not positive.

        Raises:
            SampleError: the file is a real JPEG, or is not as long as its image asks for.
        """
        path = self.folder / self._depth_path(sample_id)
        size = self._raster(sample_id)
        depth = read_raw_depth(path, size)
        with np.errstate(invalid="ignore"):
            valid = (depth > 0) & (depth < np.inf)
        return GroundTruth(depth, valid)

    def load(self, sample_id: str) -> Sample:
        """Read one sample. In the split ``undistorted`` image and ground truth are of different sizes."""
        if self.split == "distorted":
            sample = super().load(sample_id)
            assert isinstance(sample, Sample)
            return sample
        image, truth = self.image(sample_id), self.ground_truth(sample_id)
        return Sample(sample_id, self.group(sample_id), image, truth.depth, truth.valid)

    def _depth_path(self, sample_id: str) -> str:
        scene, _, _, name = sample_id.split("/")
        return f"{scene}/ground_truth_depth/dslr_images/{name}.JPG"

    def _raster(self, sample_id: str) -> tuple[int, int]:
        """Rows and columns of the depth map: those of the distorted image, where that is on disk."""
        scene, _, _, name = sample_id.split("/")
        path = self.folder / scene / "images" / "dslr_images" / f"{name}.JPG"
        if not path.is_file():
            return NATIVE_SIZE
        try:
            with PillowImage.open(path) as image:
                size = image.height, image.width
        except (OSError, ValueError) as error:
            raise SampleError(f"{path}: its size, which is that of the depth map, cannot be read: {error}") from error
        if size == NATIVE_SIZE[::-1]:
            raise SampleError(
                f"{path}: was turned: it is stored as {size[0]} x {size[1]}, the official images and their maps as "
                f"{NATIVE_SIZE[0]} x {NATIVE_SIZE[1]}",
                hint="use the files of <scene>_dslr_jpg.7z as they are; the map's pixels would be read as others",
            )
        return size


def read_raw_depth(path: Path, size: tuple[int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Read a headerless float32 map of ``size`` (rows, columns); infinity stays where nothing was measured.

    Raises:
        SampleError: missing, a real JPEG, or of another length; the message says what the length would fit.
    """
    rows, columns = size
    expected = 4 * rows * columns
    try:
        found = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(len(JPEG_START))
        if found != expected:
            raise SampleError(
                f"{path}: holds {found} bytes; {rows} x {columns} raw float32 values take {expected}",
                hint=_length_hint(start, found, expected),
            )
        values = np.fromfile(path, dtype="<f4")
    except OSError as error:
        raise SampleError(f"{path}: cannot be read: {error.strerror or error}") from error
    if values.size != rows * columns:
        raise SampleError(f"{path}: was cut short while it was read")
    return values.astype(np.float32, copy=False).reshape(rows, columns)


def _length_hint(start: bytes, found: int, expected: int) -> str:
    if start == JPEG_START:
        return "this is a photograph; the depth maps are in <scene>_dslr_depth.7z under the same names"
    if found == 4 * NATIVE_SIZE[0] * NATIVE_SIZE[1]:
        return f"the map is of the native {NATIVE_SIZE[0]} x {NATIVE_SIZE[1]}, its image in images/dslr_images is not"
    if found < expected:
        return "the file is truncated; unpack <scene>_dslr_depth.7z again"
    return "image and depth map are not of the same version of the dataset"


def _stored_pixels(path: Path) -> Image:
    try:
        with PillowImage.open(path) as image:
            image.load()
            colours = image if image.mode == "RGB" else image.convert("RGB")  # which would copy 73 MB
            return np.ascontiguousarray(np.asarray(colours, dtype=np.uint8))
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except (OSError, SyntaxError, ValueError, IndexError) as error:
        raise ImageError(f"{path}: damaged, truncated or not an image: {error}") from error
