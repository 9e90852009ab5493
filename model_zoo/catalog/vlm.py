"""Multimodal language models, asked over an OpenAI-compatible interface which of two points is closer."""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry, Output
from model_zoo.vlm.settings import DEFAULTS


def entries() -> Iterator[ModelEntry]:
    """One row: which model is asked, and where, are options of it."""
    yield ModelEntry(
        name="vlm",
        output=Output.ORDER,
        summary="a multimodal language model, asked which of two marked points is closer (pairs only)",
        factory="model_zoo.vlm.asking:load",
        status="endpoint",
        licence="the model's own",
        requires=("httpx",),
        extra="vlm",
        settable=DEFAULTS,
        paper="Depth Anything V2 (arXiv 2406.09414), section 6: DA-2K as a testbed for 3D awareness",
        sources=(
            "OpenAI API reference: POST /v1/chat/completions with image_url parts; Batch API",
            "docs/vlm.md (how the points are marked, what is asked, how replies are read)",
        ),
    )
