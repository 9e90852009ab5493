"""What is checked of every request before any route sees it, and the headers of every reply."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import Limits
from .replies import error_reply

log = logging.getLogger("dabench.annotate")

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; "
        "form-action 'self'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
READS, WRITES = frozenset({"GET", "HEAD"}), frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Guard:
    """ASGI middleware: Host, origin, content type, size and time of the body, number of requests, headers, log line.

    Args:
        app: what runs when nothing speaks against it.
        hosts: values of the Host header that are answered, ``name[:port]``; the way against DNS rebinding.
        secure: the server speaks HTTPS, so origins start with ``https``.
        limits: sizes and counts.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], secure: bool, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.hosts = frozenset(host.lower() for host in hosts)
        self.scheme = "https" if secure else "http"
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = with_headers(message.get("headers", ()))
            await send(message)

        try:
            await self._answer(scope, receive, send_with_headers)
        except Exception:
            # A defect of the server: logged with its trace, told in one sentence.
            log.exception("%s %s failed", scope["method"], loggable(scope["path"]))
            if begun:
                raise
            reply = error_reply(
                500, "the server failed on this request", "keep the answer and try again", retry_after=5
            )
            await reply(scope, receive, send_with_headers)
        finally:
            client = scope.get("client")
            log.info(
                "%s %s %s %d %.1f ms",
                client[0] if client else "-", scope["method"], loggable(scope["path"]), status,
                1000 * (time.perf_counter() - started),
            )  # fmt: skip

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        problem = self._refusal(scope["method"], scope["path"], headers)
        if problem is not None:
            await error_reply(*problem)(scope, receive, send)
            return
        if scope["method"] in WRITES:
            try:
                body = await asyncio.wait_for(self._body(receive), self.limits.body_seconds)
            except TimeoutError:
                await error_reply(408, "the body came too slowly", "send it again")(scope, receive, send)
                return
            except OverflowError:
                size = f"at most {self.limits.body_bytes} bytes"
                await error_reply(413, "the body is too long", size)(scope, receive, send)
                return
            if body is None:
                return
            receive = replay(body, receive)
        if self.running >= self.limits.requests_at_once:
            await error_reply(503, "the server is busy", "try again", retry_after=1)(scope, receive, send)
            return
        self.running += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.running -= 1

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body, or None when the client went away. Raises OverflowError when it is longer than allowed."""
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self.limits.body_bytes:
                raise OverflowError
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    def _refusal(self, method: str, path: str, headers: dict[str, list[str]]) -> tuple[int, str, str] | None:
        """Status, sentence and hint, or None when the request may go on."""
        hosts = headers.get("host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            return 400, "this server does not answer to that host name", "open the address that it printed at its start"
        origins, sites = headers.get("origin", []), headers.get("sec-fetch-site", [])
        ours = f"{self.scheme}://{hosts[0].lower()}"
        if method in READS:
            if sites not in ([], ["same-origin"], ["none"]) and path.startswith(("/api/", "/images/")):
                return 403, "requests from other sites are refused", ""
            return None
        if method not in WRITES:
            return 405, "method not allowed", ""
        if len(origins) > 1 or len(sites) > 1 or (origins and origins[0] != ours):
            return 403, "requests from other sites are refused", ""
        if sites != ["same-origin"] and (sites or not origins):
            return 403, "requests from other sites are refused", "send Origin or Sec-Fetch-Site"
        kinds = headers.get("content-type", [])
        if len(kinds) != 1 or not is_json(kinds[0]):
            return 415, "only application/json is read", "set Content-Type: application/json"
        if headers.get("content-encoding"):
            return 415, "compressed bodies are not read", ""
        lengths = headers.get("content-length", [])
        if lengths and lengths[0].isdecimal() and int(lengths[0]) > self.limits.body_bytes:
            return 413, "the body is too long", f"at most {self.limits.body_bytes} bytes"
        return None


def is_json(value: str) -> bool:
    """``application/json``, alone or in UTF-8."""
    kind, _, parameters = value.lower().partition(";")
    return kind.strip() == "application/json" and parameters.strip() in ("", "charset=utf-8", 'charset="utf-8"')


def headers_of(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())
    return found


def with_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a reply with ours; a ``Cache-Control`` that is there stays."""
    kept = [(name, value) for name, value in headers if name.decode("latin-1").lower() not in HEADERS]
    if not any(name.lower() == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"private, no-store"))
    return kept + [(name.encode(), value.encode()) for name, value in HEADERS.items()]


def replay(body: bytes, rest: Receive) -> Receive:
    """A ``receive`` that gives a body that was already read, then what follows."""
    given = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await rest()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def loggable(path: str) -> str:
    """A path for the log: one printable line, without the query, which never holds a secret but may hold anything."""
    return path[:200].encode("unicode_escape").decode("ascii")
