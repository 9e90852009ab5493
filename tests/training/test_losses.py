"""Losses against an independent NumPy computation, their invariances, their gradients and every edge case."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_zoo.depth_anything_v2.training.losses import (
    RANKING_SHARPNESS,
    CollapseDetector,
    CollapseError,
    anchored_loss,
    depth_loss,
    gradient_matching,
    masked_median,
    normalise,
    ranking_loss,
    scale_and_shift_invariant,
)


def numpy_normalise(x: np.ndarray, m: np.ndarray) -> tuple[np.ndarray, float]:
    inside = np.sort(x[m])
    median = inside[(len(inside) - 1) // 2]
    scale = np.mean([abs(v - median) for v in inside])
    return (x - median) / max(scale, 1e-4), float(scale)


def numpy_losses(p: np.ndarray, d: np.ndarray, m: np.ndarray) -> tuple[float, float]:
    """Both losses with explicit loops over pixels, in float64."""
    data, gradient = [], []
    for image in range(len(p)):
        mask = m[image]
        if not mask.any():
            continue
        p_hat, _ = numpy_normalise(p[image].astype(float), mask)
        d_hat, spread = numpy_normalise(d[image].astype(float), mask)
        if spread < 1e-3:
            continue
        residual = p_hat - d_hat
        data.append(np.abs(residual[mask]).mean())
        total = 0.0
        for level in range(4):
            r, v = residual[:: 2**level, :: 2**level], mask[:: 2**level, :: 2**level]
            level_sum = 0.0
            for row in range(r.shape[0]):
                for column in range(r.shape[1]):
                    if row + 1 < r.shape[0] and v[row, column] and v[row + 1, column]:
                        level_sum += abs(r[row + 1, column] - r[row, column])
                    if column + 1 < r.shape[1] and v[row, column] and v[row, column + 1]:
                        level_sum += abs(r[row, column + 1] - r[row, column])
            total += level_sum / max(int(v.sum()), 1)
        gradient.append(total)
    return float(np.mean(data)) if data else 0.0, float(np.mean(gradient)) if gradient else 0.0


def maps(seed: int = 0, shape: tuple[int, int, int] = (3, 17, 22), invalid: float = 0.3) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    p, d = torch.rand(2, *shape, generator=generator)
    return p, d, torch.rand(shape, generator=generator) >= invalid


@pytest.mark.parametrize("invalid", [0.0, 0.1, 0.3, 0.6, 0.9])
def test_parity_with_loops(invalid: float) -> None:
    p, d, m = maps(1, invalid=invalid)
    loss = depth_loss(p, d, m)
    data, gradient = numpy_losses(p.numpy(), d.numpy(), m.numpy())
    assert float(loss.data) == pytest.approx(data, rel=1e-5)
    assert float(loss.gradient) == pytest.approx(gradient, rel=1e-5)
    assert float(loss.total) == pytest.approx(data + 2 * gradient, rel=1e-5)
    assert float(scale_and_shift_invariant(p, d, m)) == pytest.approx(data, rel=1e-5)
    assert float(gradient_matching(p, d, m)) == pytest.approx(gradient, rel=1e-5)


@pytest.mark.parametrize("invalid", [0.1, 0.3, 0.6, 0.95])
def test_median_ignores_invalid_pixels(invalid: float) -> None:
    p, _, m = maps(2, (4, 31, 33), invalid)
    expected = [float(torch.median(p[i][m[i]])) for i in range(4)]
    assert masked_median(p, m).tolist() == expected


def test_median_of_even_and_odd_counts_is_the_lower_middle() -> None:
    values = torch.tensor([[[4.0, 1.0, 3.0, 2.0]], [[9.0, 7.0, 8.0, -1.0]]])
    valid = torch.tensor([[[True, True, True, True]], [[True, True, True, False]]])
    assert masked_median(values, valid).tolist() == [2.0, 8.0]
    assert masked_median(values[:1], valid[:1]).tolist() == [2.0]
    assert masked_median(values, torch.zeros_like(valid)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("invalid", [0.0, 0.3, 0.6])
def test_affine_invariance_of_prediction_and_target(invalid: float) -> None:
    p, d, m = maps(3, invalid=invalid)
    reference = depth_loss(p, d, m)
    for changed in (depth_loss(3 * p + 5, d, m), depth_loss(p, 3 * d + 5, m)):
        assert float(changed.data) == pytest.approx(float(reference.data), rel=1e-4)
        assert float(changed.gradient) == pytest.approx(float(reference.gradient), rel=1e-4)


def test_content_of_invalid_pixels_does_not_matter() -> None:
    p, d, m = maps(4, invalid=0.6)
    p2, d2 = p.masked_fill(~m, 1e4), d.masked_fill(~m, float("nan"))
    p2.requires_grad_(True)
    loss = depth_loss(p2, d2, m)
    loss.total.backward()
    assert torch.equal(loss.total.detach(), depth_loss(p, d, m).total)
    assert p2.grad is not None and torch.isfinite(p2.grad).all()
    assert (p2.grad[~m] == 0).all()


def test_image_without_valid_pixel_is_left_out_of_the_mean() -> None:
    p, d, m = maps(5)
    m[1] = False
    some, without = depth_loss(p, d, m), depth_loss(p[[0, 2]], d[[0, 2]], m[[0, 2]])
    assert float(some.total) == pytest.approx(float(without.total), rel=1e-6)
    assert float(some.counted) == 2


def test_batch_without_valid_pixel_gives_zero_loss_and_zero_gradient() -> None:
    p, d, m = maps(6)
    p.requires_grad_(True)
    loss = depth_loss(p, d, torch.zeros_like(m))
    loss.total.backward()
    assert loss.total.item() == 0 and loss.counted.item() == 0
    assert p.grad is not None and (p.grad == 0).all()


def test_constant_target_is_skipped() -> None:
    p, d, m = maps(7)
    d[0] = 0.37
    assert float(depth_loss(p, d, m).total) == pytest.approx(float(depth_loss(p[1:], d[1:], m[1:]).total), rel=1e-6)


def test_constant_prediction_has_data_loss_one_and_bounded_gradient() -> None:
    _, d, m = maps(8, (2, 64, 64), 0.6)
    p = torch.full_like(d, 2.0, requires_grad=True)
    loss = depth_loss(p, d, m)
    loss.total.backward()
    assert loss.data.item() == pytest.approx(1.0, abs=1e-6)
    assert p.grad is not None and torch.isfinite(p.grad).all()


def test_dead_output_has_no_gradient_before_the_relu() -> None:
    _, d, m = maps(9)
    before = torch.full_like(d, -1.0, requires_grad=True)
    depth_loss(before.relu(), d, m).total.backward()
    assert before.grad is not None and (before.grad == 0).all()


def test_gradient_is_orthogonal_to_scale_and_shift() -> None:
    p, d, m = maps(10, (1, 20, 20), 0.2)
    p.requires_grad_(True)
    scale_and_shift_invariant(p, d, m).backward()
    assert p.grad is not None
    size = float(p.grad.norm() * p.norm())
    assert abs(float(p.grad.sum())) < 1e-4 * size
    assert abs(float((p.grad * p).sum())) < 1e-4 * size


def test_hole_edges_make_no_gradient_error() -> None:
    rows = torch.linspace(0, 1, 16)[:, None].expand(16, 16)
    d = rows[None].clone()
    m = torch.ones_like(d, dtype=torch.bool)
    m[:, 5:9, 5:9] = False
    p = d.clone()
    p[~m] = 50.0
    assert float(gradient_matching(p, d, m)) == pytest.approx(0, abs=1e-6)


def test_single_row_and_single_pixel_images() -> None:
    for shape in ((1, 1, 9), (1, 9, 1), (2, 1, 1)):
        p, d, _ = maps(11, shape)
        assert torch.isfinite(depth_loss(p, d, torch.ones(shape, dtype=torch.bool)).total)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_and_autocast_compute_in_float32(dtype: torch.dtype) -> None:
    p, d, m = maps(12)
    p16 = p.to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = depth_loss(p16, d, m)
    assert loss.total.dtype == torch.float32
    assert torch.equal(loss.total, depth_loss(p16.float(), d, m).total)


@pytest.mark.parametrize("function", [scale_and_shift_invariant, gradient_matching])
def test_numerical_gradient(function: object) -> None:
    generator = torch.Generator().manual_seed(13)
    p = torch.rand(2, 9, 10, generator=generator, dtype=torch.float64, requires_grad=True)
    d = torch.rand(2, 9, 10, generator=generator, dtype=torch.float64)
    m = torch.rand(2, 9, 10, generator=generator) > 0.4
    assert torch.autograd.gradcheck(lambda x: function(x, d, m), (p,), eps=1e-7, atol=1e-6)  # type: ignore[operator]


def test_loss_is_the_mean_over_images_so_batches_can_be_split() -> None:
    p, d, m = maps(14, (4, 18, 18))
    halves = [depth_loss(p[part], d[part], m[part]).total for part in (slice(0, 2), slice(2, 4))]
    assert float(depth_loss(p, d, m).total) == pytest.approx(float(sum(halves)) / 2, rel=1e-5)


def test_normalised_map_has_zero_median_and_unit_deviation() -> None:
    p, _, m = maps(15, invalid=0.5)
    values = normalise(p, m).values
    assert masked_median(values, m).abs().max() < 1e-6
    for image, mask in zip(values, m, strict=True):
        assert float(image[mask].abs().mean()) == pytest.approx(1, rel=1e-5)


def test_anchored_loss_wants_the_normalised_target_itself() -> None:
    _, d, m = maps(16, invalid=0.5)
    target = normalise(d, m).values.clamp(-3, 4)
    perfect = anchored_loss(target, d, m)
    assert float(perfect.total) == pytest.approx(0, abs=1e-6)
    assert float(anchored_loss(2 * target, d, m).data) > 0.5
    assert float(anchored_loss(torch.zeros_like(d), d, m).data) == pytest.approx(1.0, rel=0.02)
    assert float(anchored_loss(target.masked_fill(~m, 1e6), d, m).total) == pytest.approx(0, abs=1e-6)


def test_anchored_loss_without_valid_pixels_is_zero() -> None:
    p, d, m = maps(17)
    p.requires_grad_(True)
    anchored_loss(p, d, torch.zeros_like(m)).total.backward()
    assert p.grad is not None and (p.grad == 0).all()


def test_detector_stops_on_constant_and_on_dead_output() -> None:
    for case, message in (((1.0, 1e-3, 0.0), "constant"), ((0.7, 1.0, 0.99), "dead")):
        detector = CollapseDetector(patience=3, grace=2)
        with pytest.raises(CollapseError, match=message):
            for _ in range(20):
                detector.update(*case)
        assert detector.seen == 5


def test_detector_forgives_a_bad_step_between_good_ones() -> None:
    detector = CollapseDetector(patience=2, grace=0)
    for _ in range(10):
        detector.update(1.0, 1.0, 0.0)
        detector.update(0.5, 1.0, 0.1)
    assert detector.seen == 20


def test_detector_measures_spread_and_zeros() -> None:
    maps_ = torch.tensor([[[0.0, 0.0], [2.0, 2.0]]])
    spread, zeros = CollapseDetector.measure(maps_)
    assert spread == pytest.approx(float(np.std([0, 0, 2, 2], ddof=1))) and zeros == 0.5


def test_ranking_loss_counts_margins_of_the_normalised_map() -> None:
    p, _, m = maps()
    rng = np.random.default_rng(3)
    near, far = (torch.from_numpy(rng.integers(0, 17 * 22, (3, 40))) for _ in range(2))
    expected = []
    for image in range(3):
        p_hat, _ = numpy_normalise(p[image].double().numpy(), m[image].numpy())
        p_hat = np.where(m[image].numpy(), p_hat, 0.0).ravel()
        margins = p_hat[near[image].numpy()] - p_hat[far[image].numpy()]
        expected += list(np.log1p(np.exp(-RANKING_SHARPNESS * margins)))
    assert ranking_loss(p, m, near, far).item() == pytest.approx(np.mean(expected), rel=1e-5)
    torch.testing.assert_close(ranking_loss(3 * p + 7, m, near, far), ranking_loss(p, m, near, far), rtol=1e-4, atol=0)
    assert ranking_loss(p, m, near, near).item() == pytest.approx(np.log(2))
    wrong = ranking_loss(-p, m, near, far)
    assert wrong.item() != pytest.approx(ranking_loss(p, m, near, far).item(), rel=0.05)
