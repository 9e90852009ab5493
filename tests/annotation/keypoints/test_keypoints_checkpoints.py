"""Weight files are checked before they are used."""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from keypoints_networks import picture, tiny_sam, twin
from typer.testing import CliRunner

from annotation.keypoints import checkpoints, open_generator
from annotation.keypoints.checkpoints import KNOWN, check_file, fetch_checkpoint, load_segment_anything
from annotation.keypoints.hugging_face_points import HuggingFacePoints
from annotation.keypoints.mask_points import GridSettings
from annotation.keypoints.segment_anything_points import SegmentAnythingPoints
from dabench.errors import CheckpointError, DownloadError, UnknownNameError

ALL = GridSettings(points_per_side=2, pred_iou_thresh=-1.0, stability_score_thresh=-1.0, box_nms_thresh=1.0)


@pytest.fixture
def tiny_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny network counts as one of the published architectures."""
    registry = pytest.importorskip("segment_anything").sam_model_registry
    monkeypatch.setitem(checkpoints.WIDTHS, 32, "tiny")
    monkeypatch.setitem(registry, "tiny", lambda: tiny_sam(9))


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.usefixtures("tiny_is_known")
def test_a_file_of_ones_own_is_loaded_and_named_by_its_digest(tmp_path: Path, sam: Any) -> None:
    path = saved(tmp_path / "own.pth", sam.state_dict())
    loaded, checkpoint = load_segment_anything(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (checkpoint.name, checkpoint.sha256, checkpoint.known) == ("own.pth", digest, None)
    assert not loaded.training and not any(weights.requires_grad for weights in loaded.parameters())
    generator = open_generator(path, ALL)
    expected = SegmentAnythingPoints(sam, ALL).generate(picture(40, 50))
    assert generator.generate(picture(40, 50)).points == expected.points
    assert generator.describe()["checkpoint_sha256"] == digest
    assert generator.describe()["settings"]["points_per_side"] == 2


def test_a_published_file_is_known_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "renamed.bin"
    path.write_bytes(b"weights")
    one = replace(KNOWN[0], sha256=hashlib.sha256(b"weights").hexdigest(), size=7)
    monkeypatch.setattr(checkpoints, "KNOWN", (one, *KNOWN[1:]))
    assert check_file(path).known is one and check_file(path).name == "sam-vit-b"


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_facts_about_published_files(known: checkpoints.KnownCheckpoint) -> None:
    assert len(bytes.fromhex(known.sha256)) == 32
    assert known.url.startswith("https://") and known.url.endswith(known.file)
    sizes = {"sam-vit-b": 93.7e6, "sam-vit-l": 312.3e6, "sam-vit-h": 641.1e6}
    assert known.size == pytest.approx(4 * sizes[known.name], rel=1e-3)


def test_absent_folder_truncated_and_wrong_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "KNOWN", (replace(KNOWN[0], size=5000), *KNOWN[1:]))
    with pytest.raises(CheckpointError, match=r"does not exist\n.*fetch-sam"):
        check_file(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="is not a file"):
        check_file(tmp_path)
    path = tmp_path / KNOWN[0].file
    path.write_bytes(bytes(1000))
    with pytest.raises(CheckpointError, match="truncated: 1000 of 5000 bytes"):
        check_file(path)
    path.write_bytes(bytes(5000))
    with pytest.raises(CheckpointError, match="is not the published file of that name"):
        check_file(path)


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_files_with_code_are_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for name, write in (
        ("torch.pth", lambda path: torch.save({"a": Evil(mark)}, path)),
        ("plain.pth", lambda path: path.write_bytes(pickle.dumps(Evil(mark)))),
    ):
        write(tmp_path / name)
        with pytest.raises(CheckpointError, match="code or objects") as caught:
            load_segment_anything(tmp_path / name)
        assert len(caught.value.message.splitlines()) == 1
    assert not mark.exists()


@pytest.mark.usefixtures("tiny_is_known")
def test_damaged_and_foreign_files(tmp_path: Path, sam: Any) -> None:
    state = sam.state_dict()
    whole = saved(tmp_path / "whole.pth", state).read_bytes()
    cases = {
        "half": (whole[: len(whole) // 2], "truncated, damaged"),
        "empty": (b"", "truncated, damaged"),
        "text": (b"hello", "damaged or no weight file"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=message) as caught:
            load_segment_anything(path)
        assert name in caught.value.message and len(caught.value.message.splitlines()) == 1
    with pytest.raises(CheckpointError, match="no plain state dict"):
        load_segment_anything(saved(tmp_path / "list.pth", [torch.zeros(2)]))
    with pytest.raises(CheckpointError, match="not those of Segment Anything"):
        load_segment_anything(saved(tmp_path / "other.pth", {"a": torch.zeros(2)}))
    short = {name: value for name, value in state.items() if "iou_token" not in name}
    with pytest.raises(CheckpointError, match=r"does not fit tiny.*iou_token"):
        load_segment_anything(saved(tmp_path / "short.pth", short))


def test_a_folder_of_transformers(tmp_path: Path, sam: Any) -> None:
    twin(sam).save_pretrained(tmp_path / "tiny")
    generator = open_generator(tmp_path / "tiny", ALL)
    assert isinstance(generator, HuggingFacePoints)
    about = generator.describe()
    assert (about["source"], about["checkpoint"]) == ("sam-hf", "tiny")
    weights = (tmp_path / "tiny" / "model.safetensors").read_bytes()
    assert about["checkpoint_sha256"] == hashlib.sha256(weights).hexdigest()
    expected = SegmentAnythingPoints(sam, ALL).generate(picture(40, 50))
    found = generator.generate(picture(40, 50))
    assert [(p.row, p.col) for p in found.points] == [(p.row, p.col) for p in expected.points]
    (tmp_path / "tiny" / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match="cannot be loaded by transformers"):
        open_generator(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match="holds no network"):
        open_generator(tmp_path)


def test_fetching_checks_what_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dabench.datasets import fetch

    asked: list[tuple[str, Path, Any, Any]] = []

    def download(url: str, path: Path, *, checksum: str, size: int, **_: Any) -> Path:
        asked.append((url, path, checksum, size))
        if len(asked) == 2:
            raise DownloadError("no route")
        return path

    monkeypatch.setattr(fetch, "download", download)
    assert fetch_checkpoint("sam-vit-b", tmp_path / "new") == tmp_path / "new" / KNOWN[0].file
    assert asked == [(KNOWN[0].url, tmp_path / "new" / KNOWN[0].file, f"sha256:{KNOWN[0].sha256}", KNOWN[0].size)]
    with pytest.raises(DownloadError):
        fetch_checkpoint("sam-vit-l", tmp_path)
    with pytest.raises(UnknownNameError, match="sam-vit-x"):
        fetch_checkpoint("sam-vit-x", tmp_path)


def test_the_command_prints_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    from annotation.cli.fetch_sam import fetch_sam
    from dabench.datasets import fetch

    monkeypatch.setattr(fetch, "download", lambda url, path, **_: path)
    app = typer.Typer()
    app.command()(fetch_sam)
    done = CliRunner().invoke(app, ["sam-vit-b", "--folder", str(tmp_path)])
    assert done.exit_code == 0 and str(tmp_path / KNOWN[0].file) in done.output.replace("\n", "")
