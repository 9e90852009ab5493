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
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dataset_builders import diode, encoded, eth3d, moge_eval, picture
from typer.testing import CliRunner

from dabench.cli import build_app
from dabench.datasets import fetch, open_dataset, registry
from dabench.datasets.fetch import FETCHABLE, download, fetch_dataset
from dabench.errors import DatasetError, DownloadError, UnknownNameError

CONTENT = random.Random(2).randbytes(400_000)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


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


@pytest.mark.parametrize("checksum", [None, SHA256, MD5])
def test_download(server: Any, tmp_path: Path, checksum: str | None) -> None:
    path, seen = tmp_path / "deep" / "file.zip", []
    download(_url(server), path, checksum=checksum, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)
    _only(path)
    if checksum:
        asked = len(server.log)
        download(_url(server), path, checksum=checksum)
        assert len(server.log) == asked, "a file that is there with the right content is not fetched again"


@pytest.mark.parametrize("checksum", [None, SHA256, MD5])
def test_cut_connection_goes_on(server: Any, tmp_path: Path, checksum: str | None) -> None:
    server.cuts, said = [100_000, 50_000, 0], []
    download(_url(server), tmp_path / "file.zip", checksum=checksum, notify=said.append)
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
    download(_url(server), tmp_path / "a", checksum=SHA256)
    assert server.content_requests()[1].range is not None
    server.cuts = [100_000]
    server.log.clear()
    download(_url(server), tmp_path / "b")
    assert [r.range for r in server.content_requests()] == [None, None]
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_server_without_ranges_starts_over(server: Any, tmp_path: Path) -> None:
    server.ignore_range, server.cuts = True, [100_000]
    download(_url(server), tmp_path / "file.zip", checksum=SHA256)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_complete_partial_file_is_taken(server: Any, tmp_path: Path) -> None:
    (tmp_path / "file.zip.part").write_bytes(CONTENT)
    download(_url(server), tmp_path / "file.zip", checksum=SHA256)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    _only(tmp_path / "file.zip")


def test_wrong_content_is_deleted(server: Any, tmp_path: Path) -> None:
    server.corrupt_byte = 7
    with pytest.raises(DownloadError, match=f"was deleted: sha256:.*, expected {SHA256}"):
        download(_url(server), tmp_path / "file.zip", checksum=SHA256)
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
    source, content = FETCHABLE["da-2k"], _archive()
    [real] = source.files
    repository, _, rest = real.url[1:].partition("/resolve/")
    revision, file = rest.split("/")
    checksum = "sha256:" + server.add(repository, revision, file, content)
    stand_in = replace(source, files=(replace(real, checksum=checksum),))
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
        "fetch.BLOCK = 8192; source = fetch.FETCHABLE['da-2k']\n"
        f"source = replace(source, files=(replace(source.files[0], checksum={source.files[0].checksum!r}),))\n"
        "fetch.fetch_dataset('da-2k', Path(sys.argv[1]), source=source)\n"
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


def test_archive_without_the_dataset(da2k: Any, tmp_path: Path) -> None:
    real = FETCHABLE["da-2k"]
    lost = replace(real, files=(replace(real.files[0], brings=("depth",)),))
    with pytest.raises(DatasetError, match=r"the archive DA-2K\.zip holds DA-2K; expected depth"):
        fetch_dataset("da-2k", tmp_path, source=lost)
    assert not (tmp_path / "da-2k").exists()


@pytest.mark.parametrize("name", ["pairs", "folder", "kitti", "diw", "md-3k"])
def test_what_is_fetched_by_hand_is_explained(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="cannot be fetched by name") as caught:
        fetch_dataset(name, tmp_path)
    assert registry().get(name).info.how_to_get in str(caught.value)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="da-2k"):
        fetch_dataset("da-2l", tmp_path)
    with pytest.raises(UnknownNameError, match="distorted"):
        fetch_dataset("eth3d", tmp_path, splits=("distortd",))


def _packed(root: Path, folders: tuple[str, ...], *, below: str = "", leave_out: str = "") -> bytes:
    """A zip of some folders of a built set, with other things that archives have."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for folder in folders:
            for path in sorted(p for p in (root / folder).rglob("*") if p.is_file() and p.name != leave_out):
                archive.write(path, below + path.relative_to(root).as_posix())
        archive.writestr(f"{below}README.txt", "about")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """ETH3D as a folder and as archives."""
    root = eth3d.build(tmp_path_factory.mktemp("built")) / "eth3d"
    return root, {file.name: _packed(root, file.brings) for file in FETCHABLE["eth3d"].files}


class TestSeveralFiles:
    """Sets in many archives, without a checksum: ETH3D and MoGe's bundle in miniature."""

    @pytest.fixture
    def eth3d_source(self, server: Any, built: Any) -> Any:
        files = []
        for file in FETCHABLE["eth3d"].files:
            name = file.name.replace(".7z", ".zip")
            server.plain[name] = built[1][file.name]
            files.append(replace(file, url=f"{server.url}/plain/{name}"))
        return replace(FETCHABLE["eth3d"], files=tuple(files))

    def test_all_archives_come_together_and_are_counted(self, server: Any, tmp_path: Path, eth3d_source: Any) -> None:
        said: list[str] = []
        fetch_dataset("eth3d", tmp_path, source=eth3d_source, notify=said.append)
        assert open_dataset("eth3d", tmp_path).total_samples == 454
        assert len(server.content_requests()) == 26, "the archives of the other split are not fetched"
        assert "26 files (licence: CC-BY-NC-SA-4.0" in said[0]
        assert any("no checksum is published" in message for message in said) and "counts" in said[-1]
        assert [p.name for p in tmp_path.iterdir()] == ["eth3d"]
        assert (tmp_path / "eth3d/README.txt").read_text() == "about"
        server.log.clear()
        fetch_dataset("eth3d", tmp_path, splits=("undistorted",), source=eth3d_source)
        assert len(server.content_requests()) == 13, "the depth is there already"
        assert open_dataset("eth3d", tmp_path, split="undistorted").total_samples == 454

    def test_the_command_shows_the_licence_and_what_came(
        self, server: Any, tmp_path: Path, eth3d_source: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(FETCHABLE, "eth3d", eth3d_source)
        words = ["data", "fetch", "eth3d", "--split", "distorted", "--data-root", str(tmp_path)]
        done = CliRunner().invoke(build_app(), words)
        assert done.exit_code == 0, done.output
        assert "licence: CC-BY-NC-SA-4.0; https://www.eth3d.net/datasets" in done.output
        assert "454 images" in done.output and "no checksum is published" in done.output
        refused = CliRunner().invoke(build_app(), ["data", "fetch", "kitti", "--data-root", str(tmp_path)])
        assert refused.exit_code != 0 and "registration" in f"{refused.output}{refused.exception}"

    def test_a_failure_keeps_what_is_there(self, server: Any, tmp_path: Path, eth3d_source: Any) -> None:
        server.plain["meadow_dslr_depth.zip"], whole = b"<html>", server.plain["meadow_dslr_depth.zip"]
        with pytest.raises(DatasetError, match=r"meadow_dslr_depth\.zip is neither a zip") as caught:
            fetch_dataset("eth3d", tmp_path, source=eth3d_source)
        assert "it was deleted" in str(caught.value) and "https://www.eth3d.net/datasets" in str(caught.value)
        server.plain["meadow_dslr_depth.zip"] = whole
        before = len(server.content_requests())
        fetch_dataset("eth3d", tmp_path, source=eth3d_source)
        assert before + len(server.content_requests()[before:]) == 27, "only the damaged one is fetched twice"

    def test_a_whole_archive_is_not_fetched_again_after_a_kill(
        self, server: Any, tmp_path: Path, eth3d_source: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*_: object, **__: object) -> Path:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(fetch, "unpack", killed)
            fetch_dataset("eth3d", tmp_path, source=eth3d_source)
        fetch_dataset("eth3d", tmp_path, source=eth3d_source)
        assert len(server.content_requests()) == 26

    @pytest.mark.parametrize("steps", [0, 1, 2, 30, 39])
    def test_a_kill_while_things_are_moved_is_made_good(
        self, server: Any, tmp_path: Path, eth3d_source: Any, monkeypatch: pytest.MonkeyPatch, steps: int
    ) -> None:
        real, moved = Path.replace, []

        def killed(self: Path, target: Path) -> Path:
            if "unpacked" in self.parts:
                moved.append(self)
                if len(moved) > steps:
                    raise KeyboardInterrupt
            return real(self, target)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", killed)
            fetch_dataset("eth3d", tmp_path, splits=("distorted", "undistorted"), source=eth3d_source)
        fetch_dataset("eth3d", tmp_path, splits=("distorted", "undistorted"), source=eth3d_source)
        assert all(open_dataset("eth3d", tmp_path, split=s).total_samples == 454 for s in ("distorted", "undistorted"))
        assert [p.name for p in tmp_path.iterdir()] == ["eth3d"]

    def test_an_archive_that_lacks_an_image_is_noticed(
        self, server: Any, tmp_path: Path, eth3d_source: Any, built: Any
    ) -> None:
        name = next(key for key in eth3d.listed() if key.startswith("pipes/")).split("/")[1]
        folders = ("pipes/ground_truth_depth/dslr_images",)
        server.plain["pipes_dslr_depth.zip"] = _packed(built[0], folders, leave_out=f"{name}.JPG")
        with pytest.raises(DatasetError, match="what was fetched is not the dataset") as caught:
            fetch_dataset("eth3d", tmp_path, source=eth3d_source)
        assert "holds 453 of the 454" in str(caught.value)

    @pytest.mark.parametrize("below", ["iBims-1/", "", "data/iBims-1/"])
    def test_one_set_of_a_bundle(self, server: Any, tmp_path: Path, below: str) -> None:
        root = tmp_path / "built"
        for item in ("a", "b"):
            folder = root / item
            folder.mkdir(parents=True)
            (folder / "image.jpg").write_bytes(encoded(picture(0, 24, 32), ".jpg"))
            (folder / "depth.png").write_bytes(moge_eval.log_png(moge_eval.codes_of(0), 1, 9))
            (folder / "meta.json").write_bytes(moge_eval.meta())
        (root / ".index.txt").write_text("a\nb\n")
        server.plain["iBims-1.zip"] = _packed(root, (".",), below=below)
        file = next(f for f in FETCHABLE["moge-eval"].files if f.splits == ("ibims-1",))
        source = replace(FETCHABLE["moge-eval"], files=(replace(file, url=f"{server.url}/plain/iBims-1.zip"),))
        fetch_dataset("moge-eval", tmp_path / "data", splits=("ibims-1",), source=source)
        dataset = open_dataset("moge-eval", tmp_path / "data", split="ibims-1")
        assert dataset.ids == ("iBims-1/a/image", "iBims-1/b/image")

    def test_diode_by_its_md5(self, server: Any, tmp_path: Path) -> None:
        names = [f"val/{key}{suffix}" for key in diode.listed("indoor")[:3] for suffix in (".png", "_depth.npy")]
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(name))
        server.plain["val.tar.gz"] = content = buffer.getvalue()
        [file] = FETCHABLE["diode"].files
        here = replace(file, url=f"{server.url}/plain/val.tar.gz")
        source = replace(FETCHABLE["diode"], files=(here,))
        with pytest.raises(DownloadError, match=r"was deleted: md5:.*, expected md5:5c895d09201b88973c8fe4552a67dd85"):
            fetch_dataset("diode", tmp_path, source=source)
        source = replace(FETCHABLE["diode"], files=(replace(here, checksum=_md5(content)),))
        said: list[str] = []
        fetch_dataset("diode", tmp_path, source=source, notify=said.append)
        assert all((tmp_path / "diode" / name).is_file() for name in names)
        assert not any("no checksum" in message for message in said)

    def test_a_linked_folder_is_filled_on_its_own_disk(self, server: Any, tmp_path: Path) -> None:
        server.plain["splits.mat"] = b"MATLAB"
        file = replace(FETCHABLE["nyu-d"].files[1], url=f"{server.url}/plain/splits.mat", checksum=_md5(b"MATLAB"))
        (tmp_path / "large" / "nyu").mkdir(parents=True)
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "nyu-d").symlink_to(tmp_path / "large" / "nyu")
        seen: set[str] = set()
        fetch_dataset(
            "nyu-d",
            tmp_path / "data",
            source=replace(FETCHABLE["nyu-d"], files=(file,)),
            progress=lambda *_: seen.update(p.name for p in (tmp_path / "large").iterdir()),
        )
        assert seen == {"nyu", ".nyu-d.download"}
        assert (tmp_path / "large/nyu/splits.mat").read_bytes() == b"MATLAB"
        assert [p.name for p in (tmp_path / "data").iterdir()] == ["nyu-d"] and len(seen) == 2

    def test_a_file_that_is_no_archive_is_put_in_place(self, server: Any, tmp_path: Path) -> None:
        server.plain["splits.mat"] = b"MATLAB"
        file = replace(FETCHABLE["nyu-d"].files[1], url=f"{server.url}/plain/splits.mat", checksum=_md5(b"MATLAB"))
        fetch_dataset("nyu-d", tmp_path, source=replace(FETCHABLE["nyu-d"], files=(file,)))
        assert (tmp_path / "nyu-d/splits.mat").read_bytes() == b"MATLAB"
        assert [p.name for p in tmp_path.iterdir()] == ["nyu-d"]

    def test_7z_needs_its_package_before_anything_is_fetched(
        self, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "py7zr", None)
        file = replace(FETCHABLE["eth3d"].files[0], url=f"{server.url}/plain/courtyard_dslr_jpg.7z")
        with pytest.raises(DatasetError, match=r"courtyard_dslr_jpg\.7z is a \.7z archive.*\n.*pip install py7zr"):
            fetch_dataset("eth3d", tmp_path, source=replace(FETCHABLE["eth3d"], files=(file,)))
        assert server.log == [] and list(tmp_path.iterdir()) == []


def _md5(content: bytes) -> str:
    return "md5:" + hashlib.md5(content).hexdigest()
