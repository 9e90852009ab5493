"""Datasets by name: download, check, unpack, put in place. The only module of dabench that opens a connection.

Every step can be killed and run again: a partial file goes on where it stopped, unpacking happens in a folder that is
renamed when it is whole, and a dataset that is in place is left alone.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import ssl
import time
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dabench.datasets import registry
from dabench.datasets.archives import unpack
from dabench.errors import DatasetError, DownloadError

Notify = Callable[[str], None]
Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes of the whole file (None where the server does not say)."""

HUB = "https://huggingface.co"
TIMEOUT = 30.0
ATTEMPTS = 5
BLOCK = 1 << 20
RETRIED_STATUS = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Source:
    """Where a dataset comes from.

    Attributes:
        path: of the archive below the hub's address (``HF_ENDPOINT``, or huggingface.co).
        sha256: of the archive.
        unpacked_bytes: more than this is refused.
        members: names that the unpacked dataset must hold.
        licence: shown before the download.
        page: for people.
    """

    path: str
    sha256: str
    unpacked_bytes: int
    members: tuple[str, ...]
    licence: str
    page: str


# The revision is the one that two public evaluation scripts pin; the SHA-256 is from the report of a public full run
# (2068 pairs on 1033 images), which compared it with the hub's own page of the file.
FETCHABLE = {
    "da-2k": Source(
        path="/datasets/depth-anything/DA-2K/resolve/528f83c26f02a6a7a11c5a036dfc9ee19907ebd9/DA-2K.zip",
        sha256="ff0e48e7cc53273efd1312610e51f1ec87bea0b8a22daf37125fd81246592b81",
        unpacked_bytes=8 << 30,
        members=("annotations.json", "images"),
        licence="Apache-2.0 (annotations; the images keep their own licences)",
        page="https://huggingface.co/datasets/depth-anything/DA-2K",
    )
}


def fetch_dataset(
    name: str, data_root: Path, *, notify: Notify | None = None, progress: Progress | None = None
) -> Path:
    """Bring the dataset ``name`` to ``data_root/name`` and return that folder. A dataset that is there is left alone.

    Raises:
        UnknownNameError: no such dataset.
        DatasetError: it has to be fetched by hand, ``data_root/name`` holds something else, or the archive lacks what
            the dataset needs.
        DownloadError: the transfer failed or the content is not the expected one; run it again to go on.
    """
    if name not in FETCHABLE:
        reader = registry().get(name)
        raise DatasetError(f"dataset '{name}' cannot be fetched by name", hint=reader.info.how_to_get)
    source, target = FETCHABLE[name], Path(data_root) / name
    say = notify or (lambda message: None)
    archive = Path(data_root) / f".{name}.download" / source.path.rsplit("/", 1)[-1]
    if all((target / member).exists() for member in source.members):
        shutil.rmtree(archive.parent, ignore_errors=True)  # of a run that was killed at the very end
        say(f"{name} is already in {target}")
        return target
    if target.exists() and any(target.iterdir()):
        raise DatasetError(
            f"{target} exists but lacks {', '.join(m for m in source.members if not (target / m).exists())}",
            hint="move it away and run the same command again",
        )
    with _writing(Path(data_root)):
        archive.parent.mkdir(parents=True, exist_ok=True)
        url = (os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB) + source.path
        say(f"fetching {name} (licence: {source.licence}) from {url}")
        try:
            download(url, archive, sha256=source.sha256, notify=say, progress=progress)
        except DownloadError as error:
            by_hand = f"or get {archive.name} by hand from {source.page} and unpack it as {target}"
            raise DownloadError(
                error.message, hint=f"{error.hint or 'run the same command again'}; {by_hand}"
            ) from error
        say(f"unpacking {archive.name}")
        _install(source, archive, target)
        shutil.rmtree(archive.parent)
    say(f"{name} is in {target}")
    return target


def _install(source: Source, archive: Path, target: Path) -> None:
    staging = archive.parent / "unpacked"
    shutil.rmtree(staging, ignore_errors=True)
    unpack(archive, staging, max_bytes=source.unpacked_bytes)
    root = _root_with(staging, source.members)
    if (root / "annotations.json").is_file():
        respell(root, json.loads((root / "annotations.json").read_text(encoding="utf-8")))
    if target.exists():
        target.rmdir()
    root.replace(target)


def _root_with(folder: Path, members: tuple[str, ...]) -> Path:
    """``folder``, or the one folder in it, whichever holds all ``members``."""
    for candidate in (folder, *(child for child in sorted(folder.iterdir()) if child.is_dir())):
        if all((candidate / member).exists() for member in members):
            return candidate
    found = ", ".join(sorted(child.name for child in folder.iterdir())[:8]) or "nothing"
    raise DatasetError(f"the archive holds {found}; expected {', '.join(members)}")


def respell(root: Path, names: object) -> None:
    """Give files the spelling under which ``names`` (keys, paths below ``root``) call them.

    Archives made on a Mac hold decomposed names ("e" + accent); an annotation file written elsewhere has composed ones.
    """
    if not isinstance(names, dict):
        return
    missing = [name for name in names if isinstance(name, str) and not (root / name).exists()]
    if not missing:
        return
    on_disk = {
        unicodedata.normalize("NFC", path.relative_to(root).as_posix()): path
        for path in root.rglob("*")
        if path.is_file()
    }
    for name in missing:
        path = on_disk.get(unicodedata.normalize("NFC", name))
        if path is not None and path.exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            path.rename(root / name)


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    notify: Notify | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download ``url`` to ``path``, going on from ``path.part`` if an earlier attempt left one.

    A partial file is continued only if the server says, by its ETag, that it still holds the same content, or if a
    checksum will tell. Interrupted transfers are retried with growing pauses as long as they make progress. ``path``
    appears only when it is whole and its checksum is right.

    Args:
        url: http or https.
        path: the file to write. If it exists with the right checksum nothing is transferred.
        sha256: expected SHA-256 of the content, in hexadecimal.
        size: expected size in bytes.
        notify: told about retries.
        progress: told about every block.

    Raises:
        DownloadError: the message names the address and the reason.
    """
    say = notify or (lambda message: None)
    part = path.with_name(path.name + ".part")
    with _writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        if sha256 and path.is_file() and _sha256(path) == sha256:
            return path
        left = ATTEMPTS
        while True:
            before = _size(part)
            try:
                _transfer(url, part, size, trusted=sha256 is not None, progress=progress)
                break
            except _Interrupted as error:
                # an attempt that brought something is not held against the server
                left = ATTEMPTS if _size(part) > before else left - 1
                if left == 0:
                    raise DownloadError(
                        f"{url}: {error}; gave up after {ATTEMPTS} attempts",
                        hint="run the same command again to go on where it stopped",
                    ) from error
                pause = min(2.0 ** (ATTEMPTS - left - 1), 30.0)
                say(f"{error}; going on in {pause:.0f} s")
                time.sleep(pause)
        if sha256 and (found := _sha256(part)) != sha256:
            _forget(part)
            raise DownloadError(
                f"{url}: the content is not the expected one and was deleted: SHA-256 {found}, expected {sha256}",
                hint="run the same command again",
            )
        part.replace(path)
        _forget(part)
    return path


class _Interrupted(Exception):
    """A transfer that is worth another attempt."""


def _transfer(url: str, part: Path, size: int | None, *, trusted: bool, progress: Progress | None) -> None:
    """One attempt to bring ``part`` to its full size."""
    have, etag = _resumable(part, url, trusted)
    headers = {"User-Agent": "dabench", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if etag:
            headers["If-Range"] = etag
    with _open(urllib.request.Request(url, headers=headers), part) as response:
        if response is None:  # 416: nothing is left, or the partial file is of something else
            if size is not None and have != size:
                _forget(part)
                raise _Interrupted("the server holds another file than the partial one")
            return
        if response.status != 206:
            have = 0
        elif not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
            _forget(part)
            raise _Interrupted("the server answered with another range than the one asked for")
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        if size is not None and total is not None and total != size:
            raise DownloadError(f"{url}: offers {total} bytes, expected {size}")
        free = shutil.disk_usage(part.parent).free
        if total is not None and total - have > free:
            needed = f"{(total - have) / 1e6:.0f} MB"
            raise DownloadError(f"{url}: needs {needed} more in {part.parent}, {free / 1e6:.0f} MB are free")
        _note(part).write_text(json.dumps({"url": url, "etag": response.headers.get("ETag")}), encoding="utf-8")
        with part.open("ab" if have else "wb") as stream:
            while block := _read(response):
                stream.write(block)
                have += len(block)
                if progress is not None:
                    progress(have, total)
        if total is not None and have < total:
            raise _Interrupted(f"the connection was cut after {have} of {total} bytes")


@contextmanager
def _open(request: urllib.request.Request, part: Path) -> Iterator[http.client.HTTPResponse | None]:
    """The response; None for 416. Errors become either _Interrupted (try again) or DownloadError (do not)."""
    if not request.full_url.startswith(("http://", "https://")):
        raise DownloadError(f"{request.full_url}: only http and https are downloaded")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and part.exists():
                yield None
                return
            if error.code in RETRIED_STATUS:
                raise _Interrupted(f"the server answered {error.code} {error.reason}") from error
            raise DownloadError(f"{request.full_url}: the server answered {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DownloadError(f"{request.full_url}: the certificate cannot be verified: {reason}") from error
        raise _Interrupted(f"no connection ({type(error).__name__}: {reason})") from error
    with response:
        yield response


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK)
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(f"the connection was cut ({type(error).__name__}: {error})") from error


def _resumable(part: Path, url: str, trusted: bool) -> tuple[int, str | None]:
    """How many bytes of ``part`` can be kept, and the ETag they belong to."""
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        etag = note["etag"] if note["url"] == url else None
    except (OSError, ValueError, KeyError, TypeError):
        etag = None
    if etag and etag.startswith("W/"):
        etag = None  # a weak ETag does not promise the same bytes
    return (_size(part), etag) if etag or trusted else (0, None)


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """A full or read-only disk is one DownloadError, and what is there can be gone on with."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DownloadError(
            f"cannot write to {error.filename or folder}: {reason}",
            hint="free some space or choose another --data-root",
        ) from error
