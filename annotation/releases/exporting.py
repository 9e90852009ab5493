"""A release in the formats of other tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from annotation.atomic import whole_folder, write_file
from annotation.formats import coco, label_studio, questions, tables
from annotation.formats.released import Lettered, lettered
from annotation.releases.folder import event_lines, image_bytes, release_meta, response_rows
from annotation.releases.freezing import describe
from annotation.releases.licences import COLUMNS, licence_rows
from annotation.releases.names import image_keys
from annotation.releases.release import Release, rebuild
from annotation.study import Study
from dabench.errors import UsageError
from dabench.types import Image

Json = dict[str, Any]
FORMATS = ("da2k", "csv", "parquet", "label-studio", "coco", "questions")
ABOUT = "about.json"
EXPORTS = "exports"


def export(
    study: Study,
    release: Release,
    form: str,
    *,
    out: Path | None = None,
    seed: int = 0,
    prefix: str = "",
) -> Path:
    """Write a release in another format; the folder, which appears whole or not at all.

    Beside the files of the format lies ``about.json``: tool, digest, policy, rules, counts, as in ``meta.json``. Paths
    of images are those of the release folder; ``questions`` alone brings pictures of its own.

    Args:
        form: one of ``FORMATS``; ``da2k`` writes the release folder again.
        out: the folder; None: ``exports/<release>-<format>`` of the study, which is replaced.
        seed: which point is called A; always in balance.
        prefix: for ``label-studio``, put before the path of each image.

    Raises:
        UsageError: no such format, or ``out`` holds something.
    """
    if form == "da2k":
        return rebuild(study, release, out if out is not None else _default(study, release, form))
    writers: Mapping[str, Callable[[_Content, Path], None]] = {
        "csv": _csv, "parquet": _parquet, "label-studio": _label_studio, "coco": _coco, "questions": _questions,
    }  # fmt: skip
    if form not in writers:
        raise UsageError(f"there is no format '{form}'", hint=f"formats: {', '.join(FORMATS)}")
    target = out if out is not None else _default(study, release, form)
    content = _Content(study, release, seed, prefix)
    with whole_folder(target, replace=out is None and (target / ABOUT).is_file()) as (folder, _):
        writers[form](content, folder)
        about = {**content.about, "seed_of_letters": seed}
        (folder / ABOUT).write_bytes(_json(about))
    return target


def export_events(study: Study, out: Path) -> Path:
    """Write the event log as gzipped JSON lines, without names. It holds the answers of test pairs: not for annotators.

    Args:
        out: the file to write.
    """
    write_file(out, event_lines(study))
    return out


class _Content:
    """What the writers share. ``images``: by SHA-256; ``keys``: their paths in the release folder."""

    def __init__(self, study: Study, release: Release, seed: int, prefix: str) -> None:
        self.study, self.release, self.seed, self.prefix = study, release, seed, prefix
        pairs = describe(study, release.manifest)
        self.pairs: list[Lettered] = lettered(pairs, seed)
        self.images: dict[str, Json] = {image["sha256"]: image for image in release.content["images"]}
        self.keys = image_keys(release.content["images"])
        self.responses = response_rows(study, release, self.pairs)
        meta = release_meta(study, release, pairs, self.images, self.keys, self.responses)
        self.about = {name: value for name, value in meta.items() if name not in ("pairs", "images", "format")}

    def picture(self, sha256: str) -> Image:
        """A released image as ``uint8 [H, W, 3]``, its bytes checked."""
        from dabench.datasets.formats import read_image

        image_bytes(self.study, self.images[sha256])
        return read_image(self.study.images / self.images[sha256]["file"])


def _csv(content: _Content, folder: Path) -> None:
    rows = tables.pair_rows(content.pairs, content.images)
    licences = licence_rows(content.release.content["images"], content.keys)
    (folder / "pairs.csv").write_bytes(tables.csv_bytes(rows, list(tables.PAIR_COLUMNS)))
    (folder / "responses.csv").write_bytes(tables.csv_bytes(content.responses, list(tables.RESPONSE_COLUMNS)))
    (folder / "licences.csv").write_bytes(tables.csv_bytes(licences, COLUMNS))


def _parquet(content: _Content, folder: Path) -> None:
    rows = tables.pair_rows(content.pairs, content.images)
    (folder / "pairs.parquet").write_bytes(tables.parquet_bytes(rows, tables.PAIR_COLUMNS))
    (folder / "responses.parquet").write_bytes(tables.parquet_bytes(content.responses, tables.RESPONSE_COLUMNS))


def _label_studio(content: _Content, folder: Path) -> None:
    aliases = sorted({row["person"] for row in content.responses})
    people = {alias: number for number, alias in enumerate(aliases, start=1)}
    asked = {found.pair.id: "front" if found.pair.layered else "closer" for found in content.pairs}
    said: dict[str, list[Json]] = {}
    for row in content.responses:
        if row["relation"] == asked[row["pair"]]:
            said.setdefault(row["pair"], []).append({**row, "person": people[row["person"]]})
    tasks = label_studio.tasks(content.pairs, content.images, said, content.release.name, content.prefix)
    (folder / "tasks.json").write_bytes(_json(tasks))
    (folder / "label_config.xml").write_bytes(label_studio.CONFIG.encode())
    numbered = [{"completed_by": people[alias], "person": alias} for alias in aliases]
    (folder / "people.csv").write_bytes(tables.csv_bytes(numbered, ["completed_by", "person"]))


def _coco(content: _Content, folder: Path) -> None:
    release = content.release
    dataset = coco.dataset(content.pairs, content.images, release.name, release.digest)
    (folder / "pairs.json").write_bytes(_json(dataset))


def _questions(content: _Content, folder: Path) -> None:
    questions.write(folder, content.pairs, content.picture, release=content.release.name, seed=content.seed)


def _default(study: Study, release: Release, form: str) -> Path:
    return study.path / EXPORTS / f"{release.name}-{form}"


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()
