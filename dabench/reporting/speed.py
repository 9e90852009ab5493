"""The cards of ``dabench bench`` beside a run."""

from __future__ import annotations

from dabench.bench import read_cards
from dabench.records import Json
from dabench.reporting.loaded import Record

CARD_SIZE = (480, 640)
"""Height and width of the pictures whose time stands in tables."""


def timed(record: Record) -> float | None:
    """Median seconds of one picture of 480x640, from a card of the same weights, settings and device as the run.

    What a run tells of its own is the time beside reading and scoring, on pictures of the dataset's sizes.
    """
    for card in read_cards(record.path.parent):
        if not _same(card, record.info):
            continue
        for timing in card["timings"]:
            if (timing["height"], timing["width"]) == CARD_SIZE and timing["batch_size"] == 1:
                return float(timing["median_seconds"])
    return None


def _same(card: Json, run: Json) -> bool:
    settings = run.get("settings", {})
    return (
        card["model"] == run["model"]
        and all(card["settings"].get(key) == settings.get(key) for key in ("device", "precision"))
        and card["environment"].get("cuda_device") == run.get("environment", {}).get("cuda_device")
    )
