"""Stands in for `unidepth.models`: lpiccinelli-eth/UniDepth @ 8d8cfe4, `infer` of both classes."""

import numpy as np
import torch
from stand_in import Network


class _UniDepth(Network):
    @classmethod
    def from_pretrained(cls, name, revision=None):
        return cls.read("model.safetensors", name, revision)

    def depth(self, rgb):
        pixels = rgb.numpy()
        assert pixels.dtype == np.uint8 and pixels.shape[0] == 3
        depth = self.depth_of(pixels[0].astype(np.float32) / 255)
        return {"depth": torch.from_numpy(depth[None, None].astype(np.float32))}


class UniDepthV1(_UniDepth):
    def infer(self, rgbs, intrinsics=None, skip_camera=False):
        assert intrinsics is None
        return self.depth(rgbs)


class UniDepthV2(_UniDepth):
    def infer(self, rgb, camera=None, normalize=True):
        assert camera is None and normalize
        return self.depth(rgb)
