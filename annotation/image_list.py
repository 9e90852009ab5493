"""Which images a study is made from: a folder, or a list with what is known of each one."""

from __future__ import annotations

import csv
import datetime
import json
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotation.study import DATABASE
from dabench.errors import UsageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm"})
LISTS = frozenset({".csv", ".jsonl", ".ndjson"})
COLUMNS = ("scene", "source", "author", "licence", "retrieved", "keyword")
SHOWN_ERRORS = 10


@dataclass(frozen=True)
class ListedImage:
    """One image, and what is known of it.

    Attributes:
        path: the file.
        name: its path below the folder or below the folder of the list, with ``/``, composed (NFC).
        scene: stratum of the drawing and of the statistics; ``""`` when there is none.
        source, author, licence: where it comes from, whose it is, and under which terms.
        retrieved: ISO date or time of the download.
        keyword: what was searched for.
        more: the other columns of the list.
    """

    path: Path
    name: str
    scene: str = ""
    source: str = ""
    author: str = ""
    licence: str = ""
    retrieved: str = ""
    keyword: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def list_images(path: Path) -> list[ListedImage]:
    """The images of a folder, or of a CSV or JSON Lines list, sorted by name.

    In a folder the scene of an image is its first subfolder; a folder ``images`` at the top is passed over, as DA-2K
    has it (``images/<scene>/<file>``). Hidden files, and a study inside the folder, are left out.

    A list has the column ``file``, relative to the list's own folder and inside it; ``scene``, ``source``, ``author``,
    ``licence`` (or ``license``), ``retrieved`` (ISO date) and ``keyword`` are optional, and any other is kept.

    Raises:
        UsageError: nothing there, or a list with mistakes; the message has the line of each.
    """
    if path.is_dir():
        found = sorted(_in_folder(path), key=lambda image: image.name)
    elif not path.exists():
        raise UsageError(f"{path} does not exist", hint="name a folder of images, or a .csv or .jsonl list of them")
    elif path.suffix.lower() in LISTS:
        found = sorted(_in_list(path), key=lambda image: image.name)
    elif path.suffix.lower() in SUFFIXES:
        found = [ListedImage(path, unicodedata.normalize("NFC", path.name))]
    else:
        raise UsageError(f"{path} is neither a folder nor a list", hint=f"lists end in {', '.join(sorted(LISTS))}")
    if not found:
        raise UsageError(f"{path} holds no image", hint=f"kinds: {' '.join(sorted(SUFFIXES))}")
    return found


def _in_folder(root: Path) -> Iterator[ListedImage]:
    for path in _files(root, set()):
        if path.suffix.lower() not in SUFFIXES:
            continue
        # A name that is not UTF-8 is shown as well as it can be.
        name = os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")
        name = unicodedata.normalize("NFC", name)
        folders = name.split("/")[:-1]
        if folders[:1] == ["images"]:
            folders = folders[1:]
        yield ListedImage(path, name, scene=folders[0] if folders else "")


def _files(folder: Path, visited: set[Path]) -> Iterator[Path]:
    """Files below a folder, hidden ones and those of a study left out. Linked folders are followed, each once."""
    real = folder.resolve()
    if real in visited or (folder / DATABASE).exists():
        return
    visited.add(real)
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path, visited)
        elif path.is_file():
            yield path


def _in_list(path: Path) -> list[ListedImage]:
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
    found: list[ListedImage] = []
    lines: dict[Path, int] = {}
    wrong: list[str] = []
    for line, row in rows:
        try:
            if isinstance(row, str):
                raise ValueError(row)
            image = _listed(row, path.parent.resolve())
            same = image.path.resolve()
            if same in lines:
                raise ValueError(f"{image.name} is on line {lines[same]} already")
            lines[same] = line
            found.append(image)
        except ValueError as error:
            wrong.append(f"line {line}: {error}")
    if wrong:
        more = f"\n  and {len(wrong) - SHOWN_ERRORS} more" if len(wrong) > SHOWN_ERRORS else ""
        raise UsageError(f"{path}: " + "\n  ".join(wrong[:SHOWN_ERRORS]) + more)
    return found


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            if "file" not in header:
                raise UsageError(
                    f"{path}: its first line has no column 'file'", hint="for instance: file,scene,author,licence"
                )
            repeated = sorted({name for name in header if header.count(name) > 1})
            if repeated:
                raise UsageError(f"{path}: two columns are called '{repeated[0]}'")
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    yield reader.line_num, f"{len(cells)} cells, but the first line names {len(header)} columns"
                else:
                    yield reader.line_num, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8: {error}") from error
    except csv.Error as error:
        raise UsageError(f"{path}: line {reader.line_num}: {error}") from error


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8: {error}") from error
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content, parse_constant=_refuse)
            json.dumps(row, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        except (ValueError, RecursionError) as error:
            yield line, f"not JSON: {error}"
            continue
        yield line, row if isinstance(row, dict) else "not a JSON object"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _listed(row: dict[str, Any], root: Path) -> ListedImage:
    """Raises ValueError that says what is wrong with the row."""
    row = dict(row)
    if "license" in row:
        if row.get("licence"):
            raise ValueError("has both 'licence' and 'license'")
        row["licence"] = row.pop("license")
    for name in ("file", *COLUMNS):
        if row.get(name) is None:
            row[name] = ""
        if not isinstance(row[name], str):
            raise ValueError(f"'{name}' is not text: {row[name]!r}")
    file = row.pop("file")
    if not file:
        raise ValueError("'file' is empty")
    if "\0" in file:
        raise ValueError(f"{file!r} is no file name")
    path = _existing(root, file)
    if not path.resolve().is_relative_to(root):
        raise ValueError(f"{file} lies outside of the folder of the list")
    if not path.is_file():
        raise ValueError(f"{file} {'is not a file' if path.exists() else 'does not exist'}")
    if row["retrieved"]:
        try:
            datetime.datetime.fromisoformat(row["retrieved"])
        except ValueError:
            raise ValueError(f"'retrieved' is not an ISO date such as 2026-11-24: {row['retrieved']}") from None
    known = {name: row.pop(name).strip() for name in COLUMNS}
    name = unicodedata.normalize("NFC", Path(file).as_posix())
    return ListedImage(path, name, **known, more={str(k): v for k, v in row.items() if k is not None})


def _existing(root: Path, file: str) -> Path:
    """The file as spelled, composed or decomposed: archives and file systems change the spelling of names."""
    spellings = dict.fromkeys([file, *(unicodedata.normalize(form, file) for form in ("NFC", "NFD"))])
    paths = [root / spelling for spelling in spellings]
    return next((path for path in paths if path.exists()), paths[0])
