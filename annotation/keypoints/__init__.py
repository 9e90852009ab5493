"""Key points: pixels worth comparing, from Segment Anything or from regions of the picture."""

from annotation.keypoints.cache import CachedPoints
from annotation.keypoints.finding import find_keypoints, open_generator
from annotation.keypoints.regions import RegionPoints, RegionSettings
from annotation.keypoints.types import KeyPoint, KeyPoints, PointGenerator

__all__ = [
    "CachedPoints",
    "KeyPoint",
    "KeyPoints",
    "PointGenerator",
    "RegionPoints",
    "RegionSettings",
    "find_keypoints",
    "open_generator",
]
