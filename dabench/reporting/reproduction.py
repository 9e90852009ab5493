"""Numbers that can be measured again: what is expected of which model under which protocol, and whether a run agrees.

The tolerance of a number is half of the last digit that its source prints, and what other hardware, library versions
and decoders may change: 1 % of an error, 0.3 percentage points of a share (delta1, accuracy and the like).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dabench.errors import UsageError
from dabench.protocols import Protocol, all_protocols
from dabench.records import Json
from dabench.reporting.expected import SCORES, PublishedNumber
from dabench.reporting.leaderboard.paper import PAPER_TABLES
from dabench.reporting.names import PUBLISHED_AS

SHARES = ("accuracy", "delta1", "delta2", "delta3", "whdr", "boundary_f1_depth_pro", "boundary_recall")
SHARE_SLACK, ERROR_SLACK = 0.003, 0.01
WHY = {
    "reproduces": "an independent run got it under this protocol",
    "published-only": "nobody is known to have measured it again under this protocol",
    "unreproduced": "the recipe of the source is not known in full; a difference is no surprise",
    "house": "dabench's own recipe, near that of the source",
}
"""What the status of a protocol says of numbers under it."""


@dataclass(frozen=True)
class Expectation:
    """One number to measure again.

    Attributes:
        model: name in the catalogue.
        protocol: ``name@version``.
        metric, value: as the source prints it, in the unit of protocols.
        tolerance: largest difference that agrees.
        number: where it stands.
    """

    model: str
    protocol: str
    metric: str
    value: float
    tolerance: float
    number: PublishedNumber


@dataclass(frozen=True)
class Verdict:
    """An expectation beside what was measured.

    Attributes:
        measured: None where no complete run is there.
        verdict: ``agrees``, ``differs``, or ``not run``.
    """

    expectation: Expectation
    measured: float | None
    verdict: str

    @property
    def difference(self) -> float | None:
        """Measured minus expected."""
        return None if self.measured is None else self.measured - self.expectation.value


def expectations(numbers: Iterable[PublishedNumber], models: Iterable[str]) -> list[Expectation]:
    """The numbers of whole datasets that a model of the catalogue has under a protocol of dabench, each once.

    Args:
        numbers: published and reproduced ones.
        models: names of the models that can be run.
    """
    models = list(models)
    named = {name: name for name in models}
    named |= {other: name for name, others in PUBLISHED_AS.items() if name in named for other in others}
    protocols = all_protocols()
    chosen = [
        number
        for number in numbers
        if number.model_id in named
        and not number.group
        and number.metric in SCORES
        and number.protocol in protocols
        and number.metric in protocols[number.protocol].metrics
    ]
    digits = _printed_digits(chosen)
    found: dict[tuple[str, str, str, float], Expectation] = {}
    for number in chosen:
        half = 0.5 * 10.0 ** -digits[number.source, number.metric]
        slack = SHARE_SLACK if number.metric in SHARES else ERROR_SLACK * number.value
        model = named[number.model_id]
        expectation = Expectation(model, number.protocol, number.metric, number.value, half + slack, number)
        found.setdefault((model, number.protocol, number.metric, number.value), expectation)
    order = {name: place for place, name in enumerate(models)}
    return sorted(found.values(), key=lambda e: (order[e.model], e.protocol))


def _printed_digits(numbers: Sequence[PublishedNumber]) -> Mapping[tuple[str, str], int]:
    """Decimals that a source prints of a metric: the most that any of its numbers needs."""
    digits: dict[tuple[str, str], int] = {}
    for number in numbers:
        text = f"{number.value:.6f}".rstrip("0")
        key = (number.source, number.metric)
        digits[key] = max(digits.get(key, 0), len(text.partition(".")[2]))
    return digits


def choose(found: Sequence[Expectation], what: str | None) -> list[Expectation]:
    """Those of a model, of a protocol or a pattern of protocols, or of a table of Depth Anything V2 (2, 3, 4 or 14).

    Raises:
        UsageError: there is no number of that.
    """
    if what is None:
        return list(found)
    table = PAPER_TABLES.get(what.removeprefix("table-"))
    if table is not None:
        chosen = [e for e in found if e.number.source in table.sources]
    else:
        chosen = [
            e
            for e in found
            if what in (e.model, e.number.protocol_label)
            or fnmatchcase(e.protocol, what)
            or fnmatchcase(e.protocol.split("@")[0], what)
        ]
    if not chosen:
        raise UsageError(
            f"no number of '{what}' can be measured again here",
            hint=f"a model, a protocol, or a table of Depth Anything V2 ({', '.join(PAPER_TABLES)}); "
            "dabench reproduce --dry-run lists all",
        )
    return chosen


def runs_of(found: Sequence[Expectation]) -> dict[str, list[Protocol]]:
    """The protocols to run for each model, in the order of the numbers."""
    protocols = all_protocols()
    runs: dict[str, dict[str, Protocol]] = {}
    for expectation in found:
        runs.setdefault(expectation.model, {})[expectation.protocol] = protocols[expectation.protocol]
    return {model: list(chosen.values()) for model, chosen in runs.items()}


def judge(found: Sequence[Expectation], summaries: Mapping[tuple[str, str], Json]) -> list[Verdict]:
    """Each expectation beside the run that it is about.

    Args:
        summaries: content of ``summary.json`` by model and protocol id; partial and incomplete runs do not count.
    """
    verdicts = []
    for expectation in found:
        summary = summaries.get((expectation.model, expectation.protocol))
        measured = None if summary is None else _value(summary, expectation.metric)
        if measured is None:
            verdicts.append(Verdict(expectation, None, "not run"))
            continue
        agrees = abs(measured - expectation.value) <= expectation.tolerance
        verdicts.append(Verdict(expectation, measured, "agrees" if agrees else "differs"))
    return verdicts


def _value(summary: Json, metric: str) -> float | None:
    if summary["partial"] or summary["counts"]["failed"] or summary["coverage"] < 1.0:
        return None
    value = summary["metrics"][metric]["value"]
    return None if value is None else float(value)
