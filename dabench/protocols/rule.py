"""From a protocol to the numbers that scoring needs."""

from __future__ import annotations

from dabench.errors import ProtocolError
from dabench.protocols.schema import Protocol
from dabench.scoring.rule import DenseRule
from dabench.types import MAP_OUTPUTS


def dense_rule(protocol: Protocol) -> DenseRule:
    """The scoring rule of a depth protocol.

    Raises:
        ProtocolError: the protocol scores pairs.
    """
    valid, alignment, crop = protocol.valid, protocol.alignment, protocol.crop
    if valid is None or alignment is None:
        raise ProtocolError(f"{protocol.id} scores {protocol.task}, not dense depth")
    near, far = alignment.depth_range
    floor, limit = alignment.disparity_floor, valid.quantile_limit
    return DenseRule(
        method={output: alignment.method(output) for output in MAP_OUTPUTS},
        valid_min=valid.min,
        valid_max=valid.max,
        disparity_floor=None if isinstance(floor, str) else floor,
        depth_min=near,
        depth_max=None if isinstance(far, str) else far,
        min_inclusive=valid.min_inclusive,
        max_inclusive=valid.max_inclusive,
        clip_to=valid.clip_to,
        quantile_share=None if limit is None else limit.share,
        quantile_factor=None if limit is None else limit.factor,
        min_pixels=valid.min_pixels,
        crop_frame=crop.frame,
        crop_region=crop.region,
        resampling=protocol.resampling.mode,
        align_corners=protocol.resampling.align_corners,
        fit_on=alignment.fit_on,
        fit_floor=alignment.fit_floor,
        fit_max_side=alignment.fit_max_side,
        degenerate=alignment.degenerate,
        negative_scale=alignment.negative_scale,
        unusable=alignment.unusable,
        space=protocol.space,
        metrics=protocol.metrics,
    )
