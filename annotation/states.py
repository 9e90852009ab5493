"""The states of a pair and the arrows between them. Every arrow that is taken is an event ``pair.moved``."""

from __future__ import annotations

from collections.abc import Mapping

from annotation.errors import StepError

ARROWS: Mapping[str, frozenset[str]] = {
    "proposed": frozenset({"queued", "dropped"}),
    "queued": frozenset({"answered", "dropped"}),
    "answered": frozenset({"queued", "agreed", "disputed", "dropped"}),
    "agreed": frozenset({"final", "answered", "adjudicated", "queued"}),
    "disputed": frozenset({"adjudicated", "answered", "queued"}),
    "adjudicated": frozenset({"final", "dropped", "queued"}),
    "final": frozenset({"answered", "queued", "adjudicated"}),
    "dropped": frozenset({"answered", "queued", "adjudicated"}),
}
"""Back to ``answered`` or ``queued``: an answer was taken back, or the pair was reopened."""

STATES = tuple(ARROWS)
ASKED = frozenset({"queued", "answered"})
"""States in which people are asked about a pair."""


def check(pair: str, source: str, target: str) -> None:
    """Raise StepError unless an arrow leads from ``source`` to ``target``."""
    if target not in ARROWS.get(source, frozenset()):
        allowed = ", ".join(sorted(ARROWS.get(source, ()))) or "none"
        raise StepError(f"pair {pair} is {source}; it cannot become {target}", hint=f"possible from here: {allowed}")
