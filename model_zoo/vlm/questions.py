"""From a pair to the requests that ask about it: who is A, the marked picture, the body, and its key."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dabench.types import Image, Points

from .marking import marked
from .prompt import QUESTION, REMINDER
from .settings import Settings

Json = dict[str, Any]
JPEG_QUALITY = 95
KEY_LENGTH = 40
"""Hexadecimal digits of a key; OpenAI's ``custom_id`` takes 64 characters."""


@dataclass(frozen=True, eq=False)
class Question:
    """One pair asked with one assignment of the letters.

    Attributes:
        sample_id, pair: the sample and the pair's index in it.
        first: which point is called A, 1 or 2.
        key: hash of all that is sent, of the picture's pixels rather than its file.
        turns: what was said since the first question: replies that could not be read, and reminders.
        picture: the marked picture.
    """

    sample_id: str
    pair: int
    first: int
    key: str
    turns: tuple[Json, ...]
    picture: Image

    def point(self, letter: str) -> int:
        """The point that a letter stands for, 1 or 2."""
        return self.first if letter == "A" else 3 - self.first


def first_letter(seed: int, sample_id: str, pair: int) -> int:
    """Which point is called A first: a fair draw that depends on nothing but the seed and the pair's name."""
    drawn = hashlib.sha256(f"{seed}\n{sample_id}\n{pair}".encode()).digest()
    return 1 + drawn[0] % 2


def questions_of(
    image: Image, points: Sequence[Points], sample_id: str, pair: int, settings: Settings
) -> list[Question]:
    """The questions about one pair, one for each order.

    Args:
        image: ``uint8 [H, W, 3]`` RGB.
        points: all pairs of the image.
        pair: index of the pair that is asked about.
    """
    drawn = first_letter(settings.order_seed, sample_id, pair)
    asked = []
    for first in (drawn, 3 - drawn)[: settings.orders]:
        one, two = points[pair]
        picture, _ = marked(image, (one, two) if first == 1 else (two, one), settings.side)
        asked.append(Question(sample_id, pair, first, _key(picture, (), settings), (), picture))
    return asked


def again(question: Question, reply: str, settings: Settings) -> Question:
    """The question once more, after a reply that could not be read."""
    turns = (*question.turns, {"role": "assistant", "content": reply or "-"}, {"role": "user", "content": REMINDER})
    key = _key(question.picture, turns, settings)
    return Question(question.sample_id, question.pair, question.first, key, turns, question.picture)


def body_of(question: Question, settings: Settings, url: str | None = None) -> Json:
    """The body of the chat completion.

    Args:
        url: where the picture lies; None sends it along.
    """
    return _body(url or data_url(question.picture, settings.picture), question.turns, settings)


def _body(url: str, turns: Sequence[Json], settings: Settings) -> Json:
    shown: Json = {"url": url, **({"detail": settings.detail} if settings.detail else {})}
    content = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": shown}]
    return {
        "model": settings.model,
        "messages": [{"role": "user", "content": content}, *turns],
        **({"temperature": settings.temperature} if settings.temperature >= 0 else {}),
        settings.limit_field: settings.max_tokens,
    }


def _key(picture: Image, turns: Sequence[Json], settings: Settings) -> str:
    pixels = hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()
    url = f"{settings.picture} {JPEG_QUALITY} {'x'.join(map(str, picture.shape))} {pixels}"
    text = json.dumps(_body(url, turns, settings), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def encoded(picture: Image, kind: str) -> bytes:
    """The picture as a file; JPEG keeps the colour of every pixel, so that thin coloured lines stay sharp."""
    from PIL import Image as PillowImage

    stream = io.BytesIO()
    if kind == "png":
        PillowImage.fromarray(picture).save(stream, format="PNG", compress_level=6)
    else:
        PillowImage.fromarray(picture).save(stream, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return stream.getvalue()


def data_url(picture: Image, kind: str) -> str:
    """The picture as a ``data:`` address."""
    return f"data:image/{kind};base64,{base64.b64encode(encoded(picture, kind)).decode()}"
