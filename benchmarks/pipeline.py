"""How much of a model's own throughput `dabench eval` keeps: reading, scoring and records beside the model.

    python benchmarks/pipeline.py [--images 200] [--height 480] [--width 640] [--milliseconds 30] [--protocols 1 8]
        [--workers 2] [--keep-predictions] [--rounds 3]

A set of noisy JPEG photographs with 16-bit PNG depth is written to a temporary folder. The model takes a fixed time for
an image without using the CPU, as one on an accelerator does (`--busy` computes instead, on one thread), and answers
with a smooth disparity. Its own throughput is measured on images that are already in memory; `eval` reads, predicts,
scores and writes records. Rounds alternate, and the median ratio is printed for each number of protocols. Target: at
least 0.9.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from dabench import protocols
from dabench.datasets.formats import read_image
from dabench.evaluate import evaluate_many
from dabench.protocols import Protocol
from dabench.types import DepthModel, ModelInfo, Output, Prediction

TARGET = 0.9


class Timed(DepthModel):
    """Answers after a fixed time."""

    info = ModelInfo("timed", Output.DISPARITY, source="benchmarks/pipeline.py")

    def __init__(self, seconds: float, busy: bool) -> None:
        self.seconds, self.busy = seconds, busy
        self.matrix = np.random.default_rng(0).random((256, 256), np.float32)

    def predict(self, image: np.ndarray) -> Prediction:
        end = time.perf_counter() + self.seconds
        if self.busy:
            while time.perf_counter() < end:
                self.matrix @ self.matrix
        elif self.seconds:
            time.sleep(self.seconds)
        height, width = image.shape[:2]
        rows = np.linspace(0.1, 1.0, height, dtype=np.float32)[:, None]
        return Prediction(rows + np.linspace(0, 0.01, width, dtype=np.float32), Output.DISPARITY)


def write_set(root: Path, images: int, height: int, width: int) -> None:
    """A set in the layout of `folder`."""
    for name in ("images", "depth"):
        (root / name).mkdir(parents=True)
    (root / "dataset.toml").write_text('[depth]\nsuffix = ".png"\nmetres_per_value = 0.001\n')
    rng = np.random.default_rng(0)
    for number in range(images):
        coarse = rng.integers(0, 255, (height // 8, width // 8, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        picture.save(root / "images" / f"{number:05}.jpg", quality=92)
        rows = np.linspace(9000, 1000, height)[:, None] + rng.integers(-300, 300, (height, width))
        Image.fromarray(rows.astype(np.uint16)).save(root / "depth" / f"{number:05}.png", compress_level=1)


def recipes(count: int) -> list[Protocol]:
    """Different recipes for one set: the default one, then ranges of ground truth."""
    text = protocols.get("folder-depth").text
    made = [protocols.get("folder-depth")]
    for number in range(1, count):
        other = text.replace('name = "folder-depth"', f'name = "folder-depth-{number}"')
        made.append(protocols.parse(other.replace("min = 0.0", f"min = 0.0\nmax = {4.0 + 0.5 * number}"), "benchmark"))
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--milliseconds", type=float, default=30.0, help="time the model takes for an image")
    parser.add_argument("--busy", action="store_true", help="the model computes on one thread instead of waiting")
    parser.add_argument("--protocols", type=int, nargs="+", default=[1, 8], help="numbers of protocols to score under")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep-predictions", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args()
    model = Timed(arguments.milliseconds / 1000.0, arguments.busy)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        write_set(root, arguments.images, arguments.height, arguments.width)
        in_memory = [read_image(path) for path in sorted((root / "images").iterdir())[:8]]
        print(
            f"{arguments.images} images of {arguments.height}x{arguments.width}, {arguments.workers} workers, ", end=""
        )
        print(f"a model of {arguments.milliseconds:g} ms" + (" of computing" if arguments.busy else ""))
        print(f"{'':14}{'model alone':>14}{'eval':>14}{'ratio':>8}{'target':>8}")
        for count in arguments.protocols:
            chosen = recipes(count)
            alone, whole = [], []
            for number in range(arguments.rounds + 1):
                start = time.perf_counter()
                for index in range(arguments.images):
                    model.predict(in_memory[index % len(in_memory)])
                middle = time.perf_counter()
                runs = evaluate_many(
                    model,
                    chosen,
                    data_root=root,
                    out=Path(folder) / f"out-{count}-{number}",
                    workers=arguments.workers,
                    keep_predictions=arguments.keep_predictions,
                )
                end = time.perf_counter()
                if not all(run.ok for run in runs):
                    raise RuntimeError("a sample failed; the benchmark measures nothing")
                if number:  # the first round compiles
                    alone.append(arguments.images / (middle - start))
                    whole.append(arguments.images / (end - middle))
            ratio = statistics.median(mine / own for mine, own in zip(whole, alone, strict=True))
            speeds = {"alone": statistics.median(alone), "eval": statistics.median(whole)}
            rows.append({"protocols": count, **speeds, "ratio": ratio})
            title = f"{count} protocol{'s' if count > 1 else ''}"
            verdict = "ok" if ratio >= TARGET else "missed"
            print(f"{title:14}{speeds['alone']:10.1f} /s {speeds['eval']:10.1f} /s{ratio:8.2f}{verdict:>8}", flush=True)
    if arguments.json:
        content = {"arguments": vars(arguments) | {"json": None}, "rows": rows}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    return int(any(row["ratio"] < TARGET for row in rows))


if __name__ == "__main__":
    sys.exit(main())
