"""Chat completions over HTTP: patient with a server that is busy or broken, and quick to stop where asking is no use.

The interface is OpenAI's ``POST /chat/completions``, which vLLM, Ollama, llama.cpp, OpenRouter and others speak.
"""

from __future__ import annotations

import email.utils
import ipaddress
import json
import random
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx

from dabench.errors import DabenchError, ModelError, SampleError, UsageError

from .parsing import is_completion, is_filtered, message_of

Json = dict[str, Any]
BUSY = frozenset({408, 409, 425, 429})
LONGEST_BACKOFF, LONGEST_WAIT = 60.0, 600.0
GIVE_UP_AFTER = 10
"""Requests in a row that failed for good, after which the endpoint is taken to be down."""
SHOWN = 300


class Client:
    """One endpoint, asked from several threads.

    Args:
        url: up to and including ``/v1``, or the whole address of the chat completions.
        key: sent as a bearer token; never shown.
        allow_http: plain HTTP to another machine is refused without it.
        timeout: seconds of silence after which a request has failed.
        attempts: how often a request is sent.
        backoff: seconds before the second attempt, doubling.
        concurrency: connections at a time.

    Raises:
        UsageError: no such address can be asked.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        allow_http: bool = False,
        timeout: float = 120.0,
        attempts: int = 8,
        backoff: float = 1.0,
        concurrency: int = 4,
    ) -> None:
        local = check_url(url, allow_http=allow_http)
        self.url = url.rstrip("/")
        if not self.url.endswith("/chat/completions"):
            self.url += "/chat/completions"
        self._key, self._attempts, self._backoff = key, attempts, backoff
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._answered = self._failures = 0
        self._ended: DabenchError | None = None
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 20.0)),
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
            trust_env=not local,  # no proxy stands between this machine and itself
            verify=self.url.startswith("https"),  # certificates take long to read, and plain HTTP has none
        )

    def complete(self, body: Json) -> Json:
        """The chat completion of a body, asked again while that may help.

        Returns:
            The response; where the provider's filter refused the question, its error.

        Raises:
            SampleError: it failed for good, and others may not.
            ModelError: the endpoint will not answer any question: wrong key, model or address.
            DabenchError: the endpoint seems to be down, or the client was stopped.
        """
        reason, number = "", 0
        for number in range(1, self._attempts + 1):
            self._wait()
            try:
                reply = self._http.post(self.url, json=body)
            except (httpx.TransportError, httpx.DecodingError) as error:
                reason, pause = _unreached(error), 0.0
            else:
                response = _object(reply)
                if reply.status_code == 200 and response is not None and is_completion(response):
                    self._settle(answered=True)
                    return response
                reason, pause = self._reason(reply, response), _retry_after(reply)
                if not (reply.status_code in BUSY or reply.status_code >= 500 or reply.status_code == 200):
                    return self._refused(reply.status_code, response, reason)
                if reply.status_code == 429 and "insufficient_quota" in _code(response):
                    raise self.end(ModelError(f"the account at {self.url} has no credit left: {reason}"))
            if pause > LONGEST_WAIT:
                reason += f"; it asks to wait {pause:.0f} s"
                break
            if number < self._attempts:
                self._postpone(pause, number)
        self._settle(answered=False, reason=reason)
        times = f"{number} attempt{'s' if number > 1 else ''}"
        raise SampleError(f"{self.url} gave no answer after {times}: {reason}")

    def stop(self) -> None:
        """Begin no further request, and wake those that wait."""
        self.end(DabenchError("stopped"))
        self._stopped.set()

    def close(self) -> None:
        self.stop()
        self._http.close()

    def _wait(self) -> None:
        """Until the server may be asked again."""
        while True:
            if self._ended is not None:
                raise self._ended
            left = self._not_before - time.monotonic()
            if left <= 0:
                return
            self._stopped.wait(left)

    def _postpone(self, pause: float, number: int) -> None:
        """Wait before the next attempt. What the server asks for, it asks of all requests."""
        if pause:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + pause)
        delay = min(LONGEST_BACKOFF, self._backoff * 2 ** (number - 1)) * random.uniform(0.5, 1.0)
        self._stopped.wait(max(delay, pause))

    def _settle(self, *, answered: bool, reason: str = "") -> None:
        with self._lock:
            self._answered += answered
            self._failures = 0 if answered else self._failures + 1
            down = self._failures >= GIVE_UP_AFTER
        if down:
            raise self.end(
                DabenchError(
                    f"{self.url} failed {GIVE_UP_AFTER} requests in a row, the last with: {reason}",
                    hint="what was answered is kept; run the same command again when it is back",
                )
            )

    def end(self, error: DabenchError) -> DabenchError:
        """Let every further request raise ``error``; returns what they raise, which an earlier call may have set."""
        with self._lock:
            if self._ended is None:
                self._ended = error
        self._stopped.set()
        return self._ended

    def _refused(self, status: int, response: Json | None, reason: str) -> Json:
        """What a client error means: a filter, a question that does not pass, or a call that never will."""
        if status in (400, 403, 422) and is_filtered((response or {}).get("error")):
            self._settle(answered=True)
            return {"error": {"message": reason, "code": _code(response)}}
        hints = {
            401: "the key is missing or wrong: set the environment variable that -o key_variable=NAME names",
            402: "the account has no credit left",
            403: "the key may not use this model",
            404: "is the address right (it ends in /v1), and does the endpoint have a model of this name?",
            413: "make the picture smaller: -o side=768",
        }
        if self._answered and status in (400, 413, 422):
            self._settle(answered=False, reason=reason)
            raise SampleError(f"{self.url} does not take this question: {reason}")
        default = (
            "this endpoint may not know one of: -o temperature=-1, -o limit_field=max_completion_tokens, -o detail="
        )
        raise self.end(ModelError(f"{self.url} answers {reason}", hint=hints.get(status, default)))

    def _reason(self, reply: httpx.Response, response: Json | None) -> str:
        """Status and message, without the key."""
        if reply.status_code == 200:
            return "200, but no chat completion" if response is not None else "200, but no JSON"
        said = message_of(response) if response is not None else reply.text
        said = " ".join(said.split())
        if reply.is_redirect:
            said = f"a redirect to {reply.headers.get('Location', 'nowhere')}"
        if self._key:
            said = said.replace(self._key, "[key]")
        return f"{reply.status_code} {reply.reason_phrase}{': ' if said else ''}{said[:SHOWN]}"


def check_url(url: str, *, allow_http: bool) -> bool:
    """Refuse an address that cannot or should not be asked.

    Returns:
        Whether it is this machine.

    Raises:
        UsageError: no address, one that holds a key, or plain HTTP to another machine.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"endpoint '{_bare(url)}' is no http or https address", hint="for example https://host/v1")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise UsageError(
            f"endpoint '{_bare(url)}': an address holds no user, key or query",
            hint="the key belongs in the environment variable that -o key_variable=NAME names",
        )
    try:
        local = ipaddress.ip_address(parsed.host).is_loopback
    except ValueError:
        local = parsed.host == "localhost"
    if parsed.scheme == "http" and not local and not allow_http:
        raise UsageError(
            f"endpoint '{url}' would send the key and the pictures unencrypted",
            hint="use https, or allow it with -o allow_http=true in a network that you trust",
        )
    return local


def _bare(url: str) -> str:
    """An address without what may be a secret in it."""
    address = url.split("?")[0].split("#")[0]
    scheme, found, rest = address.rpartition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}"


def _object(reply: httpx.Response) -> Json | None:
    try:
        content = json.loads(reply.content)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _code(response: Json | None) -> str:
    error = (response or {}).get("error")
    if not isinstance(error, Mapping):
        return ""
    return f"{error.get('code') or ''} {error.get('type') or ''}"


def _retry_after(reply: httpx.Response) -> float:
    """Seconds that the server asks to wait: a number, or a date (RFC 9110, section 10.2.3)."""
    value = reply.headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(value)) if value else 0.0
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _unreached(error: Exception) -> str:
    kinds = (
        (httpx.ConnectError, "cannot connect"),
        (httpx.TimeoutException, "no answer in time"),
        (httpx.RemoteProtocolError, "the connection was cut"),
        (httpx.ReadError, "the connection was cut"),
    )
    return next((text for kind, text in kinds if isinstance(error, kind)), type(error).__name__)
