"""Pictures of a study: checked against their digest, decoded and encoded again before anybody sees them.

Work copies are kept below ``STUDY/cache/work``. A file that is missing, replaced or damaged marks its image ``bad`` in
the log, which takes its pairs out of the queue.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import sqlite3
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
from PIL import Image

from annotation.errors import NotFoundError
from annotation.study import Study

from .replies import Refused, log

LONG_SIDE = 2048
QUALITY = 90
DECODERS = 2
KEPT_BYTES = 128 * 2**20
MAX_PIXELS = 120_000_000
EXPERT = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,99}")
UNDECODABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)


class Pictures:
    """What the picture routes serve. All methods may be called from several threads."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._checked: dict[str, tuple[int, int, int]] = {}
        self._decoded: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self._decoders = threading.BoundedSemaphore(DECODERS)

    def usable(self, sha256: str) -> bool:
        """Whether the canonical file is there and is what its digest says; if not, the image is marked bad."""
        row = self._row(sha256)
        return row["state"] == "ok" and self._problem(row) == ""

    def work(self, sha256: str) -> bytes:
        """JPEG of the whole picture, long side at most 2048, without metadata; made once.

        Raises:
            NotFoundError: no such image.
            Refused: 410, the file is damaged.
        """
        row = self._usable_row(sha256)
        file = self.study.cache / "work" / f"{sha256}.jpg"
        with contextlib.suppress(OSError):
            return file.read_bytes()
        picture = Image.fromarray(self._pixels(row))
        picture.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=QUALITY, subsampling=0)  # optimize fails on noise: its buffer is too small
        keep(file, buffer.getvalue())
        return buffer.getvalue()

    def crop(self, sha256: str, row: int, col: int, rows: int, cols: int) -> tuple[bytes, tuple[int, int, int, int]]:
        """PNG of native pixels, and the window that was cut: row, col, rows, cols, inside the picture."""
        pixels = self._pixels(self._usable_row(sha256))
        height, width = pixels.shape[:2]
        rows, cols = min(rows, height), min(cols, width)
        row, col = min(row, height - rows), min(col, width - cols)
        buffer = io.BytesIO()
        Image.fromarray(pixels[row : row + rows, col : col + cols]).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), (row, col, rows, cols)

    def expert(self, sha256: str, model: str) -> bytes:
        """PNG of the depth map that a model voted with. Raises NotFoundError when it did not vote or none was kept.

        The name leads to a file only when it is that of a model with a vote on this picture in the database.
        """
        self._row(sha256)
        voted = self.study.store.one(
            "SELECT 1 FROM votes v JOIN pairs p ON p.id = v.pair WHERE p.image = ? AND v.model = ?", sha256, model
        )
        absent = NotFoundError(f"no depth map of {model} is kept for this picture")
        if voted is None or not EXPERT.fullmatch(model):
            raise absent
        buffer = io.BytesIO()
        try:
            with Image.open(self.study.cache / "experts" / model / f"{sha256}.png", formats=("PNG",)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise absent
                picture.convert("RGB").save(buffer, "PNG", compress_level=1)
        except UNDECODABLE as error:
            raise absent from error
        return buffer.getvalue()

    def _row(self, sha256: str) -> sqlite3.Row:
        row = self.study.store.one("SELECT sha256, file, width, height, state FROM images WHERE sha256 = ?", sha256)
        if row is None:
            raise NotFoundError("there is no such picture")
        return row

    def _usable_row(self, sha256: str) -> sqlite3.Row:
        row = self._row(sha256)
        if row["state"] != "ok" or self._problem(row):
            raise Refused(410, "the file of this picture is damaged", "return its tasks and ask for the next ones")
        return row

    def _problem(self, row: sqlite3.Row) -> str:
        """Empty, or what is wrong with the file; it is read again only when it changed on the disk."""
        file = self.study.images / Path(row["file"]).name
        try:
            state = file.stat()
            stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
            if self._checked.get(row["sha256"]) == stamp:
                return ""
            with file.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            return self._mark_bad(row["sha256"], f"cannot be read: {error.strerror or error}")
        if found != row["sha256"]:
            return self._mark_bad(row["sha256"], "the file was changed: its digest does not fit")
        self._checked[row["sha256"]] = stamp
        return ""

    def _mark_bad(self, sha256: str, problem: str) -> str:
        with self.study.store.write("server") as write:
            row = write.one("SELECT state FROM images WHERE sha256 = ?", sha256)
            if row is not None and row["state"] == "ok":
                log.warning("image %s is out of the queue: %s", sha256, problem)
                write.append("image.changed", {"sha256": sha256, "state": "bad", "problem": problem})
        with self._lock:
            self._decoded.pop(sha256, None)
        return problem

    def _pixels(self, row: sqlite3.Row) -> np.ndarray:
        """uint8 [H, W, 3]; the last few are kept, so that the loupe does not decode for every move."""
        sha256 = row["sha256"]
        with self._lock:
            if sha256 in self._decoded:
                self._decoded.move_to_end(sha256)
                return self._decoded[sha256]
        with self._decoders:
            try:
                pixels = decode(self.study.images / Path(row["file"]).name, row["width"], row["height"])
            except UNDECODABLE as error:
                self._mark_bad(sha256, f"cannot be decoded: {type(error).__name__}")
                raise Refused(410, "the file of this picture is damaged", "return its tasks") from error
        with self._lock:
            self._decoded[sha256] = pixels
            while len(self._decoded) > 1 and sum(kept.nbytes for kept in self._decoded.values()) > KEPT_BYTES:
                self._decoded.popitem(last=False)
        return pixels


def decode(file: Path, width: int, height: int) -> np.ndarray:
    """RGB uint8 [H, W, 3] of a canonical file. Raises ValueError when the size in its header is not the stored one, or
    too large, before a pixel is decoded.
    """
    with Image.open(file, formats=("JPEG", "PNG")) as picture:
        if picture.size != (width, height) or width * height > MAX_PIXELS:
            raise ValueError(f"{picture.size[0]}x{picture.size[1]} pixels instead of {width}x{height}")
        return np.asarray(picture.convert("RGB"))


def keep(file: Path, content: bytes) -> None:
    """Store a cache file in one step; a disk that is full or read-only only means that it is made again next time."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(content)
        fresh.replace(file)
    except OSError as error:
        log.warning("%s is not kept: %s", file.name, error.strerror or error)
        with contextlib.suppress(OSError):
            fresh.unlink()
