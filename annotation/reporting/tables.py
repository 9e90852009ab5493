"""The dashboard as a few tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

Found = dict[str, Any]
COEFFICIENTS = {
    "raw": "raw agreement", "fleiss": "Fleiss' kappa", "alpha": "Krippendorff's alpha", "ac1": "Gwet's AC1",
}  # fmt: skip
SCENE_COLUMNS = (
    "scene", "final", "target", "open", "disputed", "dropped", "agree", "skipped", "median s", "h left", "± at 95 %",
)  # fmt: skip
PEOPLE_COLUMNS = (
    "person", "answers", "median s", "p90", "hidden tests", "repeats", "with others", "skipped", "A", "< 0.4 s",
)  # fmt: skip


def heading(found: Found) -> str:
    project, progress = found["project"], found["progress"]
    goal = f" of {progress['target']}" if progress["target"] is not None else ""
    left = f", {progress['answers_left']} answers to go" if progress["answers_left"] else ""
    hours = f" (about {progress['hours_left']:.1f} h)" if left and progress["hours_left"] is not None else ""
    return (
        f"{found['study']} · {project['name']} ({project['state']}, {project['policy']}): "
        f"{progress['done']}{goal} pairs final{left}{hours}"
    )


def tables(found: Found) -> Iterator[Table]:
    """Scenes, people, agreement, shortcuts and forecast; a table with nothing to say is left out."""
    if found["scenes"]:
        yield scenes_table(found["scenes"])
    if found["people"]:
        yield people_table(found["people"])
    if found["agreement"]["views"][0]["items"]:
        yield agreement_table(found["agreement"])
    if found["times"]["hours"]:
        yield times_table(found["times"])
    if found["shortcuts"]["groups"][0]["pairs"]:
        yield shortcuts_table(found["shortcuts"])
    if found["forecast"]["policies"]:
        yield policies_table(found["forecast"])


def scenes_table(scenes: Sequence[Found]) -> Table:
    table = _table(
        "scene", "final", "target", "open", "disputed", "dropped", "agree", "skipped", "s", "h left", "± at 95 %"
    )
    for scene in scenes:
        states = scene["states"]
        interval = next((line for line in scene["interval"] if line["accuracy"] == 0.95), None)
        table.add_row(
            _text(scene["scene"]),
            str(scene["done"]),
            _number(scene["target"], "d"),
            str(states["queued"] + states["answered"]),
            str(states["disputed"]),
            str(states["dropped"]),
            percent(scene["agreement"]),
            percent(scene["skip_rate"]),
            _number(scene["seconds"], ".1f"),
            _number(scene["hours_left"], ".1f"),
            f"{100 * interval['half_width']:.1f} %" if interval else "-",
        )
    return table


def people_table(people: Sequence[Found]) -> Table:
    table = _table(
        "person", "answers", "median s", "p90", "hidden tests", "repeats", "with others", "skipped", "A", "< 0.4 s"
    )
    for person in people:
        table.add_row(
            _text(person["alias"]),
            str(person["answers"]),
            _number(person["seconds"]["median"], ".1f"),
            _number(person["seconds"]["p90"], ".1f"),
            _of(person["gold"]),
            _of(person["repeat"]),
            percent(person["agreement"]),
            percent(person["skip_rate"]),
            percent(person["first_rate"]),
            percent(person["fast"]),
        )
    return table


def agreement_table(agreement: Found) -> Table:
    table = _table("agreement", *(f"{view['view']} ({view['items']} pairs)" for view in agreement["views"]))
    for key, title in COEFFICIENTS.items():
        table.add_row(title, *(interval(view[key]) for view in agreement["views"]))
    for couple in agreement["views"][0]["cohen"]:
        kappas = [
            next((interval(other["kappa"]) for other in view["cohen"] if other["people"] == couple["people"]), "-")
            for view in agreement["views"]
        ]
        table.add_row("Cohen's kappa " + _text(" and ".join(couple["people"])), *kappas)
    return table


def times_table(times: Found) -> Table:
    table = _table("work", "answers", "hours", "median s")
    for kind in times["kinds"]:
        if kind["n"]:
            about = "~" if kind["estimated"] else ""
            table.add_row(
                kind["kind"], str(kind["n"]), about + _number(kind["hours"], ".2f"), _number(kind["median"], ".1f")
            )
    table.add_row("a kept pair", str(times["kept"]), "", _number(times["seconds_per_kept"], ".1f"))
    return table


def shortcuts_table(shortcuts: Found) -> Table:
    """All final pairs together; what is wrong in a part of them stands in the warnings."""
    everything = shortcuts["groups"][0]
    table = _table("the closer point is", "share", "pairs")
    for cue in everything["cues"]:
        shown = interval(cue["accuracy"])
        table.add_row(cue["title"], f"[red]{shown}[/]" if cue["warn"] else shown, str(cue["accuracy"]["n"]))
    for expert in everything["experts"]:
        named = "the one that " + _text(expert["model"]) + " names"
        table.add_row(named, interval(expert["accuracy"]), str(expert["accuracy"]["n"]))
    return table


def policies_table(forecast: Found) -> Table:
    error = forecast["error"]
    table = _table(f"policy at {error['used']:.1%} error an answer ({error['from']})", "kept", "wrong", "answers")
    for line in forecast["policies"]:
        mark = "* " if line["chosen"] else "  "
        table.add_row(mark + line["policy"], f"{line['kept']:.1%}", f"{line['wrong']:.3%}", f"{line['answers']:.2f}")
    return table


def percent(estimate: Found) -> str:
    return "-" if estimate["value"] is None else f"{100 * estimate['value']:.0f} %"


def interval(estimate: Found) -> str:
    """Value and interval, in hundredths."""
    if estimate["value"] is None:
        return "-"
    shown = f"{estimate['value']:.2f}"
    if estimate["low"] is None:
        return shown
    return f"{shown} [dim]\\[{estimate['low']:.2f}, {estimate['high']:.2f}][/]"


def _of(estimate: Found) -> str:
    """Hits of tries."""
    return "-" if not estimate["n"] else f"{round(estimate['value'] * estimate['n'])}/{estimate['n']}"


def _text(value: str) -> str:
    """Somebody's text, shown as it is: no markup, no control characters."""
    from rich.markup import escape

    return escape("".join(c for c in value if c.isprintable())) or "-"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(_text(column), justify="right" if number else "left")
    return table
