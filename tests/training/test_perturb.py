"""Perturbations: torchvision's formulas, probabilities and ranges as stated, CutMix boxes of the right size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as reference

from dabench.errors import UsageError
from model_zoo.depth_anything_v2.training import perturb as module
from model_zoo.depth_anything_v2.training.perturb import CutMix, Perturbation, draw_box, draw_partner, perturb


def picture(seed: int = 0, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Smooth colours, some of them saturated and some grey."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.random((6, 7, 3)).astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    image[:8] = image[:8].mean(2, keepdims=True)
    return np.clip(image * 1.3 - 0.15, 0, 1)


def as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


@pytest.mark.parametrize("factor", [0.5, 0.77, 1.0, 1.31, 1.5])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_blends_are_torchvisions(name: str, factor: float) -> None:
    image = picture()
    expected = getattr(reference, f"adjust_{name}")(as_tensor(image), factor).numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(getattr(module, f"adjust_{name}")(image, factor), expected, atol=2e-6)


@pytest.mark.parametrize("shift", [-0.25, -0.1, 0.0, 0.07, 0.25, 0.5])
def test_hue_is_torchvisions(shift: float) -> None:
    image = picture()
    expected = reference.adjust_hue(as_tensor(image), shift).numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(module.adjust_hue(image, shift), expected, atol=2e-4)


def test_grey_and_blur_are_torchvisions() -> None:
    image = picture()
    grey = reference.rgb_to_grayscale(as_tensor(image), 3).numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(module.to_grey(image), grey, atol=2e-6)
    blurred = reference.gaussian_blur(as_tensor(image), [17, 17], [2.0, 2.0]).numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(module.gaussian_blur(image, 2.0), blurred, atol=1e-5)


def test_on_8_bits_it_is_torchvisions_within_rounding() -> None:
    eight = np.rint(picture(2) * 255).astype(np.uint8)
    for name, factor in (("brightness", 1.3), ("contrast", 0.6), ("saturation", 1.4), ("hue", 0.2)):
        expected = getattr(reference, f"adjust_{name}")(as_tensor(eight), factor).numpy().transpose(1, 2, 0)
        ours = getattr(module, f"adjust_{name}")(eight.astype(np.float32) / np.float32(255), factor) * 255
        assert np.abs(ours - expected).max() <= 2, name


@settings(deadline=None)
@given(st.integers(0, 5000))
def test_results_stay_images_and_repeat(seed: int) -> None:
    image = picture(seed % 5)
    before = image.copy()
    result = perturb(np.random.default_rng(seed), image, Perturbation())
    assert result.dtype == np.float32 and result.shape == image.shape
    assert result.min() >= 0 and result.max() <= 1 + 1e-5
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result, perturb(np.random.default_rng(seed), image, Perturbation()))


@pytest.mark.parametrize(("name", "chance"), [("jitter", 0.8), ("grey", 0.2), ("blur", 0.5)])
def test_chances_are_the_stated_ones(name: str, chance: float) -> None:
    off = {"jitter": 0.0, "grey": 0.0, "blur": 0.0}
    only = Perturbation(**{**off, name: getattr(Perturbation(), name)})
    image, count = picture(size=(8, 8)), 1500
    changed = sum(perturb(np.random.default_rng(s), image, only) is not image for s in range(count))
    assert abs(changed / count - chance) < 4 * np.sqrt(chance * (1 - chance) / count)


def test_nothing_happens_at_zero_chance() -> None:
    image = picture()
    assert perturb(np.random.default_rng(0), image, Perturbation(jitter=0, grey=0, blur=0)) is image


def test_factors_fill_their_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[float]] = {"brightness": [], "contrast": [], "saturation": [], "hue": []}
    orders = set()
    for name, values in drawn.items():

        def keep(image: np.ndarray, value: float, name: str = name, values: list[float] = values) -> np.ndarray:
            values.append(value)
            called.append(name)
            return image

        monkeypatch.setattr(module, f"adjust_{name}", keep)
    for seed in range(600):
        called: list[str] = []
        perturb(np.random.default_rng(seed), picture(size=(4, 4)), Perturbation(jitter=1))
        orders.add(tuple(called))
    assert len(orders) == 24
    for name, (low, high) in {"brightness": (0.5, 1.5), "contrast": (0.5, 1.5), "saturation": (0.5, 1.5)}.items():
        assert low <= min(drawn[name]) < low + 0.02 and high - 0.02 < max(drawn[name]) <= high
    assert -0.25 <= min(drawn["hue"]) < -0.24 and 0.24 < max(drawn["hue"]) <= 0.25


def test_changing_one_setting_does_not_move_the_others() -> None:
    """Draws do not depend on what is switched on, so two runs that differ in one setting see the same rest."""
    image = picture()
    for seed in range(30):
        only_blur = perturb(np.random.default_rng(seed), image, Perturbation(jitter=0, grey=0))
        all_on = perturb(np.random.default_rng(seed), image, Perturbation(jitter=0, grey=0, brightness=0.1))
        np.testing.assert_array_equal(only_blur, all_on)
    states = set()
    for chances in (Perturbation(), Perturbation(jitter=0, grey=0, blur=0), Perturbation(jitter=1, grey=1, blur=1)):
        rng = np.random.default_rng(5)
        perturb(rng, image, chances)
        states.add(rng.random())
    assert len(states) == 1


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(518, 518), (112, 112), (378, 770), (70, 42)]))
def test_boxes_lie_inside_with_area_and_aspect_in_range(seed: int, size: tuple[int, int]) -> None:
    rows, columns = draw_box(np.random.default_rng(seed), size, CutMix())
    height, width = rows.stop - rows.start, columns.stop - columns.start
    assert 0 <= rows.start < rows.stop <= size[0] and 0 <= columns.start < columns.stop <= size[1]
    slack = (height + width) / 2 + 1  # half a pixel on each side
    assert 0.02 * size[0] * size[1] - slack <= height * width <= 0.4 * size[0] * size[1] + slack
    assert (height - 0.5) / (width + 0.5) <= 1 / 0.3 and (height + 0.5) / (width - 0.5) >= 0.3


def test_boxes_are_spread_over_sizes_and_places() -> None:
    boxes = [draw_box(np.random.default_rng(seed), (224, 224), CutMix()) for seed in range(1500)]
    areas = np.array([(r.stop - r.start) * (c.stop - c.start) for r, c in boxes]) / 224**2
    assert abs(areas.mean() - 0.21) < 0.012 and areas.min() < 0.03 and areas.max() > 0.39
    centre = np.array([[r.start + r.stop, c.start + c.stop] for r, c in boxes]) / 2
    np.testing.assert_allclose(centre.mean(0), 112, atol=5)


def test_a_box_that_no_aspect_fits_takes_the_images() -> None:
    rows, columns = draw_box(np.random.default_rng(0), (14, 1400), CutMix(area=(0.3, 0.4)))
    assert rows.stop - rows.start <= 14 and (rows.stop - rows.start) * (columns.stop - columns.start) / 19600 > 0.25


def test_neighbours_exchange_and_nobody_is_their_own_partner() -> None:
    rng = np.random.default_rng(0)
    assert [draw_partner(rng, place, CutMix()) for place in (0, 1)] == [1, 0]
    four = [draw_partner(rng, 2, CutMix(group=4)) for _ in range(300)]
    assert set(four) == {0, 1, 3}


@pytest.mark.parametrize(
    "wrong", [{"jitter": 2}, {"hue": 0.6}, {"brightness": -1}, {"blur_sigma": (0, 1)}, {"blur_sigma": (2, 1)}]
)
def test_perturbations_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Perturbation(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"chance": -1}, {"area": (0.5, 0.2)}, {"aspect": (0, 1)}, {"group": 1}])
def test_cutmix_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        CutMix(**wrong)  # type: ignore[arg-type]
