"""`dabench pseudo-label` as it is called."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import dabench.cli
from dabench.errors import DabenchError
from model_zoo.depth_anything_v2.checkpoint import save_state
from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.training.pseudo_label.store import LabelStore, read_summary
from model_zoo.depth_anything_v2.training.pseudo_labelled import PseudoLabelled

TINY = ("-m", "depth-anything-v2-tiny", "--device", "cpu")


def run(*arguments: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(dabench.cli.build_app(), ["pseudo-label", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def write_images(root: Path, count: int) -> Path:
    root.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (60, 80 - number % 2 * 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number:03d}.jpg")
    return root


@pytest.mark.slow
def test_the_bundled_model_labels_a_folder(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "set", 3), tmp_path / "labels"
    text = run("--images", images, *TINY, "--out", out, "--dry-run")
    assert "shards 2, of which 0 are done" in run(
        "--images", images, *TINY, "--out", out, "--dry-run", "--shard-size", "2"
    )
    assert "images 3" in text and "short side 168 px" in text and not out.exists()

    command = ("--images", images, *TINY, "--out", out, "--shard-size", "2", "--previews")
    text = run(*command, "--limit-shards", "1")
    assert "shards done now 1 of 2" in text
    assert "done 1 " in (status := run("--images", images, "--out", out, "--shard-size", "2", "--status"))
    assert "left 1 " in status
    text = run(*command)
    assert "shards done now 1 of 2" in text and "done before 1" in text and "images without a label 0" in text
    for shard in ("set-000000", "set-000001"):
        assert Image.open(out / "previews" / f"{shard}.jpg").size == (4 * 320, 120)
        assert not read_summary(out / f"{shard}.tar").flagged
    assert "shards done now 0 of 2" in run(*command)
    data = PseudoLabelled(images, labels=out)
    assert [data[i].disparity.shape for i in range(3)] == [(168, 224), (196, 168), (168, 224)]
    assert np.ptp(data[0].disparity) > 0

    with pytest.raises(DabenchError, match=r"flip_average: False there, True now"):
        run(*command, "--flip-average")
    (images / "000.jpg").write_bytes(b"")
    text = run("--images", images, *TINY, "--out", tmp_path / "again", code=1)
    assert "flagged: set-000000: 1 of 3 images have no label" in text and "failed: 000:" in text
    assert "flagged set-000000" in run("--out", tmp_path / "again", "--status", code=1)


@pytest.mark.slow
def test_real_photographs(shared_data: Path, tmp_path: Path) -> None:
    photos = sorted((shared_data / "photos").glob("*.jpg"))[:3]
    (tmp_path / "set").mkdir()
    for path in photos:
        (tmp_path / "set" / path.name).write_bytes(path.read_bytes())
    run("--images", tmp_path / "set", *TINY, "--out", tmp_path / "labels")
    health = read_summary(tmp_path / "labels" / "set-000000.tar").health
    assert (health.images, health.constant, health.not_finite) == (3, 0, 0)
    for index in range(3):  # photographs taken by people are nearer at the bottom
        disparity = PseudoLabelled(tmp_path / "set", labels="../labels")[index].disparity
        third = len(disparity) // 3
        assert disparity[-third:].mean() > disparity[:third].mean()


@pytest.mark.slow
def test_sigterm_gives_the_shard_back(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "set", 400), tmp_path / "labels"
    command = [
        sys.executable,
        "-m",
        "dabench",
        "pseudo-label",
        "--images",
        images,
        *TINY,
        "--out",
        out,
        "--workers",
        "1",
    ]
    process = subprocess.Popen(
        [*map(str, command), "--batch-size", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    end = time.monotonic() + 90
    while not list(out.glob(".set-000000.*.tmp")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    assert "claimed set-000000" in run("--out", out, "--status")
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "given back" in text, text
    assert sorted(path.name for path in out.iterdir()) == ["claims", "run.json"]
    assert LabelStore(out).status().claimed == ()


@pytest.mark.slow
def test_a_flagged_shard_does_not_end_the_others_under_torchrun(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "set", 160), tmp_path / "labels"
    for number in range(80):  # the first worker is through at once, and with exit code 1
        (images / f"{number:03d}.jpg").write_text("no image")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "dabench"]
    arguments = ["pseudo-label", "--images", images, *TINY, "--out", out, "--shard-size", "80", "--batch-size", "1"]
    done = subprocess.run(
        [*launch, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 1, done.stderr
    status = LabelStore(out).status()
    assert (status.done, status.flagged, status.claimed) == (("set-000000", "set-000001"), ("set-000000",), ())
    assert read_summary(out / "set-000001.tar").labelled == 80


@pytest.mark.slow
def test_a_checkpoint_says_itself_what_it_is(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "set", 1), tmp_path / "labels"
    save_state(DepthAnythingV2(CONFIGS["tiny"].metric(20.0)), tmp_path / "metric.safetensors")
    save_state(DepthAnythingV2(CONFIGS["tiny"]), tmp_path / "mine.safetensors")
    command = ("--images", images, "--out", out, "--device", "cpu", "--checkpoint")
    plan = run(*command, tmp_path / "mine.safetensors", "--dry-run")
    assert "teacher mine, weights " in plan and "short side 168 px" in plan and not out.exists()
    for also in ((), ("--dry-run",)):
        with pytest.raises(DabenchError, match=r"no\.safetensors does not exist"):
            run(*command, tmp_path / "no.safetensors", *also)
    with pytest.raises(DabenchError, match="metric"):
        run(*command, tmp_path / "metric.safetensors")
    assert not out.exists()
    assert "shards done now 1 of 1" in run(*command, tmp_path / "mine.safetensors")
    teacher = LabelStore(out).manifest()["teacher"]
    assert teacher["name"] == "mine" and f"weights {teacher['weights_sha256'][:12]}" in plan


def test_wrong_calls(tmp_path: Path) -> None:
    images = write_images(tmp_path / "set", 1)
    for arguments, message in (
        (("--out", tmp_path / "o", *TINY), "no images are given"),
        (("--out", tmp_path / "o", "--images", images), "no teacher is given"),
        (("--out", tmp_path / "o", "--images", tmp_path / "none", *TINY), "does not exist"),
        (("--out", images / "000.jpg", "--images", images, *TINY), "is a file"),
        (("--out", tmp_path / "o", "--images", images, "-m", "location-prior"), "cannot label"),
        (("--out", tmp_path / "o", "--status"), "holds no labels"),
    ):
        with pytest.raises(DabenchError, match=message) as caught:
            run(*arguments)
        assert caught.value.exit_code == 2
    assert not (tmp_path / "o").exists()


def test_further_images_may_follow_unnamed(tmp_path: Path) -> None:
    first, second = write_images(tmp_path / "a", 2), write_images(tmp_path / "b", 3)
    text = run("--out", tmp_path / "o", *TINY, "--dry-run", "--images", first, second)
    assert "images 5" in text and "shards 2," in text


def test_the_command_line_stays_light() -> None:
    script = (
        "import sys; from model_zoo.depth_anything_v2.training import cli_pseudo_label\n"
        "assert not {'torch', 'cv2', 'numpy', 'rich.progress'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
