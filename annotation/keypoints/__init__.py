"""Key points: pixels worth comparing, from Segment Anything or from regions of the picture."""

from annotation.keypoints.finding import find_keypoints
from annotation.keypoints.types import KeyPoint, KeyPoints, PointGenerator

__all__ = ["KeyPoint", "KeyPoints", "PointGenerator", "find_keypoints"]
