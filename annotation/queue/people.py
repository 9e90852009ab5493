"""The person and the project of one call, and whether they may work together."""

from __future__ import annotations

import json
from dataclasses import dataclass

from annotation import policy
from annotation.errors import NotFoundError
from annotation.settings import ProjectSettings
from annotation.store import Write
from annotation.study import Study

WORKERS = frozenset({"owner", "adjudicator", "annotator"})


@dataclass(frozen=True)
class Project:
    id: int
    state: str
    settings: ProjectSettings

    @property
    def policy(self) -> policy.Policy:
        return policy.named(self.settings.policy)

    @property
    def open_checks(self) -> bool:
        """Whether checkers see the first answer."""
        return self.settings.check_mode == "open" and self.policy.checks

    @property
    def ask(self) -> int:
        """People that a fresh pair is given to at once. An open check has to wait for the answer that it checks."""
        return 1 if self.open_checks else self.policy.ask


@dataclass(frozen=True)
class Worker:
    id: int
    alias: str
    role: str
    active: bool

    def works_in(self, settings: ProjectSettings) -> bool:
        member = not settings.members or self.alias in settings.members
        return self.active and self.role in WORKERS and member


def alias_of(study: Study, person: int) -> str:
    """Raises NotFoundError."""
    row = study.store.one("SELECT alias FROM people WHERE id = ?", person)
    if row is None:
        raise NotFoundError(f"there is no person {person}")
    return str(row["alias"])


def worker(write: Write, person: int) -> Worker:
    """Raises NotFoundError."""
    row = write.one("SELECT id, alias, role, active FROM people WHERE id = ?", person)
    if row is None:
        raise NotFoundError(f"there is no person {person}")
    return Worker(row["id"], row["alias"], row["role"], bool(row["active"]))


def project(write: Write, number: int) -> Project:
    """Raises NotFoundError, or StudyError for settings that do not validate."""
    row = write.one("SELECT id, state, settings FROM projects WHERE id = ?", number)
    if row is None:
        raise NotFoundError(f"there is no project {number}")
    return Project(row["id"], row["state"], ProjectSettings.from_dict(json.loads(row["settings"])))


def free_people(write: Write, pair: str, settings: ProjectSettings) -> int:
    """How many people could still be asked about a pair: annotators, or the members where the project names them,
    who neither have it nor have answered it since it was last opened, and have not failed the qualification.
    """
    rows = write.query(
        "SELECT alias, role FROM people WHERE active AND NOT EXISTS (SELECT 1 FROM assignments a JOIN pairs p"
        " ON p.id = a.pair WHERE a.pair = ? AND a.person = people.id AND +a.id > p.asked_from"
        " AND a.kind IN ('label', 'check') AND +a.state IN ('open', 'done'))"
        " AND (SELECT count(*) FROM qualifications q JOIN pairs p ON p.project = q.project WHERE p.id = ?"
        " AND q.person = people.id AND NOT q.passed) < ?",
        pair,
        pair,
        max(settings.qualification.tries, 1),
    )
    if settings.members:
        return sum(row["alias"] in settings.members and row["role"] in WORKERS for row in rows)
    return sum(row["role"] == "annotator" for row in rows)
