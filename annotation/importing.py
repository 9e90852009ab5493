"""Take pairs of other tools into a study: everything is checked first, and a file with a fault is refused whole."""

from __future__ import annotations

import csv
import hashlib
import json
import secrets
import shutil
import unicodedata
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotation.canonical import Canonical, read_original, write_canonical
from annotation.errors import NotFoundError
from annotation.formats import diw, tables
from annotation.formats.detecting import detect_format, read_pairs
from annotation.formats.reading import Found, ImportedPair, refuse
from annotation.projects import create_project
from annotation.study import Study
from dabench.errors import ImageError, UsageError

PURPOSES = ("pairs", "gold", "qualification")
NAMESPACE = uuid.UUID("5c2f3a4e-3d0b-5e0a-9a55-2f6d1a8f4f10")
RIGHTS = ("licence", "author", "source", "retrieved", "keyword")
FIRST_PROJECT = "pairs"


@dataclass(frozen=True)
class Imported:
    """What an import did. ``known``: pairs of the file that were in the project before. ``notes``: in words."""

    pairs: int
    images: int
    known: int
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Picture:
    """An image file and its canonical copy. ``fresh``: not in the study yet."""

    name: str
    file_sha256: str
    sha256: str
    width: int
    height: int
    fresh: Canonical | None


def import_pairs(
    study: Study,
    path: Path,
    *,
    form: str | None = None,
    images: Path | None = None,
    purpose: str = "pairs",
    project: str | int | None = None,
    base: int = diw.COORDINATE_BASE,
    rights: Mapping[str, str] | None = None,
    actor: str = "owner",
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Take the pairs of a file into a project.

    An imported label is kept with the pair (``more.import.label``) and is no answer: the pair is asked like any other.
    As ``gold`` or ``qualification`` the label becomes the known answer of a test pair. Which of the two points is
    stored as a is drawn by a hash, because in DA-2K's files the first is always the closer one. Importing a file again
    adds what is new in it.

    Args:
        form: a format that can be read; None: by ending and content.
        images: folder that the paths in the file are relative to; None: the folder of the file.
        purpose: one of ``PURPOSES``.
        project: name or id; None: the first. A study without a project gets one.
        base: what the coordinates of DIW's CSV count from.
        rights: licence, author, source, retrieved, keyword of images for which the file says nothing.
        progress: called with images done and all.

    Raises:
        UsageError: anything is wrong in the file or with an image; the message lists all of it, and nothing was
            imported.
    """
    if purpose not in PURPOSES:
        raise UsageError(f"pairs cannot be imported as '{purpose}'", hint=f"as: {', '.join(PURPOSES)}")
    folder = (path if path.is_dir() else path.parent) if images is None else images
    form = form or detect_format(path)
    found = read_pairs(path, form, base)
    if not found.faults and not found.pairs:
        found.faults.append("holds no pairs")
    staging = study.path / f".import-{secrets.token_hex(4)}"
    try:
        pictures = _pictures(study, found, folder, staging, progress)
        _check(found, pictures, purpose)
        refuse(path, found.faults, hint="correct the file, or name the folder of its images with --images DIR")
        number = _project(study, project, actor)
        stated = {**_stated_rights(folder), "": dict(rights or {})}
        return _store(study, number, found, pictures, path, form, purpose, stated, staging, actor)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def imported_pairs(study: Study, project: str | int | None = None) -> list[ImportedPair]:
    """The imported pairs of a project as their files stated them, in the order of the files."""
    number, _ = study.project(project)
    rows = study.store.query(
        "SELECT p.*, i.original_name FROM pairs p JOIN images i ON i.sha256 = p.image WHERE p.project = ? "
        "AND p.route = 'import' ORDER BY p.position",
        number,
    )
    found = []
    for row in rows:
        more = json.loads(row["more"])
        stated = more.pop("import", {})
        a, b = (row["a_row"], row["a_col"]), (row["b_row"], row["b_col"])
        if stated.get("swapped"):
            a, b = b, a
        found.append(ImportedPair(stated.get("place", ""), row["original_name"], a, b, stated.get("label"), more=more))
    return found


def _pictures(
    study: Study, found: Found, folder: Path, staging: Path, progress: Callable[[int, int], None] | None
) -> dict[str, _Picture]:
    """Each image of the file, with its canonical copy in ``staging`` when the study does not have it."""
    root = folder.resolve()
    wanted = list(dict.fromkeys(pair.image for pair in found.pairs))
    pictures: dict[str, _Picture] = {}
    for done, name in enumerate(wanted):
        if progress is not None:
            progress(done, len(wanted))
        path = _existing(root, name)
        if path is None:
            found.faults.append(f"image '{name}' is not in {folder}")
            continue
        if not path.resolve().is_relative_to(root):
            found.faults.append(f"image '{name}' lies outside of {folder}")
            continue
        try:
            data = read_original(path)
            digest = hashlib.sha256(data).hexdigest()
            row = study.store.one(
                "SELECT sha256, width, height FROM images WHERE ? IN (original_sha256, sha256) "
                "ORDER BY sha256 = ? DESC LIMIT 1",
                digest, digest,
            )  # fmt: skip
            if row is not None:
                pictures[name] = _Picture(name, digest, row["sha256"], row["width"], row["height"], None)
                continue
            copy = write_canonical(data, name, staging)
            pictures[name] = _Picture(name, digest, copy.sha256, copy.width, copy.height, copy)
        except ImageError as error:
            found.faults.append(f"image {error}")
    return pictures


def _existing(root: Path, name: str) -> Path | None:
    """The file, in the spelling of the list, composed or decomposed: archives change the spelling of names."""
    spellings = [name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]
    return next((root / spelling for spelling in spellings if (root / spelling).is_file()), None)


def _check(found: Found, pictures: Mapping[str, _Picture], purpose: str) -> None:
    """Add to the faults of the file what is wrong between its pairs and the images."""
    labels: dict[tuple[str, frozenset[tuple[int, int]]], tuple[str, Any]] = {}
    scenes: dict[str, str] = {}
    repeated = 0
    for pair in found.pairs:
        picture = pictures.get(pair.image)
        if picture is None:
            continue
        size = (picture.height, picture.width)
        if pair.sha256 and pair.sha256 not in (picture.file_sha256, picture.sha256):
            found.faults.append(f"{pair.place}: image '{pair.image}' is another file than the labelled one (SHA-256)")
        if pair.size is not None and pair.size != size:
            found.faults.append(
                f"{pair.place}: says that '{pair.image}' has {pair.size[0]} rows and {pair.size[1]} columns; it has "
                f"{size[0]} and {size[1]}"
            )
        for point in (pair.a, pair.b):
            if not (0 <= point[0] < size[0] and 0 <= point[1] < size[1]):
                found.faults.append(
                    f"{pair.place}: point {list(point)} lies outside '{pair.image}' of {size[0]} rows and {size[1]} "
                    "columns"
                )
        if pair.a == pair.b:
            found.faults.append(f"{pair.place}: both points are {list(pair.a)}")
        if purpose != "pairs" and pair.label is None:
            found.faults.append(f"{pair.place}: has no label, which a test pair needs")
        key = (picture.sha256, frozenset((pair.a, pair.b)))
        said = {"a": pair.a, "b": pair.b}.get(pair.label or "", pair.label)
        before = labels.setdefault(key, (pair.place, said))
        if before[0] != pair.place:
            repeated += 1
            if before[1] != said:
                found.faults.append(f"{pair.place}: contradicts {before[0]}, which has the same points")
        scene = scenes.setdefault(picture.sha256, pair.scene)
        if pair.scene != scene:
            found.faults.append(f"{pair.place}: '{pair.image}' has the scene '{pair.scene}' here and '{scene}' before")
    if repeated:
        found.notes.append(f"{repeated} pairs are in the file more than once; each was kept")


def _project(study: Study, project: str | int | None, actor: str) -> int:
    try:
        return study.project(project)[0]
    except NotFoundError:
        if study.store.one("SELECT 1 FROM projects") is not None:
            raise
        return create_project(study, str(project or FIRST_PROJECT), {}, actor=actor)


def _stated_rights(folder: Path) -> dict[str, dict[str, str]]:
    """Path of an image -> its rights, from the ``licences.csv`` of a release; empty where there is none."""
    path = folder / "licences.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.DictReader(stream) if row.get("image")]
    return {row["image"]: {name: tables.unescaped(row.get(name) or "") for name in RIGHTS} for row in rows}


def _store(
    study: Study,
    project: int,
    found: Found,
    pictures: Mapping[str, _Picture],
    path: Path,
    form: str,
    purpose: str,
    rights: Mapping[str, Mapping[str, str]],
    staging: Path,
    actor: str,
) -> Imported:
    scenes = {pictures[pair.image].sha256: pair.scene for pair in found.pairs}
    fresh = {picture.sha256: picture for picture in pictures.values() if picture.fresh is not None}
    study.images.mkdir(parents=True, exist_ok=True)
    for picture in fresh.values():
        assert picture.fresh is not None
        (staging / picture.fresh.file).replace(study.images / picture.fresh.file)
    with study.store.write(actor) as write:
        for picture in fresh.values():
            if write.one("SELECT 1 FROM images WHERE sha256 = ?", picture.sha256) is None:
                own = {name: text for name, text in rights.get(picture.name, {}).items() if text}
                write.append("image.added", _image_event(picture, scenes[picture.sha256], {**rights[""], **own}))
        row = write.one("SELECT coalesce(max(position), -1) AS last FROM pairs WHERE project = ?", project)
        position = int(row["last"]) if row is not None else -1
        times: Counter[tuple[Any, ...]] = Counter()
        added = known = 0
        for pair in found.pairs:
            event = _pair_event(project, pair, pictures[pair.image].sha256, times, path, form, purpose)
            if write.one("SELECT 1 FROM pairs WHERE id = ?", event["id"]) is not None:
                known += 1
                continue
            position += 1
            added += 1
            write.append("pair.proposed", {**event, "position": position})
    notes = [*found.notes, *(f"{known} pairs were in the project already" for _ in range(bool(known)))]
    return Imported(added, len(fresh), known, notes)


def _image_event(picture: _Picture, scene: str, rights: Mapping[str, str]) -> dict[str, Any]:
    copy = picture.fresh
    assert copy is not None
    return {
        "sha256": copy.sha256, "file": copy.file, "width": copy.width, "height": copy.height, "scene": scene,
        "original_name": unicodedata.normalize("NFC", picture.name), "original_sha256": copy.original_sha256,
        "orientation": copy.orientation, **rights, "more": {"notes": list(copy.notes)} if copy.notes else {},
    }  # fmt: skip


def _pair_event(
    project: int,
    pair: ImportedPair,
    image: str,
    times: Counter[tuple[Any, ...]],
    path: Path,
    form: str,
    purpose: str,
) -> dict[str, Any]:
    points = sorted((pair.a, pair.b))
    key = (image, *points)
    times[key] += 1
    text = json.dumps([project, purpose == "pairs", image, points, times[key]])
    identity = uuid.uuid5(NAMESPACE, text)
    swapped = hashlib.sha256(f"{identity}\na".encode()).digest()[0] % 2 == 1
    a, b = (pair.b, pair.a) if swapped else (pair.a, pair.b)
    stated = {"format": form, "file": path.name, "place": pair.place, "label": pair.label, "swapped": swapped}
    event: dict[str, Any] = {
        "id": str(identity), "project": project, "image": image, "a_row": a[0], "a_col": a[1], "b_row": b[0],
        "b_col": b[1], "route": "import", "more": {**pair.more, "import": stated},
    }  # fmt: skip
    if purpose != "pairs":
        flip = {"a": "b", "b": "a"} if swapped else {}
        event |= {"purpose": purpose, "gold": flip.get(str(pair.label), pair.label)}
        note = pair.more.get("table", {}).get("note", "")
        event |= {"gold_note": str(note)} if note else {}
    return event
