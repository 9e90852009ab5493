"""Weights of several files, against a hub on loopback: all of one commit and all checked, or one clear error."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dabench.errors import CheckpointError, DownloadError
from dabench.types import ModelEntry, Output
from model_zoo.hub import PIN_FILE
from model_zoo.snapshot import resolve_files

COMMIT, LATER = "a" * 40, "b" * 40
REPOSITORY = "someone/Some-Pipeline"
FILES = {
    "config.json": b'{"model_type": "some"}',
    "unet/weights.safetensors": random.Random(2).randbytes(300_000),
    "vae/config.json": b"{}",
}
WEIGHTS = "unet/weights.safetensors"
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}

ENTRY = ModelEntry(
    name="some-pipeline",
    output=Output.DEPTH,
    summary="",
    factory="nowhere:nothing",
    licence="CC-BY-NC-4.0",
    source=REPOSITORY,
    revision=COMMIT,
    file=WEIGHTS,
    files=tuple(FILES),
    sha256=SHA256[WEIGHTS],
)
UNPINNED = replace(ENTRY, revision=None, sha256=None)


@pytest.fixture(autouse=True)
def _small_and_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    real = time.sleep
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 8192)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: real(min(seconds, 0.05)))


def _publish(hub: Any, commit: str = COMMIT, **changed: bytes) -> None:
    for name, content in (FILES | changed).items():
        hub.add(REPOSITORY, commit, name, content)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder).as_posix()): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_all_files_lie_in_one_folder_and_are_reused(hub: Any) -> None:
    _publish(hub)
    said: list[str] = []
    first = resolve_files(ENTRY, notify=said.append)
    assert _contents(first.path) == FILES
    assert {name: path.read_bytes() for name, path in first.files.items()} == FILES
    assert (first.sha256, first.revision, first.pinned) == (SHA256[WEIGHTS], COMMIT, True)
    assert first.source == f"{REPOSITORY}@{COMMIT}"
    assert "NON-COMMERCIAL" in said[0] and WEIGHTS in said[0], "the weights come first, with their licence"
    hub.log.clear()
    assert resolve_files(ENTRY, notify=said.append) == first
    assert hub.log == [], "cached files at a pinned revision need no connection"


def test_other_programs_find_the_folder(hub: Any) -> None:
    from huggingface_hub import hf_hub_download

    _publish(hub)
    folder = resolve_files(ENTRY, notify=lambda _: None)
    hub.log.clear()
    for name in FILES:
        theirs = hf_hub_download(REPOSITORY, name, revision=COMMIT, cache_dir=os.environ["HF_HUB_CACHE"])
        assert Path(theirs) == folder.path / name
    assert hub.log == []


def test_cut_connection_is_resumed(hub: Any) -> None:
    _publish(hub)
    hub.cuts = [100_000, 50_000]
    assert _contents(resolve_files(ENTRY, notify=lambda _: None).path) == FILES
    ranges = [r.range for r in hub.content_requests()]
    assert [r is not None for r in ranges] == [False, True, True, False, False]


def test_stopped_between_files_goes_on_with_the_missing_ones(hub: Any) -> None:
    _publish(hub)
    del hub.files[REPOSITORY, COMMIT]["vae/config.json"]
    with pytest.raises(DownloadError, match=r"has no file vae/config\.json"):
        resolve_files(UNPINNED, notify=lambda _: None)
    _publish(hub, LATER, **{"config.json": b"later"})
    hub.files[REPOSITORY, COMMIT]["vae/config.json"] = FILES["vae/config.json"]
    hub.log.clear()
    folder = resolve_files(UNPINNED, notify=lambda _: None)
    assert _contents(folder.path) == FILES and folder.revision == COMMIT, "the branch moved; one commit is used for all"
    assert len(hub.content_requests()) == 1


@pytest.mark.parametrize("entry", [UNPINNED, replace(ENTRY, revision=None)], ids=["unpinned", "checksum"])
def test_branch_that_moves_between_two_files(hub: Any, monkeypatch: pytest.MonkeyPatch, entry: ModelEntry) -> None:
    _publish(hub)

    def move(message: str) -> None:
        if WEIGHTS in message:
            _publish(hub, LATER, **{"config.json": b"later"})

    folder = resolve_files(entry, notify=move)
    assert folder.revision == COMMIT and _contents(folder.path) == FILES
    assert hub.commits[REPOSITORY, "main"] == LATER
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert resolve_files(entry, notify=move) == folder


def test_files_cached_by_another_program_are_pinned_too(hub: Any) -> None:
    from huggingface_hub import hf_hub_download

    _publish(hub)
    cache = os.environ["HF_HUB_CACHE"]
    for name in FILES:
        hf_hub_download(REPOSITORY, name, endpoint=hub.url, cache_dir=cache)
    hub.log.clear()
    said: list[str] = []
    folder = resolve_files(UNPINNED, notify=said.append)
    assert hub.log == [] and len(said) == 3 and all("trusted and pinned" in message for message in said)
    _publish(hub, LATER, **{"config.json": b"later"})
    hf_hub_download(REPOSITORY, "config.json", endpoint=hub.url, cache_dir=cache)
    assert resolve_files(UNPINNED) == folder, "their branch moved on; the pinned commit is still used"


@pytest.mark.parametrize("entry", [ENTRY, UNPINNED], ids=["catalogued", "unpinned"])
def test_corrupt_byte_is_refused_and_mended(hub: Any, entry: ModelEntry) -> None:
    _publish(hub)
    hub.corrupt_byte = 1
    with pytest.raises(DownloadError, match=r"damaged and was deleted: SHA-256 \w+, expected " + SHA256[WEIGHTS]):
        resolve_files(entry, notify=lambda _: None)
    hub.corrupt_byte = None
    assert _contents(resolve_files(entry, notify=lambda _: None).path) == FILES


def test_first_use_pins_every_file(hub: Any) -> None:
    _publish(hub)
    first = resolve_files(UNPINNED, notify=lambda _: None)
    assert not first.pinned and first.revision == COMMIT
    pins = json.loads((Path(os.environ["HF_HUB_CACHE"]) / PIN_FILE).read_text())
    assert pins["files"] == {f"{REPOSITORY}@{COMMIT}/{name}": digest for name, digest in SHA256.items()}
    assert pins["revisions"] == {REPOSITORY: COMMIT}
    _publish(hub, LATER, **{"config.json": b"later"})
    assert resolve_files(UNPINNED) == first
    config = first.files["config.json"]
    config.unlink()
    config.write_bytes(b'{"model_type": "else"}')
    with pytest.raises(DownloadError, match=r"config\.json is not the file that was pinned on first use"):
        resolve_files(UNPINNED)


def test_gated(hub: Any) -> None:
    _publish(hub)
    hub.gated.add(REPOSITORY)
    with pytest.raises(DownloadError, match="licence to be accepted") as error:
        resolve_files(ENTRY)
    hint = str(error.value.hint)
    assert "HF_TOKEN" in hint and "--checkpoint DIR" in hint and all(name in hint for name in FILES)


def test_no_network(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _publish(hub)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="could not be downloaded"):
        resolve_files(ENTRY)


def test_offline_with_everything_cached(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    _publish(hub)
    pinned, unpinned = (resolve_files(entry, notify=lambda _: None) for entry in (ENTRY, UNPINNED))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert resolve_files(ENTRY) == pinned and resolve_files(UNPINNED) == unpinned
    pinned.files["vae/config.json"].unlink()
    with pytest.raises(DownloadError, match=r"vae/config\.json is not in the cache, and HF_HUB_OFFLINE"):
        resolve_files(ENTRY)


def test_without_a_weight_file_one_hash_covers_names_and_contents(hub: Any, tmp_path: Path) -> None:
    entry = replace(UNPINNED, file=None)
    _publish(hub)
    folder = resolve_files(entry, notify=lambda _: None)
    lines = "".join(f"{SHA256[name]}  {name}\n" for name in sorted(FILES))
    assert folder.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert resolve_files(entry, folder.path).sha256 == folder.sha256
    assert resolve_files(ENTRY, folder.path).sha256 == SHA256[WEIGHTS]


def test_folder_as_checkpoint(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    given = resolve_files(ENTRY, tmp_path)
    assert (given.path, given.source, given.revision, given.pinned) == (tmp_path, str(tmp_path), None, False)
    (tmp_path / "vae/config.json").unlink()
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no config\.json, no vae/config\.json") as error:
        resolve_files(ENTRY, tmp_path)
    assert WEIGHTS in str(error.value.hint)
    with pytest.raises(CheckpointError, match="is one file; model 'some-pipeline' has 3"):
        resolve_files(ENTRY, tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match="does not exist"):
        resolve_files(ENTRY, tmp_path / "absent")


def test_file_as_checkpoint_of_a_row_of_one_file(hub: Any, tmp_path: Path) -> None:
    entry = replace(ENTRY, file="model.onnx", files=(), sha256=None)
    own = tmp_path / "mine.onnx"
    own.write_bytes(b"own")
    given = resolve_files(entry, own)
    assert given.files == {"model.onnx": own} and given.path == tmp_path
    assert given.sha256 == hashlib.sha256(b"own").hexdigest()
    hub.add(REPOSITORY, COMMIT, "model.onnx", b"theirs")
    fetched = resolve_files(entry, notify=lambda _: None)
    assert fetched.files["model.onnx"].read_bytes() == b"theirs"
    assert fetched.files["model.onnx"].parent == fetched.path


def test_row_without_files() -> None:
    with pytest.raises(CheckpointError, match="no weight files in its catalogue row"):
        resolve_files(replace(ENTRY, file=None, files=()))
