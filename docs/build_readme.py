"""Regenerate the measured parts of README.md: the table from records, the picture from the bundled set.

    python docs/build_readme.py [--pairs-root DIR]   score, draw and write
    python docs/build_readme.py --check              fail when README.md and the records disagree

The records lie in results/measured: the default run of ``dabench eval`` in mini/; in nyu60-pairs/ a pair set made from
60 photographs of NYU Depth V2, which its licence keeps out of the repository.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "mini.jpg"
MEASURED = ROOT / "results" / "measured"
MODELS = ("depth-anything-v2-tiny", "location-prior", "constant")
SCENE_TITLES = {
    "indoor": "indoor", "outdoor": "outdoor", "non_real": "non-real", "transparent_reflective": "transparent",
    "adverse_style": "adverse", "aerial": "aerial", "underwater": "underwater", "object": "object",
}  # fmt: skip
PANEL = (128, 96)


def measure(pairs_root: Path | None) -> None:
    """Score the default models and write the records."""
    from dabench.evaluate import evaluate
    from dabench.registry import load_model

    for name in MODELS:
        options = {"checkpoint": None, "device": "cpu", "precision": "fp32", "input_size": None, "compile": "off"}
        model = load_model(name, **options)
        settings = {"device": "cpu", "precision": "fp32"}
        for protocol in ("mini-pairs", "mini-depth"):
            evaluate(model, protocol, out=MEASURED / "mini", fresh=True, settings=settings)
        if pairs_root is not None:
            out = MEASURED / "nyu60-pairs"
            evaluate(model, "pairs", data_root=pairs_root, out=out, fresh=True, settings=settings)


def summary(folder: str, model: str, protocol: str) -> dict[str, Any] | None:
    path = MEASURED / folder / model / protocol / "summary.json"
    return json.loads(path.read_text()) if path.is_file() else None


def percent(entry: dict[str, Any]) -> str:
    return f"{100 * entry['value']:.1f}"


def with_interval(entry: dict[str, Any]) -> str:
    low, high = entry["ci95"]
    return f"**{percent(entry)}** [{100 * low:.1f}, {100 * high:.1f}]"


def tables() -> dict[str, str]:
    """The generated blocks of README.md, by marker name."""
    rows = []
    for model in MODELS:
        pairs, depth = summary("mini", model, "mini-pairs@1"), summary("mini", model, "mini-depth@1")
        if pairs is None or depth is None:
            raise SystemExit(f"no records of {model} in {MEASURED}; run docs/build_readme.py without --check")
        scenes = [percent(pairs["groups"][scene]["metrics"]["accuracy"]) for scene in SCENE_TITLES]
        dense = [f"{depth['metrics'][m]['value']:.3f}" for m in ("abs_rel", "delta1")]
        rows.append([f"`{model}`", with_interval(pairs["metrics"]["accuracy"]), *scenes, *dense])
    counts = pairs["counts"]
    head = ["model", "all pairs, %", *SCENE_TITLES.values(), "AbsRel ↓", "delta1 ↑"]
    lines = [
        "| " + " | ".join(head) + " |",
        "|---|" + "---:|" * (len(head) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        f"`mini-pairs@1` ({counts['pairs']} pairs on {counts['expected']} held-out rendered images, accuracy in "
        "percent, 95 % interval by a bootstrap over images) and `mini-depth@1`. Made by `make readme`.",
    ]
    found = {"mini": "\n".join(lines)}
    real = []
    for model in MODELS:
        scored = summary("nyu60-pairs", model, "pairs@1")
        if scored is not None:
            real.append(f"`{model}` {with_interval(scored['metrics']['accuracy'])} %")
            real_counts = scored["counts"]
    if real:
        found["real"] = (
            f"On {real_counts['pairs']} pairs from {real_counts['expected']} real photographs of NYU Depth V2 "
            "(`pairs@1`; never trained or selected on): " + ", ".join(real) + "."
        )
    return found


def filled(text: str) -> str:
    for name, block in tables().items():
        pattern = re.compile(rf"(<!-- {name}:start -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"README.md has no block '{name}'")
        text = pattern.sub(lambda match, block=block: f"{match[1]}{block}\n{match[2]}", text)
    return text


def draw() -> None:
    """One column a scene: the picture, its exact depth, the prediction of the bundled model."""
    import cv2
    import numpy as np
    from PIL import Image as PillowImage

    import model_zoo
    from dabench.datasets import open_dataset
    from dabench.depth_files import colourise
    from dabench.types import Output, Prediction, Sample

    model = model_zoo.load("depth-anything-v2-tiny", device="cpu", compile="off")
    dataset = open_dataset("mini", task="depth")
    columns = []
    for scene in SCENE_TITLES:
        members = [i for i in dataset.ids if dataset.group(i) == scene]
        sample = dataset.load(members[len(members) // 2])
        assert isinstance(sample, Sample)
        inverse = np.where(sample.valid, 1.0 / np.maximum(sample.depth, 1e-6), 0.0).astype(np.float32)
        panels = (
            sample.image,
            colourise(Prediction(inverse, Output.DISPARITY)),
            colourise(model.predict(sample.image)),
        )
        columns.append(np.vstack([cv2.resize(p, PANEL, interpolation=cv2.INTER_AREA) for p in panels]))
    gap = np.full((columns[0].shape[0], 4, 3), 255, np.uint8)
    page = np.hstack([part for column in columns for part in (column, gap)][:-1])
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(page).save(PICTURE, quality=90, optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare README.md with the records")
    parser.add_argument("--pairs-root", type=Path, help="the 60-photograph pair set, where it is on this machine")
    arguments = parser.parse_args()
    if arguments.check:
        if filled(README.read_text()) != README.read_text():
            sys.stderr.write("README.md is stale; run `make readme`\n")
            return 1
        return 0
    measure(arguments.pairs_root)
    draw()
    README.write_text(filled(README.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
