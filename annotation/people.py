"""Who takes part in a study: people, their roles, and the links they sign in with."""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
import unicodedata
from typing import Any

from annotation.errors import NotFoundError, StepError
from annotation.store import Write
from annotation.study import Study
from dabench.errors import UsageError

ROLES = ("owner", "adjudicator", "annotator", "viewer")
TOKEN_BYTES = 24
NAME_LENGTH = 80


def digest(secret: str) -> str:
    """What is stored of a token or a session: its SHA-256 in hex. Both are random, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def checked_name(name: str) -> str:
    """A person's name, trimmed. Raises UsageError for an empty, long or unprintable one."""
    name = unicodedata.normalize("NFC", name).strip()
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise UsageError(f"a name has 1 to {NAME_LENGTH} printable characters", hint="for example: Ann Lee")
    return name


def checked_role(role: str) -> str:
    if role not in ROLES:
        raise UsageError(f"role '{role}' does not exist", hint=f"roles: {', '.join(ROLES)}")
    return role


def find_person(study: Study, name_or_alias: str) -> sqlite3.Row:
    """A row of ``people``, by alias or by the name of an active person. Raises NotFoundError."""
    row = study.store.one(
        "SELECT * FROM people WHERE alias = ? OR (active AND name = ?) ORDER BY alias = ? DESC LIMIT 1",
        name_or_alias, name_or_alias, name_or_alias,
    )  # fmt: skip
    if row is None:
        known = ", ".join(r["alias"] for r in study.store.query("SELECT alias FROM people ORDER BY id"))
        raise NotFoundError(f"nobody is called '{name_or_alias}'", hint=f"aliases: {known or 'none yet'}")
    return row


def list_people(study: Study) -> list[dict[str, Any]]:
    """``{alias, name, role, active, created, link}`` each; ``link``: whether a valid link is out."""
    rows = study.store.query(
        "SELECT alias, name, role, active, created, EXISTS (SELECT 1 FROM credentials c WHERE c.person = people.id "
        "AND c.revoked IS NULL) AS link FROM people ORDER BY id"
    )
    return [{**dict(row), "active": bool(row["active"]), "link": bool(row["link"])} for row in rows]


def add_person(study: Study, name: str, role: str, *, actor: str = "owner") -> str:
    """Add a person; the new alias (p01, p02, ...). Raises StepError when an active person has the name."""
    name, role = checked_name(name), checked_role(role)
    with study.store.write(actor) as write:
        _refuse_taken(write, name)
        used = (re.fullmatch(r"p(\d+)", row["alias"]) for row in write.query("SELECT alias FROM people"))
        alias = f"p{max((int(match[1]) for match in used if match), default=0) + 1:02d}"
        write.append("person.added", {"alias": alias, "name": name, "role": role})
    return alias


def change_person(study: Study, alias: str, changes: dict[str, Any], *, actor: str = "owner") -> None:
    """Change name, role or active. A person who is switched off loses link and sessions at once.

    Raises:
        NotFoundError: no such alias.
        StepError: the name is taken, or nobody would be left to own the study.
    """
    changes = dict(changes)
    if "name" in changes:
        changes["name"] = checked_name(changes["name"])
    if "role" in changes:
        checked_role(changes["role"])
    if "active" in changes:
        changes["active"] = int(changes["active"])
    with study.store.write(actor) as write:
        row = write.one("SELECT * FROM people WHERE alias = ?", alias)
        if row is None:
            raise NotFoundError(f"nobody has the alias '{alias}'")
        changes = {key: value for key, value in changes.items() if row[key] != value}
        if not changes:
            return
        if changes.get("active", row["active"]):
            _refuse_taken(write, changes.get("name", row["name"]), but=alias)
        stays_owner = changes.get("role", row["role"]) == "owner" and changes.get("active", row["active"])
        others = write.one("SELECT count(*) AS n FROM people WHERE role = 'owner' AND active AND alias <> ?", alias)
        if row["role"] == "owner" and row["active"] and not stays_owner and others is not None and not others["n"]:
            raise StepError(f"{alias} is the only owner", hint="make another person owner first")
        write.append("person.changed", {"alias": alias, **changes})
        if changes.get("active") == 0:
            _revoke(write, row["id"])


def new_token(study: Study, alias: str, *, actor: str = "owner") -> str:
    """A new sign-in token of an active person; older ones and all their sessions end. It is stored as a digest only.

    Raises:
        NotFoundError: no such alias.
        StepError: the person is switched off.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with study.store.write(actor) as write:
        row = write.one("SELECT id, active FROM people WHERE alias = ?", alias)
        if row is None:
            raise NotFoundError(f"nobody has the alias '{alias}'")
        if not row["active"]:
            raise StepError(f"{alias} is switched off", hint="switch the person on before making a link")
        _revoke(write, row["id"])
        write.connection.execute(
            "INSERT INTO credentials (person, token_sha256, created) VALUES (?, ?, ?)",
            (row["id"], digest(token), write.now),
        )
    return token


def sign_in_link(base: str, token: str) -> str:
    """``base`` such as ``http://127.0.0.1:8765``. The token is in the fragment, which browsers send to nobody."""
    return f"{base}/#t={token}"


def _revoke(write: Write, person: int) -> None:
    write.connection.execute(
        "UPDATE credentials SET revoked = ? WHERE person = ? AND revoked IS NULL", (write.now, person)
    )
    write.connection.execute("DELETE FROM sessions WHERE person = ?", (person,))


def _refuse_taken(write: Write, name: str, *, but: str = "") -> None:
    row = write.one("SELECT alias FROM people WHERE active AND name = ? AND alias <> ?", name, but)
    if row is not None:
        raise StepError(f"'{name}' is the name of {row['alias']}", hint="names of active people differ")
