"""Weights by name, against a hub on loopback: the right bytes, or one clear error."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dabench.errors import CheckpointError, DownloadError
from dabench.types import ModelEntry, Output
from model_zoo.hub import PIN_FILE, download_weights, resolve_weights

COMMIT = "a" * 40
LATER = "b" * 40
REPOSITORY = "someone/Some-Model"
CONTENT = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()

ENTRY = ModelEntry(
    name="some-model",
    output=Output.DISPARITY,
    summary="",
    factory="nowhere:nothing",
    licence="CC-BY-NC-4.0",
    source=REPOSITORY,
    revision=COMMIT,
    file="weights.pth",
    sha256=SHA256,
)
UNPINNED = replace(ENTRY, revision=None, sha256=None)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def _small_and_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that suit a small file (a partial block is lost when a connection is cut), and short waits."""
    from huggingface_hub import constants

    real = time.sleep
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 8192)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: real(min(seconds, 0.05)))


def test_downloads_checks_and_reuses(hub: Any, said: list[str]) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    first = download_weights(ENTRY, notify=said.append)
    assert first.path.read_bytes() == CONTENT
    assert (first.sha256, first.revision, first.pinned) == (SHA256, COMMIT, True)
    assert first.source == f"{REPOSITORY}@{COMMIT}/weights.pth"
    asked = len(hub.log)
    second = download_weights(ENTRY, notify=said.append)
    assert second == first
    assert len(hub.log) == asked, "a cached file with a pinned revision needs no connection"
    assert not list(first.path.parents[2].rglob("*.part"))


def test_licence_is_shown_before_the_transfer(hub: Any) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    transfers_at_notice: list[int] = []

    def notify(message: str) -> None:
        assert "CC-BY-NC-4.0" in message and "NON-COMMERCIAL" in message
        transfers_at_notice.append(len(hub.content_requests()))

    download_weights(ENTRY, notify=notify)
    assert transfers_at_notice == [0]


def test_notice_goes_to_stderr_by_default(hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    download_weights(replace(ENTRY, licence="Apache-2.0"))
    shown = capsys.readouterr()
    assert "Apache-2.0" in shown.err and "NON-COMMERCIAL" not in shown.err and shown.out == ""


def test_file_cached_by_another_program_is_used(hub: Any) -> None:
    from huggingface_hub import hf_hub_download

    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    theirs = hf_hub_download(
        REPOSITORY, "weights.pth", revision=COMMIT, endpoint=hub.url, cache_dir=os.environ["HF_HUB_CACHE"]
    )
    hub.log.clear()
    assert download_weights(ENTRY).path == Path(theirs)
    assert hub.log == []


def test_cut_connection_is_resumed(hub: Any) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    hub.cuts = [100_000, 50_000]
    assert download_weights(ENTRY).sha256 == SHA256
    ranges = [request.range for request in hub.content_requests()]
    assert ranges[0] is None and len(ranges) == 3
    assert ranges[1] is not None and ranges[2] is not None


def test_killed_download_goes_on_where_it_stopped(hub: Any, tmp_path: Path) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    hub.delay_per_block = 0.1
    program = (
        "from dataclasses import replace\n"
        "from dabench.types import ModelEntry, Output\n"
        "from huggingface_hub import constants\n"
        "from model_zoo.hub import download_weights\n"
        "constants.DOWNLOAD_CHUNK_SIZE = 8192\n"
        f"download_weights(ModelEntry(name='some-model', output=Output.DISPARITY, summary='', factory='a:b',"
        f"source={REPOSITORY!r}, revision={COMMIT!r}, file='weights.pth', sha256={SHA256!r}))\n"
    )
    cache = Path(os.environ["HF_HUB_CACHE"])
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not any(part.stat().st_size for part in cache.rglob("*.part")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (part,) = cache.rglob("*.part")
    have = part.stat().st_size
    assert 0 < have < len(CONTENT)
    hub.delay_per_block = 0.0
    hub.log.clear()
    assert download_weights(ENTRY).sha256 == SHA256
    assert [request.range for request in hub.content_requests()] == [f"bytes={have}-"]


def test_server_without_ranges_starts_over(hub: Any) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    hub.cuts, hub.ignore_range = [100_000], True
    assert download_weights(ENTRY).sha256 == SHA256


def test_corrupt_byte_is_deleted_and_refused(hub: Any) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    hub.corrupt_byte = 123_456
    with pytest.raises(DownloadError, match=r"damaged and was deleted: SHA-256 \w+, expected " + SHA256):
        download_weights(ENTRY)
    assert not [p for p in Path(os.environ["HF_HUB_CACHE"]).rglob("*") if p.is_file() and p.stat().st_size > 1000]
    hub.corrupt_byte = None
    assert download_weights(ENTRY).sha256 == SHA256


def test_other_bytes_on_the_hub_are_refused_before_the_transfer(hub: Any) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", b"something else")
    with pytest.raises(DownloadError, match="the hub offers other bytes"):
        download_weights(ENTRY)
    assert hub.content_requests() == []


def test_damaged_cache_is_replaced(hub: Any, said: list[str]) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    path = download_weights(ENTRY).path
    with path.open("r+b") as stream:
        stream.write(b"damage")
    again = download_weights(ENTRY, notify=said.append)
    assert again.path.read_bytes() == CONTENT
    assert any("damaged" in message for message in said)


def test_first_use_is_pinned_and_a_change_refused(hub: Any, said: list[str]) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    first = download_weights(UNPINNED, notify=said.append)
    assert not first.pinned and first.revision == COMMIT
    assert any("trusted and pinned" in message and SHA256 in message for message in said)
    pins = Path(os.environ["HF_HUB_CACHE"]) / PIN_FILE
    assert json.loads(pins.read_text())["files"] == {f"{REPOSITORY}@{COMMIT}/weights.pth": SHA256}

    hub.add(REPOSITORY, LATER, "weights.pth", b"a later version")
    assert download_weights(UNPINNED) == first, "the branch moved; the pinned commit is still used"

    first.path.unlink()
    first.path.write_bytes(b"other bytes at the same commit")
    with pytest.raises(DownloadError, match="not the file that was pinned on first use"):
        download_weights(UNPINNED)


def test_bytes_that_change_at_the_same_commit_are_refused(hub: Any) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    path = download_weights(UNPINNED).path
    path.unlink()
    hub.add(REPOSITORY, COMMIT, "weights.pth", b"changed behind our back")
    with pytest.raises(DownloadError, match="pinned on first use"):
        download_weights(UNPINNED)


def test_damaged_pin_file_is_named(hub: Any) -> None:
    pins = Path(os.environ["HF_HUB_CACHE"]) / PIN_FILE
    pins.parent.mkdir(parents=True)
    pins.write_text("{")
    with pytest.raises(DownloadError, match=PIN_FILE):
        download_weights(UNPINNED)


def _message(error: pytest.ExceptionInfo[DownloadError]) -> str:
    text = str(error.value)
    assert "weights.pth" in text and f"/{REPOSITORY}/tree/" in text and "--checkpoint" in text
    return text


def test_unreachable_hub(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError) as error:
        download_weights(ENTRY)
    assert "could not be downloaded" in _message(error)


def test_offline_mode(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError) as error:
        download_weights(ENTRY)
    assert "HF_HUB_OFFLINE" in _message(error)
    assert hub.log == []


def test_offline_with_a_cached_file_works(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    pinned, unpinned = download_weights(ENTRY), download_weights(UNPINNED)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert download_weights(ENTRY) == pinned
    assert download_weights(UNPINNED) == unpinned


def test_gated(hub: Any) -> None:
    hub.gated.add(REPOSITORY)
    with pytest.raises(DownloadError) as error:
        download_weights(ENTRY)
    assert "licence to be accepted" in _message(error) and "HF_TOKEN" in _message(error)


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ((REPOSITORY, COMMIT, "other.pth"), "has no file weights.pth"),
        ((REPOSITORY, LATER, "weights.pth"), "has no revision"),
        (("someone/else", COMMIT, "weights.pth"), "no repository"),
    ],
)
def test_not_found(hub: Any, published: tuple[str, str, str], expected: str) -> None:
    hub.add(*published, CONTENT)
    with pytest.raises(DownloadError) as error:
        download_weights(ENTRY)
    assert expected in _message(error)


@pytest.mark.parametrize("status", [401, 500, 503])
def test_server_errors(hub: Any, status: int) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    hub.status = status
    with pytest.raises(DownloadError) as error:
        download_weights(ENTRY)
    _message(error)


def test_silent_server_times_out(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    hub.stall = 0.6
    with pytest.raises(DownloadError) as error:
        download_weights(ENTRY)
    assert "Timeout" in _message(error) or "timed out" in _message(error)


def test_hostile_etag_does_not_become_a_path(hub: Any) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    hub.claimed_etag = "../../../escape"
    with pytest.raises(DownloadError, match="no usable ETag"):
        download_weights(replace(ENTRY, sha256=None))


def test_token_goes_to_the_hub_only(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    download_weights(ENTRY)
    assert any(r.authorization == "Bearer hf_secret" for r in hub.log if r.method == "HEAD")
    assert all(r.authorization is None for r in hub.content_requests())


def test_full_disk_is_noticed_before_the_transfer(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(REPOSITORY, COMMIT, "weights.pth", CONTENT)
    monkeypatch.setattr("model_zoo.hub.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(DownloadError, match="are free"):
        download_weights(ENTRY)
    assert hub.content_requests() == []


def test_given_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(CONTENT)
    found = resolve_weights(ENTRY, path)
    assert (found.path, found.sha256, found.source, found.revision) == (path, SHA256, str(path), None)
    with pytest.raises(CheckpointError, match="does not exist"):
        resolve_weights(ENTRY, tmp_path / "absent.pth")
    with pytest.raises(CheckpointError, match="is not a file"):
        resolve_weights(ENTRY, tmp_path)


def test_missing_bundled_file_is_an_error() -> None:
    entry = replace(ENTRY, status="bundled", file="absent.safetensors", sha256=None)
    with pytest.raises(CheckpointError, match="missing from this installation"):
        resolve_weights(entry)


def test_import_opens_nothing_and_is_torch_free() -> None:
    program = (
        "import sys, model_zoo.hub, model_zoo.catalog\n"
        "assert list(model_zoo.catalog.entries())\n"
        "loaded = {'torch', 'timm', 'huggingface_hub', 'cv2'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
