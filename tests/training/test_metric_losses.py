"""SiLog against an independent NumPy computation, its gradient and the inputs that make it NaN elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_zoo.depth_anything_v2.training.metric_losses import (
    MIN_DEPTH,
    LogMoments,
    SilogForm,
    SilogReduction,
    log_moments,
    silog,
    silog_loss,
)

FORMS: tuple[SilogForm, ...] = ("depth-anything-v2", "zoedepth")
REDUCTIONS: tuple[SilogReduction, ...] = ("batch", "image")


def numpy_silog(p: np.ndarray, t: np.ndarray, form: str) -> float:
    """Of lists of pixels, from the centred residuals."""
    g = np.log(t.astype(float)) - np.log(np.maximum(p.astype(float), 1e-3))
    if form == "depth-anything-v2":
        return float(np.sqrt(np.mean(g**2) - 0.5 * np.mean(g) ** 2 + 1e-8))
    return float(10 * np.sqrt(np.var(g, ddof=1) + 0.15 * np.mean(g) ** 2 + 1e-8))


def maps(seed: int = 0, shape: tuple[int, int, int] = (3, 14, 19), invalid: float = 0.3) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    t = 0.5 + 19 * torch.rand(shape, generator=generator)
    p = t * torch.exp(0.3 * torch.randn(shape, generator=generator) + 0.2)
    return p, t, torch.rand(shape, generator=generator) >= invalid


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("invalid", [0.0, 0.3, 0.9])
def test_parity(form: SilogForm, invalid: float) -> None:
    p, t, m = maps(1, invalid=invalid)
    p[0, :5] = 0.0
    pooled = numpy_silog(p[m].numpy(), t[m].numpy(), form)
    assert silog_loss(p, t, m, form=form).item() == pytest.approx(pooled, rel=1e-5)
    each = [numpy_silog(p[i][m[i]].numpy(), t[i][m[i]].numpy(), form) for i in range(3)]
    assert silog_loss(p, t, m, form=form, reduction="image").item() == pytest.approx(np.mean(each), rel=1e-5)
    assert silog(log_moments(p, t, m), form).tolist() == pytest.approx(each, rel=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_numerical_gradient(form: SilogForm, reduction: SilogReduction) -> None:
    p, t, m = (x.double() if x.is_floating_point() else x for x in maps(2, (2, 5, 6)))
    m[0] = False
    assert torch.autograd.gradcheck(
        lambda x: silog_loss(x, t, m, form=form, reduction=reduction), (p.requires_grad_(True),)
    )


@pytest.mark.parametrize("form", FORMS)
def test_moments_of_the_parts_of_a_batch_add_up(form: SilogForm) -> None:
    p, t, m = maps(3, (4, 10, 10))
    parts = [log_moments(p[i : i + 2], t[i : i + 2], m[i : i + 2]) for i in (0, 2)]
    pooled = LogMoments(*(a.sum() + b.sum() for a, b in zip(*parts, strict=True)))
    assert silog(pooled, form).item() == pytest.approx(silog_loss(p, t, m, form=form).item(), rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_no_valid_pixel_gives_zero_in_the_graph(form: SilogForm, reduction: SilogReduction) -> None:
    p, t, m = maps(4)
    p.requires_grad_(True)
    loss = silog_loss(p, t, torch.zeros_like(m), form=form, reduction=reduction)
    loss.backward()
    assert loss.item() == 0 and p.grad is not None and (p.grad == 0).all()


@pytest.mark.parametrize("form", FORMS)
def test_an_image_without_valid_pixel_is_left_out(form: SilogForm) -> None:
    p, t, m = maps(5)
    m[1] = False
    for reduction in REDUCTIONS:
        some = silog_loss(p, t, m, form=form, reduction=reduction)
        without = silog_loss(p[[0, 2]], t[[0, 2]], m[[0, 2]], form=form, reduction=reduction)
        assert some.item() == pytest.approx(without.item(), rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_perfect_prediction_has_a_finite_gradient(form: SilogForm) -> None:
    _, t, m = maps(6)
    p = t.clone().requires_grad_(True)
    loss = silog_loss(p, t, m, form=form)
    loss.backward()
    assert loss.item() < 2e-3 and p.grad is not None and torch.isfinite(p.grad).all()


@pytest.mark.parametrize("form", FORMS)
def test_single_pixel_is_finite(form: SilogForm) -> None:
    p, t, _ = maps(7, (1, 1, 1))
    p.requires_grad_(True)
    loss = silog_loss(p, t, torch.ones(1, 1, 1, dtype=torch.bool), form=form)
    loss.backward()
    assert torch.isfinite(loss) and p.grad is not None and torch.isfinite(p.grad).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("low", [0.0, -1.0, 1e-9])
def test_vanishing_prediction_counts_as_the_smallest_depth(form: SilogForm, low: float) -> None:
    p, t, m = maps(8)
    p[:, 3] = low
    p.requires_grad_(True)
    loss = silog_loss(p, t, m, form=form)
    loss.backward()
    raised = silog_loss(p.detach().clamp_min(MIN_DEPTH), t, m, form=form)
    assert loss.item() == raised.item() and torch.isfinite(loss)
    assert p.grad is not None and torch.isfinite(p.grad).all()


def test_sigmoid_that_underflows_in_half_precision_is_finite() -> None:
    _, t, m = maps(9)
    p = (torch.full_like(t, -20.0).half().sigmoid() * 20).requires_grad_(True)
    assert (p == 0).all()  # what the guard is for
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = silog_loss(p, t, m)
    loss.backward()
    assert loss.dtype == torch.float32 and torch.isfinite(loss)
    assert p.grad is not None and torch.isfinite(p.grad).all()


def test_depth_out_of_range_and_invalid_pixels_do_not_matter() -> None:
    p, t, m = maps(10)
    inside = m & (t <= 10) & (t >= MIN_DEPTH)
    t2 = t.clone()
    t2[:, 0], t2[:, 1], t2[:, 2] = float("inf"), 0.0, 655.35
    inside[:, :3] = False
    expected = numpy_silog(p[inside].numpy(), t[inside].numpy(), "depth-anything-v2")
    t2[~m] = float("nan")
    assert silog_loss(p, t2, m, max_depth=10).item() == pytest.approx(expected, rel=1e-5)
    assert silog_loss(p, t, m, max_depth=10).item() != pytest.approx(silog_loss(p, t, m).item(), rel=1e-3)


def test_half_of_the_scale_error_is_forgiven() -> None:
    _, t, m = maps(11)
    assert silog_loss(2 * t, t, m).item() == pytest.approx(np.log(2) * np.sqrt(0.5), rel=1e-4)
    zoe = silog_loss(2 * t, t, m, form="zoedepth").item()
    assert zoe == pytest.approx(10 * np.log(2) * np.sqrt(0.15), rel=1e-3)


def test_nan_is_not_hidden() -> None:
    p, t, m = maps(12)
    m[0, 0, 0] = True
    for form in FORMS:
        for where in (p, t):
            value = where[0, 0, 0].clone()
            where[0, 0, 0] = float("nan")
            assert torch.isnan(silog_loss(p, t, m, form=form))
            where[0, 0, 0] = value
