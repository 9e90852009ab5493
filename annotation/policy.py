"""How the answers of several people become one label, and how often that label will be wrong.

A policy is data: how many people are asked at once, how many at most, and how many equal answers decide. It reads the
answers in the order in which they came and stops at the first one that settles the pair: what comes later is kept and
changes nothing.

Skips. A skip is not a vote: somebody else is asked in that place. A second skip before the pair is settled makes it
disputed, whatever the other answers say: two of a few people could not tell. ``equal`` is a vote like ``a`` and ``b``;
agreed on, it takes the pair out of the set of orders (verdict ``dropped``) and the label ``equal`` is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from dabench.errors import UnknownNameError, UsageError

SKIPS_TO_DISPUTE = 2
Outcome = Literal["more", "agreed", "disputed", "dropped"]


@dataclass(frozen=True)
class Verdict:
    """``label``: ``a``, ``b`` or ``equal`` once agreed or dropped. ``more``: people still to be asked, 0 when settled.
    ``used``: number of answers, from the first, that the verdict rests on.
    """

    outcome: Outcome
    label: str = ""
    more: int = 0
    used: int = 0


@dataclass(frozen=True)
class Expected:
    """Shares in 0..1. ``kept``: pairs that get a label; ``wrong``: wrong ones among those (0 when nothing is kept);
    ``answers``: mean number of answers a pair.
    """

    kept: float
    wrong: float
    answers: float


@dataclass(frozen=True)
class Policy:
    """A rule as data.

    Args:
        ask: people asked at once.
        most: people whose votes count at most.
        needed: equal votes that make a label.
        stops_at_dissent: settle as soon as ``needed`` is out of reach, without waiting for the others.
        checks: the first answer is a label and the later ones are checks of it (they can be open or blind).
    """

    name: str
    title: str
    ask: int
    most: int
    needed: int
    stops_at_dissent: bool = False
    checks: bool = False

    def judge(self, answers: Sequence[str]) -> Verdict:
        """The verdict on answers ``a | b | equal | skip`` of different people, in the order in which they came."""
        votes: Counter[str] = Counter()
        skips = 0
        verdict = self._on(votes)
        for used, answer in enumerate(answers, start=1):
            if answer == "skip":
                skips += 1
                if skips == SKIPS_TO_DISPUTE:
                    return Verdict("disputed", used=used)
            else:
                votes[answer] += 1
            verdict = self._on(votes)
            if verdict.outcome != "more":
                return Verdict(verdict.outcome, verdict.label, used=used)
        return Verdict("more", more=verdict.more, used=len(answers))

    def _on(self, votes: Counter[str]) -> Verdict:
        count = votes.total()
        label, top = votes.most_common(1)[0] if votes else ("", 0)
        hopeless = top + self.most - count < self.needed
        if count < self.ask and not (hopeless and self.stops_at_dissent):
            return Verdict("more", more=self.ask - count)
        if top >= self.needed:
            return Verdict("dropped" if label == "equal" else "agreed", label)
        if hopeless:
            return Verdict("disputed")
        return Verdict("more", more=1)

    def expected(self, error: float, ambiguous: float = 0.0) -> Expected:
        """What independent people give who are wrong with probability ``error`` on clear pairs and toss a coin on the
        share ``ambiguous`` of the pairs. Exact: every sequence of answers is followed until it is settled.

        Raises:
            UsageError: a share outside 0..1.
        """
        for name, share in (("error", error), ("ambiguous", ambiguous)):
            if not 0 <= share <= 1:
                raise UsageError(f"{name} is {share}; it must lie in 0..1")
        kept = wrong = answers = 0.0
        for weight, chance in ((1 - ambiguous, error), (ambiguous, 0.5)):
            for sequence, outcome, label in _settled(self):
                mistakes = sequence.count("b")
                probability = weight * chance**mistakes * (1 - chance) ** (len(sequence) - mistakes)
                answers += probability * len(sequence)
                if outcome == "agreed":
                    kept += probability
                    wrong += probability * (label == "b")
        return Expected(kept, wrong / kept if kept else 0.0, answers)


@lru_cache(maxsize=64)
def _settled(policy: Policy) -> tuple[tuple[str, str, str], ...]:
    """Every sequence of votes for a (right) and b (wrong) that settles a pair: the votes, outcome and label."""
    found: list[tuple[str, str, str]] = []
    open_ones = [""]
    while open_ones:
        sequence = open_ones.pop()
        verdict = policy.judge(sequence)
        if verdict.outcome == "more":
            open_ones += [sequence + "a", sequence + "b"]
        else:
            found.append((sequence, verdict.outcome, verdict.label))
    return tuple(sorted(found))


POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(
            "first-two-checkers",
            "One person labels, two others check; the first dissent goes to review (DA-2K's process)",
            ask=3,
            most=3,
            needed=3,
            stops_at_dissent=True,
            checks=True,
        ),
        Policy("unanimous-2", "Two people answer and must agree", ask=2, most=2, needed=2),
        Policy("unanimous-3", "Three people answer and must all agree", ask=3, most=3, needed=3),
        Policy("two-then-third", "Two people answer; a third one decides when they differ", ask=2, most=3, needed=2),
        Policy("majority-3", "Three people answer; two of them decide", ask=3, most=3, needed=2),
        Policy("majority-5", "Five people answer; three of them decide", ask=5, most=5, needed=3),
        Policy("single", "One person answers and nobody checks", ask=1, most=1, needed=1),
    )
}


def named(name: str) -> Policy:
    """The policy of that name. Raises UnknownNameError that lists the near ones."""
    if name not in POLICIES:
        raise UnknownNameError("policy", name, POLICIES)
    return POLICIES[name]
