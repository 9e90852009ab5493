"""What can be set for a multimodal model, checked before anything is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dabench.errors import UsageError

from .prompt import QUESTION
from .prompt import VERSION as PROMPT_VERSION


@dataclass(frozen=True)
class Settings:
    """Options of the model ``vlm``, as ``-o NAME=VALUE`` sets them.

    Attributes:
        endpoint: address of an OpenAI-compatible interface, up to and including ``/v1``.
        model: the model's name there.
        answers: files of batch answers to read before the endpoint is asked, one a line.
        orders: 2 asks each pair with both assignments of A and B; 1 with one of them, drawn by hash.
        order_seed: of that draw.
        side: longer side of the picture in pixels.
        picture: ``jpeg`` (quality 95) or ``png``.
        temperature: sent as it is; below 0, not sent.
        max_tokens: length of a reply, sent in the field ``limit_field``.
        detail: OpenAI's ``detail`` of a picture; not sent where empty.
        re_asks: how often a reply that cannot be read is asked again.
        concurrency: requests at a time.
        timeout: seconds of silence after which a request has failed.
        attempts: how often a request is sent before it has failed for good.
        backoff: seconds before the second attempt; doubles with each further one.
        key_variable: environment variable that holds the key; empty for an endpoint without one.
        allow_http: whether the key and the pictures may travel unencrypted to another machine.
        price_in, price_out: price of a million tokens.
        max_cost: no request is begun once so much is spent; 0 for no limit.
    """

    endpoint: str = ""
    model: str = ""
    answers: str = ""
    orders: int = 2
    order_seed: int = 0
    side: int = 1024
    picture: str = "jpeg"
    temperature: float = 0.0
    max_tokens: int = 1024
    limit_field: str = "max_tokens"
    detail: str = ""
    re_asks: int = 1
    concurrency: int = 4
    timeout: float = 120.0
    attempts: int = 8
    backoff: float = 1.0
    key_variable: str = "OPENAI_API_KEY"
    allow_http: bool = False
    price_in: float = 0.0
    price_out: float = 0.0
    max_cost: float = 0.0

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """Settings of a mapping, checked.

        Raises:
            UsageError: one of them cannot be; the message names it.
        """
        settings = cls(**values)
        if not settings.model:
            raise UsageError(
                "model 'vlm' does not know which model to ask", hint="-o model=NAME, as the endpoint calls it"
            )
        ranges = {
            "orders": (1, 2), "side": (64, 8192), "concurrency": (1, 256), "attempts": (1, 100), "re_asks": (0, 10),
            "max_tokens": (1, 10**7),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(settings, name) <= high:
                raise UsageError(f"model 'vlm': option {name}={getattr(settings, name)} is not from {low} to {high}")
        for name in ("price_in", "price_out", "max_cost", "backoff"):
            if not 0 <= getattr(settings, name) < float("inf"):
                raise UsageError(f"model 'vlm': option {name}={getattr(settings, name)} is not a number from 0")
        if not 0 < settings.timeout < float("inf"):
            raise UsageError(f"model 'vlm': option timeout={settings.timeout} is not a number of seconds")
        for name, known in (("picture", ("jpeg", "png")), ("limit_field", ("max_tokens", "max_completion_tokens"))):
            if getattr(settings, name) not in known:
                raise UsageError(
                    f"model 'vlm': option {name}={getattr(settings, name)} is not one of {', '.join(known)}"
                )
        if settings.max_cost and not (settings.price_in or settings.price_out):
            raise UsageError(
                "model 'vlm': max_cost cannot be held without prices",
                hint="-o price_in=PRICE -o price_out=PRICE, of a million tokens",
            )
        return settings

    @property
    def record_name(self) -> str:
        """Name of the model in the records: ``vlm-`` and the model's own."""
        return "vlm-" + (re.sub(r"[^A-Za-z0-9._-]+", "-", self.model).strip("-.") or "model")

    def recorded(self) -> dict[str, Any]:
        """What can change an answer, as records keep it."""
        from .marking import VERSION as MARKING_VERSION

        names = (
            "model", "orders", "order_seed", "side", "picture", "temperature", "max_tokens", "limit_field", "detail",
            "re_asks",
        )  # fmt: skip
        return {
            **{name: getattr(self, name) for name in names},
            "markers": MARKING_VERSION,
            "prompt": PROMPT_VERSION,
            "question": QUESTION,
        }

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """Price of so many tokens."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6


DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Settings)}
