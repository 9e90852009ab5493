"""Batches: the same for every way of making them, honest about broken files, in step with their labels."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dabench.errors import DatasetError, SampleError, UsageError
from model_zoo.depth_anything_v2.preprocess import IMAGENET_MEAN, IMAGENET_STD
from model_zoo.depth_anything_v2.training.assembly import Assembler, Span
from model_zoo.depth_anything_v2.training.augment import Augmentation
from model_zoo.depth_anything_v2.training.feed import (
    BadSample,
    Batch,
    ConcatenatedDataset,
    Feed,
    FeedSettings,
    Part,
    feed_settings,
)
from model_zoo.depth_anything_v2.training.order import Order
from model_zoo.depth_anything_v2.training.perturb import CutMix, Perturbation
from model_zoo.depth_anything_v2.training.recipe import load_recipe
from model_zoo.depth_anything_v2.training.sample import LabelledSample, TrainingDataset
from model_zoo.depth_anything_v2.training.transforms import ViewSettings

SIZE = (42, 56)
PLAIN = FeedSettings(view=ViewSettings(size=SIZE, hflip=0))
STUDENT = FeedSettings(
    view=ViewSettings(size=SIZE), perturbation=Perturbation(), cutmix=CutMix(), keep_clean=True, seed=5
)


class Ramps(TrainingDataset):
    """Image i: a ramp whose blue channel is its label and whose red channel is i.

    broken: indices that cannot be read. empty: without any valid pixel. wrong: index -> exception or defect.
    """

    def __init__(
        self,
        length: int = 24,
        *,
        name: str = "ramps",
        broken: Sequence[int] = (),
        empty: Sequence[int] = (),
        wrong: dict[int, str] | None = None,
        metric: bool = True,
    ) -> None:
        self.length, self.name, self.metric = length, name, metric
        self.broken, self.empty, self.wrong = set(broken), set(empty), wrong or {}

    def __len__(self) -> int:
        return self.length

    def id_of(self, index: int) -> str:
        return f"{index:03d}"

    def __getitem__(self, index: int) -> LabelledSample:
        defect = self.wrong.get(index)
        if index in self.broken:
            raise SampleError(f"/data/{self.id_of(index)}.png is truncated")
        if defect == "raise":
            raise KeyError("depth")
        if defect == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        rng = np.random.default_rng(index)
        height, width = (50 + index % 3 * 20, 64 + index % 5 * 7)
        rows, columns = np.mgrid[0:height, 0:width]
        disparity = (rows / height * rng.uniform(0.3, 1) + columns / width * 0.4 + 0.1).astype(np.float32)
        valid = rng.random((height, width)) < (0 if index in self.empty else 0.9)
        sky = valid & (rows < 5)
        image = np.zeros((height, width, 3), np.uint8)
        image[..., 0], image[..., 2] = index, np.rint(disparity * 160)
        disparity = np.where(valid & ~sky, disparity, 0)
        if defect == "nan":
            disparity[:] = np.nan
        if defect == "size":
            image = image[:-1]
        return LabelledSample(self.id_of(index), image, disparity.astype(np.float32), valid, sky, self.metric)


def same(first: Batch, second: Batch) -> bool:
    def flat(batch: Batch) -> list[Any]:
        boxes = batch.cutmix or ()
        clean = [] if batch.clean_images is None else [batch.clean_images]
        return [batch.images, batch.target, batch.valid, batch.positions, *clean, *boxes]

    return first.ids == second.ids and all(torch.equal(a, b) for a, b in zip(flat(first), flat(second), strict=True))


def join(batches: Sequence[Batch]) -> Batch:
    def cat(name: str) -> Any:
        return torch.cat([getattr(batch, name) for batch in batches])

    first = batches[0]
    boxes = [batch.cutmix for batch in batches if batch.cutmix is not None]
    return Batch(
        cat("images"),
        cat("target"),
        cat("valid"),
        cat("positions"),
        tuple(name for batch in batches for name in batch.ids),
        None if first.clean_images is None else cat("clean_images"),
        (torch.cat([box[0] for box in boxes]), torch.cat([box[1] for box in boxes])) if boxes else None,
    )


def colours(images: torch.Tensor) -> np.ndarray:
    """Normalised [B, 3, H, W] -> 0 to 255, [B, H, W, 3]."""
    return images.numpy().transpose(0, 2, 3, 1) * (255 * np.array(IMAGENET_STD)) + 255 * np.array(IMAGENET_MEAN)


def images_of(batch: Batch) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return zip(colours(batch.images), batch.target.numpy(), batch.valid.numpy(), strict=True)


def assert_tied(blue: np.ndarray, target: np.ndarray, valid: np.ndarray, tolerance: float) -> None:
    """The blue channel is a rising straight line of the target, nowhere off by more than `tolerance` grey levels."""
    lit = valid & (target > 0)  # sky is 0 and still blue
    slope, shift = np.polyfit(target[lit], blue[lit], 1)
    assert slope > 30
    assert np.percentile(np.abs(slope * target + shift - blue)[lit], 99) < tolerance


def test_a_batch_is_what_it_says() -> None:
    with Feed(Ramps(), PLAIN, batch=4, stop_step=3) as feed:
        batches = list(feed)
    assert len(batches) == 3 and next(feed, None) is None
    for step, batch in enumerate(batches):
        assert len(batch) == 4 and batch.cutmix is None and batch.clean_images is None
        assert batch.images.shape == (4, 3, *SIZE) and batch.images.dtype == torch.float32
        assert batch.target.shape == batch.valid.shape == (4, *SIZE)
        assert (batch.target.dtype, batch.valid.dtype) == (torch.float32, torch.bool)
        assert batch.positions.tolist() == list(range(4 * step, 4 * step + 4))
        order = Order(24, 0)
        assert batch.ids == tuple(f"ramps/{order.at(p).index:03d}" for p in batch.positions.tolist())
        red = colours(batch.images)[..., 0]
        assert [round(float(np.median(r))) for r in red] == [int(name[-3:]) for name in batch.ids]


def test_the_target_is_the_images_own_disparity_from_0_to_1() -> None:
    with Feed(Ramps(), replace(PLAIN, view=ViewSettings(size=SIZE)), batch=8, stop_step=3) as feed:
        for batch in feed:
            for image, target, valid in images_of(batch):
                assert target[valid].min() == 0 and target[valid].max() == 1 and not target[~valid].any()
                assert_tied(image[..., 2], target, valid, 2.2)


@pytest.mark.parametrize("settings", [PLAIN, STUDENT], ids=["plain", "student"])
def test_batches_do_not_depend_on_the_world(settings: FeedSettings) -> None:
    data = Ramps(broken=[3, 11], empty=[7])
    settings = replace(settings, max_bad_share=1.0)
    with Feed(data, settings, batch=8, stop_step=7) as feed:
        alone = list(feed)
    for world in (2, 4):
        feeds = [Feed(data, settings, batch=8, rank=rank, world=world, stop_step=7) for rank in range(world)]
        for whole, *parts in zip(alone, *feeds, strict=True):
            assert same(whole, join(parts))


@pytest.mark.parametrize("accumulate", [2, 4])
def test_pieces_of_an_accumulated_batch_make_the_batch(accumulate: int) -> None:
    with Feed(Ramps(), STUDENT, batch=16, stop_step=3) as feed:
        whole = list(feed)
    for world in (1, 2):
        ranks = [
            list(Feed(Ramps(), STUDENT, batch=16, rank=r, world=world, accumulate=accumulate, stop_step=3))
            for r in range(world)
        ]
        if accumulate * world * 2 > 16:
            continue
        for step, batch in enumerate(whole):
            pieces = [piece for rank in ranks for piece in rank[step * accumulate : (step + 1) * accumulate]]
            assert same(batch, join(pieces))


@pytest.mark.parametrize(
    "how",
    [
        {"workers": 2},
        {"workers": 3, "prefetch": 1},
        {"workers": 2, "kind": "threads"},
        pytest.param({"workers": 2, "start_method": "spawn"}, marks=pytest.mark.slow),
    ],
    ids=["2 processes", "3 processes", "threads", "spawn"],
)
def test_batches_do_not_depend_on_the_workers(how: dict[str, Any]) -> None:
    data = ConcatenatedDataset([Part(Ramps(broken=[3])), Part(Ramps(10, name="more"), 1.5)])
    settings = replace(STUDENT, max_bad_share=1.0)
    with Feed(data, settings, batch=4, stop_step=12) as feed:
        expected, bad = list(feed), feed.events()
    with Feed(data, settings, batch=4, stop_step=12, **how) as feed:
        found = list(feed)
        assert feed.events() == bad and bad
    assert len(found) == 12 and all(same(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_it_goes_on_from_any_step(workers: int) -> None:
    with Feed(Ramps(), STUDENT, batch=6, stop_step=10) as feed:
        straight = list(feed)
    for start in (1, 4, 9):
        with Feed(Ramps(), STUDENT, batch=6, start_step=start, stop_step=10, workers=workers) as feed:
            rest = list(feed)
        assert len(rest) == 10 - start and all(same(a, b) for a, b in zip(straight[start:], rest, strict=True))


def test_the_second_pass_shows_other_crops() -> None:
    with Feed(Ramps(4), PLAIN, batch=4, stop_step=2) as feed:
        first, second = feed
    assert sorted(first.ids) == sorted(second.ids)
    by_id = dict(zip(second.ids, second.images, strict=True))
    assert sum(torch.equal(image, by_id[name]) for name, image in zip(first.ids, first.images, strict=True)) < 4


def test_making_batches_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    expected = (torch.rand(2), np.random.rand(2))
    torch.manual_seed(3)
    np.random.seed(3)
    for workers in (0, 1):
        with Feed(Ramps(), STUDENT, batch=4, stop_step=2, workers=workers) as feed:
            list(feed)
    assert torch.equal(torch.rand(2), expected[0]) and (np.random.rand(2) == expected[1]).all()


def test_perturbing_moves_neither_crops_nor_boxes() -> None:
    settings = replace(STUDENT, perturbation=None)
    with Feed(Ramps(), STUDENT, batch=8, stop_step=3) as feed, Feed(Ramps(), settings, batch=8, stop_step=3) as plain:
        for one, other in zip(feed, plain, strict=True):
            assert torch.equal(one.target, other.target) and torch.equal(one.valid, other.valid)
            assert one.clean_images is not None and other.clean_images is not None
            assert torch.equal(one.clean_images, other.clean_images)
            assert one.cutmix is not None and other.cutmix is not None
            assert torch.equal(one.cutmix[0], other.cutmix[0]) and not torch.equal(one.images, other.images)
    with (
        Feed(Ramps(), STUDENT, batch=8, stop_step=3) as feed,
        Feed(Ramps(), replace(STUDENT, cutmix=None), batch=8, stop_step=3) as plain,
    ):
        for one, other in zip(feed, plain, strict=True):
            assert one.cutmix is not None
            outside = ~one.cutmix[0]
            assert torch.equal(one.target[outside], other.target[outside])


def test_cutmix_shows_the_partner_inside_the_box_and_nothing_else() -> None:
    settings = replace(PLAIN, cutmix=CutMix())
    applied = shares = 0.0
    with Feed(Ramps(), settings, batch=8, stop_step=20) as feed, Feed(Ramps(), PLAIN, batch=8, stop_step=20) as plain:
        for mixed, single in zip(feed, plain, strict=True):
            assert mixed.cutmix is not None
            boxes, done = mixed.cutmix
            assert torch.equal(boxes.any((1, 2)), done)
            for row in range(8):
                box, partner = boxes[row], row ^ 1
                for name in ("target", "valid"):
                    ours, unmixed = getattr(mixed, name)[row], getattr(single, name)
                    assert torch.equal(ours[~box], unmixed[row][~box])
                    assert torch.equal(ours[box], unmixed[partner][box])
                assert torch.equal(mixed.images[row][:, ~box], single.images[row][:, ~box])
                assert torch.equal(mixed.images[row][:, box], single.images[partner][:, box])
                if done[row]:
                    rows, columns = np.nonzero(box.numpy())
                    assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1), "the box is a rectangle"
                    share = box.float().mean().item()
                    assert 0.01 < share < 0.42
                    applied, shares = applied + 1, shares + share
    assert 55 < applied < 105  # of 160
    assert abs(shares / applied - 0.21) < 0.05


def test_larger_groups_take_partners_from_the_group() -> None:
    settings = replace(PLAIN, cutmix=CutMix(chance=1, group=4))
    with Feed(Ramps(), settings, batch=8, stop_step=10) as feed:
        partners = set()
        for batch in feed:
            assert batch.cutmix is not None
            red = colours(batch.images)[..., 0]
            for row in range(8):
                inside = round(float(np.median(red[row][batch.cutmix[0][row].numpy()])))
                index = [int(name[-3:]) for name in batch.ids].index(inside)
                assert index != row and index // 4 == row // 4
                partners.add((index - row) % 4)
        assert partners == {1, 2, 3}


def test_metric_targets_are_metres_without_sky_and_far() -> None:
    settings = replace(PLAIN, task="metric", depth_range=(1e-3, 4.0))
    with Feed(Ramps(), settings, batch=8, stop_step=3) as feed, Feed(Ramps(), PLAIN, batch=8, stop_step=3) as relative:
        for batch, other in zip(feed, relative, strict=True):
            inside = batch.target[batch.valid]
            assert inside.min() > 0.5 and 3 < inside.max() <= 4 and not batch.target[~batch.valid].any()
            assert (batch.valid <= other.valid).all() and batch.valid.sum() < other.valid.sum()
            for depth, target, valid in zip(batch.target, other.target, batch.valid, strict=True):
                inverse = torch.stack([1 / depth[valid], target[valid]])
                assert torch.corrcoef(inverse)[0, 1] > 0.99999
    with pytest.raises(UsageError, match="metres, which ramps does not have"):
        Feed(Ramps(metric=False), settings, batch=8)


def test_broken_and_empty_images_are_replaced_and_reported() -> None:
    data = Ramps(broken=[3], empty=[8], wrong={12: "nan", 15: "size"})
    settings = replace(PLAIN, max_bad_share=1.0)
    with Feed(data, settings, batch=6, stop_step=4) as feed:
        batches = list(feed)
        events = feed.events()
        assert feed.events() == [] and (feed.seen, feed.bad) == (24, len(events))
    unusable = {"ramps/003", "ramps/008", "ramps/012", "ramps/015"}
    assert {event.id for event in events} == unusable
    reasons = {event.id: event.reason for event in events}
    assert (
        reasons["ramps/003"] == "/data/003.png is truncated" and reasons["ramps/008"] == "the image has no valid depth"
    )
    assert "not finite" in reasons["ramps/012"] and "differ in size" in reasons["ramps/015"]
    names = [name for batch in batches for name in batch.ids]
    assert not unusable & set(names) and len(set(names)) == 20
    order = Order(24, 0)
    for event in events:
        if order.at(event.position).index == int(event.id[-3:]):
            others = (f"ramps/{order.substitute(event.position, attempt).index:03d}" for attempt in range(1, 9))
            assert names[event.position] == next(name for name in others if name not in unusable)
    for batch in batches:
        assert torch.isfinite(batch.images).all() and torch.isfinite(batch.target).all()
        assert batch.valid.flatten(1).any(1).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_broken_files_are_an_error_that_names_them(workers: int) -> None:
    data = Ramps(200, broken=range(0, 200, 20))
    with Feed(data, replace(PLAIN, max_bad_share=0.01), batch=20, workers=workers) as feed:
        with pytest.raises(DatasetError, match=r"more than data.max_bad_share 0.01 allows") as caught:
            for _ in range(20):
                next(feed)
        assert 100 <= feed.seen <= 200
        named = {event.id for event in feed.events()}
        assert named and all(f"{name}: /data/{name[-3:]}.png is truncated" in str(caught.value) for name in named)
        assert "raise data.max_bad_share" in str(caught.value)
        assert next(feed, None) is None
    few = Ramps(200, broken=[50])
    with Feed(few, replace(PLAIN, max_bad_share=0.02), batch=20, stop_step=20) as feed:
        assert len(list(feed)) == 20 and feed.bad >= 2


@pytest.mark.parametrize("workers", [0, 1])
def test_a_set_with_nothing_usable_is_an_error(workers: int) -> None:
    with Feed(Ramps(5, broken=range(5)), PLAIN, batch=2, workers=workers) as feed:
        with pytest.raises(DatasetError, match="5 images in a row cannot be used") as caught:
            next(feed)
        assert "ramps/002: /data/002.png is truncated" in str(caught.value) and "data root" in str(caught.value)


@pytest.mark.parametrize("how", [{"workers": 0}, {"workers": 1}, {"workers": 2, "kind": "threads"}], ids=str)
def test_a_defect_of_a_reader_names_the_sample(how: dict[str, Any]) -> None:
    with Feed(Ramps(6, wrong={4: "raise"}), PLAIN, batch=2, **how) as feed:
        with pytest.raises(DatasetError, match=r"reading ramps/004 failed with KeyError: 'depth'") as caught:
            list(feed)
        assert "raise KeyError" in str(caught.value.hint)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_an_error_that_says_so() -> None:
    before = signal.getsignal(signal.SIGCHLD)
    feed = Feed(Ramps(6, wrong={4: "die"}), PLAIN, batch=2, workers=1)
    with pytest.raises(DatasetError, match=r"(?s)loading data stopped.*fewer workers"):
        list(feed)
    assert next(feed, None) is None
    assert signal.getsignal(signal.SIGCHLD) == before


def test_workers_outlive_a_schedulers_signal_and_end_with_the_feed() -> None:
    import multiprocessing

    before = set(multiprocessing.active_children())
    feed = Feed(Ramps(), PLAIN, batch=2, workers=2)
    assert [next(feed).positions.tolist() for _ in range(2)] == [[0, 1], [2, 3]]  # one from each: both are up
    workers = [process for process in multiprocessing.active_children() if process not in before]
    assert len(workers) == 2
    for process in workers:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
        os.kill(process.pid, signal.SIGINT)
    assert [len(next(feed)) for _ in range(12)] == [2] * 12
    feed.close()
    for process in workers:
        process.join(10)
        assert process.exitcode == 0


class Slow(Ramps):
    def __getitem__(self, index: int) -> LabelledSample:
        time.sleep(0.01)
        return super().__getitem__(index)


def test_waiting_is_measured() -> None:
    with Feed(Slow(), PLAIN, batch=2, stop_step=10) as feed:
        assert feed.wait_share == 0
        list(feed)
        assert feed.waited_seconds >= 9 * 2 * 0.01 and feed.wait_share > 0.9
    with Feed(Slow(), PLAIN, batch=2, stop_step=10, workers=2, kind="threads") as feed:
        for _ in feed:
            time.sleep(0.1)
        assert feed.wait_share < 0.5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 6, "world": 4}, "does not divide into 4 processes x 1 pieces x CutMix groups of 2"),
        ({"batch": 6, "accumulate": 2}, "does not divide into"),
        ({"batch": 8, "rank": 2, "world": 2}, "rank 2 of 2"),
        ({"batch": 0}, "do not go together"),
        ({"batch": 8, "start_step": -1}, "do not go together"),
        ({"batch": 8, "order": Order(23, 0)}, "the order is of 23 images, the data has 24"),
    ],
)
def test_batches_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Feed(Ramps(), STUDENT, **wrong)


def test_strong_augmentation_keeps_image_and_label_together() -> None:
    still = Augmentation(colour=0, grey=0, shading=0, style=0, blur=0, noise=0, jpeg=0, erase=0, geometry=1)
    settings = replace(PLAIN, view=ViewSettings(size=SIZE, strong=still))
    with Feed(Ramps(), settings, batch=8, stop_step=3) as feed:
        calm = list(feed)
    for batch in calm:
        for image, target, valid in images_of(batch):
            assert_tied(image[..., 2], target, valid, 2.5)
    with Feed(
        Ramps(), replace(settings, view=ViewSettings(size=SIZE, strong=Augmentation())), batch=8, stop_step=3
    ) as feed:
        for batch, other in zip(feed, calm, strict=True):
            assert torch.isfinite(batch.images).all() and not torch.equal(batch.images, other.images)


def test_recipes_say_what_their_batches_are() -> None:
    student = feed_settings(load_recipe("paper-student-large"))
    assert student.view.size == (518, 518) and student.task == "relative"
    assert student.perturbation == Perturbation() and student.cutmix is not None and student.cutmix.chance == 0.5
    teacher = feed_settings(load_recipe("paper-teacher-giant"))
    assert teacher.perturbation is None and teacher.cutmix is None and teacher.view.hflip == 0.5
    assert student.view.strong is None and teacher.view.strong is None
    assert feed_settings(load_recipe("mini")).view.strong is not None
    metric = feed_settings(load_recipe("metric-hypersim-small"))
    assert metric.task == "metric" and metric.depth_range == (1e-3, 20.0)


def test_what_travels_between_processes_can_be_pickled() -> None:
    event = BadSample(3, "a/1", "torn")
    assert pickle.loads(pickle.dumps(event)) == event


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("how", [{"workers": 0}, {"workers": 2}, {"workers": 2, "kind": "threads"}], ids=str)
def test_batches_on_a_gpu_are_those_of_the_cpu(how: dict[str, Any]) -> None:
    with (
        Feed(Ramps(), STUDENT, batch=4, stop_step=5) as feed,
        Feed(Ramps(), STUDENT, batch=4, stop_step=5, device="cuda", **how) as other,
    ):
        for here, there in zip(feed, other, strict=True):
            assert there.images.is_cuda and there.target.is_cuda and there.valid.is_cuda
            torch.testing.assert_close(there.images.cpu(), here.images, rtol=0, atol=1e-6)
            assert torch.equal(there.target.cpu(), here.target) and there.ids == here.ids


def test_everything_that_goes_to_a_gpu_is_page_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    order, data = Order(24, 0), ConcatenatedDataset([Ramps()])
    assembled = Assembler(data, order, STUDENT).assemble(Span(0, 4))
    locked: list[int] = []

    def lock(tensor: torch.Tensor) -> torch.Tensor:
        copy = tensor.clone()
        locked.append(id(copy))
        return copy

    monkeypatch.setattr(torch.Tensor, "pin_memory", lock)
    pinned = assembled.pin_memory()
    assert pinned.clean_images is not None and pinned.cutmix is not None
    moved = [pinned.images, pinned.target, pinned.valid, pinned.clean_images, *pinned.cutmix]
    assert {id(tensor) for tensor in moved} == set(locked) and len(locked) == 6
    assert pinned.ids == assembled.ids and torch.equal(pinned.target, assembled.target)
