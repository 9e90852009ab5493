"""Bilinear resizing with half-pixel centres."""

import numpy as np


def interpolate(values, size, mode, align_corners=False):
    assert mode == "bilinear" and not align_corners
    for axis, length in ((2, size[0]), (3, size[1])):
        before = values.shape[axis]
        place = np.clip((np.arange(length) + 0.5) * before / length - 0.5, 0, before - 1)
        low = place.astype(int)
        high = np.minimum(low + 1, before - 1)
        part = (place - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(4)])
        values = np.take(values, low, axis) * (1 - part) + np.take(values, high, axis) * part
    return values
