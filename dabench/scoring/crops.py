"""Which pixels of an image count: the crops of KITTI and NYU-D, in whole pixels, half-open.

Fractions are truncated towards zero, as the original code does; rounding them moves KITTI's windows by one row, which
``garg-rounded`` does on purpose (kmatzen/plumbline, src/plumbline/datasets/kitti.py, garg_crop_mask).
"KB crop and Garg" exists with two meanings: BTS applies the fractions to the full frame, ZoeDepth, Marigold and
UniDepth to the 352 x 1216 crop. ``crop_box`` tells them apart by ``frame``.
"""

from __future__ import annotations

from typing import NamedTuple

from dabench.errors import SampleError

KB_SIZE = (352, 1216)

# (top, bottom, left, right) as fractions of height, height, width, width: Garg et al., arXiv 1603.04992, as in
# nianticlabs/monodepth2, evaluate_depth.py; Eigen et al., arXiv 1406.2283, as in cleinc/bts, pytorch/bts_eval.py.
_FRACTIONS = {
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "eigen": (0.3324324, 0.91351351, 0.0359477, 0.96405229),
}


class Box(NamedTuple):
    """Rows ``top:bottom`` and columns ``left:right`` of the full image."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def kb_window(height: int, width: int) -> tuple[int, int]:
    """Top and left of KITTI's benchmark crop, 352 x 1216 at the bottom centre (cleinc/bts, bts_dataloader.py).

    Raises:
        SampleError: the image is smaller than the crop.
    """
    if height < KB_SIZE[0] or width < KB_SIZE[1]:
        raise SampleError(f"an image of {height} x {width} is smaller than the KB crop of {KB_SIZE[0]} x {KB_SIZE[1]}")
    return int(height - KB_SIZE[0]), int((width - KB_SIZE[1]) / 2)


def frame_box(height: int, width: int, frame: str) -> Box:
    """What a region is measured in: the ``full`` image or its ``kb`` crop, in pixels of the image."""
    if frame == "full":
        return Box(0, height, 0, width)
    top, left = kb_window(height, width)
    return Box(top, top + KB_SIZE[0], left, left + KB_SIZE[1])


def crop_box(height: int, width: int, frame: str, region: str | tuple[int, int, int, int]) -> Box:
    """The pixels that count, in pixels of the full image.

    Args:
        height, width: size of the full image.
        frame: ``full`` or ``kb``.
        region: ``none``, ``garg``, ``garg-rounded``, ``eigen`` or ``(top, bottom, left, right)`` in pixels of the
            frame, cut at its border.

    Returns:
        A box inside the image; empty where an explicit region lies beyond it.
    """
    outer = frame_box(height, width, frame)
    if isinstance(region, str):
        whole = round if region.endswith("-rounded") else int
        name = region.removesuffix("-rounded")
        top, bottom, left, right = (0.0, 1.0, 0.0, 1.0) if name == "none" else _FRACTIONS[name]
        rows = whole(top * outer.height), whole(bottom * outer.height)
        columns = whole(left * outer.width), whole(right * outer.width)
    else:
        rows = min(max(region[0], 0), outer.height), min(max(region[1], 0), outer.height)
        columns = min(max(region[2], 0), outer.width), min(max(region[3], 0), outer.width)
    return Box(outer.top + rows[0], outer.top + rows[1], outer.left + columns[0], outer.left + columns[1])
