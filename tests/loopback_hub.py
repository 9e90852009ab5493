"""A model hub on 127.0.0.1 that answers as the real one does, and fails in the ways the real one does.

`/REPO/resolve/REVISION/FILE` redirects to `/cdn/SHA256`, with the headers that the hub client reads; the content store
behind it understands `Range` and `If-Range`. Faults are set as attributes and may be changed between requests.
"""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote


@dataclass
class Request:
    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class LoopbackHub:
    """Files by (repository, revision) and name, faults, and a log of what was asked."""

    files: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    plain: dict[str, bytes] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    cuts: list[int] = field(default_factory=list)
    """Each entry cuts one content request after that many bytes."""
    corrupt_byte: int | None = None
    ignore_range: bool = False
    no_etag: bool = False
    status: int | None = None
    """Answer everything with this status."""
    stall: float = 0.0
    """Seconds of silence before the content."""
    delay_per_block: float = 0.0
    claimed_etag: str | None = None
    log: list[Request] = field(default_factory=list)

    def add(self, repository: str, commit: str, file: str, content: bytes, *, branch: str = "main") -> str:
        """Publish a file at a commit, which becomes the branch's; returns its SHA-256."""
        tree = self.files.setdefault((repository, commit), {})
        tree[file] = content
        self.files[repository, branch] = tree
        self.commits[repository, branch] = self.commits[repository, commit] = commit
        return hashlib.sha256(content).hexdigest()

    def __post_init__(self) -> None:
        self.commits: dict[tuple[str, str], str] = {}
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def store_url(self) -> str:
        """Another host name, as the real content store has: the client follows redirects to the same host by itself."""
        return f"http://localhost:{self._server.server_address[1]}"

    def content_requests(self) -> list[Request]:
        return [r for r in self.log if r.method == "GET" and r.path.startswith(("/cdn/", "/plain/"))]

    def __enter__(self) -> LoopbackHub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, path = self.hub, unquote(self.path.split("?")[0])
        hub.log.append(Request(self.command, path, self.headers.get("Range"), self.headers.get("Authorization")))
        if hub.status is not None:
            self._finish(hub.status, {})
        elif match := re.fullmatch(r"/(.+)/resolve/([^/]+)/(.+)", path):
            self._resolve(*match.groups())
        elif path.startswith("/cdn/"):
            self._content(next(c for c in self._all() if hashlib.sha256(c).hexdigest() == path[5:]))
        elif path.startswith("/plain/") and path[7:] in hub.plain:
            self._content(hub.plain[path[7:]])
        else:
            self._finish(404, {})

    def _all(self) -> list[bytes]:
        return [content for tree in self.hub.files.values() for content in tree.values()]

    def _resolve(self, repository: str, revision: str, file: str) -> None:
        hub = self.hub
        if repository in hub.gated:
            self._finish(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."})
        elif not any(known == repository for known, _ in hub.files):
            self._finish(404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif (repository, revision) not in hub.files:
            self._finish(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        elif file not in hub.files[repository, revision]:
            headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": hub.commits[repository, revision]}
            self._finish(404, headers)
        else:
            content = hub.files[repository, revision][file]
            sha256 = hashlib.sha256(content).hexdigest()
            headers = {
                "Location": f"{hub.store_url}/cdn/{sha256}",
                "X-Repo-Commit": hub.commits[repository, revision],
                "X-Linked-Etag": f'"{hub.claimed_etag or sha256}"',
                "X-Linked-Size": str(len(content)),
                "ETag": f'"{hub.claimed_etag or sha256}"',
            }
            self._finish(302, headers)

    def _content(self, content: bytes) -> None:
        hub = self.hub
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        start, wanted = 0, self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if wanted and not hub.ignore_range and (condition is None or condition == etag):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            if start >= len(content):
                self._finish(416, {"Content-Range": f"bytes */{len(content)}"})
                return
        if hub.corrupt_byte is not None:
            broken = bytearray(content)
            broken[hub.corrupt_byte] ^= 1
            content = bytes(broken)
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        if not hub.no_etag:
            self.send_header("ETag", etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        threading.Event().wait(hub.stall)
        limit = hub.cuts.pop(0) if hub.cuts else len(body)
        try:
            for offset in range(0, min(limit, len(body)), 8192):
                self.wfile.write(body[offset : min(offset + 8192, limit)])
                self.wfile.flush()
                threading.Event().wait(hub.delay_per_block)
        except OSError:
            pass  # the client went away
        if limit < len(body):
            self.close_connection = True

    def _finish(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
