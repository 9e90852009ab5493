"""The adapters of families with environments of their own, run with the real torch against stand-ins of those families.

The stand-ins (tiny/upstream/packages) have the published names and signatures and give ``2 * (1 + 9 * red)``, so that
sign, colour order, size and scale of what comes out can be computed here.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dabench.types import ModelEntry, Output
from model_zoo.catalog import external
from model_zoo.environments import factory, recipe
from model_zoo.environments.worker import hub_weights

UPSTREAM = Path(__file__).parent / "tiny" / "upstream" / "packages"
ROWS = {entry.name: entry for entry in external.entries()}
SCALE = 2.0

RUN = """
import json, pathlib, sys
import numpy as np
folder = pathlib.Path(sys.argv[1])
spec = __import__("importlib.util").util.spec_from_file_location("dabench_worker", sys.argv[2])
worker = __import__("importlib.util").util.module_from_spec(spec)
sys.modules["dabench_worker"] = worker
spec.loader.exec_module(worker)
import torch
torch.save({"model_state_dict": {"scale": 2.0}, "scale": 2.0}, folder / "weights.ckpt")
cases = json.loads((folder / "cases.json").read_text())
for name, case in cases.items():
    for module in ("moge", "hubconf", "models", "dfm"):
        sys.modules.pop(module, None)
    try:
        predict, case["info"] = worker.load_adapter(case["adapter"])(case["request"])
        for number, image in enumerate(np.load(case["images"]).values()):
            values = worker.checked_map(predict(image), *image.shape[:2])
            np.save(folder / f"{name}-{number}.npy", values)
    except Exception as error:
        case["error"] = repr(error)
(folder / "told.json").write_text(json.dumps(cases))
"""

RANDOM = np.random.default_rng(0).integers(0, 256, (28, 56, 3), dtype=np.uint8)
FLAT = np.full((28, 56, 3), (51, 200, 10), np.uint8)
RAMP = np.zeros((90, 200, 3), np.uint8) + np.linspace(0, 255, 200).astype(np.uint8)[None, :, None]
RAMP[..., 2] = 255 - RAMP[..., 0]
THIN = np.random.default_rng(1).integers(0, 256, (1, 90, 3), dtype=np.uint8)
IMAGES = (RANDOM, FLAT, RAMP, THIN)

CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "moge": ("moge-2-large", {}, "fp32"),
    "moge-1": ("moge-1-large", {}, "fp32"),
    "moge-mask": ("moge-2-large", {"mask": True}, "fp32"),
    "moge-half": ("moge-2-large", {}, "fp16"),
    "da3": ("depth-anything-3-mono-large", {"processing_resolution": 56}, "fp32"),
    "da3-metric": ("depth-anything-3-metric-large", {"processing_resolution": 28, "focal": 600.0}, "fp32"),
    "da3-unknown": ("depth-anything-3-metric-large", {"processing_resolution": 28}, "fp32"),
    "unidepth-1": ("unidepth-v1-large", {}, "fp32"),
    "unidepth-2": ("unidepth-v2-small", {}, "fp32"),
    "unik3d": ("unik3d-base", {}, "fp32"),
    "metric3d": ("metric3d-v2-small", {}, "fp32"),
    "metric3d-focal": ("metric3d-v2-small", {"focal": 500.0}, "fp32"),
    "geowizard": ("geowizard", {}, "fp32"),
    "geowizard-again": ("geowizard", {}, "fp32"),
    "geowizard-seed": ("geowizard", {"seed": 1}, "fp32"),
    "depthfm": ("depthfm", {}, "fp32"),
}


def depth(image: np.ndarray) -> np.ndarray:
    return SCALE * (1 + 9 * image[..., 0].astype(np.float64) / 255)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each case gave: its maps, its info and its error. One interpreter runs them all."""
    folder = tmp_path_factory.mktemp("adapters")
    np.savez(folder / "images.npz", *IMAGES)
    weights = folder / "weights"
    (weights / "unet").mkdir(parents=True)
    for file in ("model.pt", "model.safetensors", "unet/diffusion_pytorch_model.safetensors"):
        (weights / file).write_text(json.dumps({"scale": SCALE}))
    cases = {}
    for case, (name, settings, precision) in CASES.items():
        row = ROWS[name]
        single = row.options["worker"] in ("metric3d", "depthfm")
        request = {
            "source": row.source,
            "file": row.file,
            "revision": row.revision,
            "checkpoint": str(folder / "weights.ckpt" if single else weights),
            "device": "cpu",
            "precision": precision,
            "settings": {**row.settable, **settings},
            "options": dict(row.options),
        }
        adapter = str(factory.ADAPTERS / f"{row.options['worker']}.py")
        cases[case] = {"request": request, "adapter": adapter, "images": str(folder / "images.npz")}
    (folder / "cases.json").write_text(json.dumps(cases))
    command = [sys.executable, "-W", "error::UserWarning", "-c", RUN, str(folder), str(factory.WORKER)]
    env = {**os.environ, "PYTHONPATH": str(UPSTREAM), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    answers = json.loads((folder / "told.json").read_text())
    for case, answer in answers.items():
        answer["maps"] = [np.load(path) for path in sorted(folder.glob(f"{case}-[0-9].npy"))]
    return answers


@pytest.mark.parametrize("case", [case for case in CASES if case != "moge-half"])
def test_every_adapter_gives_maps_and_says_what_it_is(told: Any, case: str) -> None:
    answer = told[case]
    assert "error" not in answer, answer.get("error")
    assert [values.shape for values in answer["maps"]] == [image.shape[:2] for image in IMAGES]
    info = answer["info"]
    assert len(info["weights_sha256"]) == 64 and info["parameters"] % 7 == 0 and info["parameters"] > 0
    assert info["device"] == "cpu" and "torch" in info["versions"] and Path(info["source"]).exists()


@pytest.mark.parametrize("case", ["moge", "moge-1", "unidepth-1", "unidepth-2", "unik3d"])
def test_values_are_passed_on_as_they_are(told: Any, case: str) -> None:
    for image, values in zip(IMAGES, told[case]["maps"], strict=True):
        np.testing.assert_allclose(values, depth(image), rtol=1e-6)


def test_moge_is_infinite_outside_its_mask_only_if_asked(told: Any) -> None:
    for image, values in zip(IMAGES, told["moge-mask"]["maps"], strict=True):
        outside = image[..., 2] / np.float32(255) >= 0.75
        assert (np.isinf(values) == outside).all()
        np.testing.assert_allclose(values[~outside], depth(image)[~outside], rtol=1e-6)


def test_moge_is_told_of_half_precision(told: Any) -> None:
    assert "AssertionError" in told["moge-half"]["error"], "the stand-in refuses it, so it was passed on"


def test_depth_anything_3(told: Any) -> None:
    """The longer side is resized; metres are for the focal length in pixels of the resized image."""
    np.testing.assert_allclose(told["da3"]["maps"][0], depth(RANDOM), rtol=1e-6)
    metric, unknown = told["da3-metric"], told["da3-unknown"]
    np.testing.assert_allclose(metric["maps"][1], depth(FLAT) * (600 * 28 / 56) / 300, rtol=1e-5)
    focal = 56 / 2 / math.tan(math.radians(30))
    np.testing.assert_allclose(unknown["maps"][1], depth(FLAT) * (focal * 28 / 56) / 300, rtol=1e-5)
    assert metric["info"]["notes"] == [] and "60 degrees" in unknown["info"]["notes"][0]
    assert (np.diff(metric["maps"][2].mean(axis=0)) >= -1e-5).all(), "farther is larger"


def test_metric3d_scales_by_the_focal_length_and_hides_its_padding(told: Any) -> None:
    for case, focal in (("metric3d", 1000), ("metric3d-focal", 500)):
        for number in (1, 2):
            image, values = IMAGES[number], told[case]["maps"][number]
            scale = min(616 / image.shape[0], 1064 / image.shape[1])
            expected = np.clip(depth(image) * focal * scale / 1000, 0, 300)
            np.testing.assert_allclose(values, expected, rtol=2e-2, atol=0.15 * scale)
    assert told["metric3d"]["maps"][3].max() <= 300


def test_geowizard_is_seeded_for_every_image(told: Any) -> None:
    first, again, other = (told[name]["maps"] for name in ("geowizard", "geowizard-again", "geowizard-seed"))
    for image, one, two, three in zip(IMAGES, first, again, other, strict=True):
        assert (one == two).all() and (one != three).any()
        np.testing.assert_allclose(one, (depth(image) / SCALE / 10).clip(0, 1), atol=2e-3)


def test_depthfm_comes_back_in_the_size_of_the_image(told: Any) -> None:
    values = told["depthfm"]["maps"][2]
    assert values.min() >= 0 and values.max() <= 1 and np.ptp(values) > 0.95
    assert np.corrcoef(values.ravel(), RAMP[..., 0].ravel())[0, 1] > 0.999


def test_rows_name_what_exists() -> None:
    assert len({row.options["environment"] for row in ROWS.values()}) == 7
    for row in ROWS.values():
        assert row.factory == external.FACTORY and row.paper and row.sources and row.source
        assert row.options["environment"] in recipe.names(), row.name
        assert (factory.ADAPTERS / f"{row.options['worker']}.py").is_file(), row.name
        assert row.output in (Output.METRIC, Output.DEPTH)
        assert f"'{row.options['environment']}'" in row.summary and "downloads the weights" in row.summary
    assert {row.non_commercial for name, row in ROWS.items() if name.startswith(("unidepth", "unik3d"))} == {True}
    focal = [row for row in ROWS.values() if "focal" in row.settable]
    assert len(focal) == 4 and all("focal length" in " ".join(row.options["notes"]) for row in focal)


def test_the_row_reaches_the_record(tmp_path: Path) -> None:
    """Notes, licence and settings of a row, through a worker, for a package that prints."""
    weights = tmp_path / "weights"
    weights.mkdir()
    row: ModelEntry = replace(
        ROWS["unidepth-v2-large"],
        revision=None,
        sha256=None,
        source=str(weights),
        options={
            **ROWS["unidepth-v2-large"].options,
            "environment": sys.executable,
            "env": {"PYTHONPATH": os.pathsep.join(map(str, (UPSTREAM.parent / "numpy_torch", UPSTREAM)))},
        },
    )
    (weights / "model.safetensors").write_text('{"scale": 3.0}')
    said: list[str] = []
    model = factory.load(row, notify=said.append)
    try:
        np.testing.assert_allclose(model.predict(RANDOM).values, depth(RANDOM) * 1.5, rtol=1e-6)
        assert said[0] == "unidepth-v2-large: licence CC-BY-NC-4.0: NON-COMMERCIAL use only"
        notes = " / ".join(model.info.notes)
        assert "non-commercial use only" in notes and "no intrinsics were given" in notes and "not pinned" in notes
        assert model.info.settings["intrinsics"] == "predicted" and model.info.licence == "CC-BY-NC-4.0"
        assert model.info.source == str(weights / "model.safetensors")
    finally:
        model.close()


@pytest.fixture(scope="module")
def documented() -> list[str]:
    """The examples of docs/environments.md: adapter, row, recipe, script."""
    text = (Path(__file__).parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")
    return re.findall(r"```(?:python|toml)\n(.*?)```", text, flags=re.S)


def test_the_documented_model(documented: list[str], tmp_path: Path) -> None:
    adapter, row, description, _ = documented
    assert len((adapter + row).splitlines()) < 20
    (tmp_path / "my_depth.py").write_text(
        "class Network:\n    def __init__(self, checkpoint, scale): self.scale = scale\n"
        "    def infer(self, image): return image[..., 0] * self.scale\n"
    )
    (tmp_path / "adapter.py").write_text(adapter)
    names: dict[str, Any] = {}
    exec(row.replace("/absolute/path/of", str(tmp_path)), names)
    (entry,) = names["entries"]()
    options = {**entry.options, "environment": sys.executable, "env": {"PYTHONPATH": str(tmp_path)}}
    model = factory.load(replace(entry, options=options), settings={"scale": 3.0})
    try:
        assert (model.predict(RANDOM).values == RANDOM[..., 0] * np.float32(3)).all()
        assert model.info.parameters == 1_000_000
    finally:
        model.close()
    (tmp_path / "my-depth.toml").write_text(description)
    assert recipe.find(str(tmp_path / "my-depth.toml")).packages == ("torch==2.1.0", "my-depth==1.0")


def test_the_documented_script(documented: list[str], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(documented[3])
    command = [sys.executable, str(tmp_path / "script.py")]
    model = factory.load(ModelEntry("own", Output.DEPTH, "", external.FACTORY, options={"command": command}))
    try:
        for image in (RANDOM, THIN):
            assert (model.predict(image).values == image[..., 0]).all()
    finally:
        model.close()


def test_weights_are_found_in_the_cache_of_hub_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    folder, commit = tmp_path / "hub" / "models--a--b", "c" * 40
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "snapshots" / commit / "w.bin").write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    expected = {"source": f"a/b@{commit}/w.bin", "revision": commit, "weights_sha256": sha256}
    for revision in (None, "main", commit):
        assert hub_weights("a/b", ["w.safetensors", "w.bin"], revision) == expected
    assert hub_weights("a/b", ["w.bin"], "d" * 40) == hub_weights("a/b", ["other"]) == {"source": "a/b"}
    assert hub_weights(str(folder / "snapshots" / commit), ["w.bin"])["weights_sha256"] == sha256
