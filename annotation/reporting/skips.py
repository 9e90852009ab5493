"""Why pairs were skipped."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .estimates import share
from .reading import WORK, Material


def skip_report(material: Material, level: float) -> dict[str, Any]:
    """Reasons of skips, the most frequent first, and how often people skipped or saw no difference."""
    given = [answer for answer in material.answers if answer.kind in WORK]
    reasons = Counter(a.reason or "no reason" for a in given if a.shown == "skip")
    total = reasons.total()
    return {
        "reasons": [{"reason": reason, "n": n, "share": n / total} for reason, n in reasons.most_common()],
        "rate": share(total, len(given), level),
        "equal": share(sum(a.shown == "equal" for a in given), len(given), level),
    }
