"""Optimisers, their learning rates as pure functions of the step, and the running average of the weights.

No scheduler object exists, so there is none to save: the step number says everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dabench.errors import UsageError

from ..model import DepthAnythingV2
from .muon import Muon
from .recipe import Optim

MUON_RATE = 1.0
"""Learning rate of the matrices that Muon steps, relative to the rest."""


def is_plain(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay leaves a parameter alone: biases, norms, layer scales, position table and class token."""
    return parameter.ndim < 2 or name.endswith(("pos_embed", "cls_token"))


def is_hidden(name: str) -> bool:
    """Whether a matrix lies inside the network, where Muon applies, and not at its input or output."""
    return ".blocks." in name or "resConfUnit" in name or "_rn." in name


def make_optimisers(model: DepthAnythingV2, optim: Optim, *, muon_parts: int = 1) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or Muon for the hidden matrices (in `muon_parts` that can step in parallel) and AdamW.

    Groups carry `base_rate`, from which `set_rates` makes the learning rate: the encoder's or the decoder's. Their
    state is there from the start, so that a checkpoint has something to load into.
    """
    adam: dict[tuple[float, float], list[nn.Parameter]] = {}
    muon: dict[tuple[float, int], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        rate = optim.encoder_rate if name.startswith("pretrained.") else optim.decoder_rate
        if optim.optimiser == "muon" and is_hidden(name) and not is_plain(name, parameter):
            muon.setdefault((rate, 3 if ".qkv." in name else 1), []).append(parameter)
        else:
            decay = 0.0 if is_plain(name, parameter) else optim.weight_decay
            adam.setdefault((rate, decay), []).append(parameter)
    if muon and any(hasattr(parameter, "device_mesh") for parameter in model.parameters()):
        raise UsageError(
            "optim.optimiser is 'muon', which needs whole matrices, but run.shard is 'fsdp2'",
            hint="--set run.shard=ddp, or --set optim.optimiser=adamw",
        )
    groups = [
        {"params": parameters, "weight_decay": decay, "base_rate": rate} for (rate, decay), parameters in adam.items()
    ]
    optimisers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=0.0, betas=optim.betas)]
    for part in range(muon_parts if muon else 0):
        chosen: list[dict[str, object]] = [
            {"params": parameters[part::muon_parts], "split": split, "base_rate": MUON_RATE * rate}
            for (rate, split), parameters in muon.items()
        ]
        optimisers.append(Muon(chosen, lr=0.0, weight_decay=optim.weight_decay))
    _fill_states(optimisers)
    return optimisers


def _fill_states(optimisers: Sequence[torch.optim.Optimizer]) -> None:
    """Give every parameter the state that its optimiser would make in its first step."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            for parameter in group["params"]:
                state = optimiser.state[parameter]
                if isinstance(optimiser, Muon):
                    state["momentum"] = torch.zeros_like(parameter)
                else:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(parameter)
                    state["exp_avg_sq"] = torch.zeros_like(parameter)


def states_by_name(model: nn.Module, optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The optimisers' tensors themselves (not copies), as `<parameter name>.<state name>`."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{names[parameter]}.{key}": value
        for optimiser in optimisers
        for group in optimiser.param_groups
        for parameter in group["params"]
        for key, value in optimiser.state[parameter].items()
    }


def rate_factor(step: int, steps: int, optim: Optim) -> float:
    """Learning rate of step `step` (0 to `steps` - 1) as a share of the group's own.

    linear and poly: (1 - share) ** power from the end of the warm-up on, so that the rate after the last step is 0
    (`PolynomialLR`; before that, step t of w warm-up steps has (t + 1) / w). onecycle: cosine from 1 / div up to
    1 at pct_start and down to 1 / (div * final_div) (`OneCycleLR`, two phases).
    """
    if optim.schedule == "onecycle":
        low = 1 / optim.div
        return _one_cycle(step, steps, optim.pct_start, low, 1.0, low / optim.final_div)
    warmup = round(optim.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    if optim.schedule == "constant":
        return 1.0
    left = 1 - (step - warmup) / max(steps - warmup, 1)
    return max(left, 0.0) ** (1.0 if optim.schedule == "linear" else optim.power)


def momentum_at(step: int, steps: int, optim: Optim) -> float:
    """First beta of AdamW at `step`: cycled against the rate under onecycle, else constant."""
    if optim.schedule != "onecycle":
        return optim.betas[0]
    high, low = optim.max_momentum, optim.base_momentum
    return _one_cycle(step, steps, optim.pct_start, high, low, high)


def _one_cycle(step: int, steps: int, pct_start: float, start: float, middle: float, end: float) -> float:
    peak, last = pct_start * steps - 1, steps - 1
    if step <= peak:
        return _cosine(start, middle, step / peak if peak else 1.0)
    return _cosine(middle, end, min((step - peak) / max(last - peak, 1e-12), 1.0))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def set_rates(optimisers: Sequence[torch.optim.Optimizer], step: int, steps: int, optim: Optim) -> float:
    """Give every group its rate (and AdamW its momentum) for `step`; returns the decoder's rate."""
    factor = rate_factor(step, steps, optim)
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["base_rate"] * factor
            if "betas" in group:
                group["betas"] = (momentum_at(step, steps, optim), group["betas"][1])
    return optim.decoder_rate * factor


class Average:
    """Exponential running average of a network's parameters; early on over fewer steps than `decay` says.

    Holds tensors of the same kind as the parameters (shards of shards), so it costs no communication.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards `model` after `step` steps."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        names, parameters = zip(*model.named_parameters(), strict=True)
        torch._foreach_lerp_([self.values[name] for name in names], list(parameters), weight)

    def swapped_into(self, model: nn.Module) -> Swap:
        """Context in which `model` has the averaged weights."""
        return Swap(model, self.values)


class Swap:
    """Exchanges the values of a network's parameters with others, and back."""

    def __init__(self, model: nn.Module, values: dict[str, Tensor]) -> None:
        self.model, self.values = model, values

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, parameter in self.model.named_parameters():
            kept = parameter.detach().clone()
            parameter.copy_(self.values[name])
            self.values[name].copy_(kept)

    def __enter__(self) -> None:
        self._exchange()

    def __exit__(self, *_: Any) -> None:
        self._exchange()
