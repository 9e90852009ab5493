"""Stands in for the `hubconf` of Metric3D: YvanYin/Metric3D @ eb5b6fa. Its network gives canonical depth."""

import os

import numpy as np
import torch
from stand_in import Network

_FILES = {"ViT-Small": "small", "ViT-Large": "large", "ViT-giant2": "giant2"}
MODEL_TYPE = {
    name: {
        "ckpt_file": os.environ.get("HF_ENDPOINT", "")
        + f"/JUGGHM/Metric3D/resolve/main/metric_depth_vit_{size}_800k.pth"
    }
    for name, size in _FILES.items()
}


class DepthModel(Network):
    def load_state_dict(self, state, strict=True):
        assert not strict
        self.scale = float(state["scale"])

    def inference(self, data):
        pixels = data["input"].numpy()
        assert pixels.shape == (1, 3, 616, 1064) and pixels.dtype == np.float32
        red = (pixels[:, :1] * 58.395 + 123.675) / 255
        depth = self.depth_of(red).astype(np.float32)
        return torch.from_numpy(depth), torch.from_numpy(np.ones_like(depth)), {}


def metric3d_vit_small(pretrain=False):
    assert not pretrain
    return DepthModel()


metric3d_vit_large = metric3d_vit_giant2 = metric3d_vit_small
