"""Sign in with a token, stay signed in with a cookie. Only digests of either are stored."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from annotation.people import digest
from annotation.study import Study

SESSION_MS = 14 * 24 * 3600 * 1000
SESSIONS_PER_PERSON = 20


@dataclass(frozen=True)
class Caller:
    """The signed-in person behind a request; ``session`` is the stored digest of the cookie."""

    id: int
    alias: str
    name: str
    role: str
    session: str
    csrf: str
    expires: int


def start_session(study: Study, token: str) -> tuple[str, str] | None:
    """Exchange a token for a session: (cookie value, alias), or None for a token that is wrong or revoked."""
    wanted = digest(token)
    row = study.store.one(
        "SELECT p.id, p.alias, c.token_sha256 FROM credentials c JOIN people p ON p.id = c.person "
        "WHERE c.token_sha256 = ? AND c.revoked IS NULL AND p.active",
        wanted,
    )
    if row is None or not hmac.compare_digest(row["token_sha256"], wanted):
        return None
    cookie = secrets.token_urlsafe(32)
    with study.store.write(row["alias"]) as write:
        run = write.connection.execute
        if write.one("SELECT 1 FROM credentials WHERE token_sha256 = ? AND revoked IS NULL", wanted) is None:
            return None
        run("DELETE FROM sessions WHERE expires <= ?", (write.now,))
        run(
            "INSERT INTO sessions (id_sha256, person, csrf, created, expires) VALUES (?, ?, ?, ?, ?)",
            (digest(cookie), row["id"], secrets.token_urlsafe(24), write.now, write.now + SESSION_MS),
        )
        run(
            "DELETE FROM sessions WHERE person = ? AND id_sha256 NOT IN "
            "(SELECT id_sha256 FROM sessions WHERE person = ? ORDER BY created DESC, rowid DESC LIMIT ?)",
            (row["id"], row["id"], SESSIONS_PER_PERSON),
        )
    return cookie, row["alias"]


def find_session(study: Study, cookie: str) -> Caller | None:
    """Who the cookie belongs to, or None when the session ended or the person was switched off."""
    wanted = digest(cookie)
    row = study.store.one(
        "SELECT p.id, p.alias, p.name, p.role, s.id_sha256, s.csrf, s.expires FROM sessions s "
        "JOIN people p ON p.id = s.person WHERE s.id_sha256 = ? AND s.expires > ? AND p.active",
        wanted, study.store.now(),
    )  # fmt: skip
    if row is None or not hmac.compare_digest(row["id_sha256"], wanted):
        return None
    return Caller(row["id"], row["alias"], row["name"], row["role"], wanted, row["csrf"], row["expires"])


def prolong_session(study: Study, caller: Caller) -> bool:
    """Give a session that is past its half the full time again; whether it was given."""
    if caller.expires - study.store.now() > SESSION_MS // 2:
        return False
    with study.store.write(caller.alias) as write:
        write.connection.execute(
            "UPDATE sessions SET expires = ? WHERE id_sha256 = ?", (write.now + SESSION_MS, caller.session)
        )
    return True


def end_session(study: Study, caller: Caller) -> None:
    with study.store.write(caller.alias) as write:
        write.connection.execute("DELETE FROM sessions WHERE id_sha256 = ?", (caller.session,))
