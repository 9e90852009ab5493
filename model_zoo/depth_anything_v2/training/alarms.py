"""What is watched while a network trains, so that no run goes on learning from or towards garbage.

Every quantity given here is the same in every process (sums over all of them), so all of them stop, or skip, together.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from dabench.errors import ModelError

from .losses import CollapseDetector, CollapseError
from .recipe import Run


class TrainingStoppedError(ModelError):
    """Training was given up; the message says what was seen, the hint what to change."""


WINDOW = 200
"""Steps over which a loss counts as usual (their median)."""

DRIFT = 10.0
"""Growth of the output's magnitude that is worth a line in the log."""


@dataclass
class Alarms:
    """The watch over one run; limits are the recipe's `run` (`recipe_schema.Run` says what each means).

    `state` and `restore` carry it through a checkpoint.
    """

    run: Run
    skipped: int = 0
    diverging: int = 0
    magnitude: float | None = None
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    collapse: CollapseDetector = field(init=False)

    def __post_init__(self) -> None:
        self.collapse = CollapseDetector(
            patience=self.run.alarm_patience,
            grace=self.run.alarm_grace,
            loss_band=self.run.alarm_constant_band,
            zero_limit=self.run.alarm_zero_share,
            spread_floor=self.run.alarm_spread_floor,
        )

    def skip(self, step: int, what: str) -> dict[str, Any]:
        """Count a step that was not taken because `what` is not finite; the event to log.

        Raises TrainingStoppedError at the limit.
        """
        self.skipped += 1
        if self.skipped > self.run.nan_limit:
            raise TrainingStoppedError(
                f"{self.skipped} steps had a {what} that is not finite, the last one step {step}",
                hint="events.jsonl names the images; check their labels, lower the learning rate, or use bf16 or fp32 "
                "instead of fp16. The checkpoints hold finite weights (run.nan_limit sets the limit)",
            )
        return {"event": "skipped_step", "step": step, "what": what, "skipped": self.skipped}

    def update(
        self, step: int, loss: float, *, ssi: float | None, spread: float, zeros: float, magnitude: float
    ) -> list[dict[str, Any]]:
        """Take one step's numbers; returns events to log.

        `loss` is the whole objective, `ssi` L_ssi where it is trained with (1.0 exactly for a constant output),
        `spread` and `zeros` as from `CollapseDetector.measure`, `magnitude` the mean absolute output.
        Raises TrainingStoppedError when the network has collapsed or diverged.
        """
        try:
            self.collapse.update(0.0 if ssi is None else ssi, spread, zeros)
        except CollapseError as error:
            raise TrainingStoppedError(
                f"step {step}: {error}", hint="resume from an earlier checkpoint by deleting the later ones"
            ) from error
        self._watch_divergence(step, loss)
        return self._watch_magnitude(step, magnitude)

    def _watch_divergence(self, step: int, loss: float) -> None:
        usual = median(self.recent) if len(self.recent) >= WINDOW // 4 else math.inf
        if loss > self.run.alarm_divergence * usual:
            self.diverging += 1  # and the loss stays out of the median, which would follow it
        else:
            self.diverging = 0
            self.recent.append(loss)
        if self.diverging >= self.run.alarm_patience:
            raise TrainingStoppedError(
                f"step {step}: the loss ({loss:.3g}) has been over {self.run.alarm_divergence:g} times its usual value "
                f"({usual:.3g}) for {self.diverging} steps",
                hint="resume from an earlier checkpoint (delete the later ones) with a lower learning rate or clip",
            )

    def _watch_magnitude(self, step: int, magnitude: float) -> list[dict[str, Any]]:
        """The scale of the output is a null direction of the relative loss and drifts upwards, until fp16 overflows."""
        if self.magnitude is None and self.collapse.seen >= self.run.alarm_grace and magnitude > 0:
            self.magnitude = magnitude
        if self.magnitude is None or magnitude < DRIFT * self.magnitude:
            return []
        before, self.magnitude = self.magnitude, magnitude
        return [{"event": "output_drift", "step": step, "before": before, "now": magnitude}]

    def state(self) -> dict[str, Any]:
        """Plain numbers for a checkpoint; the limits are the recipe's."""
        return {
            "skipped": self.skipped,
            "diverging": self.diverging,
            "magnitude": self.magnitude,
            "recent": list(self.recent),
            "collapse": [self.collapse.bad, self.collapse.seen],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, under the limits of now."""
        self.skipped, self.diverging = int(state["skipped"]), int(state["diverging"])
        self.magnitude, self.recent = state["magnitude"], deque(state["recent"], maxlen=WINDOW)
        self.collapse.bad, self.collapse.seen = state["collapse"]


def finite(*values: float) -> bool:
    """Whether all are finite."""
    return all(math.isfinite(value) for value in values)
