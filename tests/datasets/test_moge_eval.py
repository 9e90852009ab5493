"""MoGe's bundle: the log-depth code, and a warp whose geometry agrees with rays cast at planes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_builders import encoded, moge_eval, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from dabench import datasets
from dabench.datasets.field_of_view import target_view
from dabench.datasets.layouts import AbsentError
from dabench.datasets.log_depth import LogDepth, depth_of_codes, known, read_log_depth
from dabench.datasets.moge_eval import SETS
from dabench.errors import DatasetError, SampleError
from dabench.types import Sample


def camera(fx: float, fy: float, cx: float = 0.5, cy: float = 0.5) -> np.ndarray:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def stored(depth: np.ndarray, near: float = 0.5, far: float = 200.0) -> LogDepth:
    """The nearest code to each depth; 0 where it is NaN."""
    t = np.log(np.where(depth > 0, depth, 1) / near) / np.log(far / near)
    codes = np.where(depth > 0, np.rint(t * 65533) + 1, 0).astype(np.uint16)
    return LogDepth(codes, depth_of_codes(near, far))


def plane(intrinsics: np.ndarray, size: tuple[int, int], normal: np.ndarray, distance: float) -> np.ndarray:
    """z at every pixel centre of the plane normal . x = distance, by casting rays in float64."""
    height, width = size
    v, u = np.mgrid[:height, :width]
    pixels = np.stack([(u + 0.5) / width, (v + 0.5) / height, np.ones(size)], axis=-1)
    return distance / (pixels @ np.linalg.inv(intrinsics).T @ normal)


class TestLogDepth:
    def test_the_ends_and_the_middle(self, tmp_path: Path) -> None:
        codes = np.array([[0, 65535, 1, 65534], [32767, 32768, 2, 100]])
        (tmp_path / "d.png").write_bytes(moge_eval.log_png(codes, 0.25, 64.0))
        depth, valid = read_log_depth(tmp_path / "d.png").decode()
        assert np.isnan(depth[0, 0]) and np.isinf(depth[0, 1]) and depth[0, 2] == 0.25 and depth[0, 3] == 64.0
        assert valid.tolist() == [[False, False, True, True], [True, True, True, True]]
        assert depth[1, 0] == pytest.approx(0.25 * 256 ** (32766 / 65533), rel=1e-6)
        assert depth[1, 3] == pytest.approx(0.25 ** (1 - 99 / 65533) * 64 ** (99 / 65533), rel=1e-6)
        assert depth.dtype == np.float32 and depth.flags.c_contiguous

    def test_every_code_is_a_log_step(self) -> None:
        metres = depth_of_codes(1e-3, 1e5).astype(np.float64)
        np.testing.assert_allclose(np.diff(np.log(metres[1:65535])), np.log(1e8) / 65533, rtol=1e-2)
        codes = np.arange(65536, dtype=np.uint16)
        np.testing.assert_array_equal(known(codes), (codes > 0) & (codes < 65535))

    def test_the_old_unit_multiplies(self, tmp_path: Path) -> None:
        (tmp_path / "d.png").write_bytes(moge_eval.log_png(np.full((2, 2), 1), 2.0, 8.0, unit="0.5"))
        assert (read_log_depth(tmp_path / "d.png").decode()[0] == 1.0).all()

    @given(near=st.floats(1e-4, 10), span=st.floats(1.01, 1e5), code=st.integers(1, 65534))
    @settings(max_examples=30, deadline=None)
    def test_a_code_survives_the_round_trip(self, near: float, span: float, code: int) -> None:
        metres = depth_of_codes(near, near * span)[code].astype(np.float64)
        assert near * (1 - 1e-6) <= metres <= near * span * (1 + 1e-6)
        assert 65533 * np.log(metres / near) / np.log(span) + 1 == pytest.approx(code, abs=0.5 if span > 1.2 else 2)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (encoded(np.ones((4, 4), np.uint16)), "no text chunk 'near'"),
            (moge_eval.log_png(np.ones((4, 4)), "x", 2), "'near' is not a number"),
            (moge_eval.log_png(np.ones((4, 4)), 0, 2), "'near' is 0.0, not a positive"),
            (moge_eval.log_png(np.ones((4, 4)), 1, "inf"), "'far' is inf"),
            (moge_eval.log_png(np.ones((4, 4)), 3, 2), "lies beyond its farthest"),
            (encoded(np.ones((4, 4), np.uint8)), "mode L"),
            (encoded(picture(0, 4, 4)), "mode RGB"),
            (encoded(picture(0, 4, 4), ".jpg"), "not a readable PNG"),
            (b"", "not a readable PNG"),
        ],
    )
    def test_what_cannot_be_read_is_explained(self, tmp_path: Path, content: bytes, words: str) -> None:
        (tmp_path / "d.png").write_bytes(content)
        with pytest.raises(SampleError, match=words):
            read_log_depth(tmp_path / "d.png")


class TestView:
    def test_nothing_changes_where_size_and_view_agree(self) -> None:
        pixels, depth = picture(0, 48, 64), np.random.default_rng(0).uniform(1, 90, (48, 64))
        view = target_view(camera(0.9, 1.2), (48, 64), (48, 64))
        assert view.rescaled == (48, 64)
        np.testing.assert_allclose(view.target_intrinsics, camera(0.9, 1.2))
        np.testing.assert_array_equal(view.image(pixels), pixels)
        source = stored(depth)
        warped, valid = view.depth(source)
        np.testing.assert_allclose(warped, source.metres[source.codes], rtol=1e-6)
        assert valid.all()

    def test_a_wide_image_is_cut_at_both_sides(self) -> None:
        pixels = picture(1, 40, 120)
        view = target_view(camera(0.5, 1.5), (40, 120), (40, 80))
        assert view.rescaled == (40, 120)
        np.testing.assert_array_equal(view.image(pixels), pixels[:, 20:100])

    @pytest.mark.parametrize(
        ("intrinsics", "source", "target"),
        [
            (camera(721.54 / 1242, 721.54 / 375, 609.56 / 1242, 172.85 / 375), (375, 1242), (375, 750)),
            (camera(518.86 / 640, 519.47 / 480, 325.58 / 640, 253.74 / 480), (480, 640), (480, 640)),
            (camera(886.81 / 1024, 927.06 / 768), (768, 1024), (768, 1024)),
            (camera(1.1, 1.5, 0.58, 0.44), (300, 400), (120, 160)),
        ],
    )
    def test_planes_stay_planes(self, intrinsics: np.ndarray, source: tuple[int, int], target: tuple[int, int]) -> None:
        """Where a plane of the turned camera lies, is where rays cast from its pixels meet it."""
        view = target_view(intrinsics, source, target)
        forward = np.linalg.inv(intrinsics) @ [0.5, 0.5, 1]
        forward /= np.linalg.norm(forward)
        # the shortest turn of forward onto the axis, built from an orthonormal frame and not by Rodrigues' formula
        side = np.cross(forward, [0, 0, 1.0])
        turn = np.eye(3)
        if np.linalg.norm(side) > 1e-12:
            side /= np.linalg.norm(side)
            axis = np.array([0, 0, 1.0])
            turn = np.array([side, axis, np.cross(side, axis)]).T @ np.array([side, forward, np.cross(side, forward)])
        for normal in (np.array([0, 0, 1.0]), np.array([0.15, -0.1, 1.0])):
            depth = plane(intrinsics, source, normal, 12.0)
            warped, valid = view.depth(stored(depth))
            expected = plane(view.target_intrinsics, target, turn @ normal, 12.0)
            assert valid.all()
            # a nearest pixel is up to half a pixel off, and the code has steps of 9e-5
            np.testing.assert_allclose(warped, expected, rtol=4e-3 if normal[0] else 2e-3)
            assert abs(warped / expected - 1).mean() < 8e-4

    def test_depth_is_not_distance(self) -> None:
        """A wall that faces the camera keeps its depth at the border, where distance would be larger by a third."""
        view = target_view(camera(0.8, 0.8), (100, 100), (64, 64))
        warped, _ = view.depth(stored(np.full((100, 100), 10.0)))
        np.testing.assert_allclose(warped, 10.0, rtol=5e-3)
        assert np.sqrt(1 + 2 * 0.625**2) > 1.33

    def test_the_view_lies_inside_the_image_and_touches_its_border(self) -> None:
        for cx, cy in ((0.5, 0.5), (0.45, 0.55), (0.6, 0.4)):
            view = target_view(camera(0.7, 0.9, cx, cy), (200, 300), (150, 300))
            height, width = view.rescaled
            assert view.columns.min() > -0.75 and view.columns.max() < width - 0.25
            assert view.rows.min() > -0.75 and view.rows.max() < height - 0.25
            gap = (view.columns.min(), width - 1 - view.columns.max(), view.rows.min(), height - 1 - view.rows.max())
            assert min(gap) < 2, "a larger view would fit"
            middle = (
                (view.columns[74:76, 149:151].mean() + 0.5) / width,
                (view.rows[74:76, 149:151].mean() + 0.5) / height,
            )
            assert middle == pytest.approx((0.5, 0.5), abs=2e-3), "the middle of the image stays the middle"

    def test_pixels_are_square_in_angle(self) -> None:
        view = target_view(camera(0.7, 1.3, 0.52, 0.46), (200, 300), (100, 140))
        fx, fy = view.target_intrinsics[0, 0] * 140, view.target_intrinsics[1, 1] * 100
        assert fx == pytest.approx(fy)

    def test_unknown_and_infinite_pixels_give_way_to_known_neighbours_only_within_a_pixel(self) -> None:
        codes = np.zeros((40, 40), np.uint16)
        codes[::2, ::2] = 30_000
        codes[1::2, 1::2] = 65535
        view = target_view(camera(1, 1), (40, 40), (20, 20))
        warped, valid = view.depth(LogDepth(codes, depth_of_codes(1, 100)))
        assert valid.all() and np.isfinite(warped).all()
        wide = target_view(camera(1, 1), (40, 40), (40, 40))
        np.testing.assert_array_equal(wide.depth(LogDepth(codes, depth_of_codes(1, 100)))[1], codes == 30_000)

    def test_halving_takes_the_nearest_known_pixel(self) -> None:
        """Against a search over all pixels of each window."""
        rng = np.random.default_rng(4)
        codes = np.where(rng.random((33, 47)) < 0.4, rng.integers(1, 65535, (33, 47)), 0).astype(np.uint16)
        view = target_view(camera(1, 20 / 14), (33, 47), (14, 20))
        assert view.rescaled == (14, 20)
        warped, valid = view.depth(LogDepth(codes, depth_of_codes(1, 100)))
        metres = depth_of_codes(1, 100)
        for row in range(14):
            for column in range(20):
                y, x = (row + 0.5) / 14 * 33, (column + 0.5) / 20 * 47
                near = [
                    ((i + 0.5 - y) ** 2 + (j + 0.5 - x) ** 2, i, j)
                    for i in range(round(y - 33 / 28), round(y - 33 / 28) + 3)
                    for j in range(round(x - 47 / 40), round(x - 47 / 40) + 3)
                    if 0 <= i < 33 and 0 <= j < 47 and codes[i, j]
                ]
                assert valid[row, column] == bool(near)
                if near:
                    best = min(near)[0]
                    options = [metres[codes[i, j]] for d, i, j in near if d <= best + 1e-4]
                    assert any(warped[row, column] == pytest.approx(option, rel=1e-5) for option in options)


GOLDEN = json.loads((Path(__file__).parent / "moge_view_golden.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: "x".join(map(str, case["source"])))
def test_what_the_original_loader_makes_of_it(case: dict[str, Any]) -> None:
    """Values that MoGe's own code gave for these images (the file says which version)."""
    height, width = case["source"]
    row, column = np.mgrid[:height, :width]
    codes = ((row * 7919 + column * 5407) % 65536).astype(np.uint16)
    codes[(row * 3 + column * 5) % 7 < 3] = 0
    codes[(row + column) % 11 == 0] = 65535
    colours = ((row * 37 + column * 11) % 256, (row * 5 + column * 53) % 256, (row * column) % 256)
    pixels = np.stack(colours, axis=-1).astype(np.uint8)
    view = target_view(camera(*case["camera"]), (height, width), tuple(case["target"]))
    assert list(view.rescaled) == case["rescaled"]
    assert [view.target_intrinsics[0, 0], view.target_intrinsics[1, 1]] == pytest.approx(case["view"], rel=1e-5)
    depth, valid = view.depth(LogDepth(codes, depth_of_codes(0.5, 60.0)))
    expected = np.reshape(case["depth"], case["target"])
    np.testing.assert_array_equal(valid, expected > 0)
    np.testing.assert_allclose(depth, expected, rtol=2e-6)
    difference = view.image(pixels).astype(int) - np.reshape(case["image"], (*case["target"], 3))
    assert abs(difference).max() <= 1, "libraries may round the last bit differently"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """iBims-1 of the bundle with two images, the second of another camera."""
    folder = tmp_path / "moge-eval" / "iBims-1"
    for number, (fx, cy) in enumerate([(0.9, 0.5), (0.8, 0.46)]):
        item = folder / f"room_{number}"
        item.mkdir(parents=True)
        (item / "image.jpg").write_bytes(encoded(picture(number, 24, 32), ".jpg"))
        (item / "depth.png").write_bytes(moge_eval.log_png(moge_eval.codes_of(number), 0.5, 80.0))
        (item / "meta.json").write_bytes(moge_eval.meta(fx=fx, cy=cy))
    (folder / ".index.txt").write_text("room_0\nroom_1\n")
    return tmp_path


def _open(data_root: Path) -> datasets.base.Dataset:
    return datasets.open_dataset("moge-eval", data_root, split="ibims-1")


class TestReader:
    def test_sizes_are_those_of_the_benchmark_file(self) -> None:
        sizes = {s.folder: s.size[::-1] for s in SETS.values()}
        assert sizes == {
            "NYUv2": (640, 480), "KITTI": (750, 375), "ETH3D": (2048, 1365), "iBims-1": (640, 480), "GSO": (512, 512),
            "Sintel": (872, 436), "DDAD": (1400, 700), "DIODE": (1024, 768), "Spring": (1920, 1080),
            "HAMMER": (1664, 832),
        }  # fmt: skip

    def test_image_and_ground_truth_come_out_warped_by_their_own_camera(self, root: Path) -> None:
        dataset = _open(root)
        for number, (fx, cy) in enumerate([(0.9, 0.5), (0.8, 0.46)]):
            sample = dataset.load(f"iBims-1/room_{number}/image")
            assert isinstance(sample, Sample) and sample.depth.shape == (480, 640)
            view = target_view(camera(fx, 1.2, 0.52, cy), (24, 32), (480, 640))
            depth, valid = view.depth(LogDepth(moge_eval.codes_of(number).astype(np.uint16), depth_of_codes(0.5, 80)))
            np.testing.assert_array_equal(sample.valid, valid)
            np.testing.assert_array_equal(sample.depth, depth)
        assert dataset.group("iBims-1/room_0/image") == "iBims-1"

    @pytest.mark.parametrize(
        "content",
        [
            b"", b"[]", b"{}", b'{"intrinsics": 1}', b'{"intrinsics": [[1, 0], [0, 1]]}',
            json.dumps({"intrinsics": [[500, 0, 320], [0, 500, 240], [0, 0, 1]]}).encode(),
            moge_eval.meta(fx=-1), moge_eval.meta(fy=0), moge_eval.meta(cx=float("nan")),
        ],
    )  # fmt: skip
    def test_intrinsics_that_are_none_fail_their_sample(self, root: Path, content: bytes) -> None:
        (root / "moge-eval/iBims-1/room_0/meta.json").write_bytes(content)
        dataset = _open(root)
        with pytest.raises(SampleError, match=r"room_0/meta\.json"):
            dataset.load("iBims-1/room_0/image")
        dataset.load("iBims-1/room_1/image")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "names 0 images"),
            ("room_0\nroom_0\n", "'room_0' is in it 2 times"),
            ("room_0\n../room_1\n", "not a path inside"),
            ("/room_0\n", "not a path inside"),
            ("room_0\nroom_7\n", r"missing iBims-1/room_7/image\.jpg"),
        ],
    )
    def test_a_bad_index_is_refused(self, root: Path, content: str, words: str) -> None:
        (root / "moge-eval/iBims-1/.index.txt").write_text(content)
        with pytest.raises(DatasetError, match=words):
            _open(root)

    def test_a_short_index_of_a_set_of_known_length_is_refused(self, root: Path) -> None:
        (root / "moge-eval/iBims-1").rename(root / "moge-eval/KITTI")
        with pytest.raises(DatasetError, match="names 2 images; the whole set has 652"):
            datasets.open_dataset("moge-eval", root, split="kitti")

    def test_a_set_that_is_not_there_is_absent(self, root: Path) -> None:
        with pytest.raises(AbsentError, match=r"Sintel/\.index\.txt is missing"):
            datasets.open_dataset("moge-eval", root, split="sintel")

    def test_the_fingerprint_follows_the_index(self, root: Path) -> None:
        before = _open(root).fingerprint
        (root / "moge-eval/iBims-1/.index.txt").write_text("room_1\nroom_0\n")
        assert _open(root).fingerprint != before
