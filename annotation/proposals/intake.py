"""Images into a study: canonical copies and what is known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from annotation.canonical import Limits, read_original, write_canonical
from annotation.image_list import COLUMNS, ListedImage
from annotation.study import Study
from dabench.errors import ImageError


@dataclass(frozen=True)
class StudyImage:
    """An image of the study: canonical digest, file below ``images/``, size, scene, and the name it came with."""

    sha256: str
    file: str
    width: int
    height: int
    scene: str
    name: str


@dataclass
class Intake:
    """What became of the listed images: those in the study now, how many were new, and those that were refused."""

    images: list[StudyImage] = field(default_factory=list)
    added: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def take_in(
    study: Study,
    listed: Sequence[ListedImage],
    progress: Callable[[int], None] = lambda done: None,
    limits: Limits = Limits(),
) -> Intake:
    """Make canonical copies of the images that the study does not have, and learn what the list says of the others.

    One image, one transaction: a call that was stopped goes on where it was. A file that cannot be used is listed
    under ``failed`` and the others go on. Two files of one picture are one image.

    Args:
        progress: told how many are done.
    """
    result, seen = Intake(), dict[str, str]()
    for done, item in enumerate(listed, start=1):
        try:
            sha256, fresh = _take(study, item, result.notes, limits)
        except ImageError as error:
            result.failed.append((item.name, error.message))
            continue
        finally:
            progress(done)
        if sha256 in seen:
            result.notes.append(f"{item.name} is the same picture as {seen[sha256]}; it counts once")
            continue
        seen[sha256] = item.name
        result.added += fresh
        row = study.store.one(
            "SELECT sha256, file, width, height, scene, original_name, state FROM images WHERE sha256 = ?", sha256
        )
        assert row is not None
        if row["state"] == "ok":
            result.images.append(
                StudyImage(row["sha256"], row["file"], row["width"], row["height"], row["scene"], item.name)
            )
        else:
            result.notes.append(f"{item.name} is marked as bad in the study and was left out")
    return result


def _take(study: Study, item: ListedImage, notes: list[str], limits: Limits) -> tuple[str, bool]:
    data = read_original(item.path, limits)
    original = hashlib.sha256(data).hexdigest()
    row = study.store.one("SELECT sha256, file FROM images WHERE original_sha256 = ?", original)
    if row is not None and (study.images / row["file"]).is_file():
        _update(study, row["sha256"], item, notes)
        return row["sha256"], False
    copy = write_canonical(data, item.name, study.images, limits)
    if study.store.one("SELECT 1 FROM images WHERE sha256 = ?", copy.sha256) is not None:
        _update(study, copy.sha256, item, notes)
        return copy.sha256, False
    more = {**item.more, "canonical": list(copy.notes)} if copy.notes else item.more
    with study.store.write("owner") as write:
        write.append(
            "image.added",
            {
                "sha256": copy.sha256,
                "file": copy.file,
                "width": copy.width,
                "height": copy.height,
                "original_name": item.name,
                "original_sha256": original,
                "orientation": copy.orientation,
                **{name: getattr(item, name) for name in COLUMNS},
                "more": more,
            },
        )
    return copy.sha256, True


def _update(study: Study, sha256: str, item: ListedImage, notes: list[str]) -> None:
    """Take over what the list says now. The scene of an image with pairs stays: it was a stratum of their drawing."""
    row = study.store.one(f"SELECT {', '.join(COLUMNS)} FROM images WHERE sha256 = ?", sha256)
    assert row is not None
    changed = {n: getattr(item, n) for n in COLUMNS if getattr(item, n) and getattr(item, n) != row[n]}
    if "scene" in changed and study.store.one("SELECT 1 FROM pairs WHERE image = ?", sha256) is not None:
        notes.append(f"{item.name} keeps scene '{row['scene']}', of which it has pairs, not '{changed.pop('scene')}'")
    if changed:
        with study.store.write("owner") as write:
            write.append("image.changed", {"sha256": sha256, **changed})
