"""Learning rates against torch's own schedulers, groups, Muon and the average against their definitions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR, LinearLR, OneCycleLR, PolynomialLR

from dabench.errors import UsageError
from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.training.muon import Muon
from model_zoo.depth_anything_v2.training.optim import (
    Average,
    make_optimisers,
    momentum_at,
    rate_factor,
    set_rates,
    states_by_name,
)
from model_zoo.depth_anything_v2.training.recipe import Optim

STEPS = 40


def optim(**settings: Any) -> Optim:
    return Optim(**{"optimiser": "adamw", "encoder_rate": 5e-6, "decoder_rate": 5e-5, **settings})


@pytest.fixture(scope="module")
def network() -> DepthAnythingV2:
    return DepthAnythingV2(CONFIGS["tiny"])


def torch_rates(make: Any, momentum: bool = False) -> list[Any]:
    """(rate, first beta) in each of STEPS steps, for a rate of 1."""
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0, betas=(0.95, 0.999))
    scheduler = make(optimiser)
    found = []
    for _ in range(STEPS):
        group = optimiser.param_groups[0]
        found.append((group["lr"], group["betas"][0]))
        optimiser.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0])
def test_poly_is_torchs_polynomial(power: float) -> None:
    settings = optim(schedule="poly", power=power)
    expected = torch_rates(lambda o: PolynomialLR(o, total_iters=STEPS, power=power))
    assert [rate_factor(t, STEPS, settings) for t in range(STEPS)] == pytest.approx([rate for rate, _ in expected])


def test_linear_is_a_polynomial_of_power_one_whatever_power_says() -> None:
    expected = torch_rates(lambda o: PolynomialLR(o, total_iters=STEPS, power=1.0))
    found = [rate_factor(t, STEPS, optim(schedule="linear", power=0.3)) for t in range(STEPS)]
    assert found == pytest.approx([rate for rate, _ in expected])


@pytest.mark.parametrize(("div", "final_div", "pct_start"), [(1.0, 1e4, 0.7), (25.0, 1e4, 0.3), (10.0, 100.0, 0.5)])
def test_onecycle_is_torchs_with_its_momentum(div: float, final_div: float, pct_start: float) -> None:
    settings = optim(schedule="onecycle", div=div, final_div=final_div, pct_start=pct_start)
    expected = torch_rates(
        lambda o: OneCycleLR(
            o, 1.0, STEPS, pct_start=pct_start, div_factor=div, final_div_factor=final_div,
            base_momentum=0.85, max_momentum=0.95,
        )
    )  # fmt: skip
    assert [rate_factor(t, STEPS, settings) for t in range(STEPS)] == pytest.approx([rate for rate, _ in expected])
    assert [momentum_at(t, STEPS, settings) for t in range(STEPS)] == pytest.approx([beta for _, beta in expected])


def test_warm_up_is_torchs_linear_one_then_the_schedule() -> None:
    settings = optim(schedule="linear", warmup=0.25)  # 10 steps
    warm = torch_rates(lambda o: LinearLR(o, start_factor=0.1, total_iters=9))
    found = [rate_factor(t, STEPS, settings) for t in range(STEPS)]
    assert found[:10] == pytest.approx([rate for rate, _ in warm[:10]])
    decay = torch_rates(lambda o: LambdaLR(o, lambda t: 1 - t / 30))
    assert found[10:] == pytest.approx([rate for rate, _ in decay[:30]])
    assert found[-1] > 0 and rate_factor(STEPS, STEPS, settings) == 0


def test_constant_stays_after_the_warm_up() -> None:
    found = [rate_factor(t, STEPS, optim(schedule="constant", warmup=0.1)) for t in range(STEPS)]
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0]) and set(found[4:]) == {1.0}


def test_one_step_runs_have_a_rate() -> None:
    for schedule in ("linear", "poly", "constant", "onecycle"):
        assert 0 < rate_factor(0, 1, optim(schedule=schedule)) <= 1


def test_groups_have_their_rates_and_spare_the_plain_parameters_from_decay(network: DepthAnythingV2) -> None:
    optimisers = make_optimisers(network, optim(weight_decay=0.01, schedule="constant"))
    set_rates(optimisers, 0, 10, optim(schedule="constant"))
    seen: dict[str, tuple[float, float]] = {}
    names = {parameter: name for name, parameter in network.named_parameters()}
    for group in optimisers[0].param_groups:
        for parameter in group["params"]:
            assert names[parameter] not in seen
            seen[names[parameter]] = (group["lr"], group["weight_decay"])
    assert seen.keys() == dict(network.named_parameters()).keys()
    assert seen["pretrained.blocks.0.attn.qkv.weight"] == (5e-6, 0.01)
    assert seen["pretrained.patch_embed.proj.weight"] == (5e-6, 0.01)
    for plain in ("blocks.0.attn.qkv.bias", "blocks.3.ls1.gamma", "norm.weight", "pos_embed", "cls_token"):
        assert seen[f"pretrained.{plain}"] == (5e-6, 0.0)
    assert seen["depth_head.scratch.output_conv1.weight"] == (5e-5, 0.01)
    assert seen["depth_head.scratch.output_conv2.2.bias"] == (5e-5, 0.0)


def test_momentum_and_rate_reach_the_groups(network: DepthAnythingV2) -> None:
    settings = optim(schedule="onecycle", div=1.0, pct_start=0.7, encoder_rate=1e-6, decoder_rate=2e-6)
    optimisers = make_optimisers(network, settings)
    rate = set_rates(optimisers, 27, STEPS, settings)  # the peak: 0.7 * 40 - 1
    assert rate == pytest.approx(2e-6)
    assert {group["betas"] for group in optimisers[0].param_groups} == {(0.85, 0.999)}
    assert {group["lr"] for group in optimisers[0].param_groups} == {1e-6, 2e-6}


@pytest.mark.parametrize("parts", [1, 2])
def test_muon_takes_the_hidden_matrices_and_only_those(network: DepthAnythingV2, parts: int) -> None:
    optimisers = make_optimisers(network, optim(optimiser="muon"), muon_parts=parts)
    assert [type(o) for o in optimisers] == [torch.optim.AdamW] + [Muon] * parts
    names = {parameter: name for name, parameter in network.named_parameters()}
    split = {names[p]: group["split"] for o in optimisers[1:] for group in o.param_groups for p in group["params"]}
    adam = [names[p] for group in optimisers[0].param_groups for p in group["params"]]
    assert sorted([*split, *adam]) == sorted(names.values())
    assert split["pretrained.blocks.0.attn.qkv.weight"] == 3 and split["pretrained.blocks.0.mlp.fc1.weight"] == 1
    assert "pretrained.patch_embed.proj.weight" in adam and "depth_head.scratch.output_conv2.2.weight" in adam


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_states_made_ahead_are_those_an_optimiser_makes(optimiser: str) -> None:
    """The same steps from states made here and from states that the first step makes."""
    torch.manual_seed(0)
    first, second = DepthAnythingV2(CONFIGS["tiny"]), DepthAnythingV2(CONFIGS["tiny"])
    second.load_state_dict(first.state_dict())
    settings = optim(optimiser=optimiser, encoder_rate=1e-3, decoder_rate=1e-3)
    ours, lazy = make_optimisers(first, settings), make_optimisers(second, settings)
    for one in lazy:
        one.state.clear()
    for step in range(2):
        for a, b in zip(first.parameters(), second.parameters(), strict=True):
            a.grad = torch.randn(a.shape, generator=torch.Generator().manual_seed(step))
            b.grad = a.grad.clone()
        for optimisers in (ours, lazy):
            set_rates(optimisers, step, 10, settings)
            for one in optimisers:
                one.step()
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    expected, found = states_by_name(second, lazy), states_by_name(first, ours)
    assert expected.keys() == found.keys() and len(found) > 150
    assert all(torch.equal(expected[key], found[key]) and expected[key].dtype == found[key].dtype for key in found)


def test_muon_refuses_sharded_matrices(network: DepthAnythingV2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.Parameter, "device_mesh", "a mesh", raising=False)
    with pytest.raises(UsageError, match="fsdp2"):
        make_optimisers(network, optim(optimiser="muon"))


def test_average_follows_its_formula_and_can_be_swapped_in() -> None:
    model = torch.nn.Linear(2, 1)
    average = Average(model, decay=0.9)
    expected = model.weight.detach().clone()
    for step in range(1, 200):
        with torch.no_grad():
            model.weight.add_(1.0)
        average.update(model, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.values["weight"], expected)
    now = model.weight.detach().clone()
    with average.swapped_into(model):
        torch.testing.assert_close(model.weight.detach(), expected)
    assert torch.equal(model.weight, now)
    torch.testing.assert_close(average.values["weight"], expected)
