"""Reading a reply: exactly one answer in a fixed form, a refusal, or neither. Nothing is guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

REFUSED, UNPARSABLE = "refused", "unparsable"
FILTERED = ("content_filter", "content_policy", "responsibleai", "safety")
"""Parts of the error codes with which providers refuse a picture or a question."""

_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"\A```\w*\s*\n(.*?)\n?```\Z", re.DOTALL)
_MARKS = r"[\s*_`\"'()\[\].:#>-]*"
_LABELLED = re.compile(
    rf"{_MARKS}(?:(?:my|the|final)\s+)*answer{_MARKS}(?:is)?{_MARKS}(?:point)?{_MARKS}([ab]){_MARKS}", re.IGNORECASE
)
_ALONE = re.compile(rf"{_MARKS}(?:[Pp]oint{_MARKS})?([AB]){_MARKS}")
_REFUSAL = re.compile(
    r"\b(?:i(?:'|’)?m\s+(?:very\s+)?sorry|i\s+am\s+sorry|i\s+apologi[sz]e|sorry,"
    r"|(?:i|we)\s+(?:can(?:'|’)?t|cannot|can\s+not|am\s+unable|are\s+unable|won(?:'|’)?t|will\s+not|must\s+decline)"
    r"|(?:i(?:'|’)m)\s+(?:unable|not\s+able)|unable\s+to\s+(?:determine|assist|help|answer|view|see))",
    re.IGNORECASE,
)


def parse(text: str) -> str:
    """The answer in a reply.

    Accepted: a JSON object whose only answer is ``{"answer": "A"}``, alone or on the last line, or a last line
    ``Answer: A`` (or the bare letter). Where lines before it answer otherwise, there is no answer.

    Returns:
        ``A``, ``B``, ``refused`` or ``unparsable``.
    """
    body = _THOUGHT.sub("", text).strip()
    fenced = _FENCE.match(body)
    body = fenced[1].strip() if fenced else body
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    if not lines:
        return UNPARSABLE
    answer = _from_json(body) or _from_json(lines[-1]) or _from_line(lines[-1])
    if answer is not None:
        earlier = {said for line in lines[:-1] if (said := _from_json(line) or _labelled(line)) is not None}
        return answer if earlier <= {answer} else UNPARSABLE
    return REFUSED if _REFUSAL.search(body) else UNPARSABLE


def _labelled(line: str) -> str | None:
    found = _LABELLED.fullmatch(line)
    return found[1].upper() if found else None


def _from_line(line: str) -> str | None:
    alone = _ALONE.fullmatch(line)
    return alone[1] if alone else _labelled(line)


def _from_json(text: str) -> str | None:
    if not text.startswith("{"):
        return None
    try:
        pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    said = [value for key, value in pairs if key.lower() == "answer"]
    if len(said) != 1 or not isinstance(said[0], str):
        return None
    letter = said[0].strip().upper()
    return letter if letter in ("A", "B") else None


def reply_of(response: Mapping[str, Any]) -> tuple[str, str]:
    """The text of a chat completion and what it says.

    A filter of the provider and the field ``refusal`` are refusals, whatever the text says.

    Returns:
        The text, and ``A``, ``B``, ``refused`` or ``unparsable``.
    """
    if "error" in response:
        return str(message_of(response)), REFUSED
    choice = response["choices"][0]
    message = choice.get("message") or {}
    text = _text(message.get("content"))
    refusal = message.get("refusal") or _refusal_part(message.get("content"))
    if refusal or choice.get("finish_reason") == "content_filter":
        return _encodable(str(refusal or text)), REFUSED
    return text, parse(text)


def is_filtered(error: Any) -> bool:
    """Whether an error says that the provider's filter refused the picture or the question."""
    if not isinstance(error, Mapping):
        return False
    code = f"{error.get('code')} {error.get('type')}".lower()
    return any(word in code for word in FILTERED)


def message_of(response: Mapping[str, Any]) -> str:
    """The message of an error, in any of the forms that servers give it."""
    error = response.get("error") or response.get("detail") or response.get("message") or ""
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("code") or error
    return _encodable(str(error))


def is_completion(response: Mapping[str, Any]) -> bool:
    """Whether a response holds a chat completion that :func:`reply_of` can read."""
    choices = response.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        return False
    return isinstance(choices[0].get("message"), Mapping) or choices[0].get("finish_reason") == "content_filter"


def _encodable(text: str) -> str:
    """Without the halves of characters that JSON can hold and a file cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return _encodable(content)
    if isinstance(content, list):
        return _encodable("".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping)))
    return ""


def _refusal_part(content: Any) -> str:
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("refusal") or "") for part in parts if isinstance(part, Mapping))
