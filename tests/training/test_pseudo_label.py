"""Labelling: claims, commits, kills, bad images, and what a label holds."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from dabench.errors import DabenchError, ModelError, RecordError, UsageError
from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.preprocess import network_size, prepare
from model_zoo.depth_anything_v2.training.pseudo_label import store as store_module
from model_zoo.depth_anything_v2.training.pseudo_label.claims import Claims, Owner, this_process
from model_zoo.depth_anything_v2.training.pseudo_label.codec import (
    LabelFacts,
    decode_label,
    dequantise,
    encode_png,
    quantise,
)
from model_zoo.depth_anything_v2.training.pseudo_label.health import ShardHealth, mean_absolute_deviation
from model_zoo.depth_anything_v2.training.pseudo_label.store import (
    FailedImage,
    LabelStore,
    ShardSummary,
    ShardWriter,
    publish,
    read_summary,
)
from model_zoo.depth_anything_v2.training.pseudo_label.teacher import Teacher, load_teacher
from model_zoo.depth_anything_v2.training.pseudo_label.worker import (
    LabelOptions,
    LabelReport,
    label_shards,
    starting_place,
)
from model_zoo.depth_anything_v2.training.shards import describe_images, find_shards

WORKER = """
import sys, time
from pathlib import Path
from model_zoo.depth_anything_v2.training.pseudo_label.teacher import Teacher
from model_zoo.depth_anything_v2.training.pseudo_label.worker import LabelOptions, label_shards
from model_zoo.depth_anything_v2.training.shards import find_shards
images, out, seconds, lease = sys.argv[1:]
count = 0
def forward(x):
    global count
    count += 1
    time.sleep(float(seconds))
    return (x[:, 0] - x.min()).relu()
teacher = Teacher(forward, name="slow", weights_sha256="f00d", input_size=28)
options = LabelOptions(batch_size=1, threads=1, lease=float(lease))
report = label_shards(find_shards([Path(images)], shard_size=4), Path(out), teacher, options)
print(*[s.shard for s in report.committed], "|", *report.lost, "|", count, report.exit_code)
"""


def start_worker(images: Path, out: Path, seconds: float = 0.0, lease: float = 60, **environment: str) -> Any:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(images), str(out), str(seconds), str(lease)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def result_of(process: Any) -> tuple[list[str], list[str], int, int]:
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    committed, lost, rest = text.split("|")
    count, code = rest.split()
    return committed.split(), lost.split(), int(count), int(code)


def wait_for(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("it never came")


def forward(x: torch.Tensor) -> torch.Tensor:
    return (x[:, 0] - x.min()).relu()


def quick_teacher(function: Callable[[torch.Tensor], torch.Tensor] = forward, **changes: Any) -> Teacher:
    return Teacher(function, **{"name": "slow", "weights_sha256": "f00d", "input_size": 28, **changes})


def write_images(root: Path, count: int, sizes: Sequence[tuple[int, int]] = ((40, 50),)) -> Path:
    root.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (*sizes[number % len(sizes)], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number:03d}.png")
    return root


def label(
    images: Path, out: Path, teacher: Teacher | None = None, *, shard_size: int = 4, **options: Any
) -> LabelReport:
    shards = find_shards([images], shard_size=shard_size)
    return label_shards(shards, out, teacher or quick_teacher(), LabelOptions(threads=2, **options))


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]


# labels


@pytest.mark.parametrize("seed", range(5))
def test_a_label_is_exact_to_a_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.gamma(0.3, 10.0 ** rng.integers(-6, 6), (50, 60)) + (seed % 2)).astype(np.float32)
    if seed % 2 == 0:
        values[:20] = 0
    codes, low, high = quantise(values)
    assert codes.dtype == np.uint16 and (low, high) == (values.min(), values.max())
    back = dequantise(codes, low, high)
    step = (high - low) / 65535
    assert np.abs(back.astype(np.float64) - values).max() <= step * (1 + 1e-6)
    assert ((back == 0) == (values == 0)).all(), "sky is exact"
    assert back.max() == values.max() and back.min() == values.min()
    far = values > low + step
    assert np.abs(back[far].astype(np.float64) - values[far]).max() <= step * 0.51


def test_a_constant_label_survives() -> None:
    codes, low, high = quantise(np.full((3, 4), 2.5, np.float32))
    assert (dequantise(codes, low, high) == 2.5).all()


def test_a_png_that_is_not_the_label_is_named() -> None:
    codes = np.arange(600, dtype=np.uint16).reshape(20, 30)
    facts = LabelFacts("k", 0, 1, (20, 30), (40, 60), 0.1, 0.2, False, None)
    png = encode_png(codes)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), codes)
    assert np.allclose(decode_label(png, facts, "x"), codes / 65535)
    eight = cv2.imencode(".png", codes.astype(np.uint8))[1].tobytes()
    for bad in (png[:-30], b"", eight, encode_png(codes[:10])):
        with pytest.raises(DabenchError, match=r"^s\.tar: k"):
            decode_label(bad, facts, "s.tar: k")


def test_mad_and_health_count_what_they_say() -> None:
    values = np.array([[0, 0, 1, 5]], np.float32)
    assert mean_absolute_deviation(values) == pytest.approx((0.5 + 0.5 + 0.5 + 4.5) / 4 / 5)
    assert mean_absolute_deviation(np.ones((2, 2), np.float32)) == 0
    health = ShardHealth()
    health.add(0.5, 0.3, False)
    health.add(1.0, 0.0, True)
    health.add(0.0, 0.5, False)
    health.add_not_finite(7)
    assert (health.images, health.constant, health.all_zero, health.not_finite_pixels) == (3, 1, 1, 7)
    assert health.zero_share == pytest.approx(0.5) and sum(health.mad_histogram) == 3
    assert [health.mad_histogram[i] for i in (0, 12, 19)] == [1, 1, 1]


@pytest.fixture(scope="module")
def network() -> DepthAnythingV2:
    torch.manual_seed(0)
    network = DepthAnythingV2(CONFIGS["tiny"]).eval().requires_grad_(False)
    network.get_parameter("depth_head.scratch.output_conv2.2.bias").fill_(0.3)
    return network


@pytest.mark.parametrize("flip", [False, True])
def test_labels_are_the_networks_output_at_its_own_size(flip: bool, network: DepthAnythingV2, tmp_path: Path) -> None:
    images = write_images(tmp_path / "set", 2, [(60, 90), (90, 60)])
    teacher = Teacher.of_network(network, name="t", device="cpu", input_size=56, flip_average=flip)
    label(images, tmp_path / "out", teacher)
    found = members(tmp_path / "out" / "set-000000.tar")
    for number in range(2):
        image = np.asarray(Image.open(images / f"{number:03d}.png"))
        size = network_size(image.shape[0], image.shape[1], 56)
        batch = torch.from_numpy(prepare(image, size))[None]
        expected = network(batch)[0]
        if flip:
            expected = (expected + torch.flip(network(torch.flip(batch, (3,))), (2,))[0]) / 2
        facts = msgspec.json.decode(found[f"{number:03d}.json"], type=LabelFacts)
        assert facts.size == size and facts.image_size == image.shape[:2] and facts.teacher == teacher.weights_sha256
        got = decode_label(found[f"{number:03d}.depth.png"], facts, "x")
        assert np.abs(got - expected.numpy()).max() <= (facts.max - facts.min) / 65535 + 1e-5
        assert facts.zero_share == pytest.approx((expected.numpy() == 0).mean(), abs=0.01)


def test_weights_in_memory_are_told_apart(network: DepthAnythingV2) -> None:
    first = Teacher.of_network(network, name="t", device="cpu").weights_sha256
    other = DepthAnythingV2(CONFIGS["tiny"])
    assert Teacher.of_network(network, name="t", device="cpu").weights_sha256 == first
    assert Teacher.of_network(other, name="t", device="cpu").weights_sha256 != first


def test_what_cannot_label_is_refused() -> None:
    with pytest.raises(UsageError, match="metres"):
        Teacher.of_network(DepthAnythingV2(CONFIGS["tiny"].metric(20)), name="m", device="cpu")
    for name in ("location-prior", "depth-anything-v2-metric-indoor-small"):
        with pytest.raises(UsageError, match="cannot label"):
            load_teacher(name)
    with pytest.raises(ModelError, match="published numbers"):
        load_teacher("depth-anything-v2-giant")


class Recording(Teacher):
    """Notes the shapes of every group of images that is computed together."""

    groups: list[list[tuple[int, ...]]]

    def label(self, inputs: Sequence[npt.NDArray[np.float32]], batch_size: int) -> list[npt.NDArray[np.float32]]:
        self.groups.append([array.shape for array in inputs])
        return super().label(inputs, batch_size)


def test_images_of_one_size_are_computed_together_and_written_in_order(tmp_path: Path) -> None:
    images = write_images(tmp_path / "set", 12, [(40, 60), (60, 40), (40, 60), (50, 50)])
    teacher = Recording(forward, name="slow", weights_sha256="f00d", input_size=28)
    teacher.groups = []
    label(images, tmp_path / "a", teacher, shard_size=12, batch_size=4)
    assert all(len(set(group)) == 1 and len(group) <= 4 for group in teacher.groups)
    assert sorted(len(group) for group in teacher.groups) == [2, 3, 3, 4]
    found = members(tmp_path / "a" / "set-000000.tar")
    stems = [f"{number:03d}" for number in range(12)]
    assert list(found) == [stem + suffix for stem in stems for suffix in (".depth.png", ".json")] + ["_shard.json"]
    for number, stem in enumerate(stems):
        image = np.asarray(Image.open(images / f"{stem}.png"))
        x = prepare(image, network_size(image.shape[0], image.shape[1], 28))
        facts = msgspec.json.decode(found[f"{stem}.json"], type=LabelFacts)
        expected = np.maximum(x[0] - x.min(), 0)
        assert np.abs(decode_label(found[f"{stem}.depth.png"], facts, "x") - expected).max() < 1e-4, number
    label(images, tmp_path / "b", shard_size=12, batch_size=1)
    assert (tmp_path / "b" / "set-000000.tar").read_bytes() == (tmp_path / "a" / "set-000000.tar").read_bytes()


def test_tar_shards_and_folders_give_the_same_labels(tmp_path: Path) -> None:
    images = write_images(tmp_path / "set", 5)
    with tarfile.open(tmp_path / "set-000000.tar", "w") as archive:
        for path in sorted(images.iterdir()):
            archive.add(path, path.name)
            archive.addfile(tarfile.TarInfo(f"{path.stem}.txt"))
    label(images, tmp_path / "a", shard_size=5)
    label(tmp_path / "set-000000.tar", tmp_path / "b")
    assert (tmp_path / "a" / "set-000000.tar").read_bytes() == (tmp_path / "b" / "set-000000.tar").read_bytes()


# bad images and bad shards


def test_a_corrupt_image_is_recorded_and_flags_the_shard(tmp_path: Path) -> None:
    images = write_images(tmp_path / "set", 8)
    (images / "001.png").write_bytes((images / "001.png").read_bytes()[:60])
    (images / "002.png").write_text("no image")
    report = label(images, tmp_path / "out")
    assert report.exit_code == 1 and report.images == 6 and report.failed_images == 2
    summary = read_summary(tmp_path / "out" / "set-000000.tar")
    assert summary.flagged and (summary.images, summary.labelled) == (4, 2)
    assert [image.key for image in summary.failed] == ["001", "002"]
    assert "001.png" in summary.failed[0].reason and "damaged" in summary.failed[0].reason
    assert json.loads(members(tmp_path / "out" / "set-000000.tar")["_shard.json"])["failed"][1]["key"] == "002"
    assert not read_summary(tmp_path / "out" / "set-000001.tar").flagged
    assert LabelStore(tmp_path / "out").status().flagged == ("set-000000",)
    report = label(images, tmp_path / "lenient", max_failed_share=0.5)
    assert report.exit_code == 0 and report.failed_images == 2


def test_nan_and_constant_maps_show_in_the_health(tmp_path: Path) -> None:
    images = write_images(tmp_path / "set", 4)
    calls = iter(range(4))

    def sick(x: torch.Tensor) -> torch.Tensor:
        values = forward(x)
        match next(calls):
            case 1:
                values[0, 3, 4:6] = torch.tensor([float("nan"), float("inf")])
            case 2:
                values[:] = 0
        return values

    label(images, tmp_path / "out", quick_teacher(sick))
    summary = read_summary(tmp_path / "out" / "set-000000.tar")
    health = summary.health
    assert (health.images, health.not_finite, health.not_finite_pixels) == (3, 1, 2)
    assert (health.constant, health.all_zero) == (1, 1) and health.zero_share > 1 / 3
    assert summary.failed[0].key == "001" and "NaN" in summary.failed[0].reason


def test_a_truncated_shard_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    images = write_images(tmp_path / "set", 4)
    for name in ("a", "b", "c"):
        with tarfile.open(folder / f"{name}.tar", "w") as archive:
            for path in sorted(images.iterdir()):
                archive.add(path, path.name)
    whole = (folder / "b.tar").read_bytes()
    (folder / "b.tar").write_bytes(whole[:5000])
    report = label(folder, tmp_path / "out")
    assert report.exit_code == 1 and list(report.broken) == ["b"] and "b.tar: truncated" in report.broken["b"]
    status = LabelStore(tmp_path / "out").status()
    assert status.done == ("a", "c") and status.failed == ("b",) and status.claimed == ()
    (folder / "b.tar").write_bytes(whole)
    report = label(folder, tmp_path / "out")
    assert report.exit_code == 0 and [s.shard for s in report.committed] == ["b"] and report.before == 2
    assert LabelStore(tmp_path / "out").status().failed == ()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, out = write_images(tmp_path / "set", 4), tmp_path / "out"
    shards = find_shards([images], shard_size=4)
    LabelStore(out).start({"teacher": quick_teacher().describe(), "images": describe_images(shards)})

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for function in ("fsync", "link"):
        with monkeypatch.context() as patch:
            patch.setattr(store_module.os, function, full)
            with pytest.raises(DabenchError, match=r"set-000000\.tar: cannot be written: No space left") as caught:
                label(images, out)
        assert caught.value.exit_code == 1
        assert {p.name for p in out.iterdir()} == {"run.json", "claims"}
        assert list((out / "claims").glob("*.claim")) == []
    assert label(images, out).exit_code == 0


# the manifest


def test_another_teacher_is_refused_with_what_differs(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "set", 4), tmp_path / "out"
    label(images, out)
    before = (out / "run.json").read_bytes()
    for teacher, message in (
        (quick_teacher(weights_sha256="beef"), r"teacher\.weights_sha256: 'f00d' there, 'beef' now"),
        (quick_teacher(input_size=42), r"teacher\.input_size: 28 there, 42 now"),
        (quick_teacher(flip_average=True), r"teacher\.flip_average"),
    ):
        with pytest.raises(RecordError, match=message):
            label(images, out, teacher)
    with pytest.raises(RecordError, match=r"images\.shard_size: 4 there, 3 now"):
        label(images, out, shard_size=3)
    (images / "0000.png").write_bytes((images / "000.png").read_bytes())
    with pytest.raises(RecordError, match=r"images\.count: 4 there, 5 now"):
        label(images, out)
    assert (out / "run.json").read_bytes() == before


def test_one_of_many_writes_the_manifest(tmp_path: Path) -> None:
    barrier, outcomes = threading.Barrier(8), []

    def begin(number: int) -> None:
        barrier.wait()
        try:
            LabelStore(tmp_path / "out").start({"teacher": {"weights_sha256": str(number)}})
            outcomes.append(number)
        except RecordError:
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin, range(8)))
    assert len(outcomes) == 1
    assert LabelStore(tmp_path / "out").manifest()["teacher"]["weights_sha256"] == str(outcomes[0])
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["run.json"]


# claims


def put_claim(claims: Claims, shard: str, owner: Owner | None, age: float, generation: int = 0) -> Path:
    claims.folder.mkdir(parents=True, exist_ok=True)
    path = claims.folder / f"{shard}.{generation}.claim"
    path.write_bytes(b"" if owner is None else msgspec.json.encode(owner))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_a_claim_is_exclusive_until_released(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "c", 60)
    claim = claims.take("s")
    assert claim is not None and claim.held() and list(claims.live()) == ["s"]
    assert claims.take("s") is None and Claims(tmp_path / "c", 60).take("s") is None
    other = claims.take("s.0")
    assert other is not None, "shards whose names look alike are different"
    claim.release()
    again = claims.take("s")
    assert again is not None and not claim.held() and again.held()
    claim.release()
    assert again.held(), "a late release does not touch the claim of another"


@pytest.mark.parametrize(
    ("change", "age", "free"),
    [
        ({"machine": "elsewhere"}, 50, False),
        ({"machine": "elsewhere"}, 70, True),
        ({"pid": 2**22 + 1}, 0, True),  # above the largest process number
        ({"started": "1"}, 0, True),  # this number belongs to a later process
        ({}, 50, False),
        ({}, 70, True),  # alive but silent, as when suspended
        (None, 50, False),  # being written
        (None, 70, True),
    ],
)
def test_who_is_dead(change: dict[str, Any] | None, age: float, free: bool, tmp_path: Path) -> None:
    claims = Claims(tmp_path / "c", 60)
    owner = None if change is None else msgspec.structs.replace(this_process(), **change)
    path = put_claim(claims, "s", owner, age, generation=3)
    claim = claims.take("s")
    assert (claim is not None) == free
    if claim is not None:
        assert claim.generation == 4 and claim.held() and not path.exists()


def test_one_of_many_takes_a_shard(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "c", 60)
    for round_ in range(30):
        shard, barrier = f"s{round_}", threading.Barrier(8)
        if round_ % 2:
            put_claim(claims, shard, msgspec.structs.replace(this_process(), machine="elsewhere"), 100)

        def take(_: int, shard: str = shard, barrier: threading.Barrier = barrier) -> Any:
            barrier.wait()
            return claims.take(shard)

        with ThreadPoolExecutor(8) as pool:
            taken = [claim for claim in pool.map(take, range(8)) if claim is not None]
        holders = [claim for claim in taken if claim.held()]
        assert len(holders) <= 1
        if not holders:  # they may all have stepped back; then the shard is free
            assert claims.take(shard) is not None


@pytest.mark.parametrize(("seen", "there"), [(None, 5), (3, 0)])
def test_a_claim_made_on_an_old_listing_is_withdrawn(
    seen: int | None, there: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between listing and creating, the claims that were seen went, and another worker made its own."""
    claims = Claims(tmp_path / "c", 60)
    other = put_claim(claims, "s", msgspec.structs.replace(this_process(), machine="elsewhere"), 0, there)
    listing = claims._generations
    answers = [[] if seen is None else [(seen, claims.folder / f"s.{seen}.claim")]]
    monkeypatch.setattr(claims, "_generations", lambda shard: answers.pop() if answers else listing(shard))
    assert claims.take("s") is None and not answers
    assert list(claims.folder.glob("*.claim")) == [other]


def test_a_successor_ends_a_claim_whose_file_is_still_there(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "c", 60)
    claim = claims.take("s")
    assert claim is not None and claim.held()
    put_claim(claims, "s", msgspec.structs.replace(this_process(), machine="elsewhere"), 0, 1)
    assert not claim.held() and claim.path.exists()


def test_a_shard_finished_while_it_was_being_claimed_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LabelStore(tmp_path, 60)
    take = store.claims.take

    def late(shard: str) -> Any:
        store.tar(shard).write_bytes(b"of another, which has released its claim by now")
        return take(shard)

    monkeypatch.setattr(store.claims, "take", late)
    assert store.claim("s") is None and list(store.claims.folder.glob("*.claim")) == []


def test_a_heartbeat_keeps_a_claim_and_notices_a_loss(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "c", 0.6)
    claim = claims.take("s")
    assert claim is not None
    with claim:
        time.sleep(1.3)
        assert claims.take("s") is None and not claim.lost
        claim.path.unlink()
        wait_for(lambda: claim.lost)
        assert not claim.held()


def summary_of(shard: str) -> ShardSummary:
    return ShardSummary(shard, 1, 0, "", (FailedImage("k", "why" * 40000),), False, None, ShardHealth())


def test_a_worker_that_lost_its_lease_cannot_commit(tmp_path: Path) -> None:
    store = LabelStore(tmp_path, 60)
    slow = store.claim("s")
    assert slow is not None
    with ShardWriter(store, slow) as late:
        os.utime(slow.path, (1, 1))
        quick = store.claim("s")
        assert quick is not None and quick.generation == 1
        assert not late.commit(summary_of("late")), "before the other has committed"
        assert not store.done("s")
        with ShardWriter(store, quick) as writer:
            assert writer.commit(summary_of("quick"))
    assert read_summary(store.tar("s")).shard == "quick"
    assert store.claim("s") is None, "done"
    store.tar("s").unlink()
    with ShardWriter(store, slow) as late:
        assert not late.commit(summary_of("late")), "even where nothing but the claim speaks against it"
    assert not store.done("s")
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []


def test_leftovers_of_this_shard_only_are_cleared(tmp_path: Path) -> None:
    store = LabelStore(tmp_path, 60)
    names = [f".{shard}.{'0' * 16}.tmp" for shard in ("s", "s.0", "s[0]", "ss")]
    for name in names:
        (tmp_path / name).write_text("")
    assert store.claim("s") is not None
    assert sorted(p.name for p in tmp_path.glob(".*")) == sorted(names[1:])


def test_a_commit_never_replaces_even_past_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LabelStore(tmp_path, 60)
    claim = store.claim("s")
    assert claim is not None
    with ShardWriter(store, claim) as late:
        store.tar("s").write_bytes(b"of another")  # between the look at the claim and the link
        assert not late.commit(summary_of("late"))
    assert store.tar("s").read_bytes() == b"of another"

    def unsupported(*_: Any) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(store_module.os, "link", unsupported)
    for name in ("x", "y"):
        (tmp_path / name).write_bytes(name.encode())
    assert publish(tmp_path / "x", tmp_path / "final") and not publish(tmp_path / "y", tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == b"x" and not (tmp_path / "y").exists()


def test_the_summary_is_found_however_long(tmp_path: Path) -> None:
    store = LabelStore(tmp_path, 60)
    claim = store.claim("s")
    assert claim is not None
    with ShardWriter(store, claim) as writer:
        facts = LabelFacts("k", 0, 1, (1, 1), (1, 1), 0, 0, False, None)
        writer.add(facts, b"_shard.json\0" * 1000)
        assert writer.commit(summary_of("s"))
    assert read_summary(store.tar("s")) == summary_of("s")
    content = store.tar("s").read_bytes()
    store.tar("s").write_bytes(content[: len(content) // 2])
    with pytest.raises(DabenchError, match=r"s\.tar: is no label tar, or truncated"):
        read_summary(store.tar("s"))


# several workers


def test_workers_start_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, size in (("RANK", "WORLD_SIZE"), ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")):
        with monkeypatch.context() as patch:
            patch.setenv(size, "4")
            places = []
            for number in range(4):
                patch.setenv(rank, str(number))
                places.append(starting_place(100))
            assert places == [0, 25, 50, 75]
            patch.delenv(size)
            assert 0 <= starting_place(100) < 100
    assert starting_place(0) == 0


def test_a_limit_a_stop_and_a_restart(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "set", 12), tmp_path / "out"
    report = label(images, out, limit=1)
    assert len(report.committed) == 1 and report.exit_code == 0
    done = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    stop = threading.Event()

    def stopping(x: torch.Tensor) -> torch.Tensor:
        stop.set()
        return forward(x)

    shards = find_shards([images], shard_size=4)
    options = LabelOptions(batch_size=1, threads=1)
    report = label_shards(shards, out, quick_teacher(stopping), options, stop=stop)
    assert report.stopped and report.exit_code == 1 and report.committed == []
    assert list((out / "claims").glob("*.claim")) == [] and list(out.glob(".*.tmp")) == []
    report = label(images, out)
    assert len(report.committed) == 2 and report.before == 1
    assert {path: path.stat().st_mtime_ns for path in done} == done


@pytest.mark.slow
def test_two_workers_do_every_shard_once(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "set", 48), tmp_path / "out"
    # Both start at the same place, so that they meet at every shard.
    workers = [start_worker(images, out, 0.03, RANK="0", WORLD_SIZE="1") for _ in range(2)]
    (first, lost1, count1, code1), (second, lost2, count2, code2) = map(result_of, workers)
    assert sorted(first + second) == [f"set-{number:06d}" for number in range(12)]
    assert first and second, "both had work"
    assert (lost1, lost2, code1, code2) == ([], [], 0, 0)
    assert count1 + count2 == 48, "no image was labelled twice"
    assert {p.name for p in out.iterdir() if not p.name.endswith(".tar")} == {"run.json", "claims"}


@pytest.mark.slow
def test_a_killed_worker_loses_one_shard_only(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "set", 12), tmp_path / "out"
    worker = start_worker(images, out, 0.15, lease=600, RANK="0", WORLD_SIZE="1")
    wait_for(lambda: len(list(out.glob("*.tar"))) == 1 and list(out.glob(".set-000001.*.tmp")))
    time.sleep(0.2)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert [path.name for path in finished] == ["set-000000.tar"]
    assert list(out.glob(".set-000001.*.tmp")), "it was in the middle of the second"
    report = label(images, out, lease=600)  # takes over at once: the process is seen to be gone
    assert sorted(s.shard for s in report.committed) == ["set-000001", "set-000002"] and report.held == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert list(out.glob(".*.tmp")) == [] and list((out / "claims").glob("*.claim")) == []
    for number in range(3):
        assert len(members(out / f"set-{number:06d}.tar")) == 9


@pytest.mark.slow
def test_a_suspended_worker_comes_back_too_late(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "set", 4), tmp_path / "out"
    worker = start_worker(images, out, 0.3, lease=2)
    wait_for(lambda: list(out.glob(".set-000000.*.tmp")))
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        report = label(images, out, lease=2)
        assert report.held == 1 and report.committed == [], "it still has its lease"
        report = label(images, out, lease=2, wait=True)
        assert [s.shard for s in report.committed] == ["set-000000"]
        kept = (out / "set-000000.tar").stat()
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    committed, lost, _, _ = result_of(worker)
    assert (committed, lost) == ([], ["set-000000"])
    now = (out / "set-000000.tar").stat()
    assert (now.st_ino, now.st_mtime_ns, now.st_size) == (kept.st_ino, kept.st_mtime_ns, kept.st_size)
    assert list(out.glob(".*.tmp")) == []
