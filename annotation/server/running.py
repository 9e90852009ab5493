"""Run the application in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from annotation.study import Study
from dabench.errors import UsageError

from .addresses import Address
from .app import COOKIE, create_app

HEAD_SECONDS = 20.0
KEEP_ALIVE_SECONDS = 20
STOP_SECONDS = 10
CONNECTIONS = 1000
BACKLOG = 512
SWITCH_SECONDS = 0.001
IPPROTO_TCP, TCP_NODELAY = 6, 1
"""Of every system; this package imports no sockets."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which the head of a request does not arrive within ``HEAD_SECONDS``, and
    sends at once: asyncio switches Nagle's algorithm off only for sockets that were made with the number of TCP, which
    uvicorn's are not, and then the body of a reply waits 40 ms for the acknowledgement of its head.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait_for_head()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


OPTIONS: dict[str, Any] = {
    "http": PatientProtocol,
    "ws": "none",
    "lifespan": "on",
    "log_config": None,
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
    "limit_concurrency": CONNECTIONS,
    "timeout_keep_alive": KEEP_ALIVE_SECONDS,
    "timeout_graceful_shutdown": STOP_SECONDS,
}
"""Of uvicorn. The address of a client is that of its connection: no header changes it."""


def run_server(
    study: Study,
    address: Address,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    on_bound: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a study until SIGTERM or SIGINT; requests that run are finished first. The study stays open.

    Args:
        study: an open study.
        address: where.
        certificate, key: PEM files; with them the server speaks HTTPS.
        on_bound: gets the address for browsers once the port is ours, before the first request is taken.

    Raises:
        UsageError: the port is taken, the address is not of this machine, or the certificate cannot be read.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        _not_yet,
        host=address.host,
        port=address.port,
        **OPTIONS,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the certificate or key cannot be read: {error}",
            hint="--cert and --key are PEM files that fit",
        ) from error
    try:
        listener = config.bind_socket()
    except SystemExit:
        raise UsageError(
            f"cannot listen at {address.host} port {address.port}",
            hint="another program has the port, or the address is not of this machine; try --port 0",
        ) from None
    listener.listen(BACKLOG)
    port = int(listener.getsockname()[1])
    url = address.url(port)
    config.loaded_app = create_app(
        study,
        allowed_hosts=address.hosts(port),
        secure=address.secure,
        cookie=f"{COOKIE}_{port}",
        public_url="" if address.loopback else url,
    )
    on_bound(url)
    # Threads that compute hand over to the one that talks after 1 ms instead of 5. With benchmarks/annotation.py, 16
    # people at full load give about half as many answers a second again.
    sys.setswitchinterval(SWITCH_SECONDS)
    server = uvicorn.Server(config)
    with _raised_again(), contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


async def _not_yet(scope: Any, receive: Any, send: Any) -> None:
    """Stands for the application until the port is known."""


@contextlib.contextmanager
def _raised_again() -> Any:
    """uvicorn raises SIGTERM again after it stopped; the study must still be closed then."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
