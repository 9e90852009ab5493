"""Muon: momentum whose matrix updates are orthogonalised. More learned per step than AdamW, for little arithmetic.

Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the update size of
arXiv 2502.16982 (equation 4), which makes one learning rate fit both Muon and AdamW. In float32 and batched over
equal shapes, because a CPU without half-precision units gains nothing from the usual bfloat16.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Quintic iteration that pushes singular values towards 1 fastest from near zero; it ends between 0.7 and 1.2."""


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrix of each of [N, rows, columns], approximately (singular values 0.7 to 1.2)."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / x.flatten(1).norm(dim=1).clamp_min(1e-7)[:, None, None]
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + torch.baddbmm(b * gram, gram, gram, alpha=c) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; for weight matrices and convolution kernels (read as [out, rest]).

    `qkv` projections [3D, D] should be given as such: pass them in a group with `split=3`, and each third is its own
    matrix. Weight decay is decoupled.
    """

    def __init__(
        self, params: Iterable[dict[str, object]], lr: float = 1e-3, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "split": 1})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(momentum, group["momentum"])
                rows = parameter.shape[0] // group["split"]
                by_shape[(rows, parameter.numel() // parameter.shape[0])].append((parameter, update))
            for (rows, columns), entries in by_shape.items():
                stacked = torch.cat([update.reshape(-1, rows, columns) for _, update in entries])
                stacked = orthogonalise(stacked) * (0.2 * max(rows, columns) ** 0.5)
                for (parameter, _), matrix in zip(entries, stacked.split(group["split"]), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(matrix.reshape(parameter.shape), alpha=group["lr"])
