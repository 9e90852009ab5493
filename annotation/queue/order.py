"""What is random in the queue: drawn from the project's seed by a hash, so that it can be drawn again.

SHA-256 of the seed and of what is asked about gives 53 bits; the same question always gets the same answer, and
answers to different questions are independent for every purpose here.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Slot = Literal["label", "gold", "repeat"]


def unit(seed: int, *what: object) -> float:
    """A number in [0, 1) that belongs to ``what``."""
    text = "\x1f".join(map(str, (seed, *what)))
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53


def swap(seed: int, pair: str, alias: str, round: int) -> int:
    """1 when point b is shown first to this person in this round; 0 and 1 are equally likely."""
    return int(unit(seed, "swap", pair, alias, round) < 0.5)


def slot(seed: int, alias: str, count: int, gold_share: float, repeat_share: float) -> Slot:
    """What task number ``count`` of a person shall be: ordinary, a hidden test or a hidden repeat."""
    drawn = unit(seed, "slot", alias, count)
    if drawn < gold_share:
        return "gold"
    return "repeat" if drawn < gold_share + repeat_share else "label"


def as_shown(answer: str, swapped: int) -> str:
    """``a | b | equal | skip`` as a person saw it: ``first | second | equal | skip``."""
    first, second = ("b", "a") if swapped else ("a", "b")
    return {first: "first", second: "second"}.get(answer, answer)


def as_stored(shown: str, swapped: int) -> str:
    """``first | second | equal | skip`` on the stored points: ``a | b | equal | skip``."""
    first, second = ("b", "a") if swapped else ("a", "b")
    return {"first": first, "second": second}.get(shown, shown)
