"""Baselines: what they say about a pair, and that nothing but the image decides it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import model_zoo
from dabench.errors import UsageError
from dabench.types import Output
from model_zoo.baselines import Constant, LocationPrior, Random


def _image(seed: int, height: int = 12, width: int = 17) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_location_prior_says_the_lower_point_is_nearer() -> None:
    values = LocationPrior().predict(_image(0)).values
    assert (np.diff(values, axis=0) == 1).all()
    assert (values == values[:, :1]).all()


def test_constant_ties_every_pair() -> None:
    model = Constant(3.5)
    assert np.unique(model.predict(_image(0)).values).tolist() == [3.5]
    assert model.info.settings == {"value": 3.5}


def test_random_depends_on_the_image_and_the_seed_only() -> None:
    images = [_image(seed) for seed in range(3)]
    model = Random(7)
    forward = [p.values for p in model.predict_batch(images)]
    backward = [p.values for p in Random(7).predict_batch(images[::-1])][::-1]
    assert all((a == b).all() for a, b in zip(forward, backward, strict=True))
    assert not (forward[0] == forward[1]).any()
    assert not (Random(8).predict(images[0]).values == forward[0]).any()
    assert model.info.settings["seed"] == 7


def test_random_sees_content_not_memory_layout() -> None:
    image = _image(0)
    view = np.flip(np.flip(image, 1).copy(), 1)
    assert not view.flags.c_contiguous
    assert (Random().predict(image).values == Random().predict(view).values).all()
    one_pixel = image.copy()
    one_pixel[5, 5, 0] ^= 1
    assert not (Random().predict(image).values == Random().predict(one_pixel).values).any()


def test_random_is_right_about_half_the_time() -> None:
    values = Random().predict(_image(0, 200, 200)).values
    nearer = (values[:, :100] > values[:, 100:]).mean()
    assert 0.48 < nearer < 0.52


@pytest.mark.parametrize("name", ["location-prior", "constant", "random"])
def test_by_name(name: str) -> None:
    model = model_zoo.load(name, device="cuda", input_size=518)
    assert model.info.name == name and model.info.output is Output.DISPARITY
    with pytest.raises(UsageError, match="has no weights"):
        model_zoo.load(name, checkpoint=Path("some.pth"))
