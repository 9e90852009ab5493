"""Models of transformers by name, from a hub on loopback, against the library's own pipeline; and one error each."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import model_zoo
from dabench.errors import CheckpointError, DownloadError, ImageError, ModelError, UsageError
from dabench.registry import models
from dabench.types import ModelEntry, Output
from model_zoo.catalog import depth_pro, glpn, midas, zoedepth
from model_zoo.transformers_depth import load
from model_zoo.transformers_depth.predictor import stretched

pytest.importorskip("transformers", reason="transformers is not installed: its models are not tested")

ENTRIES = {entry.name: entry for family in (midas, zoedepth, depth_pro, glpn) for entry in family.entries()}
KINDS = [
    "midas-v3.1-beit-l-512",
    "midas-v3.1-swin2-t-256",
    "midas-v3.0-dpt-large",
    "midas-v3.0-dpt-hybrid",
    "zoedepth-k",
    "zoedepth-nk",
    "depth-pro",
    "glpn-nyu",
    "glpn-kitti",
]
"""One of each kind of network and file."""


def _tiny() -> Any:
    path = Path(__file__).parent / "tiny" / "transformers_depth.py"
    spec = importlib.util.spec_from_file_location("tiny_transformers_depth", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = _tiny()


def _image(seed: int = 0, height: int = 48, width: int = 64) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, 0).repeat(8, 1)[:height, :width])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders already written, by model."""
    return {}


@pytest.fixture
def folder(written: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The files of a model, written once."""

    def of(name: str) -> Path:
        if name not in written:
            written[name] = tmp_path_factory.mktemp(name)
            tiny.write(ENTRIES[name], written[name])
        return written[name]

    return of


def _row(name: str, **changed: Any) -> ModelEntry:
    entry = ENTRIES[name]
    return replace(entry, sha256=None, parameters=None, options={**tiny.small_options(entry), **changed})


def _upstream(entry: ModelEntry, folder: Path, image: np.ndarray) -> np.ndarray:
    """The map of the library's own pipeline."""
    import transformers
    from PIL import Image

    architecture = getattr(transformers, entry.options["architecture"])
    network = architecture.from_pretrained(folder, use_safetensors=str(entry.file).endswith(".safetensors")).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **entry.options["processor"])
    pipeline = transformers.pipeline("depth-estimation", model=network, image_processor=processor, device="cpu")
    result: Any = pipeline(Image.fromarray(image))
    return np.asarray(result["predicted_depth"], dtype=np.float32)


@pytest.mark.parametrize("name", KINDS)
def test_by_name_is_the_librarys_own_output(
    name: str, hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = tiny.publish(hub, ENTRIES[name], tmp_path)
    monkeypatch.setitem(models()._items, name, entry)
    capfd.readouterr()
    model = model_zoo.load(name, device="cpu")
    shown = capfd.readouterr()
    assert shown.out == "" and all(f"/{entry.source}/" in line or "pinned" in line for line in shown.err.splitlines())
    image = _image()
    values = model.predict(image).values
    expected = _upstream(entry, tmp_path, image)
    if name.startswith("zoedepth"):  # the original averages with the mirrored map of the mirrored image
        expected = (expected + _upstream(entry, tmp_path, image[:, ::-1].copy())[:, ::-1]) / 2
    if name == "glpn-kitti":  # the file says 10 m, the original 80 m
        assert json.loads((tmp_path / "config.json").read_text())["max_depth"] == 10
        expected = 8 * expected
    if entry.output is Output.METRIC:
        expected = expected.clip(min=1e-3)
    assert np.ptp(expected) > 0.01 * np.abs(expected).max(), "a flat map would compare nothing"
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert model.info.output is entry.output is (Output.DISPARITY if name.startswith("midas") else Output.METRIC)
    assert (model.info.weights_sha256, model.info.licence) == (entry.sha256, entry.licence)
    assert model.info.source == f"{entry.source}@{entry.revision}"
    assert bool(model.info.notes) == entry.non_commercial
    assert {"transformers", "processor", "input_size", "precision"} <= set(model.info.settings)


def test_rows_state_the_original_input_rule() -> None:
    sizes = {name: e.options["processor"].get("size", {}) for name, e in ENTRIES.items()}
    assert sizes["midas-v3.1-beit-l-512"] == {"height": 512, "width": 512}
    assert sizes["zoedepth-n"] == sizes["zoedepth-nk"] == {"height": 384, "width": 512}
    assert sizes["zoedepth-k"] == {"height": 384, "width": 768}
    keeps = {name for name, e in ENTRIES.items() if e.options["processor"].get("keep_aspect_ratio")}
    assert keeps == {name for name in ENTRIES if "beit" in name or name.startswith("zoedepth")}


@pytest.mark.parametrize("name", ["midas-v3.1-beit-b-384", "zoedepth-n", "glpn-nyu"])
def test_any_shape_in_the_same_bits_however_it_comes(name: str, folder: Any) -> None:
    model = load(_row(name), checkpoint=folder(name), device="cpu")
    images = [_image(1, *size) for size in ((37, 200), (1, 1), (3, 3), (1, 90), (120, 8))]
    alone = [model.predict(image).values for image in images]
    together = model.predict_batch(images)
    for image, first, second in zip(images, alone, together, strict=True):
        assert first.shape == image.shape[:2] and first.dtype == np.float32 and np.isfinite(first).all()
        assert (first == second.values).all()
    view = _image(2)[:, ::-1]
    view.flags.writeable = False
    assert (model.predict(view).values == model.predict(view.copy()).values).all()


def test_stretched_touches_the_short_side_only() -> None:
    image = _image(0, 40, 50)
    assert (stretched(image, 32, 12.0) == image).all() and stretched(image, 32, 12.0) is not image
    assert stretched(image[:1], 32, 12.0).shape == (32, 50, 3)
    assert stretched(_image(0, 4, 240), 1, 12.0).shape == (20, 240, 3)
    assert stretched(image[:1, :1], 1, float("inf")).shape == (1, 1, 3)


def test_depth_pro_gives_metres_by_the_field_of_view_it_predicts(folder: Any) -> None:
    from transformers import DepthProForDepthEstimation, DepthProImageProcessor

    row = _row("depth-pro")
    image = _image(3, 40, 80)
    values = load(row, checkpoint=folder("depth-pro"), device="cpu").predict(image).values
    network = DepthProForDepthEstimation.from_pretrained(folder("depth-pro")).eval()
    pixels = DepthProImageProcessor(**row.options["processor"])(images=image, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        outputs = network(pixel_values=pixels)
    focal = 0.5 * 80 / np.tan(0.5 * np.deg2rad(float(outputs.field_of_view)))
    inverse = torch.nn.functional.interpolate(outputs.predicted_depth[None], size=(40, 80), mode="bilinear")
    expected = 1 / (inverse[0, 0].numpy() * 80 / focal).clip(1e-4, 1e4)
    np.testing.assert_allclose(values, expected, rtol=1e-3)


def test_input_size_and_precision(folder: Any) -> None:
    name, image = "midas-v3.1-swin2-t-256", _image()
    usual = load(_row(name), checkpoint=folder(name), device="cpu")
    larger = load(_row(name), checkpoint=folder(name), device="cpu", input_size=96)
    half = load(_row(name), checkpoint=folder(name), device="cpu", precision="bf16")
    assert larger.info.settings["input_size"] == [96, 96] and half.info.settings["precision"] == "bf16"
    values = usual.predict(image).values
    assert not np.allclose(larger.predict(image).values, values)
    difference = np.abs(half.predict(image).values - values).mean()
    assert 0 < difference < 0.05 * np.ptp(values)


def test_wrong_options_are_found_before_a_download(hub: Any) -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("zoedepth-n", {"input_size": 384}, "fixed input size"),
        ("midas-v3.0-dpt-hybrid", {"input_size": 384}, "fixed input size"),
        ("midas-v3.1-beit-l-512", {"input_size": 500}, "no multiple of 32"),
        ("glpn-nyu", {"precision": "fp8"}, "precision"),
        ("glpn-nyu", {"device": "tpu"}, "device"),
        ("glpn-nyu", {"compile": "on"}, "cannot be compiled"),
    ]
    for name, options, expected in wrong:
        with pytest.raises(UsageError, match=expected):
            model_zoo.load(name, **{"device": "cpu", **options})
    assert hub.log == []


@pytest.fixture
def own(folder: Any, tmp_path: Path) -> Path:
    """A copy of a small model's files, to be spoilt."""
    shutil.copytree(folder("glpn-nyu"), tmp_path / "own")
    return tmp_path / "own"


def _load(own: Path, name: str = "glpn-nyu") -> Any:
    return load(_row(name), checkpoint=own, device="cpu")


def test_missing_parameters_are_named_and_never_made_up(own: Path) -> None:
    tensors = load_file(own / "model.safetensors")
    del tensors["head.head.2.weight"]
    save_file(tensors, own / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"model\.safetensors lacks head\.head\.2\.weight"):
        _load(own)


def test_parameters_that_nothing_reads_may_be_missing(folder: Any, tmp_path: Path) -> None:
    name, image = "midas-v3.0-dpt-large", _image()
    expected = _load(folder(name), name).predict(image).values
    shutil.copytree(folder(name), tmp_path / "own")
    tensors = load_file(tmp_path / "own" / "model.safetensors")
    kept = {key: value for key, value in tensors.items() if "layers.0.residual_layer1" not in key}
    assert len(kept) == len(tensors) - 4
    save_file(kept, tmp_path / "own" / "model.safetensors", metadata={"format": "pt"})
    assert (_load(tmp_path / "own", name).predict(image).values == expected).all()


def test_tensors_without_a_use_are_noted(own: Path) -> None:
    tensors = load_file(own / "model.safetensors")
    tensors["head.third.weight"] = torch.zeros(2)
    save_file(tensors, own / "model.safetensors", metadata={"format": "pt"})
    assert any("head.third.weight" in note for note in _load(own).info.notes)


def test_shape_of_another_network(own: Path) -> None:
    tensors = load_file(own / "model.safetensors")
    tensors["head.head.2.weight"] = torch.zeros(1, 7, 3, 3)
    save_file(tensors, own / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"{own} cannot be loaded as GLPNForDepthEstimation"):
        _load(own)


def test_nan_in_the_weights(own: Path) -> None:
    tensors = load_file(own / "model.safetensors")
    tensors["head.head.2.bias"][0] = float("nan")
    save_file(tensors, own / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"head\.head\.2\.bias holds NaN"):
        _load(own)


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("config.json", b"{", r"config\.json is no configuration of a model"),
        ("config.json", b"[]", r"config\.json is no configuration of a model"),
        ("config.json", b'{"architectures": ["DPTForDepthEstimation"]}', "is of DPTForDepthEstimation, the model is"),
        ("config.json", b'{"model_type": "bert"}', "is of bert, the model is GLPNForDepthEstimation"),
        ("preprocessor_config.json", b"{", r"preprocessor_config\.json is no configuration of an image processor"),
        ("model.safetensors", b"\x08\0\0\0\0\0\0\0{}", "cannot be loaded as GLPNForDepthEstimation"),
        ("model.safetensors", b"", "cannot be loaded as GLPNForDepthEstimation"),
        ("model.safetensors", None, r"has no model\.safetensors"),
        ("preprocessor_config.json", None, r"has no preprocessor_config\.json"),
    ],
)
def test_spoilt_files_are_named(own: Path, file: str, content: bytes | None, expected: str) -> None:
    (own / file).unlink()
    if content is not None:
        (own / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=expected) as error:
        _load(own)
    assert str(own) in str(error.value)


def test_files_without_the_field_of_view_are_refused(folder: Any, tmp_path: Path) -> None:
    shutil.copytree(folder("depth-pro"), tmp_path / "own")
    config = json.loads((tmp_path / "own" / "config.json").read_text())
    (tmp_path / "own" / "config.json").write_text(json.dumps({**config, "use_fov_model": False}))
    with pytest.raises(CheckpointError, match="use_fov_model: false"):
        _load(tmp_path / "own", "depth-pro")


def test_no_network(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"glpn-nyu: model\.safetensors could not be downloaded") as error:
        model_zoo.load("glpn-nyu", device="cpu")
    assert "--checkpoint DIR" in str(error.value)


def test_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, hub: Any) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "transformers" else real(name))
    with pytest.raises(ModelError, match="needs transformers, not installed here") as error:
        model_zoo.load("depth-pro", device="cpu")
    assert "dabench[zoo]" in str(error.value) and hub.log == []


def test_class_that_this_version_lacks(folder: Any) -> None:
    row = _row("glpn-nyu", architecture="FutureForDepthEstimation")
    with pytest.raises(ModelError, match=r"transformers [\d.]+ has no FutureForDepthEstimation"):
        load(row, checkpoint=folder("glpn-nyu"), device="cpu")


def test_another_model_of_the_library_takes_one_row(tmp_path: Path) -> None:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    torch.manual_seed(0)
    taps: dict[str, Any] = {"out_indices": [1, 2, 3, 4]}
    encoder = Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, image_size=56, reshape_hidden_states=False, **taps
    )
    config = DepthAnythingConfig(
        backbone_config=encoder,
        reassemble_hidden_size=16,
        patch_size=14,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
    )
    DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path)
    settings = {"size": {"height": 56, "width": 56}, "keep_aspect_ratio": True, "ensure_multiple_of": 14}
    DPTImageProcessor().save_pretrained(tmp_path)
    row = _row("midas-v3.1-beit-b-384", architecture="DepthAnythingForDepthEstimation", processor=settings)
    values = load(row, checkpoint=tmp_path, device="cpu").predict(_image()).values
    np.testing.assert_allclose(values, _upstream(row, tmp_path, _image()), rtol=1e-5, atol=1e-6)


def test_bad_images_and_closed_models(folder: Any) -> None:
    model = load(_row("glpn-nyu"), checkpoint=folder("glpn-nyu"), device="cpu")
    wrong: list[Any] = [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), None]
    for image in wrong:
        with pytest.raises(ImageError):
            model.predict(image)
    model.close()
    with pytest.raises(ModelError, match="was closed"):
        model.predict(_image())
