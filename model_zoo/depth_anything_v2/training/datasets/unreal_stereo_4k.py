"""UnrealStereo4K: nine rendered worlds as stereo pairs of eight megapixels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dabench.errors import SampleError

from ..labels import DenseLabels, LabelRule, labels_from_disparity
from .base import FileDataset, RuleChanges
from .files import files_in, folders_in, names, read_bytes, read_values


class UnrealStereo4K(FileDataset):
    """Left images. Source: github.com/fabiotosi92/SMD-Nets. Not of Depth Anything V2's sets; Depth Anything 3 has it.

    Depth is baseline times focal length over disparity. The baseline is not the same in all worlds, and is the distance
    between the two cameras of a pair (SMD-Nets issue 15). Disparity of 0 and below is a hole; 1000 m and more is sky,
    as in CUT3R.

    Args:
        root: folder of the worlds `00000/` to `00008/`.
        scenes: worlds to take; all that are on disk if None.
        leave_out: worlds that are not taken: `00008` is the official out-of-domain test.
        rule: fields of the label rule to change.
    """

    name = "unreal-stereo-4k"
    default_rule = LabelRule(sky_from=1000.0)
    layout = "SSSSS/{Image0/IIIII.png,Disp0/IIIII.npy,Extrinsics0/IIIII.txt,Extrinsics1/IIIII.txt}"
    home = "https://github.com/fabiotosi92/SMD-Nets"

    def __init__(
        self,
        root: Path,
        *,
        scenes: Sequence[str] | None = None,
        leave_out: Sequence[str] = ("00008",),
        rule: RuleChanges = None,
    ) -> None:
        self.scenes = None if scenes is None else names("scenes", scenes)
        self.leave_out = names("leave_out", leave_out) if leave_out else ()
        super().__init__(root, rule=rule)

    def _find(self) -> Iterator[str]:
        found = [name for name in folders_in(self.root) if re.fullmatch(r"\d{5}", name)]
        for scene in found if self.scenes is None else self.scenes:
            if scene in self.leave_out:
                continue
            for part in ("Image0", "Disp0", "Extrinsics0", "Extrinsics1"):
                if not (self.root / scene / part).is_dir():
                    raise self.lacks(self.root / scene / part)
            for name in files_in(self.root / scene / "Image0"):
                if re.fullmatch(r"\d{5}\.png", name):
                    yield f"{scene}/Image0/{name.removesuffix('.png')}"

    def image_file(self, sample_id: str) -> Path:
        return self.root / f"{sample_id}.png"

    def depth_file(self, sample_id: str) -> Path:
        return self._part(sample_id, "Disp0", ".npy")

    def _part(self, sample_id: str, part: str, suffix: str) -> Path:
        return self.root / f"{sample_id.replace('/Image0/', f'/{part}/')}{suffix}"

    def _labels(self, sample_id: str) -> DenseLabels:
        disparity = read_values(self.depth_file(sample_id))
        focal, left = read_camera(self._part(sample_id, "Extrinsics0", ".txt"))
        _, right = read_camera(self._part(sample_id, "Extrinsics1", ".txt"))
        baseline = float(np.linalg.norm(left - right))
        if not baseline > 0:
            raise SampleError(f"{self._part(sample_id, 'Extrinsics1', '.txt')}: both cameras are in the same place")
        return labels_from_disparity(disparity, self.rule, baseline * focal)


def read_camera(path: Path) -> tuple[float, np.ndarray]:
    """Focal length in pixels and place in the world, float64 `[3]`, of a camera.

    The file has two lines: the intrinsic matrix, 9 numbers row by row, and `[R | t]`, 12 numbers row by row, which
    takes the world to the camera.

    Raises:
        SampleError: missing, or other content; the message names the file.
    """
    try:
        numbers = np.array([float(word) for word in read_bytes(path).split()])
    except ValueError as error:
        raise SampleError(f"{path}: is not a camera: {error}") from error
    if numbers.shape != (21,) or not np.isfinite(numbers).all() or numbers[0] <= 0:
        raise SampleError(
            f"{path}: is not a camera: it should have 9 and 12 finite numbers, and a focal length above 0"
        )
    pose = numbers[9:].reshape(3, 4)
    return float(numbers[0]), -pose[:, :3].T @ pose[:, 3]
