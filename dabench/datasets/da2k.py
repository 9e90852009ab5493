"""DA-2K, the pair benchmark of Depth Anything V2 (arXiv 2406.09414, section 6), in its official layout."""

from __future__ import annotations

from dabench.datasets.base import DatasetInfo
from dabench.datasets.pairs import LAYOUT, Pairs

SCENES = (
    "indoor", "outdoor", "non_real", "transparent_reflective", "adverse_style", "aerial", "underwater", "object",
)  # fmt: skip


class Da2k(Pairs):
    """Reader of DA-2K: 2068 pairs in eight scene types. The number of images is reported, not asserted."""

    info = DatasetInfo(
        name="da-2k",
        title="DA-2K",
        summary="2068 human-labelled point pairs on about a thousand photographs in eight scene types",
        tasks=("pairs",),
        licence="Apache-2.0 (annotations; the images keep their own licences)",
        source="Depth Anything V2, arXiv 2406.09414, section 6; DepthAnything/Depth-Anything-V2, DA-2K.md",
        layout=LAYOUT,
        how_to_get="run `dabench data fetch da-2k --data-root DIR`, or unpack DA-2K.zip of the Hugging Face dataset "
        "depth-anything/DA-2K as DIR/da-2k",
        expected="2068 pairs",
    )
    expected_pairs = 2068
