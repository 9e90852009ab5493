"""Freeze the final pairs of a project: an immutable list with a digest, and a folder that can be scored at once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotation.atomic import whole_folder
from annotation.errors import NotFoundError, StepError
from annotation.releases.freezing import SCHEMA, digest, freeze
from annotation.releases.licences import refuse_unlicensed, unlicensed
from annotation.releases.names import checked_release_name
from annotation.store.store import canonical_json
from annotation.study import Study

Json = dict[str, Any]


@dataclass(frozen=True)
class Release:
    """A release as the study knows it.

    Attributes:
        digest: SHA-256 of ``manifest["content"]`` as canonical JSON: which pairs, which labels, which images, which
            rules. Two releases of the same state have the same digest, whatever their names.
        manifest: ``content`` (see :func:`annotation.releases.freezing.freeze`), ``previous`` release of the project or
            None, ``changes`` against it, ``project``, its number, ``event``, the last one before it, and ``at``,
            milliseconds UTC.
        by: alias of who made it.
        folder: where it was written; of one that is read back, where it lies unless it was written elsewhere.
    """

    name: str
    digest: str
    manifest: Json
    by: str
    folder: Path

    @property
    def content(self) -> Json:
        found: Json = self.manifest["content"]
        return found

    @property
    def at(self) -> int:
        """Milliseconds UTC."""
        return int(self.manifest["at"])

    @property
    def unlicensed(self) -> list[str]:
        """Original names of released images without a licence."""
        return unlicensed(self.content["images"])


def make_release(
    study: Study,
    name: str,
    *,
    project: str | int | None = None,
    policy: str | None = None,
    allow_unlicensed: bool = False,
    out: Path | None = None,
    actor: str = "owner",
) -> Release:
    """Freeze the final pairs of a project under a name and write their folder.

    The folder and the event ``release.made`` come to be together: after an error, and after a kill at any moment, there
    are neither or both.

    Args:
        name: letters, digits, dots, dashes and underscores.
        project: name or id; None: the first.
        policy: judge the answers by this policy instead of the one they were collected under.
        allow_unlicensed: release images that have no licence; they are listed in the datasheet.
        out: the folder; None: ``releases/<name>`` of the study.
        actor: alias of who makes it.

    Raises:
        StepError: the name is taken, or nothing is final.
        UnlicensedError: images without a licence.
        StudyError: an image of the study is missing or not the one it was.
    """
    from annotation.releases.folder import write_release_folder

    checked_release_name(name)
    _refuse_taken(study, name)
    number, _ = study.project(project)
    content, event = freeze(study, number, policy)
    if not allow_unlicensed:
        refuse_unlicensed(content["images"])
    previous = _previous(study, number)
    manifest: Json = {
        "schema": SCHEMA,
        "content": content,
        "project": number,
        "event": event,
        "at": study.store.now(),
        "previous": previous.name if previous is not None else None,
        "changes": changes(previous.content if previous is not None else {"pairs": []}, content),
    }
    target = out if out is not None else study.releases / name
    manifest = json.loads(canonical_json(manifest))  # as it will be read back, so that a folder can be written again
    release = Release(name, digest(content), manifest, actor, target)
    with whole_folder(target, replace=_is_left_over(target, release.digest)) as (folder, place):
        write_release_folder(study, release, folder)
        with study.store.write(actor) as write:
            if write.one("SELECT 1 FROM releases WHERE name = ?", name) is not None:
                raise _taken(name)
            write.append("release.made", {"name": name, "digest": release.digest, "manifest": manifest})
            place()
    return release


def find_release(study: Study, name: str) -> Release:
    """A release by name. Raises NotFoundError that lists the names there are."""
    row = study.store.one("SELECT * FROM releases WHERE name = ?", name)
    if row is None:
        names = ", ".join(release.name for release in list_releases(study)) or "none yet"
        raise NotFoundError(f"{study.path} has no release '{name}'", hint=f"releases: {names}")
    return _release(study, row)


def list_releases(study: Study) -> list[Release]:
    """All releases, oldest first."""
    return [_release(study, row) for row in study.store.query("SELECT * FROM releases ORDER BY id")]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[str]]:
    """Ids of the pairs that were ``added``, ``removed``, and ``relabelled`` from one content to another."""
    old = {pair["id"]: pair["labels"] for pair in before["pairs"]}
    new = {pair["id"]: pair["labels"] for pair in after["pairs"]}
    return {
        "added": sorted(set(new) - set(old)),
        "removed": sorted(set(old) - set(new)),
        "relabelled": sorted(pair for pair in set(old) & set(new) if old[pair] != new[pair]),
    }


def rebuild(study: Study, release: Release, out: Path) -> Path:
    """Write the folder of a release again, byte for byte, from what the study holds. Returns ``out``."""
    from annotation.releases.folder import write_release_folder

    with whole_folder(out) as (folder, _):
        write_release_folder(study, release, folder)
    return out


def _release(study: Study, row: sqlite3.Row) -> Release:
    manifest = json.loads(row["manifest"])
    return Release(row["name"], row["digest"], manifest, row["by_person"], study.releases / row["name"])


def _previous(study: Study, project: int) -> Release | None:
    of_project = [release for release in list_releases(study) if release.manifest["project"] == project]
    return of_project[-1] if of_project else None


def _is_left_over(folder: Path, content_digest: str) -> bool:
    """Whether a kill between the rename and the commit left this very release, without its event."""
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(meta, dict) and meta.get("digest") == content_digest


def _refuse_taken(study: Study, name: str) -> None:
    if study.store.one("SELECT 1 FROM releases WHERE name = ?", name) is not None:
        raise _taken(name)


def _taken(name: str) -> StepError:
    return StepError(f"there is a release '{name}' already, and releases never change", hint="choose another name")
