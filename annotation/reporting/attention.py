"""What somebody should look at, most urgent first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LOW_AGREEMENT = 0.60
HIGH_ERROR = 0.005
"""A set that is to rank models near 99 % needs labels that are wrong less often than this."""
Warned = dict[str, str]


def warnings(found: dict[str, Any]) -> list[Warned]:
    """Warnings from the other parts of the dashboard, as JSON values: ``{about, subject, text}``."""
    return [*_shortcuts(found), *_people(found), *_agreement(found), *_forecast(found), *_scenes(found)]


def _warned(about: str, subject: str, text: str) -> Warned:
    return {"about": about, "subject": subject, "text": text}


def _shortcuts(found: dict[str, Any]) -> Iterator[Warned]:
    """A cue that gives away the whole set is not named again for its parts."""
    overall: set[str] = set()
    for group in found["shortcuts"]["groups"]:
        everything = group["by"] == "all"
        where = "all final pairs" if everything else f"{group['by']} {group['name'] or 'without a name'}"
        for cue in group["cues"]:
            if not cue["warn"] or cue["cue"] in overall:
                continue
            if everything:
                overall.add(cue["cue"])
            accuracy, n = cue["accuracy"]["value"], cue["accuracy"]["n"]
            side, part = ("closer", accuracy) if accuracy > 0.5 else ("farther", 1 - accuracy)
            text = f"the point that is {cue['title']} is the {side} one in {part:.0%} of {n} pairs"
            yield _warned("shortcuts", where, text)


def _people(found: dict[str, Any]) -> Iterator[Warned]:
    for person in found["people"]:
        for flag in person["flags"]:
            yield _warned("people", person["alias"], flag)


def _agreement(found: dict[str, Any]) -> Iterator[Warned]:
    view = found["agreement"]["views"][0]
    alpha = view["alpha"]
    if alpha["high"] is not None and alpha["value"] < LOW_AGREEMENT:
        yield _warned("agreement", "alpha", f"alpha is {alpha['value']:.2f} on {view['items']} pairs")
    opinion = found["agreement"]["dawid_skene"]
    if opinion and opinion["differs"]:
        yield _warned(
            "agreement",
            "second opinion",
            f"Dawid and Skene's model would label {opinion['differs']} settled pairs otherwise",
        )


def _forecast(found: dict[str, Any]) -> Iterator[Warned]:
    for line in found["forecast"]["policies"]:
        if line["chosen"] and line["wrong"] > HIGH_ERROR:
            yield _warned(
                "forecast", line["policy"], f"about {line['wrong']:.1%} of the labels that it keeps will be wrong"
            )
    wrong = found["control"]["wrong"]
    if wrong["n"] and wrong["value"]:
        yield _warned(
            "forecast",
            "control pairs",
            f"the experts are wrong together on {wrong['value']:.1%} of {wrong['n']} control pairs",
        )


def _scenes(found: dict[str, Any]) -> Iterator[Warned]:
    for scene in found["scenes"]:
        if scene["short"]:
            missing = f"{scene['short']} {'pair' if scene['short'] == 1 else 'pairs'}"
            yield _warned("scenes", scene["scene"], f"{missing} too few for its target: propose more")
