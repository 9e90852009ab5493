"""A study folder: its database, canonical images, caches, backups and releases."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotation.errors import NotFoundError
from annotation.settings import ProjectSettings
from annotation.store import Store
from annotation.store.store import wall_clock

DATABASE = "study.db"


@dataclass(frozen=True)
class Study:
    """An open study.

    Layout below ``path``: ``study.db``; ``images/<sha256>.<jpg|png>`` canonical upright copies; ``cache/`` key points
    and depth maps, safe to delete; ``backups/``; ``releases/<name>/``; ``serve.lock`` held by the running server.
    """

    path: Path
    store: Store

    @classmethod
    def open(cls, path: Path | str, *, create: bool = False, clock: Callable[[], int] = wall_clock) -> Study:
        """Open the study in folder ``path``. Raises StudyError when there is none and ``create`` is false."""
        path = Path(path)
        return cls(path, Store(path / DATABASE, create=create, clock=clock))

    @property
    def images(self) -> Path:
        return self.path / "images"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def backups(self) -> Path:
        return self.path / "backups"

    @property
    def releases(self) -> Path:
        return self.path / "releases"

    def setting(self, key: str, default: Any = None) -> Any:
        """A value of the study's own settings (event ``study.set``)."""
        row = self.store.one("SELECT value FROM study WHERE key = ?", key)
        return default if row is None else json.loads(row["value"])

    def project(self, name_or_id: str | int | None = None) -> tuple[int, ProjectSettings]:
        """Id and settings of a project; without a name, of the only one there is (else the first)."""
        column = "id" if isinstance(name_or_id, int) else "name"
        if name_or_id is None:
            row = self.store.one("SELECT id, settings FROM projects ORDER BY id LIMIT 1")
        else:
            row = self.store.one(f"SELECT id, settings FROM projects WHERE {column} = ?", name_or_id)
        if row is None:
            names = [r["name"] for r in self.store.query("SELECT name FROM projects ORDER BY id")]
            raise NotFoundError(
                f"{self.path} has no project {name_or_id!r}", hint=f"projects: {', '.join(names) or 'none'}"
            )
        return row["id"], ProjectSettings.from_dict(json.loads(row["settings"]))

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
