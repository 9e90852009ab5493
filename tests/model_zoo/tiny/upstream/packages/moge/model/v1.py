"""Stands in for `moge.model.v1`: microsoft/MoGe @ 0744441, signatures of `from_pretrained` and `infer`."""

import numpy as np
import torch
from stand_in import Network


class MoGeModel(Network):
    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, model_kwargs=None, **hf_kwargs):
        return cls.read("model.pt", pretrained_model_name_or_path, **hf_kwargs)

    def infer(
        self,
        image,
        fov_x=None,
        resolution_level=9,
        num_tokens=None,
        apply_mask=True,
        force_projection=True,
        use_fp16=True,
    ):
        pixels = image.numpy()
        assert pixels.dtype == np.float32 and pixels.shape[0] == 3 and 0 <= pixels.min() <= pixels.max() <= 1
        assert 0 <= resolution_level <= 9 and not use_fp16
        depth, mask = self.depth_of(pixels[0]), pixels[2] < 0.75
        if apply_mask:
            depth = np.where(mask, depth, np.inf)
        return {"depth": torch.from_numpy(depth.astype(np.float32)), "mask": torch.from_numpy(mask)}
