"""The camera in software: each stage against what it should do to simple pictures."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from dabench.render.camera_pipeline import (
    CURVES,
    CameraSettings,
    compress,
    defocus,
    draw_settings,
    meter,
    photograph,
    sensor_noise,
)

PLAIN = CameraSettings(quality=100)


def ramp() -> np.ndarray:
    """Grey steps from black to white with a coloured half; uint8 [96, 128, 3]."""
    image = np.repeat(np.linspace(0, 255, 128).astype(np.uint8)[None, :, None], 3, axis=2).repeat(96, axis=0)
    image[48:, :, 2] //= 2
    return image


def shoot(image: np.ndarray, **settings: object) -> np.ndarray:
    """A picture with these settings and every fault off, as float."""
    chosen = CameraSettings(**{**PLAIN.__dict__, **settings})
    return photograph(image, np.random.default_rng(0), settings=chosen).astype(float)


def test_a_perfect_camera_changes_next_to_nothing() -> None:
    grey = ramp()[:48]
    assert np.abs(shoot(grey) - grey).max() <= 3


def test_pictures_are_repeatable_and_inputs_untouched() -> None:
    image, depth = ramp(), np.linspace(1, 9, 96 * 128, dtype=np.float32).reshape(96, 128)
    before, kept = image.copy(), depth.copy()
    first = photograph(image, np.random.default_rng(5), depth)
    np.testing.assert_array_equal(first, photograph(image, np.random.default_rng(5), depth))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(depth, kept)
    assert first.dtype == np.uint8 and first.shape == image.shape
    assert (first != photograph(image, np.random.default_rng(6), depth)).any()


@pytest.mark.parametrize("shape", [(31, 47, 3), (168, 224, 3), (1, 1, 3)])
def test_any_size_and_linear_light_of_any_scale_is_taken(shape: tuple[int, int, int]) -> None:
    light = np.random.default_rng(0).random(shape).astype(np.float32)
    one = photograph(light, np.random.default_rng(1), settings=PLAIN)
    np.testing.assert_allclose(
        one.astype(float), photograph(light * 900, np.random.default_rng(1), settings=PLAIN), atol=3
    )
    assert one.shape == shape and one.dtype == np.uint8


def test_metering_brings_a_flat_field_to_middle_grey() -> None:
    np.testing.assert_allclose(meter(np.full((8, 8, 3), 37.0)), 0.16, rtol=1e-3)
    assert np.isfinite(meter(np.zeros((8, 8, 3)))).all()


def test_exposure_counts_in_stops_and_white_balance_in_linear_gains() -> None:
    image = np.full((32, 32, 3), 100, np.uint8)
    linear = ((100 / 255 + 0.055) / 1.055) ** 2.4
    expected = 255 * (1.055 * (linear * 2) ** (1 / 2.4) - 0.055)
    assert shoot(image, exposure=1.0).mean() == pytest.approx(expected, abs=1.5)
    tinted = shoot(image, white=(2.0, 1.0, 1.0)).mean(axis=(0, 1))
    assert tinted[0] == pytest.approx(expected, abs=2.5) and tinted[1] == pytest.approx(100, abs=2.5)


@pytest.mark.parametrize("curve", sorted(CURVES))
def test_curves_rise_from_dark_to_bright(curve: str) -> None:
    levels = CURVES[curve](np.linspace(0, 1, 500))
    assert (np.diff(levels) >= -1e-9).all()
    assert -1e-3 <= levels[0] < 0.1 and 0.85 < levels[-1] <= 1.05


def test_vignette_darkens_corners_and_saturation_acts_on_colour_only() -> None:
    flat = np.full((64, 64, 3), 140, np.uint8)
    dark = shoot(flat, vignette=0.5)
    assert dark[32, 32].mean() == pytest.approx(140, abs=2) and dark[0, 0].mean() < 110
    assert np.abs(shoot(flat, saturation=1.5) - 140).max() <= 2
    assert np.ptp(shoot(ramp(), saturation=0.0), axis=2).max() <= 6


def test_noise_variance_follows_light_and_is_correlated_between_neighbours() -> None:
    light = np.zeros((200, 400, 3), np.float32)
    light[:, 200:] = 0.64
    noise = sensor_noise(light, 0.05, 0.01, np.random.default_rng(0))
    sites = noise[0::2, 0::2, 0]  # red's own sites, where nothing is interpolated
    assert sites[:, :100].std() == pytest.approx(0.01, rel=0.05)
    assert sites[:, 100:].std() == pytest.approx(np.hypot(0.05 * 0.8, 0.01), rel=0.05)
    red, green = noise[:, :200, 0], noise[:, :200, 1]
    lag = [float(np.corrcoef(c[:, :-1].ravel(), c[:, 1:].ravel())[0, 1]) for c in (red, green)]
    assert lag[0] > lag[1] > 0.2


def test_defocus_spares_the_plane_in_focus() -> None:
    rng = np.random.default_rng(0)
    light = rng.random((64, 128, 3)).astype(np.float32)
    depth = np.full((64, 128), 1.0, np.float32)
    depth[:, 64:] = 10.0
    blurred = defocus(light, depth, 1.5, 1.0)
    np.testing.assert_allclose(blurred[:, :56], light[:, :56], atol=1e-6)
    assert blurred[:, 72:].std() < 0.4 * light[:, 72:].std()
    far_sharp = defocus(light, depth, 1.5, 0.0)
    np.testing.assert_allclose(far_sharp[:, 72:], light[:, 72:], atol=1e-6)
    assert far_sharp[:, :56].std() < 0.4 * light[:, :56].std()


def test_shake_smears_along_its_direction_only() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 30:34] = 255
    along, across = shoot(image, shake=8.0, direction=np.pi / 2), shoot(image, shake=8.0, direction=0.0)
    assert np.abs(along - image).max() < 40 < across[32, 27:30].mean()


def test_sharpening_overshoots_at_an_edge() -> None:
    image = np.full((48, 48, 3), 80, np.uint8)
    image[:, 24:] = 160
    row = shoot(image, sharpen=1.0, halo=1.5)[24].mean(axis=1)
    assert row[22:24].min() < 75 and row[24:26].max() > 165 and row[5] == pytest.approx(80, abs=3)


def test_lower_jpeg_quality_loses_more() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 1.5)
    loss = [np.abs(compress(image, quality).astype(float) - image).mean() for quality in (60, 80, 95)]
    assert loss[0] > loss[1] > loss[2] > 0


def test_drawn_settings_stay_in_range_and_vary() -> None:
    drawn = [draw_settings(np.random.default_rng(seed)) for seed in range(300)]
    assert {one.curve for one in drawn} == set(CURVES)
    assert min(one.quality for one in drawn) >= 60 and max(one.quality for one in drawn) <= 95
    assert all(abs(one.exposure) <= 1.2 and 0 <= one.vignette <= 0.8 for one in drawn)
    dim = [draw_settings(np.random.default_rng(seed), dim=1.0).shot for seed in range(300)]
    assert np.median(dim) > 2.5 * np.median([one.shot for one in drawn])


def test_a_small_picture_takes_little_time() -> None:
    image, depth = cv2.resize(ramp(), (224, 168)), np.full((168, 224), 3.0, np.float32)
    best = np.inf
    for seed in range(12):
        start = time.thread_time()
        photograph(image, np.random.default_rng(seed), depth)
        best = min(best, time.thread_time() - start)
    assert best < 0.05
