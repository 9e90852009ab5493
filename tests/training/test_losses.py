"""Losses against an independent NumPy computation, their invariances, their gradients and every edge case."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from model_zoo.depth_anything_v2.training.losses import (
    RANKING_SHARPNESS,
    SCALE_FLOOR,
    Alignment,
    CollapseDetector,
    CollapseError,
    anchored_loss,
    depth_loss,
    gradient_matching,
    least_squares_fit,
    masked_median,
    normalise,
    ranking_loss,
    region_terms,
    relative_terms,
    scale_and_shift_invariant,
    without_largest,
)

ALIGNMENTS: tuple[Alignment, ...] = ("median", "least-squares", "trimmed")


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
    size = float(p.grad.norm() * p.detach().norm())
    assert abs(float(p.grad.sum())) < 1e-4 * size
    assert abs(float((p.grad * p.detach()).sum())) < 1e-4 * size


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


def numpy_terms(
    p: np.ndarray, d: np.ndarray, m: np.ndarray, alignment: str, drop: float, drop_in_gradient: bool
) -> tuple[float, float]:
    """L_ssi and L_gm of one image in float64, from a list of its pixels and a list of its neighbour pairs."""
    p, d = p.astype(float), d.astype(float)
    if alignment == "least-squares":
        matrix = np.stack([p[m], np.ones(m.sum())], axis=1)
        (scale, shift), *_ = np.linalg.lstsq(matrix, d[m], rcond=None)
        residual = scale * p + shift - d
        errors = residual**2
    else:
        residual = numpy_normalise(p, m)[0] - numpy_normalise(d, m)[0]
        errors = np.abs(residual)
    share = 0.2 if alignment == "trimmed" else drop
    ordered = sorted(errors[m])
    kept = ordered[: len(ordered) - int(share * len(ordered))]
    data = sum(kept) / (len(ordered) if alignment == "trimmed" else len(kept))
    seen = m & (errors <= kept[-1]) if drop_in_gradient else m
    gradient = 0.0
    for step in (1, 2, 4, 8):
        pixels = {(y, x) for y, x in np.argwhere(seen) if y % step == 0 and x % step == 0}
        pairs = [(q, (q[0] + dy, q[1] + dx)) for q in pixels for dy, dx in ((step, 0), (0, step))]
        total = sum(abs(residual[a] - residual[b]) for a, b in pairs if b in pixels)
        gradient += total / max(len(pixels), 1)
    return float(data), float(gradient)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize(("drop", "in_gradient"), [(0.0, False), (0.1, False), (0.1, True), (0.25, True)])
@pytest.mark.parametrize("invalid", [0.0, 0.6])
def test_terms_of_each_image_equal_the_loops(
    alignment: Alignment, drop: float, in_gradient: bool, invalid: float
) -> None:
    if alignment == "trimmed":
        drop = 0.0
    p, d, m = maps(20, invalid=invalid)
    terms = relative_terms(p, d, m, alignment=alignment, drop_largest=drop, drop_in_gradient=in_gradient)
    assert terms.counted.tolist() == [True] * 3
    for image in range(3):
        expected = numpy_terms(p[image].numpy(), d[image].numpy(), m[image].numpy(), alignment, drop, in_gradient)
        found = float(terms.data[image]), float(terms.gradient[image])
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("drop", [0.0, 0.1])
def test_terms_have_the_numerical_gradient(alignment: Alignment, drop: float) -> None:
    if alignment == "trimmed":
        drop = 0.0
    generator = torch.Generator().manual_seed(21)
    p = torch.rand(2, 9, 10, generator=generator, dtype=torch.float64, requires_grad=True)
    d = torch.rand(2, 9, 10, generator=generator, dtype=torch.float64)
    m = torch.rand(2, 9, 10, generator=generator) > 0.4

    def both(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        terms = relative_terms(x, d, m, alignment=alignment, drop_largest=drop, drop_in_gradient=True)
        return terms.data, terms.gradient

    assert torch.autograd.gradcheck(both, (p,), eps=1e-7, atol=1e-6)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_every_alignment_ignores_scale_shift_and_invalid_pixels(alignment: Alignment) -> None:
    p, d, m = maps(22, invalid=0.6)
    reference = relative_terms(p, d, m, alignment=alignment)
    for changed, target in ((3 * p + 5, d), (p.masked_fill(~m, -1e4), d.masked_fill(~m, float("nan")))):
        terms = relative_terms(changed, target, m, alignment=alignment)
        torch.testing.assert_close(terms.data, reference.data, rtol=1e-4, atol=0)
        torch.testing.assert_close(terms.gradient, reference.gradient, rtol=1e-4, atol=0)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_images_without_order_count_as_exact_zeros_in_the_graph(alignment: Alignment) -> None:
    p, d, m = maps(23, (4, 12, 12))
    m[0] = False
    d[1] = 0.37
    m[2] = False
    m[2, 3, 4] = True
    p.requires_grad_(True)
    terms = relative_terms(p, d, m, alignment=alignment, drop_largest=0.0)
    assert terms.counted.tolist() == [False, False, False, True]
    assert terms.data[:3].tolist() == [0.0] * 3 and terms.gradient[:3].tolist() == [0.0] * 3
    (terms.data.sum() + terms.gradient.sum()).backward()
    assert p.grad is not None and torch.isfinite(p.grad).all()
    assert (p.grad[:3] == 0).all() and (p.grad[3] != 0).any()


def test_constant_prediction_has_a_bounded_gradient_for_every_alignment() -> None:
    _, d, m = maps(24, (2, 64, 64), 0.6)
    for alignment in ALIGNMENTS:
        p = torch.full_like(d, 2.0, requires_grad=True)
        terms = relative_terms(p, d, m, alignment=alignment)
        (terms.data + 2 * terms.gradient).sum().backward()
        assert p.grad is not None and torch.isfinite(p.grad).all()
        assert float(p.grad.abs().sum()) < 100 / SCALE_FLOOR


def test_gradient_is_inversely_proportional_to_the_spread_of_the_prediction() -> None:
    p, d, m = maps(25, (2, 20, 20), 0.3)
    norms = []
    for spread in (1e-2, 1.0, 1e4):
        x = (spread * p).requires_grad_(True)
        depth_loss(x, d, m).total.backward()
        assert x.grad is not None
        norms.append(float(x.grad.norm()) * spread)
    assert norms == pytest.approx([norms[1]] * 3, rel=1e-3)


def test_least_squares_without_a_solution_predicts_the_mean() -> None:
    _, d, m = maps(26, (2, 15, 15), 0.4)
    p = torch.full_like(d, 7.0, requires_grad=True)
    fitted = least_squares_fit(p, d, m)
    for image in range(2):
        mean = float(d[image][m[image]].mean())
        assert fitted[image][m[image]].tolist() == pytest.approx([mean] * int(m[image].sum()), rel=1e-5)
        data = float(relative_terms(p, d, m, alignment="least-squares").data[image].detach())
        assert data == pytest.approx(float(d[image][m[image]].var(correction=0)), rel=1e-4)
    assert (fitted[~m] == 0).all()


def test_least_squares_cannot_tell_an_inverted_map_but_the_median_form_can() -> None:
    _, d, m = maps(27)
    assert float(relative_terms(5 - 2 * d, d, m, alignment="least-squares").data.max()) < 1e-9
    assert float(relative_terms(5 - 2 * d, d, m).data.min()) > 1


def test_least_squares_survives_a_large_offset() -> None:
    p, d, m = maps(28)
    near, far = (relative_terms(x, d, m, alignment="least-squares").data for x in (p, p + 100))
    torch.testing.assert_close(near, far, rtol=1e-3, atol=0)


def test_largest_errors_are_dropped_by_image_and_not_by_batch() -> None:
    errors = torch.stack([torch.arange(100.0).view(10, 10), 1000 + torch.arange(100.0).view(10, 10)])
    valid = torch.ones(2, 10, 10, dtype=torch.bool)
    kept = without_largest(errors, valid, 0.1)
    assert kept.flatten(1).sum(1).tolist() == [90, 90]
    assert not kept[0, 9].any() and not kept[1, 9].any()
    valid[0, 0] = False  # 90 left, so 9 go
    kept = without_largest(errors, valid, 0.1)
    assert kept.flatten(1).sum(1).tolist() == [81, 90]
    assert not kept[0, 0].any() and kept[0, 9].tolist() == [True] + [False] * 9


def test_dropping_keeps_ties_and_never_everything_away() -> None:
    valid = torch.ones(1, 4, 5, dtype=torch.bool)
    assert without_largest(torch.ones(1, 4, 5), valid, 0.1).all()
    single = torch.zeros_like(valid)
    single[0, 2, 2] = True
    assert torch.equal(without_largest(torch.rand(1, 4, 5), single, 0.9), single)
    assert not without_largest(torch.rand(1, 4, 5), torch.zeros_like(valid), 0.1).any()


@pytest.mark.parametrize("hole", [False, True])
def test_dropping_keeps_nan(hole: bool) -> None:
    errors, valid = torch.rand(1, 4, 5), torch.ones(1, 4, 5, dtype=torch.bool)
    errors[0, 1, 1] = float("nan")
    valid[0, 0, 0] = not hole
    kept = without_largest(errors, valid, 0.2)
    assert bool(kept[0, 1, 1]) and int(kept.sum()) == int(valid.sum()) - (2 if hole else 3)


@pytest.mark.parametrize("invalid", [0.0, 0.3])
def test_masking_takes_a_local_label_error_out_of_the_data_term_alone(invalid: float) -> None:
    rows, columns = np.mgrid[0:40, 0:40] / 40
    d = torch.from_numpy(rows + 0.3 * columns).float()[None]
    p, m = d.clone(), torch.rand(1, 40, 40, generator=torch.Generator().manual_seed(3)) >= invalid
    d[0, 10:16, 10:20] += 3  # 60 of 1600 pixels
    plain, masked = (relative_terms(p, d, m, drop_largest=share) for share in (0.0, 0.1))
    both = relative_terms(p, d, m, drop_largest=0.1, drop_in_gradient=True)
    # statistics come from all pixels, so what is left is the change of scale that the error causes
    assert 0 < float(masked.data) < 0.55 * float(plain.data)
    assert torch.equal(masked.gradient, plain.gradient)
    assert float(both.gradient) < 0.5 * float(plain.gradient) and torch.equal(both.data, masked.data)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("invalid", [0.0, 0.3])
def test_a_non_finite_prediction_is_not_masked_away(alignment: Alignment, value: float, invalid: float) -> None:
    p, d, m = maps(29, invalid=invalid)
    p[1, 4, 5] = value
    drop = 0.0 if alignment == "trimmed" else 0.1
    terms = relative_terms(p, d, m, alignment=alignment, drop_largest=drop)
    assert torch.isfinite(terms.data).tolist() == [True, False, True]
    assert not torch.isfinite(depth_loss(p, d, m).total)


def test_a_non_finite_target_is_not_skipped_as_flat() -> None:
    p, d, m = maps(30)
    d[0, 0, 0], m[0, 0, 0] = float("nan"), True
    terms = relative_terms(p, d, m)
    assert bool(terms.counted[0]) and not torch.isfinite(terms.data[0])


def test_trimmed_and_masked_exclude_each_other() -> None:
    p, d, m = maps(31)
    with pytest.raises(ValueError, match="trimmed"):
        relative_terms(p, d, m, alignment="trimmed", drop_largest=0.1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_all_alignments_compute_half_precision_in_float32(dtype: torch.dtype) -> None:
    p, d, m = maps(32)
    for alignment in ALIGNMENTS:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            terms = relative_terms(p.to(dtype), d, m, alignment=alignment)
        plain = relative_terms(p.to(dtype).float(), d, m, alignment=alignment)
        assert terms.data.dtype == torch.float32 and torch.equal(terms.data, plain.data)
        assert torch.equal(terms.gradient, plain.gradient)


def mixed(seed: int = 33) -> tuple[torch.Tensor, ...]:
    """p, d, m and a box whose inside is a second picture with a scale and shift of its own."""
    p, d, m = maps(seed, (2, 24, 30), 0.3)
    box = torch.zeros_like(m)
    box[0, 4:17, 6:21] = True
    return p, d, m, box


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_regions_are_normalised_apart_and_weighted_by_area(alignment: Alignment) -> None:
    p, d, m, box = mixed()
    terms = region_terms(lambda valid: relative_terms(p, d, valid, alignment=alignment), m, box)
    inside, outside = (m[0] & box[0]).numpy(), (m[0] & ~box[0]).numpy()
    parts = [numpy_terms(p[0].numpy(), d[0].numpy(), mask, alignment, 0.0, False) for mask in (inside, outside)]
    share = 13 * 15 / (24 * 30)
    for found, (a, b) in zip((terms.data[0], terms.gradient[0]), zip(*parts, strict=True), strict=True):
        assert float(found) == pytest.approx(share * a + (1 - share) * b, rel=1e-4)
    plain = relative_terms(p[1:], d[1:], m[1:], alignment=alignment)
    torch.testing.assert_close((terms.data[1:], terms.gradient[1:]), tuple(plain[:2]), rtol=1e-5, atol=0)


def test_a_perfect_mix_of_two_scales_costs_nothing() -> None:
    _, d, m, box = mixed(34)
    p = torch.where(box, 5 * d + 2, 0.1 * d - 3)
    terms = region_terms(lambda valid: relative_terms(p, d, valid), m, box)
    assert float(terms.data.max()) < 1e-4 and float(terms.gradient.max()) < 1e-3
    assert float(relative_terms(p, d, m).data[0]) > 0.1


def test_a_region_without_order_leaves_its_weight_to_the_other() -> None:
    p, d, m, box = mixed(35)
    p.requires_grad_(True)
    alone = relative_terms(p, d, m & ~box)
    flat = torch.where(box, torch.full_like(d, 0.5), d)
    for target, valid in ((flat, m), (d, m & ~box)):
        terms = region_terms(functools.partial(relative_terms, p, target), valid, box)
        torch.testing.assert_close(terms.data, alone.data, rtol=1e-6, atol=0)
        assert terms.counted.all()
    none = region_terms(lambda valid: relative_terms(p, d, valid), torch.zeros_like(m), box)
    none.data.sum().backward()
    assert none.data.tolist() == [0, 0] and not none.counted.any()
    assert p.grad is not None and (p.grad == 0).all()
