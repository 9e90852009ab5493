"""The folder of labels: one tar file a shard, committed whole, never replaced.

`run.json` says who made the labels; `<shard>.tar` holds `<key>.depth.png` and `<key>.json` of each image in the order
of the images, and last `_shard.json`; `claims/` says who works on what; `failed/` holds the reasons of shards that
could not be done. A shard is done when its tar file is there.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec

from dabench import __version__
from dabench.errors import DabenchError, DatasetError, RecordError

from .claims import LEASE, Claim, Claims
from .codec import LabelFacts
from .health import ShardHealth

SCHEMA = 1
SUMMARY = "_shard.json"
LABEL, FACTS = ".depth.png", ".json"
TAIL = 1 << 16

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class FailedImage(msgspec.Struct, frozen=True):
    """An image without a label, and why."""

    key: str
    reason: str


class ShardSummary(msgspec.Struct, frozen=True):
    """`_shard.json`, the last member of a label tar.

    Attributes:
        shard: its name.
        images: images in the shard, labelled or not.
        labelled: labels in this file.
        keys_sha256: of all image keys in order, one a line.
        failed: images without a label.
        flagged: whether too many failed.
        teacher: SHA-256 of the teacher's weights.
        health: counts over the labels.
    """

    shard: str
    images: int
    labelled: int
    keys_sha256: str
    failed: tuple[FailedImage, ...]
    flagged: bool
    teacher: str | None
    health: ShardHealth
    schema: int = SCHEMA


class Status(msgspec.Struct, frozen=True):
    """Names of shards by state. `flagged` is a part of `done`; `failed` may be claimed again."""

    done: tuple[str, ...]
    flagged: tuple[str, ...]
    claimed: tuple[str, ...]
    failed: tuple[str, ...]


class LabelStore:
    """One folder of labels.

    Args:
        folder: shared by all workers.
        lease: seconds after which a silent worker loses its shard.
    """

    def __init__(self, folder: Path, lease: float = LEASE) -> None:
        self.folder = folder
        self.claims = Claims(folder / "claims", lease)

    @property
    def index_folder(self) -> Path:
        """Where the indices of tar files are kept."""
        return self.folder / ".index"

    def tar(self, shard: str) -> Path:
        """The label file of a shard, there or not."""
        return self.folder / f"{shard}.tar"

    def start(self, manifest: dict[str, Any]) -> None:
        """Write `run.json` if nobody has, and check that ours says the same.

        Raises:
            RecordError: the folder holds labels of something else; the message lists what differs.
        """
        path = self.folder / "run.json"
        ours = {"schema": SCHEMA, "dabench": __version__, **manifest}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                temporary = self.folder / f".run.json.{secrets.token_hex(8)}.tmp"
                with writing(temporary) as stream:
                    stream.write(msgspec.json.format(msgspec.json.encode(ours), indent=2) + b"\n")
                publish(temporary, path)
        except OSError as error:
            raise cannot_write(path, error) from error
        changed = _differences(self.manifest(), msgspec.to_builtins(ours))
        if changed:
            raise RecordError(
                f"{path} belongs to other labels:" + "".join(f"\n    - {line}" for line in changed),
                hint="label with the same teacher and settings, or into another folder",
            )

    def manifest(self) -> dict[str, Any]:
        """`run.json`. Raises RecordError when absent or damaged."""
        path = self.folder / "run.json"
        try:
            content = msgspec.json.decode(path.read_bytes())
        except FileNotFoundError:
            raise RecordError(
                f"{self.folder} holds no labels (no run.json)", hint="make them with `dabench pseudo-label`"
            ) from None
        except (OSError, msgspec.DecodeError) as error:
            raise RecordError(f"{path} is damaged: {error}") from error
        if not isinstance(content, dict):
            raise RecordError(f"{path} is damaged: not an object")
        return content

    def done(self, shard: str) -> bool:
        """Whether the labels of a shard are there."""
        return self.tar(shard).exists()

    def claim(self, shard: str) -> Claim | None:
        """Claim a shard that is not done; None where it is done or a living worker has it."""
        if self.done(shard):
            return None
        try:
            claim = self.claims.take(shard)
            if claim is None:
                return None
            if self.done(shard):  # committed and released after the first look
                claim.release()
                return None
            for leftover in self._temporaries(shard):  # of workers that lost this shard
                leftover.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.claims.folder, error) from error
        return claim

    def _temporaries(self, shard: str) -> list[Path]:
        pattern = re.compile(rf"\.{re.escape(shard)}\.[0-9a-f]{{16}}\.tmp")
        with os.scandir(self.folder) as entries:
            return [Path(entry.path) for entry in entries if pattern.fullmatch(entry.name)]

    def fail(self, shard: str, reason: str) -> None:
        """Write down why a shard could not be done, for `status`."""
        path = self.folder / "failed" / f"{shard}.txt"
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            path.write_text(reason + "\n", encoding="utf-8")

    def status(self) -> Status:
        """The state of every shard that has left a trace."""
        done = sorted(p.name.removesuffix(".tar") for p in self.folder.glob("*.tar") if not p.name.startswith("."))
        failed = {p.name.removesuffix(".txt") for p in (self.folder / "failed").glob("*.txt")} - set(done)
        claimed = set(self.claims.live()) - set(done) if self.claims.folder.is_dir() else set()
        return Status(
            done=tuple(done),
            flagged=tuple(shard for shard in done if read_summary(self.tar(shard)).flagged),
            claimed=tuple(sorted(claimed)),
            failed=tuple(sorted(failed - claimed)),
        )


class ShardWriter:
    """Writes the labels of one claimed shard to a temporary file, and commits it. A context manager.

    Args:
        store: the folder.
        claim: of the shard, held by this process.
    """

    def __init__(self, store: LabelStore, claim: Claim) -> None:
        self.final = store.tar(claim.shard)
        self._store, self._claim = store, claim
        self._temporary = store.folder / f".{claim.shard}.{claim.owner.token}.tmp"

    def __enter__(self) -> ShardWriter:
        try:
            self._stream = self._temporary.open("xb")
            self._tar = tarfile.open(fileobj=self._stream, mode="w", format=tarfile.PAX_FORMAT)
        except OSError as error:
            raise cannot_write(self.final, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.close()
        self._temporary.unlink(missing_ok=True)

    def add(self, facts: LabelFacts, png: bytes) -> None:
        """Append one label."""
        try:
            self._member(facts.key + LABEL, png)
            self._member(facts.key + FACTS, msgspec.json.encode(facts))
        except OSError as error:
            raise cannot_write(self.final, error) from error

    def commit(self, summary: ShardSummary) -> bool:
        """Finish the file and give it its name, if the shard is still ours; False if it went to another worker."""
        try:
            self._member(SUMMARY, msgspec.json.encode(summary))
            self._tar.close()
            self._stream.flush()
            os.fsync(self._stream.fileno())
            committed = self._claim.held() and publish(self._temporary, self.final)
        except OSError as error:
            raise cannot_write(self.final, error) from error
        if committed:
            (self._store.folder / "failed" / f"{self._claim.shard}.txt").unlink(missing_ok=True)
        return committed

    def _member(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self._tar.addfile(member, io.BytesIO(content))


@contextlib.contextmanager
def writing(temporary: Path) -> Iterator[IO[bytes]]:
    """A binary stream to `temporary` that is on the disk when the block ends, and gone when it fails."""
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def publish(temporary: Path, final: Path) -> bool:
    """Give a finished file its final name unless that is taken; the temporary name goes in any case.

    Linking never replaces. Where the file system has no hard links, a look before renaming must do, and the claim
    is what keeps two workers apart.

    Returns:
        False if the name was taken, or another worker has removed the temporary file.
    """
    try:
        os.link(temporary, final)
    except FileExistsError:
        if not temporary.samefile(final):  # a network file system may repeat a call that had succeeded
            return False
    except FileNotFoundError:
        if temporary.exists():
            raise
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if final.exists():
            return False
        temporary.rename(final)
    finally:
        temporary.unlink(missing_ok=True)
    descriptor = os.open(final.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems do not sync folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def read_summary(path: Path) -> ShardSummary:
    """`_shard.json` of a label tar, found from the end of the file, without reading the rest.

    Raises:
        DatasetError: absent, truncated, or not a label tar.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            length = TAIL
            while True:
                start = max(0, size - length) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
                stream.seek(start)
                tail = stream.read()
                found = _find_summary(tail)
                if found is not None:
                    return msgspec.json.decode(found, type=ShardSummary)
                if start == 0:
                    break
                length *= 8
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise DatasetError(f"{path}: {SUMMARY} is damaged: {error}", hint="delete the file and label again") from error
    raise DatasetError(f"{path}: is no label tar, or truncated (no {SUMMARY})", hint="delete it and label again")


def _find_summary(tail: bytes) -> bytes | None:
    name = SUMMARY.encode() + b"\0"
    for offset in range(len(tail) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE - tarfile.BLOCKSIZE, -1, -tarfile.BLOCKSIZE):
        if tail.startswith(name, offset):
            with contextlib.suppress(tarfile.HeaderError):
                member = tarfile.TarInfo.frombuf(tail[offset : offset + tarfile.BLOCKSIZE], "utf-8", "strict")
                content = tail[offset + tarfile.BLOCKSIZE : offset + tarfile.BLOCKSIZE + member.size]
                return content if len(content) == member.size else None
    return None


def cannot_write(path: Path, error: OSError) -> DabenchError:
    """What a full disk and the like are reported as."""
    return DabenchError(
        f"{path}: cannot be written: {error.strerror or error}",
        hint="shards that are done are kept, and nothing half-written is; make room and run the same command again",
    )


def _differences(there: Any, ours: Any, where: str = "") -> list[str]:
    if isinstance(there, dict) and isinstance(ours, dict):
        return [
            line
            for key in sorted(there.keys() | ours.keys())
            for line in _differences(there.get(key), ours.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if there == ours else [f"{where}: {there!r} there, {ours!r} now"]
