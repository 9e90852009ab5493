"""The application: one study, its routes, what guards them, and their errors."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Iterable
from typing import Any

import anyio.to_thread
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from annotation.study import Study
from dabench.errors import DabenchError

from . import replies
from .allow import Server, allow
from .dashboards import Dashboards
from .limits import Buckets, Limits
from .pictures import Pictures
from .routes import manage, pages, pictures, review, session, work
from .security import Guard
from .static import Assets

THREADS = 16
TELEMETRY = ("tracing", "metrics", "logs", "operation_spans", "auto_configure")
COOKIE = "dabench_session"


def create_app(
    study: Study,
    *,
    allowed_hosts: Iterable[str],
    secure: bool = False,
    cookie: str = COOKIE,
    public_url: str = "",
    limits: Limits | None = None,
) -> FastAPI:
    """The web application of a study.

    Args:
        study: an open study; it is not closed here.
        allowed_hosts: values of the Host header that are answered, such as ``127.0.0.1:8765``; all others get 400.
        secure: it is served over HTTPS: cookies are for HTTPS only, and origins start with ``https``.
        cookie: name of the session cookie. Browsers keep cookies for a host and not for a port, so that two studies
            on one host need two names.
        public_url: start of sign-in links; empty: the address that the owner's browser uses.
        limits: sizes and rates.
    """
    limits = limits or Limits()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield

    options: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None, "redirect_slashes": False}
    if "telemetry" in inspect.signature(FastAPI.__init__).parameters:  # newer ones can send traces; this one never does
        options["telemetry"] = dict.fromkeys(TELEMETRY, False)
    app = FastAPI(title="dabench annotate", lifespan=lifespan, dependencies=[Depends(allow)], **options)
    app.state.server = Server(
        study=study,
        secure=secure,
        cookie=cookie,
        public_url=public_url.rstrip("/"),
        limits=limits,
        writes=Buckets(limits.writes_per_second, limits.writes_burst),
        failed_logins=Buckets(limits.failed_logins_per_minute / 60, limits.failed_logins_burst),
        all_failed_logins=Buckets(limits.all_failed_logins_per_minute / 60, limits.all_failed_logins_burst),
        pictures=Pictures(study),
        dashboards=Dashboards(study),
        assets=Assets(),
    )
    for module in (work, pictures, session, pages, review, manage):  # the frequent ones are found first
        app.include_router(module.router)
    app.add_exception_handler(replies.Refused, replies.on_refused)
    app.add_exception_handler(DabenchError, replies.on_dabench_error)
    app.add_exception_handler(HTTPException, replies.on_http_error)
    app.add_exception_handler(RequestValidationError, replies.on_invalid)
    app.add_middleware(Guard, hosts=tuple(allowed_hosts), secure=secure, limits=limits)
    return app
