"""The model ``vlm``: asks each pair in both orders, keeps what it is told, and adds up what it costs."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dabench.errors import DabenchError, ModelError, SampleError, UsageError
from dabench.types import Image, ModelEntry, ModelInfo, Output, PairAnswer, PairModel, Points

from .answer_cache import AnswerCache
from .batch import read_answers
from .parsing import UNPARSABLE, reply_of
from .questions import Question, again, body_of, questions_of
from .settings import Settings

if TYPE_CHECKING:
    from .client import Client

Json = dict[str, Any]
KEPT_REPLY = 300
"""Characters of a reply that the record of a sample keeps; the cache keeps all."""


def load(
    entry: ModelEntry,
    *,
    checkpoint: Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    input_size: int | None = None,
    compile: str = "auto",
    settings: Mapping[str, Any],
) -> VisionLanguageModel:
    """Factory of the catalogue row ``vlm``. Nothing is sent yet.

    Raises:
        UsageError: an option that makes no sense for it, or no model or endpoint is named.
        ModelError: the environment variable for the key holds none.
    """
    if checkpoint is not None:
        raise UsageError(f"model '{entry.name}' has no weights here, so --checkpoint is not for it")
    if input_size is not None:
        raise UsageError(f"model '{entry.name}' has no --input-size", hint="-o side=N sets the side of its pictures")
    if precision != "fp32":
        raise UsageError(f"model '{entry.name}' runs elsewhere, so --precision is not for it")
    return VisionLanguageModel(Settings.of(settings))


class VisionLanguageModel(PairModel):
    """A multimodal model behind an OpenAI-compatible endpoint, or the answers of a batch of it.

    Args:
        settings: checked options.

    Raises:
        UsageError, ModelError: as :func:`load`.
    """

    device = "endpoint"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        if not settings.endpoint and not settings.answers:
            raise UsageError(
                "model 'vlm' has nobody to ask", hint="--endpoint URL (up to /v1), or --answers FILE of a batch"
            )
        self._given = read_answers([Path(line) for line in settings.answers.splitlines()])
        self._client = _client(settings) if settings.endpoint else None
        source = settings.endpoint.rstrip("/") or "answers of a batch"
        self.info = ModelInfo(settings.record_name, Output.ORDER, source=source, settings=settings.recorded())
        self.at_once = max(1, settings.concurrency // 2)
        self._cache = AnswerCache(source)
        self._pool = ThreadPoolExecutor(max_workers=settings.concurrency, thread_name_prefix="vlm")
        self._lock = threading.Lock()
        self._asked: dict[str, threading.Lock] = {}
        self._spent = 0.0

    def keep_in(self, folder: Path, *, fresh: bool) -> None:
        self._cache.open(folder, fresh=fresh)
        with self._lock:
            self._spent = sum(self._cost(entry["response"]) or 0.0 for entry in self._cache.entries())

    def answer_pairs(self, image: Image, points: Sequence[Points], sample_id: str) -> list[PairAnswer]:
        """Ask about all pairs of an image, with at most ``concurrency`` requests at a time over all images."""
        asking = [
            [
                self._pool.submit(self._ask, question)
                for question in questions_of(image, points, sample_id, pair, self._settings)
            ]
            for pair in range(len(points))
        ]
        _raise_worst([future for futures in asking for future in futures])
        return [_joined([future.result() for future in futures]) for futures in asking]

    def close(self) -> None:
        if self._client is not None:
            self._client.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _ask(self, question: Question) -> PairAnswer:
        """One pair in one order, and once more while the reply cannot be read."""
        usage: dict[str, float] = {"requests": 0}
        replies: list[Json] = []
        for left in range(self._settings.re_asks, -1, -1):
            response = self._response(question)
            text, word = reply_of(response)
            _add(usage, self._usage(response))
            replies.append(
                {"key": question.key, "reply": text[:KEPT_REPLY], "read": word, "served": response.get("model")}
            )
            if word != UNPARSABLE or not left:
                break
            following = again(question, text, self._settings)
            if self._client is None and not self._known(following.key):
                break  # a batch asks once
            question = following
        said = question.point(word) if word in ("A", "B") else word
        return PairAnswer((said,), usage, {"A": question.first, "replies": replies})

    def _known(self, key: str) -> bool:
        return self._cache.get(key) is not None or key in self._given

    def _response(self, question: Question) -> Json:
        """From the cache, from the batch, or from the endpoint. The same question is never under way twice."""
        key = question.key
        with self._lock:
            turn = self._asked.setdefault(key, threading.Lock())
        with turn:
            kept = self._cache.get(key)
            if kept is not None:
                response: Json = kept["response"]
                return response
            given = self._given.get(key)
            if given is not None:
                if given.response is not None:
                    return self._keep(question, given.response, 0.0)
                if self._client is None:
                    raise SampleError(f"pair {question.pair + 1}: the batch failed on question {key}: {given.failure}")
            if self._client is None:
                raise SampleError(
                    f"pair {question.pair + 1}: no answer to question {key}",
                    hint="the answers are of other questions (dataset, model or options), or the batch is not complete",
                )
            self._check_budget()
            start = time.perf_counter()
            try:
                response = self._client.complete(body_of(question, self._settings))
            except SampleError as error:
                raise SampleError(f"pair {question.pair + 1}: {error.message}", hint=error.hint) from error
            return self._keep(question, response, time.perf_counter() - start)

    def _keep(self, question: Question, response: Json, seconds: float) -> Json:
        body = body_of(question, self._settings, url="the picture is not kept")
        entry = {
            "sample": question.sample_id,
            "pair": question.pair,
            "A": question.first,
            "seconds": seconds,
            "request": body,
            "response": response,
        }
        self._cache.add(question.key, entry)
        cost = self._cost(response)
        if cost is None and self._settings.max_cost:
            unknown = DabenchError(
                f"{self.info.source} does not say how many tokens an answer took, so max_cost cannot be held",
                hint="leave max_cost out; what was answered is kept",
            )
            raise self._client.end(unknown) if self._client is not None else unknown
        with self._lock:
            self._spent += cost or 0.0
        return response

    def _check_budget(self) -> None:
        limit = self._settings.max_cost
        with self._lock:
            spent = self._spent
        if limit and spent >= limit:
            raise DabenchError(
                f"{spent:.4f} of max_cost={limit:g} is spent; nothing more is asked",
                hint="what was answered is kept; the same command with a larger max_cost goes on from there",
            )

    def _cost(self, response: Json) -> float | None:
        """Price of an answer; None where the endpoint does not count tokens."""
        tokens = _tokens(response)
        if tokens is None:
            return 0.0 if "error" in response else None
        return self._settings.cost(*tokens)

    def _usage(self, response: Json) -> dict[str, float]:
        tokens = _tokens(response)
        if tokens is None:
            return {"requests": 1, "requests_without_tokens": 1}
        usage: dict[str, float] = {"requests": 1, "tokens_in": tokens[0], "tokens_out": tokens[1]}
        if self._settings.price_in or self._settings.price_out:
            usage["cost"] = self._settings.cost(*tokens)
        return usage


def _client(settings: Settings) -> Client:
    from .client import Client, check_url

    local = check_url(settings.endpoint, allow_http=settings.allow_http)
    key = os.environ.get(settings.key_variable, "").strip() if settings.key_variable else ""
    if not key and settings.key_variable and not local:
        raise ModelError(
            f"the environment variable {settings.key_variable} holds no key for {settings.endpoint}",
            hint="set it, name another with -o key_variable=NAME, or say -o key_variable= for an endpoint without keys",
        )
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise ModelError(f"the environment variable {settings.key_variable} holds something that is no key")
    return Client(
        settings.endpoint,
        key,
        allow_http=settings.allow_http,
        timeout=settings.timeout,
        attempts=settings.attempts,
        backoff=settings.backoff,
        concurrency=settings.concurrency,
    )


def _raise_worst(asking: Sequence[Future[PairAnswer]]) -> None:
    """Wait for all, so that what is paid for is kept; then raise what ends the run, or else what fails the sample."""
    errors = [error for future in asking if (error := future.exception()) is not None]
    is_fatal: Callable[[BaseException], bool] = lambda error: not isinstance(error, SampleError)  # noqa: E731
    for error in sorted(errors, key=is_fatal, reverse=True)[:1]:
        raise error


def _joined(parts: Sequence[PairAnswer]) -> PairAnswer:
    usage: dict[str, float] = {}
    for part in parts:
        _add(usage, part.usage)
    said = tuple(word for part in parts for word in part.said)
    return PairAnswer(said, usage, {"asked": [dict(part.details) for part in parts]})


def _add(total: dict[str, float], more: Mapping[str, float]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _tokens(response: Mapping[str, Any]) -> tuple[int, int] | None:
    usage = response.get("usage")
    if not isinstance(usage, Mapping):
        return None
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if any(isinstance(count, bool) or not isinstance(count, int) or count < 0 for count in counts):
        return None
    return int(counts[0] or 0), int(counts[1] or 0)
