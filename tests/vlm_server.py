"""An OpenAI-compatible endpoint on 127.0.0.1 that answers as it is told, and misbehaves as real ones do.

``reply`` says what a chat completion holds; each entry of ``faults`` spoils one request, in order. All that came in is
in ``log``, and ``most`` is how many requests were ever under way at once.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

Json = dict[str, Any]
Reply = Callable[[Json], "str | Json"]


@dataclass
class VlmServer:
    """A server and its faults.

    Attributes:
        reply: body of a request -> text of the answer, or a whole ``choices[0]``.
        faults: ``"cut"``, ``"nonsense"`` (no JSON), ``"list"`` (JSON, but no object), ``"empty"`` (no choices),
            ``"stall"`` (silence for ``stall`` seconds), a status, or a status with headers and an error object.
        always: one fault for every request.
        key: the only one that is let in; None lets all in.
        tokens: counted in ``usage``; None leaves it out.
        delay: seconds that an answer takes.
    """

    reply: Reply = lambda body: "Answer: A"
    faults: list[Any] = field(default_factory=list)
    always: Any = None
    key: str | None = None
    models: tuple[str, ...] = ("seer",)
    tokens: tuple[int, int] | None = (100, 10)
    delay: float = 0.0
    stall: float = 2.0
    log: list[Json] = field(default_factory=list)
    most: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self.released = threading.Event()
        server = self

        class Handler(_Handler):
            pass

        Handler.server_state = server
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> VlmServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()

    def enter(self) -> None:
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)

    def leave(self) -> None:
        with self._lock:
            self._under_way -= 1

    def next_fault(self) -> Any:
        with self._lock:
            return self.faults.pop(0) if self.faults else self.always


def picture_of(body: Json) -> np.ndarray:
    """The picture that a request shows, ``uint8 [H, W, 3]``."""
    url = body["messages"][0]["content"][1]["image_url"]["url"]
    kind, _, content = url.partition(";base64,")
    assert kind in ("data:image/jpeg", "data:image/png")
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        return np.asarray(picture.convert("RGB"))


class _Handler(BaseHTTPRequestHandler):
    server_state: VlmServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        state = self.server_state
        state.enter()
        try:
            self._serve(state)
        except OSError:
            pass  # the client went away
        finally:
            state.leave()

    def _serve(self, state: VlmServer) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state.log.append({"path": self.path, "key": self.headers.get("Authorization"), "body": body})
        fault = state.next_fault()
        threading.Event().wait(state.delay)
        if state.key is not None and self.headers.get("Authorization") != f"Bearer {state.key}":
            said = self.headers.get("Authorization", "").removeprefix("Bearer ")
            self._send(401, {"error": {"message": f"Incorrect API key provided: {said}", "code": "invalid_api_key"}})
        elif body["model"] not in state.models:
            self._send(404, {"error": {"message": f"The model `{body['model']}` does not exist"}})
        elif self.path != "/v1/chat/completions":
            self._send(404, {})
        elif fault is None:
            self._send(200, self._completion(state, body))
        elif fault == "cut":
            content = json.dumps(self._completion(state, body)).encode()
            self._head(200, len(content), {})
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
        elif fault == "nonsense":
            self._raw(200, b"<html>it works!</html>", {})
        elif fault == "list":
            self._raw(200, b"[1, 2]", {})
        elif fault == "empty":
            self._send(200, {"choices": []})
        elif fault == "stall":
            state.released.wait(state.stall)
            self._send(200, self._completion(state, body))
        elif isinstance(fault, int):
            self._send(fault, {"error": {"message": "try later"}})
        else:
            status, headers, error = fault
            self._raw(status, json.dumps({"error": error}).encode(), headers)

    def _completion(self, state: VlmServer, body: Json) -> Json:
        said = state.reply(body)
        choice = said if isinstance(said, dict) else {"message": {"role": "assistant", "content": said}}
        usage = {} if state.tokens is None else {
            "usage": {"prompt_tokens": state.tokens[0], "completion_tokens": state.tokens[1]}
        }  # fmt: skip
        return {"id": "chatcmpl-1", "model": f"{body['model']}-1", "choices": [{"index": 0, **choice}], **usage}

    def _send(self, status: int, content: Json) -> None:
        self._raw(status, json.dumps(content).encode(), {})

    def _raw(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self._head(status, len(content), headers)
        self.wfile.write(content)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
