"""Questions for a batch interface, and answers read back (OpenAI's Batch API: JSONL, found by ``custom_id``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from dabench.errors import DabenchError, UsageError
from dabench.types import Image, ModelInfo, Output, PairAnswer, PairModel, Points

from .parsing import is_completion, is_filtered
from .questions import body_of, encoded, questions_of
from .settings import Settings

Json = dict[str, Any]
ADDRESS = "/v1/chat/completions"
MOST_QUESTIONS = 50_000
"""Of one file (OpenAI, Batch API: 50,000 requests and 200 MB)."""


@dataclass(frozen=True)
class BatchAnswer:
    """What a batch says to one question: a chat completion, or why there is none."""

    response: Json | None
    failure: str = ""


class QuestionWriter(PairModel):
    """Takes the place of the model and writes its questions, so that they are those that an evaluation asks.

    What it answers is worth nothing and is not recorded.

    Args:
        settings: options of the model that is to be asked.
        path: the first file; further parts are named ``NAME-2.jsonl`` and so on.
        pictures: folder for the pictures, which are then named by address instead of sent along.
        address: address of that folder, as the batch interface will see it.
        part_bytes: largest size of a part.
    """

    def __init__(self, settings: Settings, path: Path, *, pictures: Path | None, address: str, part_bytes: int) -> None:
        self.info = ModelInfo(settings.record_name, Output.ORDER)
        self._settings, self._path = settings, path
        self._pictures, self._address, self._part_bytes = pictures, address.rstrip("/"), part_bytes
        self._stream: IO[bytes] | None = None
        self._size = self._in_part = 0
        self._keys: set[str] = set()
        self.parts: list[Path] = []

    @property
    def count(self) -> int:
        """Questions written."""
        return len(self._keys)

    def __enter__(self) -> QuestionWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def answer_pairs(self, image: Image, points: Sequence[Points], sample_id: str) -> list[PairAnswer]:
        for pair in range(len(points)):
            for question in questions_of(image, points, sample_id, pair, self._settings):
                if question.key in self._keys:
                    continue
                self._keys.add(question.key)
                url = None
                try:
                    if self._pictures is not None:
                        name = f"{question.key}.{self._settings.picture}"
                        (self._pictures / name).write_bytes(encoded(question.picture, self._settings.picture))
                        url = f"{self._address}/{name}"
                    body = body_of(question, self._settings, url)
                    self._write({"custom_id": question.key, "method": "POST", "url": ADDRESS, "body": body})
                except OSError as error:
                    raise DabenchError(f"cannot write the questions: {error}") from error
        return [PairAnswer(("unparsable",))] * len(points)

    def _write(self, line: Json) -> None:
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        full = self._size + len(data) > self._part_bytes or self._in_part >= MOST_QUESTIONS
        if self._stream is None or (full and self._size):
            self.close()
            number = len(self.parts) + 1
            part = self._path if number == 1 else self._path.with_name(f"{self._path.stem}-{number}{self._path.suffix}")
            part.parent.mkdir(parents=True, exist_ok=True)
            self._stream, self._size, self._in_part = part.open("wb"), 0, 0
            self.parts.append(part)
        self._stream.write(data)
        self._size += len(data)
        self._in_part += 1

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def read_answers(paths: Sequence[Path]) -> dict[str, BatchAnswer]:
    """Answers of a batch by the key of their question. A later answer replaces an earlier failure.

    Raises:
        UsageError: a file cannot be read, or a line is no answer of a batch; names the file and the line.
    """
    found: dict[str, BatchAnswer] = {}
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--answers {path} cannot be read: {error}") from error
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            key, answer = _read(path, number, line)
            if answer.response is not None or key not in found:
                found[key] = answer
    return found


def _read(path: Path, number: int, line: str) -> tuple[str, BatchAnswer]:
    try:
        content = json.loads(line)
        key = content["custom_id"]
        if not isinstance(key, str):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{path} line {number} is no answer of a batch", hint='each line is {"custom_id": ..., "response": {...}}'
        ) from None
    if "body" in content and "response" not in content:
        raise UsageError(f"{path} holds questions, not answers", hint="send it to the batch interface first")
    response = content.get("response")
    body = response.get("body") if isinstance(response, dict) else None
    error = content.get("error") or (body.get("error") if isinstance(body, dict) else None)
    if error:
        if is_filtered(error):
            return key, BatchAnswer({"error": error})
        return key, BatchAnswer(None, json.dumps(error, ensure_ascii=False)[:200])
    if isinstance(body, dict) and is_completion(body):
        return key, BatchAnswer(body)
    return key, BatchAnswer(None, "no chat completion")


def question_keys(paths: Sequence[Path]) -> dict[str, str]:
    """The lines of files of questions, by key.

    Raises:
        UsageError: a file cannot be read, or holds no questions.
    """
    found: dict[str, str] = {}
    for path in paths:
        try:
            for line in path.read_text(encoding="utf-8").split("\n"):
                if line.strip():
                    content = json.loads(line)
                    content["body"]["messages"]
                    found[content["custom_id"]] = line
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} cannot be read as questions of a batch: {error}") from error
    return found
