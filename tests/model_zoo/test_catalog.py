"""The catalogue says enough of every model, and nothing twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import model_zoo
from dabench.errors import ModelError, UnknownNameError
from dabench.registry import import_attribute, models
from dabench.types import ModelEntry, Output
from model_zoo.catalog import entries

ENTRIES = {entry.name: entry for entry in entries()}
# family-variant[-domain] as the field writes them: lower case, digits, hyphens, dots in version numbers
NAME = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*")
HEX = re.compile(r"[0-9a-f]+")


def test_catalogue_is_what_the_registry_offers() -> None:
    assert len(ENTRIES) == len(list(entries()))
    registered = models()
    assert all(registered.get(name) == entry for name, entry in ENTRIES.items())


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_entry_is_complete(entry: ModelEntry) -> None:
    assert NAME.fullmatch(entry.name)
    assert entry.summary and not entry.summary.endswith(".") and "\n" not in entry.summary
    assert isinstance(entry.output, Output)
    assert entry.licence and entry.sources
    assert entry.parameters is not None
    if entry.status == "published-only":
        assert entry.reason and not entry.file
        return
    assert callable(import_attribute(entry.factory))
    assert entry.source
    if entry.status == "baseline":
        assert entry.parameters == 0 and not entry.file
    if entry.status == "downloadable":
        assert entry.paper and entry.file and "/" in entry.source
        assert entry.revision and len(entry.revision) == 40 and HEX.fullmatch(entry.revision)
        assert entry.sha256 and len(entry.sha256) == 64 and HEX.fullmatch(entry.sha256)


def test_no_pin_is_used_twice() -> None:
    for attribute in ("revision", "sha256", "file"):
        values = [value for entry in ENTRIES.values() if (value := getattr(entry, attribute)) is not None]
        assert len(values) == len(set(values)), attribute


def test_official_licences() -> None:
    non_commercial = {name for name, entry in ENTRIES.items() if entry.non_commercial}
    assert non_commercial == {
        name for name in ENTRIES if name.startswith("depth-anything-v2-") and name.endswith(("base", "large", "giant"))
    }


def test_metric_models_say_how_far_they_see() -> None:
    ranges = {e.name: e.options["max_depth"] for e in ENTRIES.values() if e.output is Output.METRIC}
    assert len(ranges) == 6
    assert all(value == (20.0 if "-indoor-" in name else 80.0) for name, value in ranges.items())


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large", "giant"])
def test_parameter_counts_are_those_of_the_networks(size: str) -> None:
    import torch

    from model_zoo.depth_anything_v2.config import CONFIGS
    from model_zoo.depth_anything_v2.model import DepthAnythingV2

    with torch.device("meta"):
        network = DepthAnythingV2(CONFIGS[size])
    used = sum(parameter.numel() for parameter in network.parameters())
    published = ENTRIES[f"depth-anything-v2-{size}"].parameters
    # the official files also carry a mask token and one residual unit that no forward pass reads
    features, dim = CONFIGS[size].features, CONFIGS[size].embed_dim
    unused = 0 if size == "tiny" else 2 * (9 * features * features + features) + dim
    assert published == used + unused


def test_giant_is_listed_but_not_loaded() -> None:
    with pytest.raises(ModelError, match="never released"):
        model_zoo.load("depth-anything-v2-giant")


def test_near_names_are_suggested() -> None:
    with pytest.raises(UnknownNameError, match="depth-anything-v2-small"):
        model_zoo.load("depth-anything-v2-smal")


def test_listing_is_fast_and_imports_no_framework() -> None:
    program = (
        "import sys, time, dabench.types\n"
        "start = time.perf_counter()\n"
        "import model_zoo.catalog\n"
        "list(model_zoo.catalog.entries())\n"
        "seconds = time.perf_counter() - start\n"
        "assert not {'torch', 'timm', 'cv2', 'huggingface_hub', 'PIL'} & set(sys.modules)\n"
        "print(seconds)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    best = min(
        float(subprocess.run([sys.executable, "-c", program], check=True, env=environment, capture_output=True).stdout)
        for _ in range(3)
    )
    assert best < 0.1
