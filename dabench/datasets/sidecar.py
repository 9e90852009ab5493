"""``meta.json`` beside an ``annotations.json``: what ``dabench annotate export`` says of the pairs of a release.

Only the probability with which each pair was drawn is read here. A ``meta.json`` of another program is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dabench.errors import DatasetError

META = "meta.json"
FORMAT = "dabench-release"
SCHEMA = 1
HINT = "make the release again (dabench annotate export), or remove meta.json to score without weights"
Weights = tuple[float | None, ...]


def read_weights(root: Path, annotations_sha256: str, counts: Mapping[str, int]) -> dict[str, Weights] | None:
    """The weight 1 / probability of each pair, by key of ``annotations.json``.

    Args:
        root: the folder.
        annotations_sha256: digest of the ``annotations.json`` that was read.
        counts: key of ``annotations.json`` -> number of its pairs.

    Returns:
        A tuple for each key, in the order of its pairs; None for a pair that was not drawn with a known probability
        (placed by hand, imported). None where there is no sidecar or no pair has a probability.

    Raises:
        DatasetError: the sidecar is unreadable or belongs to other annotations.
    """
    path = root / META
    if not path.is_file():
        return None
    try:
        content: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not readable JSON: {error}", hint=HINT) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return None
    if content.get("schema") != SCHEMA:
        raise DatasetError(
            f"{path} has schema {content.get('schema')!r}; this dabench reads {SCHEMA}", hint="upgrade dabench"
        )
    digests, described = content.get("digests"), content.get("pairs")
    if not isinstance(digests, dict) or not isinstance(described, dict):
        raise DatasetError(f"{path} lacks 'digests' or 'pairs'", hint=HINT)
    if digests.get("annotations.json") != annotations_sha256:
        raise DatasetError(
            f"{path} describes another annotations.json: its digest is {digests.get('annotations.json')}, that of the "
            f"file is {annotations_sha256}",
            hint=HINT,
        )
    weights: dict[str, Weights] = {}
    for key, count in counts.items():
        entries = described.get(key)
        if not isinstance(entries, list) or len(entries) != count:
            found = len(entries) if isinstance(entries, list) else "no"
            raise DatasetError(f"{path} has {found} pairs for '{key}'; annotations.json has {count}", hint=HINT)
        weights[key] = tuple(_weight(path, key, number, entry) for number, entry in enumerate(entries))
    return weights if any(weight is not None for found in weights.values() for weight in found) else None


def _weight(path: Path, key: str, number: int, entry: Any) -> float | None:
    probability = entry.get("probability") if isinstance(entry, dict) else None
    if probability is None:
        return None
    if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 < probability <= 1:
        raise DatasetError(
            f"{path} '{key}' pair {number}: probability must be above 0 and at most 1, got {probability!r}", hint=HINT
        )
    return 1.0 / probability
