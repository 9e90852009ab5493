"""MultiDepth-3k (Xu et al., arXiv 2503.06014 and ECCV 2026): pairs on glass, with a relation for each of two layers.

Source: Xiaohao-Xu/Ambiguity-in-Space, ``src/MD3K_eval.py``, ``MD3K_stat*.py``, ``dataset/MD3K_Dataset_README.md``. The
layout is DA-2K's (``annotations.json`` beside the images), but a point is ``[x, y]``. On the layers a pair says:

* as distributed, ``label``: point1 is the closer one on the glass (layer 1, the transparent foreground); what is seen
  through it (layer 2, the background) has the same relation with label 1 and the reverse with label 2; with any other
  label it has none;
* as its README recommends, ``foreground_label`` and ``background_label``, ``near`` or ``far``, and ``subset``. They are
  read as said of point1, which the README shows by an example only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dabench.datasets.base import DatasetInfo
from dabench.datasets.pairs import Pairs
from dabench.types import Pair

LAYERS = {
    "foreground": ("foreground", ("same", "reverse", "foreground-only")),
    "background": ("background", ("same", "reverse")),
    "same": ("foreground", ("same",)),
    "reverse-foreground": ("foreground", ("reverse",)),
    "reverse-background": ("background", ("reverse",)),
}
"""For each split, the layer whose relation is scored and the subsets it is scored on."""


class Md3k(Pairs):
    """Reader of MD-3K. A split is a layer, on all pairs that have it or on one of the subsets.

    Accuracy on ``foreground`` is the authors' SRA(1), on ``background`` SRA(2); their difference tells which layer a
    model reports. The groups are the subsets: ``same``, ``reverse``, or ``foreground-only`` without a second relation.
    """

    info = DatasetInfo(
        name="md-3k",
        title="MultiDepth-3k",
        summary="3161 photographs with glass; a point pair each with one relation on the glass and one behind it",
        tasks=("pairs",),
        licence="not stated; the images are from GDD, for research only",
        source="Xu et al., One Scene, Two Depths, ECCV 2026 (arXiv 2503.06014); Xiaohao-Xu/Ambiguity-in-Space",
        layout='layout: annotations.json = {"./images/<name>.png": [{"point1": [x, y], "point2": [x, y], "label": 1 or '
        "2}], ...} and the images it names, all relative to the root",
        how_to_get="get annotations.json and the images by the links on "
        "https://github.com/Xiaohao-Xu/Ambiguity-in-Space (Hugging Face dataset xiaohaox/MultiDepth-3K-Dataset) and "
        "put them into DIR/md-3k",
        expected="3161 images",
        splits=tuple(LAYERS),
    )

    def __init__(
        self,
        root: Path | None,
        *,
        task: str = "pairs",
        only: frozenset[str] | None = None,
        split: str | None = None,
        field: str | None = None,
    ) -> None:
        self._subset: dict[str, str] = {}
        super().__init__(root, task=task, only=only, split=split, field=field)

    def _parse(self, sample_id: str, entry: Any) -> Pair | str | None:
        parsed = _parse(entry)
        if isinstance(parsed, str):
            return parsed
        subset, relations = parsed
        self._subset.setdefault(sample_id, subset)
        layer, subsets = LAYERS[self.split]
        return relations[layer] if subset in subsets else None

    def group(self, sample_id: str) -> str:
        """The subset of the image's first pair."""
        return self._subset[sample_id]


def _parse(entry: Any) -> tuple[str, dict[str, Pair]] | str:
    """The subset of a pair and its relation on each layer that has one, or what is wrong with it."""
    if not isinstance(entry, dict):
        return "is not an object with point1, point2 and a label"
    points = [_point(entry.get(name)) for name in ("point1", "point2")]
    for name, point in zip(("point1", "point2"), points, strict=True):
        if point is None:
            return f"{name} must be [x, y] in pixels, got {entry.get(name)!r}"
    first, second = points
    assert first is not None and second is not None
    if first == second:
        return f"both points are {entry['point1']}"
    closer = _closer(entry)
    if isinstance(closer, str):
        return closer
    relations = {layer: Pair(first, second, point) for layer, point in closer.items()}
    if "background" not in relations:
        return "foreground-only", relations
    subset = "same" if closer["foreground"] == closer["background"] else "reverse"
    if entry.get("subset", subset) != subset:
        return f"subset is {entry['subset']!r}, but its two relations make it '{subset}'"
    return subset, relations


def _closer(entry: dict[str, Any]) -> dict[str, int] | str:
    """Which point is closer on each layer."""
    if "foreground_label" in entry or "background_label" in entry:
        closer = {}
        for layer in ("foreground", "background"):
            label = entry.get(f"{layer}_label")
            if label not in ("near", "far"):
                return f"{layer}_label must be 'near' or 'far', got {label!r}"
            closer[layer] = 1 if label == "near" else 2
        return closer
    label = entry.get("label")
    if not isinstance(label, int) or isinstance(label, bool):
        return f"label must be a whole number (1 same, 2 reverse, others: no second relation), got {label!r}"
    return {"foreground": 1} | ({"background": label} if label in (1, 2) else {})


def _point(value: Any) -> tuple[int, int] | None:
    """``(row, col)`` of ``[x, y]``; fractions are cut off, as the authors' script does."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v < 1e6 for v in value):
        return None
    return int(value[1]), int(value[0])
