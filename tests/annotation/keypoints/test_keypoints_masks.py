"""Key points of Segment Anything against the stock mask generator and the twin in transformers."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from keypoints_networks import picture, tiny_sam2, twin
from PIL import Image
from scipy.ndimage import binary_dilation

from annotation.keypoints import RegionPoints, find_keypoints
from annotation.keypoints.decoder import DecodedImage
from annotation.keypoints.encoder import encode
from annotation.keypoints.filtering import Frame, Mask, stability_bound, without_overlap
from annotation.keypoints.hugging_face_points import HuggingFacePoints
from annotation.keypoints.mask_points import GridSettings, crops_of, find_masks, grid_of_points
from annotation.keypoints.segment_anything_points import SegmentAnythingPoints
from dabench.errors import UsageError

pytest.importorskip("segment_anything")
ALL = GridSettings(
    points_per_side=6, pred_iou_thresh=-1.0, stability_score_thresh=-1.0, stability_score_offset=0.2, box_nms_thresh=1.0
)


def stock(sam: Any, settings: GridSettings, image: np.ndarray, batch: int = 64) -> list[dict[str, Any]]:
    from segment_anything import SamAutomaticMaskGenerator

    return SamAutomaticMaskGenerator(sam, points_per_batch=batch, **asdict(settings)).generate(image)


def demanding(sam: Any, image: np.ndarray, **more: Any) -> GridSettings:
    """Thresholds between two candidates, that a good part of them pass."""
    candidates = stock(sam, replace(ALL, **more), image)
    limits = []
    for field in ("predicted_iou", "stability_score"):
        values = np.unique([c[field] for c in candidates if c[field] > 0])
        first = len(values) // 4
        gap = first + int(np.argmax(np.diff(values[first : first + 12])))
        limits.append(float(values[gap : gap + 2].mean()))
    return replace(ALL, pred_iou_thresh=limits[0], stability_score_thresh=limits[1], **more)


@pytest.mark.parametrize(
    ("rule", "size"),
    [
        ("scores", (90, 120)),
        ("scores", (200, 150)),
        ("scores", (37, 300)),
        ("boxes", (90, 120)),
        ("boxes", (37, 300)),
        ("crops", (60, 90)),
    ],
)
def test_survivors_are_those_of_the_stock_generator(sam: Any, rule: str, size: tuple[int, int]) -> None:
    image = picture(*size)
    settings = replace(ALL, box_nms_thresh=0.97)
    if rule != "boxes":
        crops = {"crop_n_layers": 1, "points_per_side": 4} if rule == "crops" else {}
        settings = demanding(sam, image, crop_nms_thresh=1.0, **crops)
    expected = stock(sam, settings, image)
    masks = find_masks(image, SegmentAnythingPoints(sam, settings), settings)
    assert (1 if rule == "boxes" else 6) < len(expected) < 3 * 36 * (5 if rule == "crops" else 1)
    found = sorted(masks, key=_place)
    assert [_place(m) for m in found] == sorted(_stock_place(e) for e in expected)
    for mask, one in zip(found, sorted(expected, key=_stock_place), strict=True):
        assert mask.predicted_iou == pytest.approx(one["predicted_iou"], abs=1e-5)
        assert abs(mask.area - one["area"]) <= 2
        assert mask.stability == pytest.approx(one["stability_score"], abs=5e-3, nan_ok=True)
        pixels, top, left = mask.pixels()
        theirs = one["segmentation"][top : top + pixels.shape[0], left : left + pixels.shape[1]]
        assert (theirs != pixels).sum() <= 2


def _place(mask: Mask) -> tuple[Any, ...]:
    x0, y0, x1, y1 = mask.box
    return mask.x, mask.y, [x0, y0, x1 - x0, y1 - y0], list(mask.crop[:2])


def _stock_place(one: dict[str, Any]) -> tuple[Any, ...]:
    return *one["point_coords"][0], one["bbox"], one["crop_box"][:2]


def test_batches_do_not_change_anything(sam: Any) -> None:
    image = picture(60, 80)
    settings = demanding(sam, image)
    one, many = (SegmentAnythingPoints(sam, settings, batch=batch).generate(image) for batch in (1, 36))
    assert [(p.row, p.col, p.area) for p in one.points] == [(p.row, p.col, p.area) for p in many.points]


def test_threads_do_not_change_anything(sam: Any) -> None:
    image, settings = picture(60, 80), replace(ALL, points_per_side=5)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(SegmentAnythingPoints(sam, settings).generate(image))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert [(p.row, p.col, p.area) for p in found[0].points] == [(p.row, p.col, p.area) for p in found[1].points]


def test_decoder_gives_the_published_values(sam: Any) -> None:
    points = SegmentAnythingPoints(sam)
    crop = picture(128, 96)
    places = np.random.default_rng(0).uniform(0, 128, (5, 2))
    with torch.inference_mode():
        encoded = points.encode(crop, points.frame((128, 96)))
        assert isinstance(encoded, DecodedImage)
        qualities, draw = encoded.qualities(places)
        masks = draw(torch.ones(5, 3, dtype=torch.bool)).view(5, 3, 32, 32)
        from segment_anything.predictor import SamPredictor

        predictor = SamPredictor(sam)
        predictor.set_image(crop)
        sparse, dense = sam.prompt_encoder(
            points=(torch.from_numpy(places)[:, None], torch.ones(5, 1)), boxes=None, masks=None
        )
        expected, quality = sam.mask_decoder(predictor.features, sam.prompt_encoder.get_dense_pe(), sparse, dense, True)
    assert expected.std() > 0.5
    torch.testing.assert_close(masks, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(qualities, quality, rtol=1e-5, atol=1e-5)


def test_only_wanted_masks_are_drawn(sam: Any) -> None:
    points = SegmentAnythingPoints(sam)
    with torch.inference_mode():
        encoded = points.encode(picture(64, 64), points.frame((64, 64)))
        _, draw = encoded.qualities(np.array([[10.0, 20.0], [64.0, 64.0], [100.0, 9.0]]))
        every = draw(torch.ones(3, 3, dtype=torch.bool)).view(3, 3, 32, 32)
        wanted = torch.tensor([[False, True, False], [False, False, False], [True, False, True]])
        torch.testing.assert_close(draw(wanted), every[wanted])


@pytest.mark.parametrize("scores", [1, 300, 1 << 20])
def test_encoder_gives_the_published_values(sam: Any, scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.keypoints.encoder.SCORES", scores)
    images = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(encode(sam.image_encoder, images), sam.image_encoder(images), rtol=1e-4, atol=1e-5)


def test_bound_never_drops_a_mask_that_the_large_one_keeps() -> None:
    generator = np.random.default_rng(3)
    tight = 0
    frequencies = np.hypot(*np.meshgrid(np.fft.rfftfreq(64), np.fft.fftfreq(64)))
    for size in ((90, 120), (300, 77), (13, 500), (1, 1), (20, 20)):
        frame = Frame.of(size, 256)
        fields = generator.standard_normal((40, 64, 64)).astype(np.float32) * 3
        for index in range(30):  # smooth ones of several scales
            spectrum = np.fft.rfft2(fields[index]) * (frequencies < 0.02 + 0.004 * index)
            smooth = np.fft.irfft2(spectrum, (64, 64))
            fields[index] = 2 * smooth / smooth.std()
        fields[0] += 30
        bounds = stability_bound(fields, frame, 1.0)
        large = frame.enlarge(torch.from_numpy(fields)).numpy()
        for bound, mask in zip(bounds, large, strict=True):
            lax = int((mask > -1).sum())
            if lax:
                assert np.float32((mask > 1).sum() / lax) <= bound + 1e-6
                tight += bound < 1
    assert tight > 60


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0])
def test_suppression_is_that_of_torchvision(threshold: float) -> None:
    torchvision = pytest.importorskip("torchvision")
    generator = np.random.default_rng(0)
    corners = generator.integers(0, 30, (200, 2))
    boxes = np.concatenate((corners, corners + generator.integers(0, 30, (200, 2))), axis=1).astype(np.float32)
    scores = generator.integers(0, 20, 200).astype(np.float32)
    expected = torchvision.ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    assert without_overlap(boxes, scores, threshold).tolist() == expected.tolist()


def test_crops_and_grid_are_those_of_the_stock_generator() -> None:
    from segment_anything.utils.amg import build_point_grid, generate_crop_boxes

    for size in ((1500, 2000), (77, 31)):
        boxes, layers = generate_crop_boxes(size, 2, 512 / 1500)
        assert list(crops_of(size, 2, 512 / 1500)) == [(n, tuple(b)) for n, b in zip(layers, boxes, strict=True)]
    assert all(box[2] > box[0] and box[3] > box[1] for _, box in crops_of((1, 1), 3, 512 / 1500))
    np.testing.assert_array_equal(grid_of_points(7), build_point_grid(7))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (5, 2000), (2000, 3)])
def test_odd_sizes(sam: Any, size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 77, np.uint8)
    found = SegmentAnythingPoints(sam, replace(ALL, points_per_side=2, crop_n_layers=1)).generate(image)
    places = [(p.row, p.col) for p in found.points]
    assert places and len(set(places)) == len(places)
    assert all(0 <= row < size[0] and 0 <= col < size[1] for row, col in places)
    assert found.labels.shape == found.edge_distance.shape == size


def test_points_regions_and_edges_agree_with_the_masks(sam: Any) -> None:
    image = picture(90, 120)
    settings = demanding(sam, image)
    found = SegmentAnythingPoints(sam, settings).generate(image)
    expected = stock(sam, settings, image)
    masks = [e["segmentation"] for e in expected]
    assert {(p.more["x"], p.more["y"]) for p in found.points} == {tuple(e["point_coords"][0]) for e in expected}
    assert sum(p.more["masks"] for p in found.points) == len(expected)
    smallest: list[Any] = []
    for point in found.points:
        own = [e for e in expected if tuple(e["point_coords"][0]) == (point.more["x"], point.more["y"])]
        best = max(own, key=lambda e: e["predicted_iou"])
        assert point.more["in_own_mask"] == best["segmentation"][point.row, point.col]
        holding = [m for m in masks if m[point.row, point.col]]
        smallest.append(min(holding, key=np.sum) if holding else None)
        assert point.area == (smallest[-1].sum() if holding else None)
    assert any(not p.more["in_own_mask"] for p in found.points)
    for i, region in enumerate(smallest):
        for j, point in enumerate(found.points):
            held = region is not None and region[point.row, point.col]
            other = smallest[j] is not None and smallest[j][found.points[i].row, found.points[i].col]
            assert found.same_region(i, j) == found.same_region(j, i) == (i == j or bool(held or other))
    edges = np.zeros(image.shape[:2], bool)
    for mask in masks:
        edges |= (binary_dilation(mask) & ~mask) | (binary_dilation(~mask) & mask)
    np.testing.assert_array_equal(found.edges, edges)
    places = np.argwhere(edges)
    for row, col in ((3, 5), (45, 60), (89, 119)):
        nearest = np.hypot(*(places - (row, col)).T).min()
        assert found.edge_distance[row, col] == pytest.approx(nearest, abs=1e-4)
    areas = {int(n): a for n, a in zip(*np.unique(found.labels, return_counts=True), strict=True)}
    assert set(areas) > {0} and found.labels.max() <= len(masks)


def test_transformers_gives_the_same_points(sam: Any) -> None:
    image = picture(100, 140)
    settings = demanding(sam, image)
    ours = SegmentAnythingPoints(sam, settings).generate(image)
    theirs = HuggingFacePoints(twin(sam), settings, "twin", "0" * 64).generate(image)
    assert len(ours) > 3
    assert [(p.row, p.col, p.area) for p in theirs.points] == [(p.row, p.col, p.area) for p in ours.points]
    for a, b in zip(theirs.points, ours.points, strict=True):
        assert a.predicted_iou == pytest.approx(b.predicted_iou, abs=1e-4)
        assert a.stability == pytest.approx(b.stability, abs=2e-3)
    assert theirs.generator["source"] == "sam-hf" and ours.generator["source"] == "sam"


def test_second_sam_of_transformers() -> None:
    """Masks against the model's own call for one point and the one step enlargement of SAM 2."""
    model = tiny_sam2()
    image = picture(70, 110)
    generator = HuggingFacePoints(model, replace(ALL, points_per_side=3), batch=2)
    masks = find_masks(image, generator, generator.settings)
    assert generator.describe()["source"] == "sam2-hf" and len(masks) == 27
    small = np.asarray(Image.fromarray(image).resize((128, 128), Image.Resampling.BILINEAR)).astype(np.float32)
    pixels = torch.from_numpy((small / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).float()
    areas: list[int] = []
    for x, y in grid_of_points(3):
        place = torch.tensor([[[[x * 128, y * 128]]]], dtype=torch.float32)
        made = model(pixel_values=pixels.permute(2, 0, 1)[None], input_points=place, multimask_output=True)
        large = torch.nn.functional.interpolate(made.pred_masks[0], (70, 110), mode="bilinear", align_corners=False)[0]
        own = [m for m in masks if (m.x, m.y) == (x * 110, y * 70)]
        found = sorted((m.predicted_iou, m.area) for m in own)
        expected = sorted(zip(made.iou_scores.flatten().tolist(), (large > 0).sum((1, 2)).tolist(), strict=True))
        for (quality, area), (known, pixels_of_mask) in zip(found, expected, strict=True):
            assert quality == pytest.approx(known, abs=1e-4) and abs(area - pixels_of_mask) <= 2
        areas += [area for _, area in found]
    assert len(set(areas)) > 5


def test_thresholds_that_nothing_passes(sam: Any) -> None:
    settings = replace(ALL, points_per_side=3, stability_score_thresh=1.01)
    said: list[str] = []
    image = picture(50, 60)
    assert len(SegmentAnythingPoints(sam, settings).generate(image)) == 0
    found = find_keypoints(image, SegmentAnythingPoints(sam, settings), fallback=RegionPoints(), notify=said.append)
    assert len(found) and found.generator["source"] == "region" and "thresholds" in said[0]


def test_settings_out_of_range() -> None:
    for wrong in ({"points_per_side": 0}, {"crop_n_layers": -1}, {"points_per_side": 1000}):
        with pytest.raises(UsageError):
            GridSettings(**wrong)
