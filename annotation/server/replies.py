"""Replies of the server: JSON errors of one shape, and every error of ours with its status."""

from __future__ import annotations

import logging
import math
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from annotation.errors import NotAllowedError, NotFoundError, StepError, StudyFullError, StudyLockedError
from dabench.errors import DabenchError, UsageError

log = logging.getLogger("dabench.annotate")

STATUS: tuple[tuple[type[DabenchError], int], ...] = (
    (NotFoundError, 404),
    (NotAllowedError, 403),
    (StepError, 409),
    (StudyLockedError, 503),
    (StudyFullError, 503),
    (UsageError, 422),
)
RETRY_SECONDS: dict[type[DabenchError], int] = {StudyLockedError: 2, StudyFullError: 15}


class Refused(Exception):
    """A request that gets an error reply.

    Args:
        status: HTTP status.
        error: one sentence.
        hint: the way out.
        retry_after: seconds after which the same request may succeed.
    """

    def __init__(self, status: int, error: str, hint: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.hint, self.retry_after = status, error, hint, retry_after


def error_reply(status: int, error: str, hint: str = "", *, retry_after: float | None = None) -> JSONResponse:
    headers = {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
    return JSONResponse({"error": error, "hint": hint}, status, headers=headers)


async def on_refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return error_reply(error.status, error.error, error.hint, retry_after=error.retry_after)


async def on_dabench_error(request: Request, error: Exception) -> JSONResponse:
    """Ours by type. What says that the study itself is broken is logged, and not told to the client in detail."""
    assert isinstance(error, DabenchError)
    for kind, status in STATUS:
        if isinstance(error, kind):
            if status == 503:
                log.warning("%s %s: %s", request.method, request.url.path, error.message)
                message = "the disk is full" if isinstance(error, StudyFullError) else "the study is being written"
                return error_reply(503, message, "keep the answer and try again", retry_after=RETRY_SECONDS[kind])
            return error_reply(status, error.message, error.hint or "")
    log.error("%s %s: %s", request.method, request.url.path, error)
    return error_reply(500, "the study cannot be used as it is", "the owner finds the reason in the server's output")


async def on_http_error(_: Request, error: Exception) -> JSONResponse:
    """Starlette's own: unknown path, unknown method, body that is no JSON."""
    assert isinstance(error, HTTPException)
    reply = error_reply(error.status_code, str(error.detail).rstrip(".").lower())
    for name, value in (error.headers or {}).items():
        reply.headers[name] = value
    return reply


async def on_invalid(_: Request, error: Exception) -> JSONResponse:
    """A body, query or path that does not fit; the reply names the first field and never repeats its value."""
    problems: list[dict[str, Any]] = list(getattr(error, "errors", list)())
    first = problems[0] if problems else {}
    place = ".".join(str(part) for part in first.get("loc", ()) if part != "body")[:100]
    return error_reply(422, f"{place or 'the body'}: {first.get('msg', 'not valid')}", "the fields are strict")
