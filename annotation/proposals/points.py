"""Key points of a study's images: found once, kept with the study."""

from __future__ import annotations

from typing import Any

from annotation.keypoints import CachedPoints, KeyPoints, PointGenerator, RegionPoints, find_keypoints
from annotation.study import Study
from dabench.datasets.formats import read_image

from .intake import StudyImage


class PointSource:
    """Key points from a generator, or from regions where it finds none.

    Args:
        study: whose images they are of, and in whose cache they are kept.
        generator: None: regions of the picture.

    Attributes:
        without: names of images in which the generator found none, so that regions were used.
        found: image -> data of the event ``keypoints.found``, of the images asked for so far.
    """

    def __init__(self, study: Study, generator: PointGenerator | None) -> None:
        self._study = study
        folder = study.cache / "keypoints"
        regions = CachedPoints(RegionPoints(), folder)
        self._generator = regions if generator is None else CachedPoints(generator, folder)
        self._fallback = None if generator is None else regions
        self.found: dict[str, dict[str, Any]] = {}
        self.without: list[str] = []

    def of(self, image: StudyImage) -> KeyPoints:
        """Raises ImageError when the canonical copy cannot be read."""
        known = image.sha256 in self.found
        points = find_keypoints(
            read_image(self._study.images / image.file),
            self._generator,
            fallback=self._fallback,
            notify=None if known else lambda text: self.without.append(image.name),
        )
        self.found[image.sha256] = points.found(image.sha256)
        return points
