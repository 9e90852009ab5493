"""The dashboard of a project, computed once for each state of the log and not too often."""

from __future__ import annotations

import threading
import time
from typing import Any

from annotation.study import Study

from .sessions import Caller

FRESH_SECONDS = 5.0
FOR_ANNOTATORS = ("study", "project", "at", "event", "level", "progress", "scenes")
"""Shares of answers, cues and other people's figures would end the blindness of those who still answer."""


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

    def get(self, project: int, caller: Caller) -> dict[str, Any]:
        """What :func:`annotation.reporting.dashboard` says; to annotators only the progress.

        Raises:
            NotFoundError: no such project.
        """
        found = self._whole(project)
        if caller.role != "annotator":
            return found
        return {name: found[name] for name in FOR_ANNOTATORS if name in found}

    def _whole(self, project: int) -> dict[str, Any]:
        from annotation.reporting import dashboard

        with self._lock:
            row = self.study.store.one("SELECT max(seq) AS seq FROM events")
            newest = int(row["seq"] or 0) if row else 0
            kept = self._kept.get(project)
            if kept and (kept[0] == newest or time.monotonic() - kept[1] < self.seconds):
                return kept[2]
            found = dashboard(self.study, project)
            self._kept[project] = (newest, time.monotonic(), found)
            return found
