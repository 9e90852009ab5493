"""A real server for tests: uvicorn on a free loopback port, in a thread of the test process.

Tests import it as ``annotation_live_server`` (``conftest.py`` names it).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from starlette.testclient import TestClient

from annotation.people import find_person, new_token, sign_in_link
from annotation.server import create_app
from annotation.server.limits import Limits
from annotation.server.running import OPTIONS
from annotation.study import Study


@dataclass(frozen=True)
class LiveServer:
    """``url`` has no slash at its end."""

    url: str
    study: Study

    def link_for(self, name: str) -> str:
        """A fresh sign-in link of a person, by alias or name. Earlier links and sessions of that person end."""
        return sign_in_link(self.url, self.token_for(name))

    def token_for(self, name: str) -> str:
        return new_token(self.study, find_person(self.study, name)["alias"])


class _Quiet(uvicorn.Server):
    def install_signal_handlers(self) -> None:  # of older uvicorn; a thread may not
        pass


@contextlib.contextmanager
def live_server(study: Study, *, limits: Limits | None = None, port: int = 0) -> Iterator[LiveServer]:
    """Serve an open study until the block ends. ``port`` 0: a free one; a number: for a server that comes back."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    port = listener.getsockname()[1]
    app = create_app(study, allowed_hosts=[f"127.0.0.1:{port}", f"localhost:{port}"], limits=limits)
    server = _Quiet(uvicorn.Config(app, **OPTIONS))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        yield LiveServer(f"http://127.0.0.1:{port}", study)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


HOST = "127.0.0.1:8765"


class Browser(TestClient):
    """A client in this process that sends what a browser sends from the server's own pages."""

    def __init__(self, app: FastAPI, host: str = HOST) -> None:
        super().__init__(app, base_url=f"http://{host}", headers={"Origin": f"http://{host}"})

    def sign_in(self, token: str) -> Browser:
        assert self.post("/api/login", json={"token": token}).status_code == 200
        self.headers["X-Dabench"] = self.get("/api/session").json()["csrf"]
        return self


class Browsers:
    """Clients of one application, by person: ``browsers("ann")``. Asking twice gives the same one. As a context, all of
    them share one event loop, which is a good deal faster.
    """

    def __init__(self, study: Study, limits: Limits | None = None) -> None:
        self.study = study
        self.app = create_app(study, allowed_hosts=[HOST], limits=limits)
        self._made: dict[str, Browser] = {}
        self._stack = contextlib.ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Browsers:
        self._portal = self._stack.enter_context(start_blocking_portal())
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def __call__(self, alias: str) -> Browser:
        if alias not in self._made:
            self._made[alias] = self.stranger().sign_in(new_token(self.study, alias))
        return self._made[alias]

    def stranger(self) -> Browser:
        browser = Browser(self.app)
        browser.portal = self._portal
        return browser
