"""Dynamic loss scaling for fp16, whose smallest normal number is 6e-5; other precisions need none (scale 1)."""

from __future__ import annotations

from dataclasses import dataclass

GROWTH_INTERVAL = 2000
"""Good steps after which the scale is doubled."""


@dataclass
class LossScale:
    """The factor on the loss: halved when a gradient overflows, doubled after GROWTH_INTERVAL steps without that."""

    value: float = 1.0
    good: int = 0

    @staticmethod
    def for_precision(precision: str) -> LossScale:
        """Where a run of this precision starts."""
        return LossScale(2.0**16 if precision == "fp16" else 1.0)

    def overflowed(self) -> bool:
        """Take note of a gradient that is not finite; whether a smaller scale may help (else it is a real fault)."""
        self.good = 0
        if self.value <= 1.0:
            return False
        self.value /= 2
        return True

    def succeeded(self, precision: str) -> None:
        """Take note of a finite gradient."""
        self.good += 1
        if precision == "fp16" and self.good % GROWTH_INTERVAL == 0:
            self.value = min(self.value * 2, 2.0**24)
