"""Muon and the starting weights."""

from __future__ import annotations

import copy

import pytest
import torch

from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.training.initialise import cosine_patch_filters, initialise, sinusoidal_table
from model_zoo.depth_anything_v2.training.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 16, 48), (2, 48, 16)])
def test_orthogonalised_singular_values_are_near_one(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrices, steps=5))
    assert values.max() < 1.3
    assert values.median() > 0.6
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    cosine = torch.nn.functional.cosine_similarity(orthogonalise(matrices).flatten(1), (u @ v).flatten(1))
    assert cosine.min() > 0.95


def test_update_size_does_not_depend_on_gradient_size() -> None:
    moves = []
    for size in (1.0, 1e-6):
        weight = torch.nn.Parameter(torch.zeros(12, 20))
        optimiser = Muon([{"params": [weight]}], lr=0.1)
        weight.grad = size * torch.randn(12, 20, generator=torch.Generator().manual_seed(1))
        optimiser.step()
        moves.append(weight.detach().clone())
    torch.testing.assert_close(moves[0], moves[1], rtol=1e-3, atol=1e-5)
    assert float(moves[0].square().mean().sqrt()) == pytest.approx(0.1 * 0.2, rel=0.35)


def test_split_treats_query_key_and_value_as_matrices_of_their_own() -> None:
    gradient = torch.randn(36, 12, generator=torch.Generator().manual_seed(2))
    together = torch.nn.Parameter(torch.zeros(36, 12))
    apart = [torch.nn.Parameter(torch.zeros(12, 12)) for _ in range(3)]
    together.grad = gradient
    for part, piece in zip(apart, gradient.split(12), strict=True):
        part.grad = piece.clone()
    Muon([{"params": [together], "split": 3}], lr=0.1).step()
    Muon([{"params": apart}], lr=0.1).step()
    torch.testing.assert_close(together.detach(), torch.cat([part.detach() for part in apart]))


def test_state_round_trip_continues_identically() -> None:
    def run(reload: bool) -> torch.Tensor:
        generator = torch.Generator().manual_seed(3)
        kernel = torch.nn.Parameter(torch.ones(8, 4, 3, 3))
        optimiser = Muon([{"params": [kernel]}], lr=0.01, weight_decay=0.1)
        for step in range(6):
            kernel.grad = torch.randn(8, 4, 3, 3, generator=generator)
            optimiser.step()
            if reload and step == 2:
                saved = copy.deepcopy(optimiser.state_dict())
                optimiser = Muon([{"params": [kernel]}], lr=0.01, weight_decay=0.1)
                optimiser.load_state_dict(saved)
        return kernel.detach()

    assert torch.equal(run(False), run(True))


def test_muon_fits_a_linear_map() -> None:
    generator = torch.Generator().manual_seed(4)
    target, inputs = torch.randn(10, 16, generator=generator), torch.randn(200, 16, generator=generator)
    weight = torch.nn.Parameter(torch.zeros(10, 16))
    optimiser = Muon([{"params": [weight]}], lr=0.1)
    for step in range(300):
        optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        optimiser.zero_grad()
        (inputs @ (weight - target).T).square().mean().backward()
        optimiser.step()
    assert float((weight - target).detach().norm() / target.norm()) < 0.05


def test_patch_filters_are_orthogonal_and_table_is_distinct() -> None:
    filters = cosine_patch_filters(192).flatten(1)
    assert filters.shape == (192, 588)
    unit = filters / filters.norm(dim=1, keepdim=True)
    torch.testing.assert_close(unit @ unit.T, torch.eye(192), atol=1e-5, rtol=0)
    table = sinusoidal_table(12, 192)
    assert table.shape == (1, 145, 192) and (table[:, 0] == 0).all()
    distances = torch.cdist(table[0, 1:], table[0, 1:]) + torch.eye(144) * 9
    assert distances.min() > 0.5


def test_initialised_model_is_repeatable_and_alive() -> None:
    first, again, other = (DepthAnythingV2(CONFIGS["tiny"]) for _ in range(3))
    for model, seed in ((first, 0), (again, 0), (other, 1)):
        initialise(model, seed)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    output = first(torch.randn(2, 3, 84, 112, generator=torch.Generator().manual_seed(0)))
    assert (output > 0).float().mean() > 0.9 and output.std() > 0.01
