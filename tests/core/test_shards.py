"""Several processes that score one run: what each does, that nothing changes, and that a dead one costs nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dabench.errors import RecordError, UsageError
from dabench.evaluate import evaluate, evaluate_many
from dabench.passes import plan
from dabench.records import RunFolder
from dabench.run import Run
from dabench.shards import Shard, _lives, _presence, present, wait_for_others
from dabench.types import ModelInfo, Output, PairModel

PairSet = Callable[..., Path]
FOLDER = "model/pairs@1"


def brightness(image: np.ndarray) -> np.ndarray:
    return image.mean(axis=2)


def score(root: Path, out: Path, shard: Shard | None = None, model: Any = brightness, **options: Any) -> Run | None:
    named = {"protocols": ["pairs"], "output": "disparity", "name": "model", **options}
    runs = evaluate_many(model, data_root=root, out=out, shard=shard, **named)
    return runs[0] if runs else None


def files_of(out: Path, folder: str = FOLDER) -> tuple[Any, Any]:
    """Summary and lines, without the clock and the order in which the lines came."""
    summary = json.loads((out / folder / "summary.json").read_text())
    lines = map(json.loads, (out / folder / "samples.jsonl").read_text().splitlines())
    timeless = sorted(
        ({k: v for k, v in line.items() if k != "seconds"} for line in lines), key=lambda line: line["id"]
    )
    return {k: v for k, v in summary.items() if k != "timing"}, timeless


class Counting:
    """``brightness``, which remembers how many images it saw."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.seen += 1
        return brightness(image)


@pytest.mark.parametrize(("world", "batch_size"), [(2, 1), (3, 1), (3, 2), (9, 1)])
def test_parts_make_the_run_of_one_process(pair_set: PairSet, tmp_path: Path, world: int, batch_size: int) -> None:
    root = pair_set(7)
    score(root, tmp_path / "one", batch_size=batch_size)
    seen = []
    for rank in reversed(range(world)):
        model = Counting()
        run = score(root, tmp_path / "many", Shard(rank, world), model, batch_size=batch_size)
        seen.append(model.seen)
        assert (run is not None) == (rank == 0)
        assert (tmp_path / "many" / FOLDER / "summary.json").is_file() == (rank == 0)
    assert sum(seen) == 7 and max(seen) <= batch_size * -(-7 // (world * batch_size))
    assert files_of(tmp_path / "many") == files_of(tmp_path / "one")
    assert sorted(p.name for p in (tmp_path / "many" / FOLDER).iterdir()) == [
        "run.json",
        "samples.jsonl",
        "summary.json",
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize("alignment", ["", 'scope = "sequence"'])
def test_shares_cover_the_samples_once_and_keep_sequences_whole(
    toy: Any, recipe: Any, tmp_path: Path, alignment: str, batch_size: int
) -> None:
    root, protocol = toy(clips=(3, 4, 1, 2)), recipe(alignment=alignment)
    from dabench.job import Job, open_for

    dataset = open_for(protocol, root, None)
    info = ModelInfo("model", Output.DISPARITY)
    job = Job(protocol, info, dataset, limit=None, batch_size=batch_size, workers=1, settings={}, out=tmp_path)
    [work] = plan([job], batch_size)
    shares = [Shard(rank, 3).share(work) for rank in range(3)]
    assert sorted(i for share in shares for i in share) == sorted(dataset.ids) and all(shares)
    for share in shares:
        if alignment:
            assert all((dataset.sequence(i) == dataset.sequence(j)) <= (j in share) for i in share for j in dataset.ids)
        else:
            cut = [dataset.ids[start : start + batch_size] for start in range(0, 10, batch_size)]
            assert all(share.isdisjoint(batch) or share.issuperset(batch) for batch in cut)

    whole = evaluate(brightness, protocol, output="disparity", name="model", data_root=root, batch_size=batch_size)
    for rank in range(3):
        run = score(root, tmp_path, Shard(rank, 3), protocols=[protocol], batch_size=batch_size)
    assert run is not None and run.summary["metrics"] == whole.summary["metrics"]
    assert [line["fit"] for line in run.samples] == [line["fit"] for line in whole.samples]


@pytest.mark.parametrize("after", ["one process", "two processes", "the same three"])
def test_what_a_dead_process_left_is_scored_by_the_next_call(pair_set: PairSet, tmp_path: Path, after: str) -> None:
    root, out = pair_set(9), tmp_path / "many"
    score(root, tmp_path / "one")

    def dies(state: Any) -> None:
        if state.done == 2:
            raise KeyboardInterrupt

    assert score(root, out, Shard(0, 3)) is None
    with pytest.raises(KeyboardInterrupt):
        score(root, out, Shard(1, 3), progress=dies)
    assert score(root, out, Shard(2, 3)) is None
    left = Counting()
    if after == "one process":
        run = score(root, out, model=left)
    else:
        world = 2 if after == "two processes" else 3
        run = [score(root, out, Shard(rank, world), left) for rank in range(world)][-1 if world == 2 else 1]
        run = run or score(root, out, model=left)
    assert left.seen == 1 and run is not None and run.ok
    assert files_of(out) == files_of(tmp_path / "one")


def test_a_failed_sample_is_tried_again_by_its_own_rank(pair_set: PairSet, tmp_path: Path) -> None:
    root, out = pair_set(6), tmp_path / "many"
    victim = sorted((root / "images").rglob("*.png"))[0]
    content = victim.read_bytes()
    victim.write_bytes(content[:60])
    runs = [score(root, out, Shard(rank, 2)) for rank in range(2)]
    assert runs[0] is None and runs[1] is not None and runs[1].summary["counts"]["failed"] == 1
    victim.write_bytes(content)
    seen = []
    for rank in range(2):
        model = Counting()
        last = score(root, out, Shard(rank, 2), model)
        seen.append(model.seen)
    assert sorted(seen) == [0, 1] and last is not None and last.ok
    score(root, tmp_path / "one")
    assert files_of(out) == files_of(tmp_path / "one")


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from dabench.evaluate import evaluate_many
from dabench.shards import Shard

root, out, rank, world, dies = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
seen = 0

def model(image):
    global seen
    seen += 1
    time.sleep(0.02)
    if seen == dies:
        os.kill(os.getpid(), signal.SIGKILL)
    return image.mean(axis=2)

runs = evaluate_many(
    model, ["pairs"], output="disparity", name="model", data_root=root, out=out, workers=1,
    shard=Shard(rank, world) if world > 1 else None,
)
print(seen, len(runs))
"""


@pytest.mark.slow
def test_killed_processes_side_by_side(pair_set: PairSet, tmp_path: Path) -> None:
    """Three processes at once, two of which are killed; then two, one of which is killed; then one does the rest."""
    root, out = pair_set(24), tmp_path / "many"
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(rank: int, world: int, dies: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(tmp_path / "script.py"), str(root), str(out), str(rank), str(world), str(dies)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def run(world: int, dies: dict[int, int]) -> list[str]:
        processes = [start(rank, world, dies.get(rank, 0)) for rank in range(world)]
        told = [process.communicate(timeout=120)[0].split() for process in processes]
        assert [p.returncode for p in processes] == [-signal.SIGKILL if rank in dies else 0 for rank in range(world)]
        return [words[0] for words in told if words]

    assert run(3, {0: 3, 2: 5}) == ["8"]
    assert not (out / FOLDER / "summary.json").exists()
    run(2, {1: 2})
    [seen] = run(1, {})
    assert 0 < int(seen) < 12, "most was taken up"
    score(root, tmp_path / "one")
    assert files_of(out) == files_of(tmp_path / "one")


@pytest.mark.slow
def test_torchrun_starts_an_evaluation(tmp_path: Path) -> None:
    command = ["-m", "dabench", "eval", "-m", "location-prior", "-p", "mini-pairs", "--json", "--out"]
    one = subprocess.run([sys.executable, *command, str(tmp_path / "one")], capture_output=True, text=True, check=True)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    many = subprocess.run([*launch, *command, str(tmp_path / "many")], capture_output=True, text=True, timeout=300)
    assert many.returncode == 0, many.stderr
    [a], [b] = json.loads(one.stdout), json.loads(many.stdout)
    assert {k: v for k, v in a.items() if k != "timing"} == {k: v for k, v in b.items() if k != "timing"}
    assert [p.name for p in (tmp_path / "many").iterdir()] == ["location-prior"]


def test_one_process_does_not_write_beside_parts_nor_two_of_one_rank(pair_set: PairSet, tmp_path: Path) -> None:
    root = pair_set()
    inside: list[str] = []

    def model(image: np.ndarray) -> np.ndarray:
        if not inside:
            for shard in (None, Shard(0, 2)):
                with pytest.raises(RecordError) as error:
                    score(root, tmp_path, shard)
                inside.append(str(error.value))
            score(root, tmp_path, Shard(1, 2))
        return brightness(image)

    run = score(root, tmp_path, Shard(0, 2), model)
    assert run is not None and run.ok
    assert "another dabench process" in inside[0] and "share 0-of-2" in inside[1]
    with RunFolder(tmp_path / FOLDER).writing(), pytest.raises(RecordError, match="a process that scores all of it"):
        score(root, tmp_path, Shard(1, 2))


def test_another_run_in_the_folder_is_refused(pair_set: PairSet, tmp_path: Path) -> None:
    root = pair_set()
    assert score(root, tmp_path, Shard(0, 2)) is None
    with pytest.raises(RecordError, match="holds a run of something else"):
        score(root, tmp_path, Shard(1, 2), output="depth")


class Asked(PairModel):
    info = ModelInfo("asked", Output.ORDER)

    def answer_pairs(self, image: Any, points: Any, sample_id: str) -> Any:
        raise AssertionError


def test_what_parts_cannot_do(pair_set: PairSet, tmp_path: Path) -> None:
    root = pair_set()
    with pytest.raises(UsageError, match="discard the records of all"):
        score(root, tmp_path, Shard(0, 2), fresh=True)
    with pytest.raises(UsageError, match="none was given"):
        evaluate_many(brightness, ["pairs"], output="disparity", data_root=root, shard=Shard(0, 2))
    with pytest.raises(UsageError, match="asked over a network"):
        evaluate_many(Asked(), ["pairs"], data_root=root, out=tmp_path, shard=Shard(0, 2))


@pytest.mark.parametrize("text", ["", "1", "2/2", "a/2", "-1/2", "1/0", "0/", "1/2/3"])
def test_a_share_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        Shard.parse(text)


def test_shares_of_a_scheduler_and_of_torchrun() -> None:
    assert Shard.parse("3/8") == Shard(3, 8)
    told = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert Shard.of_torchrun(told) is None, "other launchers set these too"
    launched = Shard.of_torchrun({**told, "TORCHELASTIC_RUN_ID": "none", "MASTER_PORT": "29500"})
    assert launched is not None and (launched.rank, launched.world, launched.local_rank) == (5, 8, 1) and launched.call
    assert Shard.of_torchrun({**told, "TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "1", "RANK": "0"}) is None


def test_the_first_rank_waits_for_those_that_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dabench.shards.GRACE_SECONDS", 0.3)
    one, other = Shard(0, 2, "call"), Shard(1, 2, "call")
    held, release = threading.Event(), threading.Event()

    def live() -> None:
        with present(tmp_path, other):
            held.set()
            release.wait(30)

    thread = threading.Thread(target=live)
    thread.start()
    assert held.wait(30) and _lives(_presence(tmp_path, one, 1))
    threading.Timer(0.8, release.set).start()
    begun = time.monotonic()
    wait_for_others(tmp_path, one, lambda: False)
    assert time.monotonic() - begun > 0.8 and not thread.is_alive()
    wait_for_others(tmp_path, one, lambda: True)
    assert list(tmp_path.iterdir()) == []
