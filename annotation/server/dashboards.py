"""The dashboard of a project, computed once for each state of the log and not too often."""

from __future__ import annotations

import threading
import time
from typing import Any

from annotation.study import Study

FRESH_SECONDS = 5.0


class Dashboards:
    """Remembers the newest dashboard of each project.

    Args:
        study: the study.
        seconds: while answers come in, a dashboard is at least this old before it is computed again.
    """

    def __init__(self, study: Study, seconds: float = FRESH_SECONDS) -> None:
        self.study, self.seconds = study, seconds
        self._kept: dict[int, tuple[int, float, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def get(self, project: int) -> dict[str, Any]:
        """What :func:`annotation.reporting.dashboard` says. Raises NotFoundError for an unknown project."""
        from annotation.reporting import dashboard

        with self._lock:
            row = self.study.store.one("SELECT max(seq) AS seq FROM events")
            newest = int(row["seq"] or 0) if row else 0
            kept = self._kept.get(project)
            if kept and ((kept[0] == newest and _whole(kept[2])) or time.monotonic() - kept[1] < self.seconds):
                return kept[2]
            found = dashboard(self.study, project)
            self._kept[project] = (newest, time.monotonic(), found)
            return found


def _whole(found: dict[str, Any]) -> bool:
    """Whether all pictures were looked at: a dashboard reads them a few at a time."""
    return not found["shortcuts"]["pictures_left"]
