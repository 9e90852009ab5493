"""Feature alignment against a loop over tokens, its margin, its gradient and bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_zoo.depth_anything_v2.training.feature_alignment import FEATURE_MARGIN, feature_alignment


def tokens(seed: int = 0, count: int = 12, noise: float = 0.8, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """[2, 3, count, 16]: frozen features, and the same with noise, whose cosines lie on both sides of the margin."""
    generator = torch.Generator().manual_seed(seed)
    frozen = torch.randn(3, count, 16, generator=generator, dtype=dtype)
    strength = noise * torch.rand(3, count, 1, generator=generator, dtype=dtype)
    trained = frozen + strength * torch.randn(3, count, 16, generator=generator, dtype=dtype)
    return torch.stack([trained, frozen])


def loop(trained: np.ndarray, frozen: np.ndarray, margin: float) -> list[float]:
    values = []
    for a, b in zip(trained, frozen, strict=True):
        cosines = [float(x @ y / np.sqrt((x @ x) * (y @ y))) for x, y in zip(a, b, strict=True)]
        low = [c for c in cosines if c <= margin]
        values.append(1 - sum(low) / len(low) if low else 0.0)
    return values


@pytest.mark.parametrize("margin", [0.7, FEATURE_MARGIN, 0.95, 1.0])
def test_equals_the_loop_over_tokens(margin: float) -> None:
    trained, frozen = tokens()
    expected = loop(trained.double().numpy(), frozen.double().numpy(), margin)
    assert feature_alignment(trained, frozen, margin).tolist() == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_margin_lies_between_the_similar_and_the_dissimilar_tokens() -> None:
    trained, frozen = tokens()
    cosine = torch.nn.functional.cosine_similarity(trained, frozen, dim=2)
    assert 0 < int((cosine > FEATURE_MARGIN).sum()) < cosine.numel()  # else the parity above shows little


def test_similar_tokens_get_no_gradient_and_a_similar_image_is_an_exact_zero() -> None:
    trained, frozen = tokens()
    trained[1] = 3 * frozen[1]
    trained.requires_grad_(True)
    frozen.requires_grad_(True)
    value = feature_alignment(trained, frozen)
    value.sum().backward()
    assert value[1].item() == 0 and (value[[0, 2]] > 1 - FEATURE_MARGIN).all()
    similar = torch.nn.functional.cosine_similarity(trained.detach(), frozen.detach(), dim=2) > FEATURE_MARGIN
    assert trained.grad is not None and frozen.grad is None
    assert (trained.grad[similar] == 0).all() and (trained.grad[~similar] != 0).any(-1).all()


def test_numerical_gradient() -> None:
    trained, frozen = tokens(1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: feature_alignment(x, frozen), (trained.requires_grad_(True),))


def test_class_token_can_be_left_out() -> None:
    trained, frozen = tokens(2)
    trained[:, 0] = -frozen[:, 0]
    assert torch.equal(feature_alignment(trained, frozen, leading=1), feature_alignment(trained[:, 1:], frozen[:, 1:]))
    assert (feature_alignment(trained, frozen) > feature_alignment(trained, frozen, leading=1)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    trained, frozen = (x.to(dtype) for x in tokens(3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = feature_alignment(trained, frozen)
    assert value.dtype == torch.float32
    assert torch.equal(value, feature_alignment(trained.float(), frozen.float()))


def test_nan_is_not_taken_for_similar() -> None:
    trained, frozen = tokens(4)
    trained[2, 5, 0] = float("nan")
    assert torch.isfinite(feature_alignment(trained, frozen)).tolist() == [True, True, False]


def test_zero_token_is_finite() -> None:
    trained, frozen = tokens(5)
    trained[0, 0] = 0
    trained.requires_grad_(True)
    value = feature_alignment(trained, frozen)
    value.sum().backward()
    assert torch.isfinite(value).all() and trained.grad is not None and torch.isfinite(trained.grad).all()


def test_encoders_of_different_size_are_refused() -> None:
    trained, frozen = tokens(6)
    with pytest.raises(ValueError, match="size of the trained one"):
        feature_alignment(trained, frozen[..., :8])
