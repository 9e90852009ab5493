"""Feature alignment: keeps a student's encoder near the frozen encoder that it started from."""

from __future__ import annotations

import torch
from torch import Tensor

FEATURE_MARGIN = 0.85


def feature_alignment(features: Tensor, frozen: Tensor, margin: float = FEATURE_MARGIN, leading: int = 0) -> Tensor:
    """One minus the mean cosine over the tokens that are not similar enough yet, [B] in [0, 2].

    Args:
        features: [B, N, D], last output of the encoder in training, one row a token.
        frozen: [B, N, D], the same of the frozen encoder, which has the same size and saw the same crop.
        margin: tokens whose cosine is above this are left out; an image without others gives an exact zero.
        leading: tokens in front to leave out (class, registers). `DinoV2Encoder` gives patch tokens only, so 0.

    Always in float32 or wider. No gradient reaches `frozen`, and a NaN token makes its image's value NaN. The margin
    frees the encoder to tell apart what the frozen one does not, such as the parts of one object.
    Source: Depth Anything (arXiv 2401.10891, section 3.3); used by V2 for pseudo-labelled images (arXiv 2406.09414,
    section 5.2).
    """
    if features.shape != frozen.shape:
        raise ValueError(
            f"features {tuple(features.shape)} and frozen features {tuple(frozen.shape)} differ in shape; "
            "the frozen encoder must have the size of the trained one"
        )
    with torch.autocast(features.device.type, enabled=False):
        wide = torch.float64 if features.dtype == torch.float64 else torch.float32
        trained, fixed = features[:, leading:].to(wide), frozen[:, leading:].detach().to(wide)
        cosine = torch.nn.functional.cosine_similarity(trained, fixed, dim=2)
        apart = ~(cosine.detach() > margin)  # not <=, which would leave NaN out
        missing = (1 - cosine).masked_fill(~apart, 0.0).sum(1)
        return missing / apart.sum(1).clamp_min(1)
