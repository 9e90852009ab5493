"""How to cite a release: a ``CITATION.cff`` (Citation File Format 1.2.0), written as the part of YAML that is JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def citation(meta: Mapping[str, Any]) -> str:
    """The text of ``CITATION.cff``. ``meta``: what ``meta.json`` will hold. Names nobody: authors are the study's."""
    name = meta["study"] or meta["project"]
    counts = meta["counts"]
    values = {
        "cff-version": "1.2.0",
        "message": "If you use this set of point pairs, cite it with its version and digest.",
        "type": "dataset",
        "title": name,
        "abstract": f"{counts['pairs']} pairs of points on {counts['images']} images, labelled by which is closer.",
        "version": meta["name"],
        "date-released": meta["made_at"][:10],
        "authors": [{"name": f"The annotators of {name}"}],
        "identifiers": [{"type": "other", "value": f"sha256:{meta['digest']}", "description": "digest of the release"}],
    }
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
