"""Signing in and out, and what a page must know about the person and the study."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from annotation import queue
from annotation.settings import ProjectSettings

from ..allow import Server, Shared, Signed
from ..bodies import Keys, Login, Nothing
from ..replies import Refused
from ..sessions import SESSION_MS, Caller, end_session, prolong_session, start_session

router = APIRouter()
SHOWN_SETTINGS = (
    "instructions", "instructions_version", "confidence", "allow_equal", "skip_reasons", "drop_reasons",
    "manual_reasons", "layered", "pause_after_minutes", "check_mode",
)  # fmt: skip


def _set_cookie(server: Server, reply: Response, value: str) -> None:
    reply.set_cookie(
        server.cookie, value, max_age=SESSION_MS // 1000, path="/", secure=server.secure, httponly=True,
        samesite="strict",
    )  # fmt: skip


@router.post("/api/login", response_model=None)
def login(request: Request, body: Login, server: Shared) -> Response:
    """Token against cookie. Only failures count against the limits, so that an office behind one address can start."""
    address = request.client.host if request.client else "-"
    wait = max(server.failed_logins.wait(address), server.all_failed_logins.wait(""))
    if wait:
        raise Refused(429, "too many failed sign-ins", "try again in a moment", retry_after=wait)
    started = start_session(server.study, body.token)
    if started is None:
        server.failed_logins.take(address)
        server.all_failed_logins.take("")
        raise Refused(401, "this link is not valid any more", "ask the owner of the study for a new one")
    cookie, alias = started
    row = server.study.store.one("SELECT alias, name, role, keys FROM people WHERE alias = ?", alias)
    assert row is not None
    reply = JSONResponse({"person": {**dict(row), "keys": json.loads(row["keys"])}})
    _set_cookie(server, reply, cookie)
    return reply


@router.post("/api/logout", response_model=None)
def logout(body: Nothing, server: Shared, caller: Signed) -> Response:
    end_session(server.study, caller)
    reply = JSONResponse({})
    reply.delete_cookie(server.cookie, path="/", secure=server.secure, httponly=True, samesite="strict")
    return reply


@router.get("/api/session", response_model=None)
def session(request: Request, server: Shared, caller: Signed) -> Response:
    row = server.study.store.one("SELECT keys FROM people WHERE id = ?", caller.id)
    assert row is not None
    reply = JSONResponse(
        {
            "person": {
                "alias": caller.alias,
                "name": caller.name,
                "role": caller.role,
                "keys": json.loads(row["keys"]),
            },
            "study": {"name": server.study.setting("name", server.study.path.resolve().name)},
            "csrf": caller.csrf,
            "build": server.assets.build,
            "projects": [found for found in _projects(server, caller) if found is not None],
        }
    )
    if prolong_session(server.study, caller):
        _set_cookie(server, reply, request.cookies[server.cookie])
    return reply


def _projects(server: Server, caller: Caller) -> list[dict[str, Any]]:
    """The projects that the person may work in; owners see all."""
    found = []
    for row in server.study.store.query("SELECT id, name, state, settings FROM projects ORDER BY id"):
        settings = ProjectSettings.from_dict(json.loads(row["settings"]))
        if settings.members and caller.alias not in settings.members and caller.role == "annotator":
            continue
        qualification = queue.qualification_state(server.study, row["id"], caller.id)
        found.append(
            {
                "id": row["id"],
                "name": row["name"],
                "state": row["state"],
                **{name: getattr(settings, name) for name in SHOWN_SETTINGS},
                "qualification": dataclasses.asdict(qualification),
            }
        )
    return found


@router.put("/api/keys")
def keys(body: Keys, server: Shared, caller: Signed) -> dict[str, Any]:
    """Remember a person's own keys."""
    with server.study.store.write(caller.alias) as write:
        write.append("person.changed", {"alias": caller.alias, "keys": body.keys})
    return {"keys": body.keys}
