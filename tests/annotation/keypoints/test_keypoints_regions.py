"""Key points without a network, and what all generators share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keypoints_networks import picture
from scipy.ndimage import distance_transform_edt, label

from annotation.keypoints import KeyPoint, KeyPoints, RegionPoints, RegionSettings, find_keypoints, open_generator
from annotation.keypoints.regions import poles_of_inaccessibility, slic
from annotation.keypoints.types import mark_edges
from dabench.errors import UsageError


def scene(height: int = 120, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """A disc, a bar and a ground of different colours with noise, and their true numbers."""
    rows, columns = np.mgrid[:height, :width]
    truth = np.zeros((height, width), int)
    truth[:, width // 2 :] = 1
    truth[(rows - height / 2) ** 2 + (columns - width / 3) ** 2 < (height / 4) ** 2] = 2
    truth[height - 25 : height - 10] = 3
    colours = np.array([[200, 60, 50], [60, 160, 90], [40, 70, 200], [230, 220, 120]])
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 3))
    return np.uint8(np.clip(colours[truth] + noise, 0, 255)), truth


def purity(labels: np.ndarray, truth: np.ndarray) -> float:
    """Share of pixels that have the most common truth of their region."""
    table = np.zeros((labels.max() + 1, truth.max() + 1))
    np.add.at(table, (labels, truth), 1)
    return float(table.max(axis=1).sum() / truth.size)


def recall(labels: np.ndarray, truth: np.ndarray) -> float:
    """Share of true edges with an edge of a region no farther than 2 pixels."""
    marks = []
    for numbers in (labels, truth):
        edges = np.zeros(truth.shape, bool)
        mark_edges(edges, numbers)
        marks.append(edges)
    return float((distance_transform_edt(~marks[0])[marks[1]] <= 2).mean())


def test_regions_follow_objects_as_those_of_scikit_image_do() -> None:
    segmentation = pytest.importorskip("skimage.segmentation")
    image, truth = scene()
    ours = slic(image, RegionSettings())
    theirs = segmentation.slic(image, n_segments=100, compactness=10, start_label=0)
    assert 70 <= ours.max() + 1 <= 130
    assert purity(ours, truth) > max(0.97, purity(theirs, truth) - 0.01)
    assert recall(ours, truth) > max(0.95, recall(theirs, truth) - 0.02)


def test_regions_are_connected_and_not_tiny() -> None:
    image = np.random.default_rng(1).integers(0, 256, (90, 110, 3), dtype=np.uint8)
    labels = slic(image, RegionSettings(regions=40))
    assert set(np.unique(labels)) == set(range(labels.max() + 1))
    for number in range(labels.max() + 1):
        assert label(labels == number)[1] == 1
    assert np.bincount(labels.ravel()).min() >= 90 * 110 // 40 // 4


def test_poles_are_farthest_from_the_edge() -> None:
    labels = slic(scene()[0], RegionSettings(regions=30))
    poles, depths = poles_of_inaccessibility(labels)
    for number, ((row, col), depth) in enumerate(zip(poles, depths, strict=True)):
        inside = distance_transform_edt(np.pad(labels == number, 1))[1:-1, 1:-1]
        assert labels[row, col] == number
        assert inside[row, col] == inside.max() == pytest.approx(depth, abs=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (2, 3), (5, 2000), (530, 90)])
def test_points_lie_in_their_regions(size: tuple[int, int]) -> None:
    image = picture(*size)
    settings = RegionSettings(iterations=3)
    found, again = (RegionPoints(settings).generate(image) for _ in range(2))
    assert 1 <= len(found) <= 220 and found.labels.shape == size
    assert found.points == again.points and (found.labels == again.labels).all()
    for number, point in enumerate(found.points, start=1):
        assert found.labels[point.row, point.col] == number
        assert point.area == (found.labels == number).sum()
        assert not found.edges[point.row, point.col] or point.more["inside"] < 3
    assert found.generator["source"] == "region" and found.generator["checkpoint_sha256"] == ""
    assert not any(found.same_region(0, j) for j in range(1, len(found)))


def test_edge_distance() -> None:
    labels = np.zeros((20, 30), np.uint16)
    labels[:, 12:] = 1
    edges = np.zeros(labels.shape, bool)
    mark_edges(edges, labels)
    assert set(np.argwhere(edges)[:, 1]) == {11, 12}
    found = KeyPoints((), labels, np.zeros((0, 0), bool), edges, {})
    assert found.edge_distance[7].tolist() == [*range(11, -1, -1), *range(18)]
    none = KeyPoints((), labels, np.zeros((0, 0), bool), np.zeros_like(edges), {})
    assert np.isinf(none.edge_distance).all()


def test_event_names_every_column() -> None:
    point = KeyPoint(3, 4, 50, 0.9, 0.96, {"x": 4.5})
    empty = np.zeros((5, 6), bool)
    found = KeyPoints((point,), empty.astype(np.uint16), np.ones((1, 1), bool), empty, {"source": "sam"})
    assert found.found("ab") == {
        "image": "ab",
        "generator": {"source": "sam"},
        "points": [
            {"row": 3, "col": 4, "area": 50, "predicted_iou": 0.9, "stability": 0.96, "more": {"x": 4.5}}
        ],
    }  # fmt: skip


class Nothing:
    """A generator whose thresholds nothing passes."""

    def describe(self) -> dict[str, Any]:
        return {"source": "sam"}

    def generate(self, image: np.ndarray) -> KeyPoints:
        none = np.zeros(image.shape[:2], bool)
        return KeyPoints((), none.astype(np.uint16), np.zeros((0, 0), bool), none, self.describe())


def test_fallback_is_used_and_named() -> None:
    said: list[str] = []
    image = scene()[0]
    assert len(find_keypoints(image, Nothing())) == 0
    found = find_keypoints(image, Nothing(), fallback=RegionPoints(), notify=said.append)
    assert len(found) and found.generator["source"] == "region"
    assert len(said) == 1 and "'sam'" in said[0] and "'region'" in said[0]
    assert find_keypoints(image, RegionPoints(), fallback=Nothing(), notify=said.append).points == found.points
    assert find_keypoints(image).points == found.points and len(said) == 1


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 4), (0, 5, 3), (5, 5, 1)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="RGB image"):
        find_keypoints(np.zeros(shape, np.uint8))
    with pytest.raises(UsageError, match="RGB image"):
        find_keypoints(np.zeros((5, 5, 3), np.float32))  # type: ignore[arg-type]


def test_without_a_checkpoint_regions_are_used() -> None:
    assert open_generator().describe()["source"] == "region"
    for wrong in ({"regions": 0}, {"compactness": 0}, {"side": 0}, {"iterations": 0}):
        with pytest.raises(UsageError):
            RegionSettings(**wrong)
