"""Downloads over loopback: whole and checked, or a clear error and a partial file to go on from."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dabench.datasets import fetch
from dabench.datasets.fetch import FETCHABLE, download, fetch_dataset
from dabench.errors import DatasetError, DownloadError, UnknownNameError

CONTENT = random.Random(2).randbytes(400_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("loopback_hub", Path(__file__).parents[1] / "loopback_hub.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "loopback_hub", module)
    spec.loader.exec_module(module)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetch, "TIMEOUT", 2.0)
    monkeypatch.setattr(fetch, "BLOCK", 8192)
    real = time.sleep
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: real(min(seconds, 0.01)))
    with module.LoopbackHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.plain["file.zip"] = CONTENT
        yield hub


def _url(server: Any) -> str:
    return f"{server.url}/plain/file.zip"


def _only(path: Path) -> None:
    assert [child.name for child in path.parent.iterdir()] == [path.name], "nothing is left beside the file"


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_download(server: Any, tmp_path: Path, sha256: str | None) -> None:
    path, seen = tmp_path / "deep" / "file.zip", []
    download(_url(server), path, sha256=sha256, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)
    _only(path)
    if sha256:
        asked = len(server.log)
        download(_url(server), path, sha256=sha256)
        assert len(server.log) == asked, "a file that is there with the right content is not fetched again"


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_cut_connection_goes_on(server: Any, tmp_path: Path, sha256: str | None) -> None:
    server.cuts, said = [100_000, 50_000, 0], []
    download(_url(server), tmp_path / "file.zip", sha256=sha256, notify=said.append)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    starts = [int((r.range or "bytes=0-")[6:-1]) for r in server.content_requests()]
    assert len(starts) == 4 and starts == sorted(starts) and starts[1] > 0
    assert len(said) == 3 and all("cut" in message for message in said)
    _only(tmp_path / "file.zip")


def test_content_that_changed_meanwhile_is_fetched_anew(server: Any, tmp_path: Path) -> None:
    path = tmp_path / "file.zip"
    server.cuts = [100_000] + [0] * 10
    with pytest.raises(DownloadError, match="gave up after 5 attempts"):
        download(_url(server), path)
    assert 0 < path.with_name("file.zip.part").stat().st_size <= 100_000
    server.cuts, server.plain["file.zip"] = [], CONTENT[::-1]
    download(_url(server), path)
    assert path.read_bytes() == CONTENT[::-1]


def test_partial_file_of_unknown_origin_is_not_trusted(server: Any, tmp_path: Path) -> None:
    (tmp_path / "file.zip.part").write_bytes(b"x" * 1000)
    download(_url(server), tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    assert server.content_requests()[0].range is None


def test_server_without_etag_resumes_only_under_a_checksum(server: Any, tmp_path: Path) -> None:
    server.no_etag, server.cuts = True, [100_000]
    download(_url(server), tmp_path / "a", sha256=SHA256)
    assert server.content_requests()[1].range is not None
    server.cuts = [100_000]
    server.log.clear()
    download(_url(server), tmp_path / "b")
    assert [r.range for r in server.content_requests()] == [None, None]
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_server_without_ranges_starts_over(server: Any, tmp_path: Path) -> None:
    server.ignore_range, server.cuts = True, [100_000]
    download(_url(server), tmp_path / "file.zip", sha256=SHA256)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_complete_partial_file_is_taken(server: Any, tmp_path: Path) -> None:
    (tmp_path / "file.zip.part").write_bytes(CONTENT)
    download(_url(server), tmp_path / "file.zip", sha256=SHA256)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    _only(tmp_path / "file.zip")


def test_wrong_content_is_deleted(server: Any, tmp_path: Path) -> None:
    server.corrupt_byte = 7
    with pytest.raises(DownloadError, match=f"was deleted: SHA-256 .*, expected {SHA256}"):
        download(_url(server), tmp_path / "file.zip", sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_wrong_size_is_refused_before_the_transfer(server: Any, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="offers 400000 bytes, expected 5"):
        download(_url(server), tmp_path / "file.zip", size=5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (503, 5), (429, 5)])
def test_server_errors(server: Any, tmp_path: Path, status: int, attempts: int) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=f"answered {status}"):
        download(_url(server), tmp_path / "file.zip")
    assert len(server.log) == attempts


def test_unreachable_and_silent_servers(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError, match="no connection"):
        download("http://127.0.0.1:9/file", tmp_path / "file.zip")
    monkeypatch.setattr(fetch, "TIMEOUT", 0.1)
    server.stall = 0.5
    with pytest.raises(DownloadError, match="cut"):
        download(_url(server), tmp_path / "file.zip")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x"])
def test_only_http(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="only http"):
        download(url, tmp_path / "x")


def test_full_and_unwritable_disks(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="cannot write"):
        download(_url(server), tmp_path / "file" / "below")
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(DownloadError, match="are free"):
        download(_url(server), tmp_path / "file.zip")
    assert not list(tmp_path.glob("file.zip*"))


# a stand-in for DA-2K.zip: one top folder, Finder's leftovers, a name that the annotations spell differently

NAMES = ("images/indoor/лампа.jpg", "images/outdoor/caf\u00e9.png")


def _archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("DA-2K/annotations.json", json.dumps({name: [] for name in NAMES}))
        archive.writestr(f"DA-2K/{NAMES[0]}", CONTENT)
        archive.writestr("DA-2K/images/outdoor/cafe\u0301.png", b"png")
        archive.writestr("__MACOSX/DA-2K/._annotations.json", b"x")
    return buffer.getvalue()


@pytest.fixture
def da2k(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server holds the stand-in where the table says DA-2K lies."""
    real, content = FETCHABLE["da-2k"], _archive()
    repository, _, rest = real.path[1:].partition("/resolve/")
    revision, file = rest.split("/")
    stand_in = replace(real, sha256=server.add(repository, revision, file, content))
    monkeypatch.setitem(FETCHABLE, "da-2k", stand_in)
    return server


def _in_place(root: Path) -> bool:
    found = {p.relative_to(root / "da-2k").as_posix() for p in (root / "da-2k").rglob("*") if p.is_file()}
    return found == {"annotations.json", *NAMES} and [p.name for p in root.iterdir()] == ["da-2k"]


def test_fetch_dataset(da2k: Any, tmp_path: Path) -> None:
    said: list[str] = []
    root = tmp_path / "data"
    assert fetch_dataset("da-2k", root, notify=said.append) == root / "da-2k"
    assert _in_place(root)
    assert any("licence: Apache-2.0" in message for message in said)
    da2k.log.clear()
    said.clear()
    fetch_dataset("da-2k", root, notify=said.append)
    assert da2k.log == [] and "already" in said[0]


def test_fetch_goes_on_after_a_failure(da2k: Any, tmp_path: Path) -> None:
    da2k.cuts = [100_000] + [0] * 10
    with pytest.raises(DownloadError, match=r"by hand from https://huggingface\.co/datasets/depth-anything/DA-2K"):
        fetch_dataset("da-2k", tmp_path)
    assert not (tmp_path / "da-2k").exists()
    da2k.cuts = []
    da2k.log.clear()
    fetch_dataset("da-2k", tmp_path)
    assert _in_place(tmp_path)
    assert da2k.content_requests()[0].range not in (None, "bytes=0-")


def test_kill_while_unpacking_leaves_no_half_dataset(
    da2k: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(archive: Path, target: Path, **_: object) -> Path:
        (target / "DA-2K").mkdir(parents=True)
        (target / "DA-2K" / "annotations.json").write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fetch, "unpack", killed)
        fetch_dataset("da-2k", tmp_path)
    assert not (tmp_path / "da-2k").exists()
    da2k.log.clear()
    fetch_dataset("da-2k", tmp_path)
    assert _in_place(tmp_path)
    assert da2k.log == [], "the archive was whole: it is not fetched again"


def test_killed_process_goes_on(da2k: Any, tmp_path: Path) -> None:
    da2k.delay_per_block = 0.05
    source = FETCHABLE["da-2k"]
    program = (
        "import sys; from dataclasses import replace; from pathlib import Path; from dabench.datasets import fetch\n"
        f"fetch.BLOCK = 8192; source = replace(fetch.FETCHABLE['da-2k'], sha256={source.sha256!r})\n"
        "fetch.FETCHABLE['da-2k'] = source; fetch.fetch_dataset('da-2k', Path(sys.argv[1]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=environment)
    try:
        deadline = time.monotonic() + 60
        while not any(part.stat().st_size > 50_000 for part in tmp_path.rglob("*.part")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    have = next(tmp_path.rglob("*.part")).stat().st_size
    da2k.delay_per_block = 0.0
    da2k.log.clear()
    fetch_dataset("da-2k", tmp_path)
    assert _in_place(tmp_path)
    assert [r.range for r in da2k.content_requests()] == [f"bytes={have}-"]


def test_folder_that_holds_something_else_is_not_touched(da2k: Any, tmp_path: Path) -> None:
    (tmp_path / "da-2k").mkdir()
    (tmp_path / "da-2k" / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match=r"lacks annotations\.json, images"):
        fetch_dataset("da-2k", tmp_path)
    assert (tmp_path / "da-2k" / "mine.txt").read_text() == "mine" and da2k.log == []


def test_archive_without_the_dataset(da2k: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = FETCHABLE["da-2k"]
    monkeypatch.setitem(FETCHABLE, "da-2k", replace(real, members=("depth",)))
    with pytest.raises(DatasetError, match=r"the archive holds DA-2K; expected depth"):
        fetch_dataset("da-2k", tmp_path)
    assert not (tmp_path / "da-2k").exists()


def test_names_that_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be fetched by name"):
        fetch_dataset("pairs", tmp_path)
    with pytest.raises(UnknownNameError, match="da-2k"):
        fetch_dataset("da-2l", tmp_path)


def test_pins_look_like_pins() -> None:
    for source in FETCHABLE.values():
        assert len(source.sha256) == 64 and int(source.sha256, 16)
        revision = source.path.split("/resolve/")[1].split("/")[0]
        assert len(revision) == 40 and int(revision, 16)
