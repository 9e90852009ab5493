"""Before a route runs: its role, the session behind the cookie, the request token, the rate of writes."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from annotation.study import Study

from .limits import Buckets, Limits
from .replies import Refused
from .roles import ROLES
from .security import WRITES
from .sessions import Caller, find_session

if TYPE_CHECKING:
    from .dashboards import Dashboards
    from .pictures import Pictures
    from .static import Assets

TOKEN_HEADER = "x-dabench"


@dataclass(frozen=True)
class Server:
    """What the routes share. ``cookie``: name of the session cookie; ``public_url``: start of sign-in links, or empty
    for the address that the owner's browser used.
    """

    study: Study
    secure: bool
    cookie: str
    public_url: str
    limits: Limits
    writes: Buckets
    failed_logins: Buckets
    all_failed_logins: Buckets
    pictures: Pictures
    dashboards: Dashboards
    assets: Assets

    def base_url(self, request: Request) -> str:
        """Scheme and host for links; the Host header was checked before."""
        return self.public_url or f"{'https' if self.secure else 'http'}://{request.headers['host'].lower()}"


def server_of(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


def caller_of(request: Request) -> Caller | None:
    """Who the session cookie belongs to."""
    server = server_of(request)
    cookie = request.cookies.get(server.cookie, "")
    return find_session(server.study, cookie) if 0 < len(cookie) <= 200 else None


def allow(request: Request) -> Caller | None:
    """Runs before every route. None only on routes that need no session."""
    method = "GET" if request.method == "HEAD" else request.method
    route: Any = request.scope["route"]
    roles = ROLES.get((method, route.path))
    if roles is None:
        raise Refused(403, "this route belongs to no role")
    if not roles:
        return None
    caller = caller_of(request)
    if caller is None:
        raise Refused(401, "you are not signed in", "open your sign-in link again; ask the owner for a new one")
    if caller.role not in roles:
        raise Refused(403, f"this is not for the role {caller.role}", "ask an owner of the study if you need it")
    if method in WRITES:
        sent = request.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(sent.encode(), caller.csrf.encode()):
            raise Refused(403, "the request token does not fit the session", "reload the page")
        wait = server_of(request).writes.take(caller.session)
        if wait:
            raise Refused(429, "too many requests", "they are taken again in a moment", retry_after=wait)
    return caller


async def signed_in(caller: Annotated[Caller | None, Depends(allow)]) -> Caller:
    """For routes with a role: the caller."""
    if caller is None:
        raise Refused(401, "you are not signed in")
    return caller


async def shared(request: Request) -> Server:
    return server_of(request)


Signed = Annotated[Caller, Depends(signed_in)]
Shared = Annotated[Server, Depends(shared)]
