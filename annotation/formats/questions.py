"""Questions for multimodal models: pictures with marked points, and lines that do not hold the answer.

Which point is called A is drawn so that a constant answer is right in half of the pairs of each scene, to within one
pair. ``answers.jsonl`` lies apart from the questions. Markers and wording are those of ``dabench vlm``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dabench.types import Image

from .released import Json, Lettered

SIDE = 1024


def write(
    folder: Path,
    pairs: Sequence[Lettered],
    image_of: Callable[[str], Image],
    *,
    release: str,
    seed: int,
    side: int = SIDE,
) -> list[Path]:
    """Write ``questions.jsonl``, ``answers.jsonl`` and ``pictures/<number>.png``; what was written.

    Args:
        image_of: SHA-256 -> ``uint8 [H, W, 3]``.
        seed: that the letters were drawn with; stored in each line.
        side: longer side of the pictures, at most.
    """
    from model_zoo.vlm.marking import VERSION, marked
    from model_zoo.vlm.prompt import QUESTION
    from model_zoo.vlm.questions import encoded

    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    written: list[Path] = []
    questions: list[Json] = []
    answers: list[Json] = []
    shown: tuple[str, Image] = ("", np.zeros((0, 0, 3), np.uint8))
    for number, found in enumerate(pairs):
        if shown[0] != found.pair.image:
            shown = (found.pair.image, image_of(found.pair.image))
        picture, _ = marked(shown[1], (found.first, found.second), side)
        path = pictures / f"{number:05}.png"
        path.write_bytes(encoded(picture, "png"))
        written.append(path)
        questions.append(
            {
                "id": found.pair.id,
                "picture": f"pictures/{path.name}",
                "image": found.pair.key,
                "points": {"A": list(found.first), "B": list(found.second)},
                "question": QUESTION,
                "choices": ["A", "B"],
                "scene": found.pair.scene,
                "release": release,
                "seed": seed,
                "markers": VERSION,
            }
        )
        answers.append({"id": found.pair.id, "answer": found.closer})
    for name, lines in (("questions.jsonl", questions), ("answers.jsonl", answers)):
        path = folder / name
        path.write_bytes(b"".join(_line(line) for line in lines))
        written.append(path)
    return written


def _line(content: Json) -> bytes:
    return (json.dumps(content, ensure_ascii=False) + "\n").encode()
