"""Stands in for `depth_anything_3.api`: ByteDance-Seed/Depth-Anything-3 @ 2c21ea8, `DepthAnything3.inference`."""

import types

import numpy as np
from stand_in import Network


class DepthAnything3(Network):
    @classmethod
    def from_pretrained(cls, name, revision=None):
        return cls.read("model.safetensors", name, revision)

    def inference(self, image, process_res=504, process_res_method="upper_bound_resize"):
        (picture,) = image
        assert picture.dtype == np.uint8 and picture.shape[2] == 3
        factor = process_res / max(picture.shape[:2])
        height, width = (max(14, round(side * factor / 14) * 14) for side in picture.shape[:2])
        rows = np.arange(height) * picture.shape[0] // height
        columns = np.arange(width) * picture.shape[1] // width
        depth = self.depth_of(picture[rows][:, columns, 0].astype(np.float32) / 255)
        return types.SimpleNamespace(depth=depth[None].astype(np.float32))
