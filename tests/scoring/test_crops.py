"""The crop table of KITTI, cell by cell, NYU's window, and what holds for every crop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dabench.errors import SampleError
from dabench.scoring.crops import Box, crop_box, frame_box, kb_window

# Sizes of the five recording days: full-frame Garg and Eigen, KB's corner, Garg and Eigen of the KB crop.
KITTI = {
    (375, 1242): ((153, 371, 44, 1197), (124, 342, 44, 1197), (23, 13), (166, 372, 56, 1185), (140, 344, 56, 1185)),
    (370, 1224): ((151, 366, 43, 1180), (122, 337, 43, 1180), (18, 4), (161, 367, 47, 1176), (135, 339, 47, 1176)),
    (374, 1238): ((152, 370, 44, 1193), (124, 341, 44, 1193), (22, 11), (165, 371, 54, 1183), (139, 343, 54, 1183)),
    (370, 1226): ((151, 366, 44, 1181), (122, 337, 44, 1181), (18, 5), (161, 367, 48, 1177), (135, 339, 48, 1177)),
    (376, 1241): ((153, 372, 44, 1196), (124, 343, 44, 1196), (24, 12), (167, 373, 55, 1184), (141, 345, 55, 1184)),
}


@pytest.mark.parametrize("size", KITTI, ids=str)
def test_kitti_table(size: tuple[int, int]) -> None:
    garg, eigen, corner, kb_garg, kb_eigen = KITTI[size]
    assert crop_box(*size, "full", "garg") == garg
    assert crop_box(*size, "full", "eigen") == eigen
    assert kb_window(*size) == corner
    assert crop_box(*size, "kb", "garg") == kb_garg
    assert crop_box(*size, "kb", "eigen") == kb_eigen
    assert crop_box(*size, "kb", "none") == (corner[0], corner[0] + 352, corner[1], corner[1] + 1216)


def test_the_cropped_selection_is_its_own_kb_crop() -> None:
    for frame in ("full", "kb"):
        assert crop_box(352, 1216, frame, "garg") == (143, 349, 43, 1172)
        assert crop_box(352, 1216, frame, "eigen") == (117, 321, 43, 1172)
    assert kb_window(352, 1216) == (0, 0)


def test_rounded_bounds() -> None:
    """kmatzen/plumbline rounds; at 375 x 1242 and in the KB crop two bounds move by one."""
    assert crop_box(375, 1242, "full", "garg-rounded") == (153, 372, 45, 1197)
    assert crop_box(352, 1216, "full", "garg-rounded") == (144, 349, 44, 1172)
    assert crop_box(370, 1224, "full", "garg-rounded") == (151, 367, 44, 1180)


def test_the_two_meanings_of_kb_and_garg_differ() -> None:
    full, kb = crop_box(375, 1242, "full", "garg"), crop_box(375, 1242, "kb", "garg")
    assert full.top == 153 and kb.top == 166
    window = frame_box(375, 1242, "kb")
    # BTS pastes the prediction of the KB crop into the full frame: its window must lie inside what was pasted.
    assert window.top <= full.top and full.bottom <= window.bottom
    assert window.left <= full.left and full.right <= window.right


def test_nyu_and_diode() -> None:
    assert crop_box(480, 640, "full", (45, 471, 41, 601)) == (45, 471, 41, 601)
    assert crop_box(768, 1024, "full", "garg") == (313, 761, 36, 987)
    assert crop_box(374, 1242, "full", (0, 374, 0, 1242)) == (0, 374, 0, 1242)
    assert crop_box(370, 1224, "full", (0, 374, 0, 1242)) == (0, 370, 0, 1224)


@pytest.mark.parametrize("size", [(351, 1216), (352, 1215), (0, 0)])
def test_what_is_smaller_than_the_kb_crop_has_none(size: tuple[int, int]) -> None:
    with pytest.raises(SampleError, match="smaller than the KB crop"):
        kb_window(*size)


@given(
    height=st.integers(1, 5000),
    width=st.integers(1, 7000),
    region=st.sampled_from(["none", "garg", "garg-rounded", "eigen"])
    | st.tuples(st.integers(0, 9000), st.integers(0, 9000), st.integers(0, 9000), st.integers(0, 9000)),
    kb=st.booleans(),
)
def test_bounds_lie_inside_the_image(height: int, width: int, region: object, kb: bool) -> None:
    frame = "kb" if kb and height >= 352 and width >= 1216 else "full"
    if isinstance(region, tuple):
        region = (min(region[:2]), max(region[:2]), min(region[2:]), max(region[2:]))
    outer, box = frame_box(height, width, frame), crop_box(height, width, frame, region)  # type: ignore[arg-type]
    assert isinstance(box, Box)
    assert 0 <= outer.top <= box.top <= box.bottom <= outer.bottom <= height
    assert 0 <= outer.left <= box.left <= box.right <= outer.right <= width
    if region == "none":
        assert box == outer
