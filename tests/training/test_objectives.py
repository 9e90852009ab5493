"""The objective: its value put together by hand, and its gradient however the batch is spread over processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dabench.errors import UsageError
from model_zoo.depth_anything_v2.training.feature_alignment import feature_alignment
from model_zoo.depth_anything_v2.training.losses import anchored_loss, depth_loss, region_terms, relative_terms
from model_zoo.depth_anything_v2.training.metric_losses import silog_loss
from model_zoo.depth_anything_v2.training.objectives import Objective, ObjectiveResult
from model_zoo.depth_anything_v2.training.recipe_schema import LossSettings


@dataclass(frozen=True)
class Labels:
    target: Tensor
    valid: Tensor
    positions: Tensor
    cutmix: tuple[Tensor, Tensor] | None = None

    def rows(self, part: slice) -> Labels:
        cutmix = None if self.cutmix is None else (self.cutmix[0][part], self.cutmix[1][part])
        return Labels(self.target[part], self.valid[part], self.positions[part], cutmix)


class Network(nn.Module):
    """Images [B, 3, H, W] -> (prediction [B, H, W], tokens [B, N, 5]); every parameter matters to the prediction."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Conv2d(3, 5, 3, padding=1, dtype=dtype)
        self.head = nn.Conv2d(5, 1, 3, padding=1, dtype=dtype)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(images)
        return self.head(features.tanh())[:, 0] + 2.0, features.flatten(2).transpose(1, 2)


def make_batch(
    uncounted: Sequence[int] = (), *, metric: bool = False, cutmix: bool = False, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Labels, Tensor]:
    """Four images, their labels and frozen features; the images in `uncounted` have no valid pixel or no order."""
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(4, 3, 14, 18, generator=generator, dtype=dtype)
    target = torch.rand(4, 14, 18, generator=generator, dtype=dtype)
    if metric:
        target = 0.5 + 9 * target
    valid = torch.rand(4, 14, 18, generator=generator) > 0.3
    frozen = torch.randn(4, 14 * 18, 5, generator=generator, dtype=dtype)
    for image in uncounted:
        valid[image] = False
    boxes = None
    if cutmix:
        box = torch.zeros_like(valid)
        box[0, 2:9, 3:11] = True
        box[3, 5:12, 1:16] = True
        box[1, :, 9:] = True  # not applied, so without effect
        boxes = (box, torch.tensor([True, False, False, True]))
    return images, Labels(target, valid, torch.arange(100, 104), boxes), frozen


def gradients_of_ranks(
    objective: Objective, parts: Sequence[slice], batch: tuple[Tensor, Labels, Tensor], progress: float
) -> tuple[list[Tensor], list[ObjectiveResult]]:
    """Gradients averaged over processes as DistributedDataParallel does it, each with its `parts` of the batch."""
    images, labels, frozen = batch
    sent: list[Tensor] = []

    def record(value: Tensor) -> Tensor:
        assert not value.requires_grad
        sent.append(value.clone())
        return value

    def add_up(value: Tensor) -> Tensor:
        return torch.stack(sent).sum(0)

    def step(part: slice, all_reduce: Callable[[Tensor], Tensor]) -> tuple[list[Tensor], ObjectiveResult]:
        network = Network(images.dtype)
        prediction, features = network(images[part])
        result = objective(
            prediction, labels.rows(part), features, frozen[part], all_reduce, world=len(parts), progress=progress
        )
        result.total.backward()
        assert all(p.grad is not None for p in network.parameters())
        return [p.grad for p in network.parameters() if p.grad is not None], result

    for part in parts:  # what a process sends does not depend on what it receives
        step(part, record)
    assert len(sent) == len(parts)
    steps = [step(part, add_up) for part in parts]
    mean = [torch.stack(shares).mean(0) for shares in zip(*(gradients for gradients, _ in steps), strict=True)]
    return mean, [result for _, result in steps]


FULL = LossSettings("relative", drop_largest=0.1, feature_weight=0.7, ranking_weight=0.5, anchor_until=0.5)
CASES: dict[str, tuple[LossSettings, dict[str, Any]]] = {
    "plain": (LossSettings("relative"), {}),
    "least-squares": (LossSettings("relative", alignment="least-squares"), {}),
    "trimmed": (LossSettings("relative", alignment="trimmed", drop_in_gradient=True), {}),
    "no gradient term": (LossSettings("relative", gradient_weight=0.0), {}),
    "all terms": (FULL, {}),
    "all terms and CutMix": (FULL, {"cutmix": True}),
    "SiLog of the batch": (LossSettings("metric", feature_weight=0.3), {"metric": True}),
    "SiLog of images": (LossSettings("metric", silog_reduction="image"), {"metric": True}),
    "ZoeDepth": (LossSettings("metric", silog="zoedepth"), {"metric": True}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("uncounted", [(), (0,), (0, 1), (0, 1, 2, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradient_does_not_depend_on_the_number_of_processes(
    case: str, uncounted: tuple[int, ...], dtype: torch.dtype
) -> None:
    settings, options = CASES[case]
    batch = make_batch(uncounted, dtype=dtype, **options)
    objective = Objective(settings, seed=7)
    alone, [reference] = gradients_of_ranks(objective, [slice(0, 4)], batch, progress=0.2)
    assert reference.counted.item() == 4 - len(uncounted)
    assert float(reference.total.detach()) == pytest.approx(float(reference.parts["total"]), rel=1e-5)
    for parts in ([slice(0, 2), slice(2, 4)], [slice(i, i + 1) for i in range(4)]):
        gradients, results = gradients_of_ranks(objective, parts, batch, progress=0.2)
        scale = max(float(gradient.abs().max()) for gradient in alone)
        for a, b in zip(alone, gradients, strict=True):
            assert float((a - b).abs().max()) <= (1e-10 if dtype == torch.float64 else 2e-6) * max(scale, 1e-3)
        for result in results:
            torch.testing.assert_close(result.parts, reference.parts, rtol=1e-5, atol=1e-7)
            assert torch.equal(result.counted, reference.counted)


@pytest.mark.parametrize("case", ["plain", "no gradient term", "SiLog of the batch", "SiLog of images", "ZoeDepth"])
def test_gradient_is_that_of_the_loss_itself(case: str) -> None:
    settings, options = CASES[case]
    images, labels, frozen = batch = make_batch((0,), **options)
    [*found], _ = gradients_of_ranks(Objective(settings), [slice(0, 2), slice(2, 4)], batch, progress=1.0)
    network = Network(images.dtype)
    prediction, features = network(images)
    if settings.kind == "relative":
        loss = depth_loss(prediction, labels.target, labels.valid, settings.gradient_weight).total
    else:
        form, reduction = settings.silog, settings.silog_reduction
        loss = silog_loss(prediction, labels.target, labels.valid, form=form, reduction=reduction)
    loss = loss + settings.feature_weight * feature_alignment(features, frozen).mean()
    expected = torch.autograd.grad(loss, list(network.parameters()))
    assert all(bool((gradient != 0).any()) for gradient in expected[:3])  # a shift of the last bias may cost nothing
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_averaging_the_means_of_processes_would_be_another_objective() -> None:
    images, labels, _ = make_batch((0,))
    prediction = Network(images.dtype)(images)[0].detach()
    parts = [labels.rows(part) for part in (slice(0, 2), slice(2, 4))]
    halves = [
        float(depth_loss(prediction[i : i + 2], p.target, p.valid).total) for i, p in zip((0, 2), parts, strict=True)
    ]
    whole = float(Objective(LossSettings("relative"))(prediction, labels).total)
    assert sum(halves) / 2 != pytest.approx(whole, rel=1e-3)
    assert (halves[0] + 2 * halves[1]) / 3 == pytest.approx(whole, rel=1e-9)


def test_relative_objective_is_the_weighted_sum_of_its_terms() -> None:
    images, labels, frozen = make_batch((1,))
    prediction, features = (x.detach() for x in Network(images.dtype)(images))
    plain = depth_loss(prediction, labels.target, labels.valid)
    assert float(Objective(LossSettings("relative"))(prediction, labels).total) == pytest.approx(float(plain.total))
    result = Objective(FULL)(prediction, labels, features, frozen, progress=0.2)
    terms = relative_terms(prediction, labels.target, labels.valid, drop_largest=0.1)
    anchored = float(anchored_loss(prediction, labels.target, labels.valid).total)
    data, gradient = float(terms.data.sum()) / 3, float(terms.gradient.sum()) / 3
    feature = float(feature_alignment(features, frozen).mean())
    parts = {name: float(value) for name, value in result.parts.items()}
    ranking = parts.pop("ranking")
    total = 0.4 * (data + 2 * gradient) + 0.6 * anchored + 0.7 * feature + 0.5 * ranking
    expected = {
        "total": total,
        "data": data,
        "gradient": gradient,
        "anchored": anchored,
        "feature": feature,
        "nonfinite": 0,
    }
    assert parts == pytest.approx(expected) and ranking > 0
    assert float(result.total) == pytest.approx(total) and result.counted.item() == 3


def test_anchor_ends_where_the_settings_say() -> None:
    objective = Objective(LossSettings("relative", anchor_until=0.5))
    assert [objective.anchor_share(x) for x in (0, 0.25, 0.5, 1)] == pytest.approx([1, 0.5, 0, 0])
    assert Objective(LossSettings("relative")).anchor_share(0) == 0
    images, labels, _ = make_batch()
    prediction = Network(images.dtype)(images)[0].detach()
    end = objective(prediction, labels, progress=0.6)
    assert "anchored" not in end.parts
    assert end.total.item() == pytest.approx(float(depth_loss(prediction, labels.target, labels.valid).total))
    start = float(objective(prediction, labels, progress=0.0).total)
    assert start == pytest.approx(float(anchored_loss(prediction, labels.target, labels.valid).total))


@pytest.mark.parametrize("settings", [case for case, _ in CASES.values() if case.kind == "metric"])
def test_metric_objective_is_silog_up_to_the_largest_depth(settings: LossSettings) -> None:
    images, labels, frozen = make_batch((2,), metric=True)
    prediction, features = (x.detach() for x in Network(images.dtype)(images))
    result = Objective(settings, max_depth=6.0)(prediction, labels, features, frozen)
    expected = silog_loss(
        prediction,
        labels.target,
        labels.valid & (labels.target <= 6),
        form=settings.silog,
        reduction=settings.silog_reduction,
    )
    assert result.parts["silog"].item() == pytest.approx(expected.item())
    feature = settings.feature_weight * float(feature_alignment(features, frozen).mean())
    assert result.total.item() == pytest.approx(expected.item() + feature)
    assert result.counted.item() == 3


def test_cutmix_takes_each_region_by_itself() -> None:
    images, labels, _ = make_batch(cutmix=True)
    prediction = Network(images.dtype)(images)[0].detach()
    assert labels.cutmix is not None
    box = labels.cutmix[0].clone()
    box[1] = False
    terms = region_terms(lambda valid: relative_terms(prediction, labels.target, valid), labels.valid, box)
    result = Objective(LossSettings("relative"))(prediction, labels)
    assert result.parts["data"].item() == pytest.approx(float(terms.data.mean()))
    assert result.parts["gradient"].item() == pytest.approx(float(terms.gradient.mean()))


def test_ranking_looks_at_one_picture_of_a_mix_and_learns_order() -> None:
    _, labels, _ = make_batch(cutmix=True)
    assert labels.cutmix is not None
    objective = Objective(LossSettings("relative", ranking_weight=1.0))
    right = labels.target.clone().requires_grad_(True)
    good = objective(right, labels).parts["ranking"]
    pasted = labels.cutmix[0] & labels.cutmix[1][:, None, None]
    changed = objective(torch.where(pasted, -9 * right, right), labels)
    assert changed.parts["ranking"].item() == good.item()
    near, far = objective._pairs(labels, labels.valid & ~pasted)
    flat = labels.target.flatten(1)
    assert (flat.gather(1, near) > flat.gather(1, far)).all()
    bad = objective((-labels.target).requires_grad_(True), labels).parts["ranking"]
    assert float(good) < 0.4 and float(bad) > 1.5


def test_pairs_depend_on_seed_and_position_alone() -> None:
    _, labels, _ = make_batch()
    objective = Objective(LossSettings("relative", ranking_weight=1.0), seed=1)
    near, far = objective._pairs(labels, labels.valid)
    part = labels.rows(slice(2, 4))
    again = objective._pairs(part, part.valid)
    assert torch.equal(near[2:], again[0]) and torch.equal(far[2:], again[1])
    other = Objective(LossSettings("relative", ranking_weight=1.0), seed=2)._pairs(labels, labels.valid)
    assert not torch.equal(near, other[0])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["valid", "invalid", "uncounted"])
def test_a_non_finite_prediction_shows_on_every_process(case: str, value: float, where: str) -> None:
    settings, options = CASES[case]
    images, labels, frozen = make_batch((0,), **options)
    prediction, features = (x.detach() for x in Network(images.dtype)(images))
    image = 0 if where == "uncounted" else 1
    row, column = (labels.valid[image] if where == "valid" else ~labels.valid[image]).nonzero()[3].tolist()
    prediction[image, row, column] = value
    objective = Objective(settings)
    sent: list[Tensor] = []

    def record(local: Tensor) -> Tensor:
        sent.append(local.clone())
        return local

    def rank(index: int, all_reduce: Callable[[Tensor], Tensor]) -> ObjectiveResult:
        part = slice(2 * index, 2 * index + 2)
        return objective(
            prediction[part], labels.rows(part), features[part], frozen[part], all_reduce, world=2, progress=0.2
        )

    for index in (0, 1):
        rank(index, record)
    results = [rank(index, lambda x: torch.stack(sent).sum(0)) for index in (0, 1)]
    for result in results:
        assert result.parts["nonfinite"].item() == 1
        assert not torch.isfinite(result.parts["total"])
    assert not torch.isfinite(results[0].total)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    images, labels, frozen = make_batch(dtype=torch.float32)
    prediction, features = (x.detach().to(dtype) for x in Network(images.dtype)(images))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = Objective(FULL)(prediction, labels, features, frozen)
    plain = Objective(FULL)(prediction.float(), labels, features.float(), frozen)
    assert result.total.dtype == torch.float32 and torch.equal(result.total, plain.total)


def test_nothing_that_is_logged_holds_the_graph() -> None:
    images, labels, frozen = make_batch()
    prediction, features = Network(images.dtype)(images)
    result = Objective(FULL)(prediction, labels, features, frozen)
    assert result.total.requires_grad and not result.counted.requires_grad
    assert not any(value.requires_grad for value in result.parts.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (LossSettings("relative", drop_largest=1.0), "drop_largest"),
        (LossSettings("relative", alignment="trimmed", drop_largest=0.1), "trimmed"),
        (LossSettings("relative", drop_in_gradient=True), "no effect"),
        (LossSettings("metric", ranking_weight=0.5), "ranking_weight"),
        (LossSettings("metric", anchor_until=0.5), "anchor_until"),
        (LossSettings("metric", drop_largest=0.1), "drop_largest"),
    ],
)
def test_contradicting_settings_are_refused(settings: LossSettings, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Objective(settings)


def test_missing_features_are_named() -> None:
    images, labels, _ = make_batch()
    prediction, features = Network(images.dtype)(images)
    with pytest.raises(ValueError, match="features of both encoders"):
        Objective(FULL)(prediction, labels, features)
