"""Timing of models, with a clock that the model itself turns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dabench.bench import PeakMemory, Timing, card_of, measure, picture, read_cards, write_card
from dabench.cli import build_app
from dabench.errors import ModelError, UsageError
from dabench.reporting.leaderboard.build import measured_row
from dabench.reporting.loaded import load_record
from dabench.types import DepthModel, ModelInfo, Output, Prediction

runner = CliRunner()


class Clocked(DepthModel):
    """Takes the seconds that it is told, on a clock of its own; the last number is repeated."""

    info = ModelInfo("clocked", Output.DEPTH)

    def __init__(self, *seconds: float) -> None:
        self.seconds = list(seconds)
        self.now, self.calls, self.batches = 0.0, 0, set[int]()

    def clock(self) -> float:
        return self.now

    def predict(self, image: np.ndarray) -> Prediction:
        return self.predict_batch([image])[0]

    def predict_batch(self, images: Sequence[np.ndarray], sample_ids: Any = None) -> list[Prediction]:
        self.now += self.seconds[min(self.calls, len(self.seconds) - 1)]
        self.calls += 1
        self.batches.add(len(images))
        return [Prediction(image.mean(axis=2, dtype=np.float32), Output.DEPTH) for image in images]


def timed(model: Clocked, **options: Any) -> Timing:
    return measure(model, height=12, width=16, clock=model.clock, **options)


def test_the_first_call_and_the_warm_up_are_not_in_the_figures() -> None:
    timing = timed(Clocked(30.0, 4.0, 2.0, 1.0, 0.5, 0.25), seconds=10.0)
    assert timing.first_seconds == 30.0 and (timing.height, timing.width, timing.batch_size) == (12, 16, 1)
    assert timing.median_seconds == timing.p10_seconds == timing.p90_seconds == 0.25
    assert timing.images_per_second == 4.0 and timing.calls == 40


def test_batches_count_as_so_many_images() -> None:
    model = Clocked(0.5)
    timing = timed(model, batch_size=3, seconds=4.0)
    assert model.batches == {3} and timing.images_per_second == pytest.approx(6.0) and timing.calls == 8


def test_quantiles_are_those_of_the_calls() -> None:
    calls = [1.0, 2.0, 3.0, 4.0, 5.0]
    timing = timed(Clocked(9.0, 1.0, 1.0, 1.0, *calls), seconds=15.0)
    assert timing.calls == 5 and timing.median_seconds == 3.0
    assert (timing.p10_seconds, timing.p90_seconds) == (pytest.approx(1.4), pytest.approx(4.6))


def test_a_model_that_never_settles_is_still_measured() -> None:
    falling = [100 * 0.9**n for n in range(400)]
    timing = timed(Clocked(*falling), seconds=1.0)
    assert timing.calls == 5 and timing.median_seconds < 100


def test_memory_is_that_of_the_timed_calls() -> None:
    model = Clocked(9.0, 4.0, 2.0, 1.0)
    watched: list[tuple[str, int]] = []

    class Watch(PeakMemory):
        def __init__(self, device: str) -> None:
            watched.append((f"from {device}", model.calls))

        def peak_mib(self) -> float | None:
            watched.append(("until", model.calls))
            return 12.5

    timing = timed(model, seconds=10.0, memory=Watch)
    assert timing.peak_mib == 12.5
    assert watched == [("from cpu", model.calls - timing.calls), ("until", model.calls)], "no call before, none after"


def test_peak_memory_forgets_what_was_before_it() -> None:
    """In a process of its own: the peak is the whole process's, and other tests' threads allocate too."""
    script = """
import numpy as np
from dabench.bench import PeakMemory
np.ones(900 << 17).sum()  # MiB in float64
watched = PeakMemory("cpu")
before = watched.peak_mib()
np.ones(150 << 17).sum()
print(-1 if before is None else watched.peak_mib() - before)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    more = float(ran.stdout)
    if more < 0:
        pytest.skip("this system does not tell a process's peak memory")
    assert 100 < more < 600, "150 MiB more; the 900 from before are not in it"


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"seconds": 0.0}, {"height": 0}, {"seconds": float("nan")}])
def test_what_cannot_be_measured(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must be positive"):
        measure(Clocked(1.0), **wrong)


def test_a_model_that_gives_no_map_is_no_fast_model() -> None:
    class Wrong(Clocked):
        def predict(self, image: np.ndarray) -> Prediction:
            return Prediction(np.zeros((3,), np.float32), Output.DEPTH)

    with pytest.raises(ModelError):
        timed(Wrong(1.0))


def test_pictures_repeat_and_differ() -> None:
    assert np.array_equal(picture(30, 40, 1), picture(30, 40, 1)) and not np.array_equal(
        picture(30, 40), picture(30, 40, 1)
    )
    assert picture(30, 40).dtype == np.uint8 and picture(30, 40).shape == (30, 40, 3) and picture(30, 40).std() > 20


def test_cards_replace_those_of_the_same_machine_and_settings(tmp_path: Path) -> None:
    model = Clocked(0.5)
    card = card_of(model, [timed(model)], {"device": "cpu", "precision": "fp32", "compile": "off"})
    path = write_card(tmp_path, card)
    assert path.parent == tmp_path / "clocked" / "bench" and path.name.startswith("cpu-fp32-")
    assert write_card(tmp_path, card) == path
    other = {**card, "settings": {**card["settings"], "precision": "bf16"}}
    assert write_card(tmp_path, other) != path and len(read_cards(tmp_path / "clocked")) == 2


def test_the_command_and_what_the_leaderboard_takes_from_it(tmp_path: Path) -> None:
    app = build_app()
    evaluated = ["eval", "-m", "location-prior", "-p", "mini-pairs", "--limit", "2", "--out", str(tmp_path)]
    assert runner.invoke(app, evaluated).exit_code == 0
    record = load_record(tmp_path / "location-prior")
    own = measured_row("x", record, "mini").seconds
    command = ["bench", "location-prior", "--seconds", "0.01", "--out", str(tmp_path), "--json"]
    result = runner.invoke(
        app, [*command, "--size", "480x640", "--size", "24x32", "--batch-size", "1", "--batch-size", "2"]
    )
    assert result.exit_code == 0, result.output
    [card] = json.loads(result.stdout)
    ways = [(t["height"], t["width"], t["batch_size"]) for t in card["timings"]]
    assert ways == [(480, 640, 1), (480, 640, 2), (24, 32, 1), (24, 32, 2)] and [card] == read_cards(
        tmp_path / "location-prior"
    )
    assert measured_row("x", record, "mini").seconds == card["timings"][0]["median_seconds"] != own
    table = runner.invoke(app, command[:-1])
    assert table.exit_code == 0 and "location-prior" in table.stdout and "480x640" in table.stdout
    assert len(read_cards(tmp_path / "location-prior")) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no-such-model"], "unknown model"),
        (["location-prior", "--size", "480"], "--size 480"),
        (["location-prior", "constant", "--checkpoint", "x"], "one model"),
        (["location-prior", "--threads", "0"], "--threads"),
        (["depth-anything-v2-tiny", "--precision", "fp16", "--device", "cpu"], "fp16 is for cuda"),
    ],
)
def test_wrong_calls(arguments: list[str], told: str, tmp_path: Path) -> None:
    result = runner.invoke(build_app(), ["bench", *arguments, "--out", str(tmp_path)])
    assert result.exit_code != 0 and told in f"{result.output}{result.exception}" and not list(tmp_path.iterdir())
