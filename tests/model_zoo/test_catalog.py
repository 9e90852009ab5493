"""The catalogue says enough of every model, and nothing twice."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import model_zoo
from dabench.cli.show import describe, find
from dabench.errors import ModelError, UnknownNameError
from dabench.registry import import_attribute, models
from dabench.types import ModelEntry, Output
from model_zoo.catalog import FAMILIES, entries

ENTRIES = {entry.name: entry for entry in entries()}
FAMILY = {entry.name: family for family in FAMILIES for entry in family.entries()}
# family-variant[-domain] as the field writes them: lower case, digits, hyphens, dots in version numbers
NAME = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*")
HEX = re.compile(r"[0-9a-f]+")
PIN_SOURCE = re.compile(r"\brevisions?\b|\bSHA-256\b|\bcommits?\b", re.IGNORECASE)
LICENCES = {
    r"depth-anything-v2-(tiny|small)|depth-anything-v2-metric-(in|out)door-small": "Apache-2.0",
    r"depth-anything-v2-(base|large|giant)|depth-anything-v2-metric-(in|out)door-(base|large)": "CC-BY-NC-4.0",
    r"depth-anything-v2-(small|base|large)-(nyu|kitti)": "",
    r"depth-anything-v1-.*": "Apache-2.0",
    r"(midas|dpt|zoedepth|moge)-.*|patchfusion|depthfm": "MIT",
    r"depth-pro": "Apple-AMLR-NC",
    r"glpn-.*": "GLPDepth-NC",
    r"marigold-.*|stable-diffusion-.*": "RAIL++-M",
    r"lotus-.*": "Apache-2.0",
    r"depth-anything-3-(mono|metric)-large": "Apache-2.0",
    r"unidepth-.*|unik3d-.*|zerodepth|video-depth-anything-large": "CC-BY-NC-4.0",
    r"geowizard": "CC-BY-4.0",
    r"leres": "Adobe-Research-NC",
    r"metric3d-.*|omnidata|hdn": "",
    r"vlm": "the model's own",
    r"location-prior|constant|random": "Apache-2.0",
}
"""By name; empty where none is stated."""
LICENCE_NOT_STATED = {"metric3d-v2-small", "metric3d-v2-large", "metric3d-v2-giant"}
EXTRAS = ("zoo", "onnx", "openvino", "vlm")


def test_catalogue_is_what_the_registry_offers() -> None:
    assert len(ENTRIES) == len(list(entries()))
    registered = models()
    assert all(registered.get(name) == entry for name, entry in ENTRIES.items())


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_entry_is_complete(entry: ModelEntry) -> None:
    assert NAME.fullmatch(entry.name)
    assert entry.summary and not entry.summary.endswith(".") and "\n" not in entry.summary
    assert isinstance(entry.output, Output)
    assert entry.sources and all(source.strip() for source in entry.sources)
    assert entry.parameters is None or entry.parameters >= 0
    assert entry.licence or entry.status in ("published-only", "endpoint") or entry.name in LICENCE_NOT_STATED
    assert json.dumps(dict(entry.settable)) and json.dumps(dict(entry.options)), "records and --json hold them"
    assert not entry.requires or entry.extra in EXTRAS, "the error names the extra that brings what is missing"
    if entry.status == "published-only":
        assert entry.reason and not entry.reason.endswith(".")
        assert not entry.file or not entry.factory, "what is downloaded can be run"
        return
    assert not entry.reason
    assert callable(import_attribute(entry.factory))
    if entry.status == "baseline":
        assert entry.parameters == 0 and not entry.file
    if entry.status == "downloadable":
        assert entry.paper and entry.source and "/" in entry.source
        assert entry.file or "environment" in entry.options
        assert not entry.files or entry.file in entry.files


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_a_pin_has_a_source_and_what_has_none_is_said(entry: ModelEntry) -> None:
    """No value is invented: one that is there was read somewhere, one that is not is pinned on first use, aloud."""
    if entry.status != "downloadable":
        return
    for value, length in ((entry.revision, 40), (entry.sha256, 64)):
        assert value is None or (len(value) == length and HEX.fullmatch(value))
        assert value is None or len(set(value)) > 8, "digits of a hash"
    if entry.revision or entry.sha256:
        assert any(PIN_SOURCE.search(text) for text in (*entry.sources, FAMILY[entry.name].__doc__)), entry.sources
    shown = "\n".join(describe(*find(entry.name)))
    for value in (entry.revision, entry.sha256):
        assert value is None or value in shown
    unknown = [entry.revision, entry.sha256].count(None)
    assert shown.count("not catalogued: ") == (unknown if entry.file else 0)


def test_no_pin_is_used_twice() -> None:
    rows = [entry for entry in ENTRIES.values() if entry.status != "published-only"]
    contents = [entry.sha256 for entry in rows if entry.sha256]
    assert len(contents) == len(set(contents))
    files = [(entry.source, entry.file) for entry in rows if entry.file]
    assert len(files) == len(set(files))
    commits: dict[str, set[str | None]] = {}
    for entry in rows:
        if entry.revision:
            commits.setdefault(entry.revision, set()).add(entry.source)
    assert all(len(sources) == 1 for sources in commits.values()), "a commit is one repository's"


def test_official_licences() -> None:
    """As READMEs, cards and licence files have them; the patterns are written independently of the rows."""
    for name, entry in ENTRIES.items():
        found = [licence for pattern, licence in LICENCES.items() if re.fullmatch(pattern, name)]
        assert len(found) == 1, (name, found)
        assert (entry.licence or "").startswith(found[0]) and bool(entry.licence) == bool(found[0]), name
        assert entry.non_commercial == ("NC" in found[0].split("-")), name


def test_metric_models_say_how_far_they_see() -> None:
    ranges = {
        name: entry.options["max_depth"]
        for name, entry in ENTRIES.items()
        if entry.output is Output.METRIC and entry.factory.startswith("model_zoo.depth_anything_v2.")
    }
    assert len(ranges) == 12
    for name, value in ranges.items():
        assert (
            value
            == {"indoor": 20.0, "outdoor": 80.0, "nyu": 10.0, "kitti": 80.0}[
                next(word for word in ("indoor", "outdoor", "nyu", "kitti") if word in name.split("-"))
            ]
        )


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
        "start = time.process_time()\n"
        "import model_zoo.catalog\n"
        "list(model_zoo.catalog.entries())\n"
        "seconds = time.process_time() - start\n"
        "heavy = {'torch', 'timm', 'cv2', 'huggingface_hub', 'PIL', 'transformers', 'diffusers', 'httpx'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "print(seconds)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    best = min(
        float(subprocess.run([sys.executable, "-c", program], check=True, env=environment, capture_output=True).stdout)
        for _ in range(3)
    )
    assert best < 0.1
