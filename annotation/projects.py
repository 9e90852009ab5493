"""Projects of a study: made, listed, changed; every settings value is checked before it is stored."""

from __future__ import annotations

import difflib
import json
import unicodedata
from typing import Any

import msgspec

from annotation.errors import NotFoundError, StepError
from annotation.settings import ProjectSettings
from annotation.study import Study
from dabench.errors import UnknownNameError, UsageError

STATES = ("open", "paused", "closed")
NAME_LENGTH = 80
TEXT_LENGTH = 20_000
BOUNDS: dict[str, tuple[float, float]] = {
    "gold_share": (0, 0.5),
    "repeat_share": (0, 0.5),
    "repeat_distance": (1, 10_000),
    "lease_seconds": (30, 24 * 3600),
    "instructions_version": (1, 10**6),
    "pause_after_minutes": (0, 24 * 60),
    "daily_limit": (0, 10**6),
    "seed": (0, 2**53 - 1),
}


def list_projects(study: Study) -> list[dict[str, Any]]:
    """``{id, name, state, settings, created}`` each."""
    rows = study.store.query("SELECT id, name, state, settings, created FROM projects ORDER BY id")
    return [{**dict(row), "settings": ProjectSettings.from_dict(json.loads(row["settings"])).to_dict()} for row in rows]


def checked_settings(values: dict[str, Any]) -> ProjectSettings:
    """Settings whose every value makes sense. Raises UsageError that names the field."""
    for name in values:
        if name not in ProjectSettings.__struct_fields__:
            raise UnknownNameError("setting", name, ProjectSettings.__struct_fields__)
    try:
        settings = msgspec.convert(values, ProjectSettings)
    except msgspec.ValidationError as error:
        raise UsageError(f"settings: {error}") from error
    for name, (low, high) in BOUNDS.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise UsageError(f"settings: {name} is {value}; it lies between {low} and {high}")
    from annotation.policy import POLICIES

    if settings.policy not in POLICIES:
        raise UnknownNameError("policy", settings.policy, POLICIES)
    if settings.check_mode not in ("blind", "open"):
        raise UsageError(f"settings: check_mode is '{settings.check_mode}'; it is blind or open")
    _check_texts(settings)
    test = settings.qualification
    if not (0 <= test.pass_at <= test.pairs <= 500 and 1 <= test.tries <= 100):
        raise UsageError("settings: qualification needs 0 <= pass_at <= pairs <= 500 and 1 <= tries <= 100")
    if any(target < 0 for target in settings.scene_targets.values()):
        raise UsageError("settings: scene_targets are counts of pairs, 0 or more")
    return settings


def _check_texts(settings: ProjectSettings) -> None:
    lists = {name: getattr(settings, name) for name in ("skip_reasons", "drop_reasons", "manual_reasons", "members")}
    for name, texts in lists.items():
        if len(set(texts)) != len(texts) or len(texts) > 200:
            raise UsageError(f"settings: {name} has the same text twice, or more than 200")
        if any(not 0 < len(text) <= 100 or not text.isprintable() for text in texts):
            raise UsageError(f"settings: each of {name} has 1 to 100 printable characters")
    readable = settings.instructions.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    if len(readable) > TEXT_LENGTH or not readable.isprintable():
        raise UsageError(f"settings: instructions are at most {TEXT_LENGTH} printable characters")


def create_project(study: Study, name: str, settings: dict[str, Any], *, actor: str = "owner") -> int:
    """Make an open project; its id. Raises StepError when the name is taken."""
    name = unicodedata.normalize("NFC", name).strip()
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise UsageError(f"the name of a project has 1 to {NAME_LENGTH} printable characters")
    checked = checked_settings(settings)
    with study.store.write(actor) as write:
        if write.one("SELECT 1 FROM projects WHERE name = ?", name) is not None:
            raise StepError(f"there is a project '{name}' already", hint="choose another name")
        write.append("project.created", {"name": name, "settings": checked.to_dict(), "state": "open"})
        row = write.one("SELECT id FROM projects WHERE name = ?", name)
    assert row is not None
    return int(row["id"])


def change_project(
    study: Study, project: int, *, state: str | None = None, settings: dict[str, Any] | None = None,
    actor: str = "owner",
) -> ProjectSettings:  # fmt: skip
    """Change the state, or some settings; those not named stay. New instructions get a new version by themselves.

    Raises:
        NotFoundError: no such project.
        UsageError: a value that does not fit; nothing is changed then.
    """
    if state is not None and state not in STATES:
        near = difflib.get_close_matches(state, STATES, n=1)
        raise UsageError(f"state '{state}' does not exist", hint=f"states: {', '.join(near or STATES)}")
    with study.store.write(actor) as write:
        row = write.one("SELECT state, settings FROM projects WHERE id = ?", project)
        if row is None:
            raise NotFoundError(f"there is no project {project}")
        before: dict[str, Any] = ProjectSettings.from_dict(json.loads(row["settings"])).to_dict()
        after = checked_settings({**before, **(settings or {})}).to_dict()
        if (
            after["instructions"] != before["instructions"]
            and after["instructions_version"] <= before["instructions_version"]
        ):
            after["instructions_version"] = before["instructions_version"] + 1
        changes: dict[str, Any] = {}
        if after != before:
            changes["settings"] = after
        if state is not None and state != row["state"]:
            changes["state"] = state
        if changes:
            write.append("project.changed", {"id": project, **changes})
        if any(after[name] != before[name] for name in ("policy", "check_mode")):
            from annotation.queue import people, settling

            settling.settle_open(write, people.project(write, project))
    return ProjectSettings.from_dict(after)
