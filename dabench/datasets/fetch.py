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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from dabench.datasets import open_dataset, registry
from dabench.datasets.archives import DamagedArchiveError, require_7z, unpack
from dabench.datasets.sources import FETCHABLE, File, Source
from dabench.errors import DatasetError, DownloadError, UnknownNameError

Notify = Callable[[str], None]
Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes of the whole file (None where the server does not say)."""

HUB = "https://huggingface.co"
TIMEOUT = 30.0
ATTEMPTS = 5
BLOCK = 1 << 20
RETRIED_STATUS = (408, 425, 429, 500, 502, 503, 504)


def fetch_dataset(
    name: str,
    data_root: Path,
    *,
    splits: Sequence[str] = (),
    source: Source | None = None,
    notify: Notify | None = None,
    progress: Progress | None = None,
) -> Path:
    """Bring the dataset ``name`` to ``data_root/name`` and return that folder. What is there is left alone.

    A file without a published checksum is followed by a look at the layout and the counts: the splits that it belongs
    to are opened.

    Args:
        name: registered name.
        data_root: folder that holds one folder a dataset.
        splits: fetch what these splits need; by default what the source calls the usual ones.
        source: fetch from here instead of the known place (a mirror, a test).
        notify: told about every step.
        progress: told about every block of a transfer.

    Raises:
        UnknownNameError: no such dataset or split.
        DatasetError: it has to be fetched by hand, ``data_root/name`` holds something else, or an archive lacks what
            the dataset needs.
        DownloadError: a transfer failed or the content is not the expected one; run it again to go on.
    """
    info = registry().get(name).info
    source = source or FETCHABLE.get(name)
    if source is None:
        raise DatasetError(f"dataset '{name}' cannot be fetched by name", hint=info.how_to_get)
    for split in splits:
        if split not in info.splits:
            raise UnknownNameError(f"split of dataset '{name}'", split, info.splits)
    target, say = Path(data_root) / name, notify or (lambda message: None)
    # a dataset's folder may be a link to a larger disk; files are renamed into it, so they arrive on that disk
    work = (target.resolve().parent if target.is_symlink() else Path(data_root)) / f".{name}.download"
    wanted = tuple(splits) or source.splits or info.splits
    files = [file for file in source.files if not file.splits or not set(file.splits).isdisjoint(wanted)]
    needed = [file for file in files if not _there(file, target)]
    if not needed:
        shutil.rmtree(work, ignore_errors=True)  # of a run that was killed at the very end
        say(f"{name} is already in {target}")
        return target
    _refuse_strangers(source, target)
    for file in needed:
        if file.name.endswith(".7z"):
            require_7z(file.name)  # before gigabytes are fetched
    with _writing(Path(data_root)):
        work.mkdir(parents=True, exist_ok=True)
        say(f"fetching {name}: {len(needed)} files (licence: {source.licence}; {source.page})")
        for number, file in enumerate(needed, start=1):
            say(f"file {number} of {len(needed)}: {file_url(file)}")
            _bring(file, work, target, source, say, progress)
        shutil.rmtree(work)
    say(f"{name} is in {target}")
    if any(file.checksum is None for file in needed):
        _look_over(name, Path(data_root), wanted)
        say(f"{name}: layout and counts are as they should be")
    return target


def file_url(file: File) -> str:
    """The full address of a file; that of the hub is ``HF_ENDPOINT`` if it is set."""
    return (os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB) + file.url if file.url.startswith("/") else file.url


def _there(file: File, target: Path) -> bool:
    return all((target / path).exists() for path in file.brings)


def _refuse_strangers(source: Source, target: Path) -> None:
    """A folder that holds nothing of the dataset is somebody else's."""
    if not any(path.is_file() for path in target.rglob("*")):
        return
    brought = [path for file in source.files for path in file.brings]
    if not any((target / path).exists() for path in brought):
        shown = ", ".join(brought[:4]) + (" ..." if len(brought) > 4 else "")
        raise DatasetError(f"{target} exists but lacks {shown}", hint="move it away and run the same command again")


def _bring(file: File, work: Path, target: Path, source: Source, say: Notify, progress: Progress | None) -> None:
    """Download one file, check it, and put what it brings into place."""
    if file.checksum is None:
        say(f"{file.name}: no checksum is published; layout and counts are checked at the end instead")
    path = work / file.name
    by_hand = f"get {file.name} by hand from {source.page} and unpack it into {target}"
    if file.checksum is not None or not path.is_file():  # it gets this name when it is whole
        try:
            download(file_url(file), path, checksum=file.checksum, size=file.size, notify=say, progress=progress)
        except DownloadError as error:
            hint = f"{error.hint or 'run the same command again'}; or {by_hand}"
            raise DownloadError(error.message, hint=hint) from error
    if not file.archive:
        target.mkdir(parents=True, exist_ok=True)
        path.replace(target / file.brings[0])
        return
    say(f"unpacking {file.name}")
    unpacked = work / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        unpack(path, unpacked, max_bytes=file.unpacked_bytes)
    except DamagedArchiveError as error:
        path.unlink()
        hint = f"it was deleted; run the same command again, or {by_hand}"
        raise DamagedArchiveError(error.message, hint=hint) from error
    root = _root_with(unpacked, file)
    if (root / "annotations.json").is_file():
        respell(root, json.loads((root / "annotations.json").read_text(encoding="utf-8")))
    _move_in(root, target, file.brings)
    shutil.rmtree(unpacked, ignore_errors=True)
    path.unlink()


def _move_in(root: Path, target: Path, brings: tuple[str, ...]) -> None:
    """Move what an archive held into the dataset, what it brings first and each in one step: a run that is killed
    finds out what is missing and starts over. Of other files (licences, calibration) those that are there stay."""
    for part in brings:
        if not (target / part).exists():
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            (root / part).replace(target / part)
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        relative = path.relative_to(root)
        inside = any(PurePosixPath(relative.as_posix()).is_relative_to(part) for part in brings)
        if not inside and not (target / relative).exists():
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            path.replace(target / relative)


def _root_with(folder: Path, file: File) -> Path:
    """``folder``, or a folder in it, whichever holds all that the file brings; else ``folder`` below a new one."""
    for candidate in (folder, *(child for child in sorted(folder.iterdir()) if child.is_dir())):
        if _there(file, candidate):
            return candidate
    if file.folder:
        root = folder.with_name("unpacked-below")
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        folder.replace(root / file.folder)
        if _there(file, root):
            return root
        folder = root / file.folder
    found = ", ".join(sorted(child.name for child in folder.iterdir())[:8]) or "nothing"
    raise DatasetError(f"the archive {file.name} holds {found}; expected {', '.join(file.brings)}")


def _look_over(name: str, data_root: Path, splits: Sequence[str]) -> None:
    """Open every split that was fetched, which counts its files.

    Raises:
        DatasetError: with what is wrong and how to start over.
    """
    for split in splits:
        try:
            open_dataset(name, data_root, split=split)
        except DatasetError as error:
            raise DatasetError(
                f"what was fetched is not the dataset: {error.message}",
                hint=f"delete {data_root / name} and run the same command again, or report the change of the publisher",
            ) from error


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
    checksum: str | None = None,
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
        checksum: of the content, as ``sha256:...`` or ``md5:...`` in hexadecimal.
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
        if checksum and path.is_file() and _digest(path, checksum) == checksum:
            return path
        left = ATTEMPTS
        while True:
            before = _size(part)
            try:
                _transfer(url, part, size, trusted=checksum is not None, progress=progress)
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
        if checksum and (found := _digest(part, checksum)) != checksum:
            _forget(part)
            raise DownloadError(
                f"{url}: the content is not the expected one and was deleted: {found}, expected {checksum}",
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


def _digest(path: Path, like: str) -> str:
    """``algorithm:digest`` of a file, by the algorithm of another such text."""
    algorithm = like.partition(":")[0]
    with path.open("rb") as stream:
        return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"


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
