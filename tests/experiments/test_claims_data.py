"""The two domains: no scene in two sets, the same picture every time, labels that training reads back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.claims import grammars
from experiments.claims.data import FAR, SetSpec, domains, draw, make_sets, read_truth
from experiments.claims.label_errors import erring, spoil, wrong_patches
from model_zoo.depth_anything_v2.training.datasets import open_dataset

SMALL = domains(4, 6, (42, 56))


def test_no_two_sets_share_scenes_and_tests_have_grammars_of_their_own() -> None:
    for one, other in combinations(SMALL.all(), 2):
        same_images = {one.name, other.name} == {"r-pool", "r-noisy"}
        assert (one.stream == other.stream) is same_images
        assert one.folder != other.folder
    families = [set(spec.grammars) for spec in (SMALL.start, SMALL.s_train, SMALL.r_pool, SMALL.r_test)]
    assert all(not one & other for one, other in combinations(families, 2))


def test_a_set_that_is_made_otherwise_lies_elsewhere() -> None:
    assert domains(4, 6, (42, 56)).s_train.folder == SMALL.s_train.folder
    assert domains(4, 6, (42, 70)).s_train.folder != SMALL.s_train.folder
    assert domains(5, 6, (42, 56)).s_train.folder != SMALL.s_train.folder
    assert domains(5, 6, (42, 56)).r_test.folder == SMALL.r_test.folder


@pytest.mark.parametrize("name", [*grammars.POOL, *grammars.TEST])
def test_every_grammar_of_r_gives_views_with_near_and_far(name: str) -> None:
    spec = SetSpec("one", (name,), 1, 99, (42, 56), camera=True)
    image, depth, grammar = draw(spec, 0)
    assert grammar == name and image.shape == (42, 56, 3) and image.dtype == np.uint8 and image.std() > 3
    surface = depth[depth > 0]
    assert surface.size > 0.2 * depth.size and surface.max() <= FAR
    assert np.percentile(surface, 90) > 1.2 * np.percentile(surface, 10)


def test_a_sensor_spoils_the_labels_and_not_the_picture() -> None:
    image, depth, _ = draw(SMALL.r_pool, 1)
    same, spoilt, _ = draw(SMALL.r_noisy, 1)
    np.testing.assert_array_equal(image, same)
    assert not (spoilt[depth == 0] > 0).any()
    assert (spoilt == 0).sum() > (depth == 0).sum()
    known = spoilt > 0
    assert 0.001 < np.median(np.abs(np.log(spoilt[known] / depth[known]))) < 0.5


def test_sets_on_disk_are_what_was_drawn_and_are_made_once(tmp_path: Path) -> None:
    specs, told = [SMALL.r_pool, SMALL.r_noisy], []
    with ThreadPoolExecutor(2) as pool:
        make_sets(specs, tmp_path, pool, lambda done, total: told.append((done, total)))
        assert told[-1] == (8, 8) and not list(tmp_path.glob("*.partial"))
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
        make_sets(specs, tmp_path, pool, lambda done, total: told.append((0, 0)))
    assert told[-1] == (8, 8) and before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    for spec in specs:
        rule = {"zero_is_sky": False} if spec.sensor else {}
        dataset = open_dataset("rendered", tmp_path / spec.folder, rule=rule)
        by_index = {int(name.rpartition("-")[2].removesuffix(".png")): row for row in read_truth(tmp_path / spec.folder)
                    for name in [row[0]]}  # fmt: skip
        for place in range(len(dataset)):
            sample = dataset[place]
            index = int(sample.id.rpartition("-")[2])
            image, depth, _ = draw(spec, index)
            np.testing.assert_array_equal(sample.image, image)
            np.testing.assert_array_equal(by_index[index][1], image)
            np.testing.assert_array_equal(sample.valid, (depth > 0) | (not spec.sensor))
            known = depth > 0
            step = float(depth.max()) / 65000
            np.testing.assert_allclose(1 / sample.disparity[known], depth[known], atol=1.01 * step, rtol=1e-5)
            np.testing.assert_allclose(by_index[index][2], depth, atol=1.01 * step, rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 1.0])
def test_errors_cover_exactly_their_share(share: float) -> None:
    patches = wrong_patches((84, 112), share, np.random.default_rng(0))
    assert int((patches > 0).sum()) == round(share * 84 * 112)


def test_more_errors_contain_fewer_and_take_values_from_the_map() -> None:
    disparity = np.random.default_rng(1).uniform(1, 2, (84, 112)).astype(np.float32)
    few, many = (spoil(disparity, share, np.random.default_rng(5)) for share in (0.05, 0.2))
    wrong_few, wrong_many = few != disparity, many != disparity
    assert 0.045 < wrong_few.mean() <= 0.0501 and 0.19 < wrong_many.mean() <= 0.2001
    assert wrong_many[wrong_few].mean() > 0.99
    assert np.isin(many, disparity).all()


def test_a_teacher_errs_the_same_way_on_the_same_image_only() -> None:
    images = torch.rand(3, 3, 28, 42, generator=torch.Generator().manual_seed(0))
    clean = images.mean(1)
    wrong = erring(lambda batch: batch.mean(1), 0.2)
    together, alone = wrong(images), wrong(images[1:2])
    torch.testing.assert_close(together[1], alone[0])
    spoilt = (together != clean).float().mean((1, 2))
    assert (spoilt > 0.15).all() and (spoilt <= 0.2001).all()
    assert not torch.equal(together[0] != clean[0], together[2] != clean[2])
    assert erring(torch.nn.Identity(), 0.0)(images) is images
