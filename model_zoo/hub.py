"""Weights by name: from the Hugging Face cache if they are there, else downloaded, and always checked.

A file is used only if its SHA-256 is the catalogued one. Where the catalogue knows none, the first download is trusted
and pinned in ``dabench-pins.json`` beside the cache: its commit is used from then on, and other bytes for that commit
are an error. Files land in the ordinary hub cache, so that one already there, from any program, is reused.

The transfer is done here rather than by ``hf_hub_download``, whose partial files do not outlive the process since
huggingface_hub 2.0 (its pull request 4228): a download of 1.3 GB that was killed at the end should not start again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dabench.errors import CheckpointError, DownloadError
from dabench.types import ModelEntry

Notify = Callable[[str], None]

PIN_FILE = "dabench-pins.json"
MAX_TRANSFERS = 50
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ETAG = re.compile(r"[0-9A-Za-z_-]{1,128}")  # it becomes a file name


@dataclass(frozen=True)
class WeightFile:
    """A weight file on this machine whose content is known.

    Attributes:
        path: where it lies.
        sha256: of its content.
        source: where it came from, for the record: ``repository@commit/file``, or the path given by the caller.
        revision: commit of the hub repository; None for a file given by the caller.
        pinned: whether the catalogue itself vouches for the content.
    """

    path: Path
    sha256: str
    source: str
    revision: str | None = None
    pinned: bool = False


def resolve_weights(
    entry: ModelEntry,
    checkpoint: Path | None = None,
    *,
    cache_dir: Path | None = None,
    notify: Notify | None = None,
) -> WeightFile:
    """The weight file of a catalogue row: ``checkpoint`` if given, else from the package, the cache or the hub.

    Raises:
        CheckpointError: ``checkpoint`` is no readable file, or the bundled file is missing or damaged.
        DownloadError: the file is neither cached nor obtainable, or its content is not the expected one.
    """
    if checkpoint is not None:
        return given_file(checkpoint)
    if entry.status == "bundled":
        return _bundled(entry)
    if not entry.source or not entry.file:
        raise CheckpointError(f"model '{entry.name}' has no weight file in its catalogue row", hint="--checkpoint FILE")
    return download_weights(entry, cache_dir=cache_dir, notify=notify)


def download_weights(entry: ModelEntry, *, cache_dir: Path | None = None, notify: Notify | None = None) -> WeightFile:
    """Take ``entry.file`` of the hub repository ``entry.source`` from the cache, or download it.

    Raises:
        DownloadError: as :func:`resolve_weights`; the message names the file, its address and the way around the hub.
    """
    from huggingface_hub import try_to_load_from_cache

    assert entry.source is not None and entry.file is not None
    cache = cache_dir or _default_cache()
    notify = notify or _to_stderr
    pins = _Pins(cache / PIN_FILE)
    revision = entry.revision or pins.revision(entry.source) or "main"
    repository, kind = _repository(entry)
    cached = try_to_load_from_cache(repository, entry.file, cache_dir=cache, revision=revision, repo_type=kind)
    if isinstance(cached, str):
        found = _checked(entry, Path(cached), _commit_of(Path(cached), revision), pins)
        if isinstance(found, WeightFile):
            _pin(entry, found, pins, notify)
            return found
        if not entry.sha256:
            raise _changed(entry, Path(cached), found, pins)
        notify(f"{entry.file} in the cache is damaged (SHA-256 {found[:12]}...): removed, downloading it again")
        _remove(Path(cached))
    return _transfer(entry, cache, revision, pins, notify)


def given_file(path: Path) -> WeightFile:
    """A weight file of the user's own. Raises CheckpointError when it cannot be read."""
    if not path.exists():
        raise CheckpointError(f"checkpoint {path} does not exist")
    if not path.is_file():
        raise CheckpointError(
            f"checkpoint {path} is not a file", hint="give the weight file itself: .pth or .safetensors"
        )
    try:
        return WeightFile(path, file_sha256(path), str(path))
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error.strerror}") from error


def _bundled(entry: ModelEntry) -> WeightFile:
    path = Path(__file__).parent / "weights" / str(entry.file)
    if not path.is_file():
        raise CheckpointError(
            f"the bundled weights {path.name} are missing from this installation",
            hint="reinstall dabench, or give a file with --checkpoint FILE",
        )
    sha256 = file_sha256(path)
    if entry.sha256 and sha256 != entry.sha256:
        raise CheckpointError(
            f"the bundled weights {path} are damaged: SHA-256 {sha256}, expected {entry.sha256}",
            hint="reinstall dabench",
        )
    return WeightFile(path, sha256, f"bundled: {path.name}", pinned=bool(entry.sha256))


def _transfer(entry: ModelEntry, cache: Path, revision: str, pins: _Pins, notify: Notify) -> WeightFile:
    from huggingface_hub import constants, hf_hub_download, hf_hub_url
    from huggingface_hub.file_download import get_hf_file_metadata, repo_folder_name

    (repository, kind), file, endpoint = _repository(entry), str(entry.file), _endpoint()
    url = hf_hub_url(repository, file, revision=revision, repo_type=kind, endpoint=endpoint)
    with _explained(entry, url):
        metadata = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        etag = metadata.etag or ""
        if not metadata.commit_hash or not _ETAG.fullmatch(etag):
            raise DownloadError(
                f"{entry.name}: {url} does not answer like a model hub (no commit or no usable ETag)",
                hint=_way_around(entry),
            )
        if entry.sha256 and _SHA256.fullmatch(etag) and etag != entry.sha256:
            raise DownloadError(
                f"{entry.name}: the hub offers other bytes than the catalogue knows for {file} at {revision[:12]}: "
                f"SHA-256 {etag}, expected {entry.sha256}",
                hint=_way_around(entry),
            )
        notify(_announcement(entry, url, metadata.size))
        blob = cache / repo_folder_name(repo_id=repository, repo_type=kind) / "blobs" / etag
        _fetch_blob(entry, url, metadata, blob)
        # the blob is in place: this only links it into the snapshot of its commit (the branch may have moved on)
        place: Any = {"revision": metadata.commit_hash, "repo_type": kind, "cache_dir": cache, "endpoint": endpoint}
        path = Path(hf_hub_download(repository, file, **place))
    found = _checked(entry, path, metadata.commit_hash, pins)
    if not isinstance(found, WeightFile):
        raise _changed(entry, path, found, pins)
    _pin(entry, found, pins, notify)
    return found


def _pin(entry: ModelEntry, found: WeightFile, pins: _Pins, notify: Notify) -> None:
    """Remember what the catalogue does not say: the commit that the branch had, and the content at it."""
    repository, file, commit = str(entry.source), str(entry.file), str(found.revision)
    known = found.pinned or pins.sha256(repository, commit, file) is not None
    if known and (entry.revision or pins.revision(repository)):
        return
    if not known:
        notify(f"{file}: no checksum is catalogued; SHA-256 {found.sha256} is trusted and pinned in {pins.path}")
    pins.add(repository, commit, file, found.sha256, track=entry.revision is None)


def _fetch_blob(entry: ModelEntry, url: str, metadata: Any, blob: Path) -> None:
    """Bring the bytes of one blob into the cache, going on from a partial file of the same ETag."""
    from huggingface_hub.utils import WeakFileLock

    blob.parent.mkdir(parents=True, exist_ok=True)
    part = blob.with_name(f"{blob.name}.dabench.part")
    with WeakFileLock(blob.with_name(f"{blob.name}.dabench.lock")):
        if blob.is_file():
            return
        if not any(_advance(entry, url, metadata, part) for _ in range(MAX_TRANSFERS)):
            raise DownloadError(f"{entry.name}: {url} broke off {MAX_TRANSFERS} times", hint=_way_around(entry))
        expected = entry.sha256 or (metadata.etag if _SHA256.fullmatch(metadata.etag) else None)
        if expected and (sha256 := file_sha256(part)) != expected:
            part.unlink()
            raise DownloadError(
                f"{entry.name}: the downloaded {entry.file} is damaged and was deleted: "
                f"SHA-256 {sha256}, expected {expected}",
                hint=f"run the same command again; if it repeats, {_way_around(entry)}",
            )
        part.replace(blob)


def _advance(entry: ModelEntry, url: str, metadata: Any, part: Path) -> bool:
    """One more transfer into ``part``; False if it broke off but brought something, so that another is worth it."""
    from huggingface_hub import errors
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    have = part.stat().st_size if part.is_file() else 0
    if metadata.size is not None and have > metadata.size:
        part.unlink()
        have = 0
    _require_space(entry, part.parent, (metadata.size or 0) - have)
    headers = build_hf_headers()
    if _host(url) != _host(metadata.location):
        headers.pop("authorization", None)  # a token is for the hub, not for the store it redirects to
    try:
        with part.open("ab") as stream:
            http_get(metadata.location, stream, resume_size=have, headers=headers, expected_size=metadata.size)
    except (OSError, errors.HTTPError):
        if part.stat().st_size > have:
            return False
        raise
    return True


def _checked(entry: ModelEntry, path: Path, commit: str, pins: _Pins) -> WeightFile | str:
    """The file if its content is the expected one, else its SHA-256."""
    sha256 = file_sha256(path)
    expected = entry.sha256 or pins.sha256(str(entry.source), commit, str(entry.file))
    if expected and sha256 != expected:
        return sha256
    return WeightFile(path, sha256, f"{entry.source}@{commit}/{entry.file}", commit, pinned=bool(entry.sha256))


def _changed(entry: ModelEntry, path: Path, sha256: str, pins: _Pins) -> DownloadError:
    return DownloadError(
        f"{entry.name}: {path} is not the file that was pinned on first use: SHA-256 {sha256}",
        hint=f"delete it to download it again, or delete its line in {pins.path} to trust the new content",
    )


@contextmanager
def _explained(entry: ModelEntry, url: str) -> Iterator[None]:
    """Turn whatever the hub client raises into one DownloadError that says what to do."""
    from huggingface_hub import errors

    around = _way_around(entry)
    try:
        yield
    except DownloadError:
        raise
    except errors.GatedRepoError as error:
        raise DownloadError(
            f"{entry.name}: {entry.source} asks for its licence to be accepted first (gated)",
            hint=f"accept it at {_page(entry)}, then set HF_TOKEN; or {around}",
        ) from error
    except errors.RepositoryNotFoundError as error:  # the hub also answers so to a wrong token
        raise DownloadError(
            f"{entry.name}: the hub has no repository {entry.source}, or HF_TOKEN may not read it", hint=around
        ) from error
    except errors.RevisionNotFoundError as error:
        raise DownloadError(
            f"{entry.name}: {entry.source} has no revision {entry.revision or 'main'}", hint=around
        ) from error
    except errors.EntryNotFoundError as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise DownloadError(_unreachable(entry, url, error.__cause__ or error), hint=around) from error
        raise DownloadError(f"{entry.name}: {entry.source} has no file {entry.file}", hint=around) from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        raise DownloadError(f"{entry.name}: {url} answered {status}", hint=around) from error
    except errors.OfflineModeIsEnabled as error:
        raise DownloadError(
            f"{entry.name}: {entry.file} is not in the cache, and HF_HUB_OFFLINE forbids to download it", hint=around
        ) from error
    except (OSError, errors.HTTPError) as error:
        raise DownloadError(_unreachable(entry, url, error), hint=around) from error


def _unreachable(entry: ModelEntry, url: str, error: BaseException) -> str:
    reason = str(error).splitlines()[0] if str(error) else ""
    return f"{entry.name}: {entry.file} could not be downloaded from {url} ({type(error).__name__}: {reason})"


def _way_around(entry: ModelEntry) -> str:
    if len(entry.files) > 1:
        names = ", ".join(entry.files)
        return f"get its files by hand from {_page(entry)} and give their folder with --checkpoint DIR ({names})"
    return f"get {entry.file} by hand from {_page(entry)} and give it with --checkpoint {entry.file}"


def _announcement(entry: ModelEntry, url: str, size: int | None) -> str:
    terms = f"licence {entry.licence or 'unknown'}"
    if entry.non_commercial:
        terms += ": NON-COMMERCIAL use only"
    amount = f"{size / 1e6:.0f} MB" if size else "size unknown"
    return f"downloading {entry.name} ({amount}; {terms}) from {url}"


def _repository(entry: ModelEntry) -> tuple[str, str]:
    """Name and kind of the hub repository; ``spaces/OWNER/NAME`` is a space, as in its address."""
    source = str(entry.source)
    return (source.removeprefix("spaces/"), "space") if source.startswith("spaces/") else (source, "model")


def _page(entry: ModelEntry) -> str:
    return f"{_endpoint() or 'https://huggingface.co'}/{entry.source}/tree/{entry.revision or 'main'}"


def _endpoint() -> str | None:
    """HF_ENDPOINT as it is now: the hub client reads it only once, at import."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _default_cache() -> Path:
    from huggingface_hub import constants

    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    if "HF_HOME" in os.environ:
        return Path(os.environ["HF_HOME"]).expanduser() / "hub"
    return Path(constants.HF_HUB_CACHE)


def _commit_of(path: Path, revision: str) -> str:
    """Commit of a cached file: the folder under ``snapshots`` that it lies in."""
    parts = path.parts
    if "snapshots" in parts:
        commit = parts[len(parts) - parts[::-1].index("snapshots")]
        if _COMMIT.fullmatch(commit):
            return commit
    return revision


def _remove(link: Path) -> None:
    blob = link.resolve()
    link.unlink(missing_ok=True)
    blob.unlink(missing_ok=True)


def _require_space(entry: ModelEntry, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{entry.name}: {entry.file} needs {needed / 1e6:.0f} MB more in {folder}, {free / 1e6:.0f} MB are free",
            hint="free some space, or set HF_HUB_CACHE to a folder on another disk",
        )


def _host(url: str) -> str:
    return url.split("/", 3)[2] if "://" in url else ""


def _to_stderr(message: str) -> None:
    sys.stderr.write(message + "\n")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Pins:
    """What was trusted on first use: ``{"files": {"repo@commit/file": sha256}, "revisions": {"repo": commit}}``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def sha256(self, repository: str, commit: str, file: str) -> str | None:
        return self._read()["files"].get(f"{repository}@{commit}/{file}")

    def revision(self, repository: str) -> str | None:
        """The commit that stands for an unpinned repository since its first use."""
        return self._read()["revisions"].get(repository)

    def add(self, repository: str, commit: str, file: str, sha256: str, *, track: bool) -> None:
        content = self._read()
        content["files"][f"{repository}@{commit}/{file}"] = sha256
        if track:
            content["revisions"].setdefault(repository, commit)
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(self.path)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return {"files": dict(content["files"]), "revisions": dict(content["revisions"])}
        except FileNotFoundError:
            return {"files": {}, "revisions": {}}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DownloadError(f"{self.path} cannot be read: {error}", hint="repair or delete it") from error
