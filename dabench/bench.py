"""How fast a model predicts and how much memory it takes, as a card beside its runs.

A call is timed from uint8 pictures in memory to float32 maps in memory, pre- and postprocessing and all transfers
included: what a user waits for. The first call is told apart, because it may compile and allocate; calls after it warm
up until they no longer get faster. Reported are medians and quantiles over the calls that follow, never means.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dabench.errors import RecordError, UsageError
from dabench.records import SCHEMA, Json, describe_model, environment, provenance, read_json, to_json, write_json
from dabench.types import DepthModel, Image, checked_prediction

FOLDER = "bench"
WARM_UP_CALLS, LEAST_CALLS, MOST_CALLS = 3, 5, 1000
WARM_UP_SHARE = 0.2
"""Of the measured seconds, at least this long is spent warming up before them."""


@dataclass(frozen=True)
class Timing:
    """One way of calling a model.

    Attributes:
        height, width: of the pictures, in pixels.
        batch_size: pictures a call.
        calls: how many were timed.
        first_seconds: the first call, before any warm-up.
        median_seconds, p10_seconds, p90_seconds: of a call.
        images_per_second: batch size over the median.
        peak_mib: largest memory in use during the timed calls: of the GPU where one is used, else of the process; None
            where the system does not tell.
    """

    height: int
    width: int
    batch_size: int
    calls: int
    first_seconds: float
    median_seconds: float
    p10_seconds: float
    p90_seconds: float
    images_per_second: float
    peak_mib: float | None


def picture(height: int, width: int, seed: int = 0) -> Image:
    """A uint8 RGB picture of smooth colour and noise, the same for the same arguments."""
    rng = np.random.default_rng([height, width, seed])
    rows, columns = np.linspace(0, 3, height)[:, None, None], np.linspace(0, 4, width)[None, :, None]
    waves = np.sin(rows + columns * np.array([1.0, 1.7, 2.3]) + rng.uniform(0, 6, 3))
    return (127 + 90 * waves + rng.normal(0, 12, (height, width, 3))).clip(0, 255).astype(np.uint8)


class PeakMemory:
    """Peak memory from now on: of the GPU, or of this process where Linux tells it."""

    def __init__(self, device: str) -> None:
        self._torch: Any = sys.modules.get("torch") if device.startswith("cuda") else None
        self._device = device
        if self._torch is not None:
            self._torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            Path("/proc/self/clear_refs").write_text("5")  # resets the process's peak; proc(5)
            self._knows = True
        except OSError:
            self._knows = False

    def peak_mib(self) -> float | None:
        """In MiB; None where the system does not tell."""
        if self._torch is not None:
            return float(self._torch.cuda.max_memory_allocated(self._device)) / 2**20
        if not self._knows:
            return None
        status = Path("/proc/self/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024


def measure(
    model: DepthModel,
    *,
    height: int = 480,
    width: int = 640,
    batch_size: int = 1,
    seconds: float = 5.0,
    clock: Callable[[], float] = time.perf_counter,
    memory: Callable[[str], PeakMemory] = PeakMemory,
) -> Timing:
    """Time a model on pictures of one size.

    Args:
        height, width: of the pictures, in pixels.
        batch_size: pictures a call.
        seconds: how long calls are timed; at least five are, and at most a thousand.
        clock: seconds that go on.
        memory: given the model's device, begins to watch its memory.

    Raises:
        UsageError: a size or a time that is not positive.
        ModelError: the model does not give one map a picture.
    """
    if min(height, width, batch_size) < 1 or not seconds > 0:
        raise UsageError("sizes, batch sizes and seconds must be positive")
    pictures = [picture(height, width, seed) for seed in range(batch_size)]

    def call() -> float:
        begun = clock()
        predictions = model.predict_batch(pictures) if batch_size > 1 else [model.predict(pictures[0])]
        taken = clock() - begun
        for prediction, image in zip(predictions, pictures, strict=True):
            checked_prediction(prediction, image, model.info.name)
        return taken

    first = call()
    _warm_up(call, WARM_UP_SHARE * seconds)
    watched = memory(str(getattr(model, "device", "cpu")))
    times: list[float] = []
    while len(times) < LEAST_CALLS or (sum(times) < seconds and len(times) < MOST_CALLS):
        times.append(call())
    p10, median, p90 = (float(q) for q in np.quantile(times, (0.1, 0.5, 0.9)))
    peak = watched.peak_mib()
    rate = batch_size / median if median else math.inf
    return Timing(height, width, batch_size, len(times), first, median, p10, p90, rate, peak)


def _warm_up(call: Callable[[], float], seconds: float) -> None:
    """Call until the second half of the calls was not faster than the first, for a while at least."""
    times: list[float] = []
    while len(times) < MOST_CALLS:
        times.append(call())
        half = len(times) // 2
        enough = len(times) >= WARM_UP_CALLS and sum(times) >= seconds
        if enough and statistics.median(times[half:]) >= 0.95 * statistics.median(times[:half]):
            return
        if sum(times) >= 10 * seconds and len(times) >= WARM_UP_CALLS:
            return


def card_of(model: DepthModel, timings: Sequence[Timing], settings: Json) -> Json:
    """The content of a card: what was measured, of which model, on what.

    Args:
        settings: device and precision, as runs record them.
    """
    card: Json = to_json(
        {
            "schema": SCHEMA,
            **provenance(),
            "model": describe_model(model.info),
            "settings": settings,
            "environment": environment(),
            "timings": [asdict(timing) for timing in timings],
        }
    )
    return card


def write_card(out: Path, card: Json) -> Path:
    """Add a card to the records, in place of an earlier one of the same model, settings and machine.

    Returns:
        ``OUT/<model>/bench/<device>-<precision>-<hash>.json``.
    """
    about = {key: card[key] for key in ("model", "settings")} | {"machine": _machine(card)}
    code = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]
    device = str(card["settings"].get("device", "cpu")).replace(":", "")
    path = out / card["model"]["name"] / FOLDER / f"{device}-{card['settings'].get('precision', 'fp32')}-{code}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror or error}") from error
    write_json(path, card)
    return path


def _machine(card: Json) -> Json:
    about = card["environment"]
    return {key: about.get(key) for key in ("machine", "cpus", "cuda_device", "torch_threads")}


def read_cards(folder: Path) -> list[Json]:
    """The cards below ``OUT/<model>``. Raises RecordError for one that cannot be read."""
    return [read_json(path) for path in sorted((folder / FOLDER).glob("*.json"))]
