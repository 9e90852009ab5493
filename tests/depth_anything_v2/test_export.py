"""Exported networks give the maps of the network itself, say what they are, and never exist unverified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import model_zoo
from dabench.errors import ModelError, UsageError
from dabench.registry import models
from dabench.types import ModelInfo, Output
from model_zoo.depth_anything_v2 import export
from model_zoo.depth_anything_v2.checkpoint import save_state
from model_zoo.depth_anything_v2.config import CONFIGS, VERSION_1
from model_zoo.depth_anything_v2.encoder import resample_table
from model_zoo.depth_anything_v2.export import Exported, export_model, export_network
from model_zoo.depth_anything_v2.export.graph import ExportGraph, table_for
from model_zoo.depth_anything_v2.export.verify import largest_difference, picture, sizes_to_verify
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.predictor import DepthAnythingV2Predictor
from model_zoo.network_files.facts import FileFacts
from model_zoo.network_files.onnx_file import OnnxNetwork

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:FutureWarning")

TINY = "depth-anything-v2-tiny"
FACTS = FileFacts("small-world", "disparity", "imagenet", "keep-aspect", "rgb", 56, 14)
SHAPES = ((120, 160), (160, 120), (168, 168), (90, 250), (20, 28))


@pytest.fixture(scope="module")
def native() -> Any:
    return model_zoo.load(TINY, device="cpu")


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_model(models().get(TINY), "onnx", tmp_path_factory.mktemp("export") / "tiny.onnx")


@pytest.fixture
def little() -> DepthAnythingV2:
    """A network of one block a tap, with random weights that vary enough to see a misplaced token."""
    config = replace(
        CONFIGS["tiny"], embed_dim=24, depth=4, num_heads=2, taps=(0, 1, 2, 3), features=8,
        out_channels=(8, 8, 8, 8), table_size=4,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    network = DepthAnythingV2(config).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    network.depth_head.scratch.output_conv2[2].bias.fill_(5)  # above the last ReLU
    return network


def image(height: int, width: int) -> np.ndarray[Any, Any]:
    pixels = picture(height, width)[0].transpose(1, 2, 0)
    return np.asarray(np.clip(pixels * 60 + 128, 0, 255), dtype=np.uint8)


def difference(a: Any, b: Any) -> float:
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / np.ptp(b))


@pytest.mark.parametrize(("rows", "columns"), [(12, 12), (12, 17), (5, 40), (1, 3), (37, 12), (13, 13)])
def test_table_of_the_graph_is_the_official_one(rows: int, columns: int) -> None:
    table = torch.randn(1, 1 + 144, 7, generator=torch.Generator().manual_seed(rows))
    found = table_for(table, torch.arange(rows), torch.arange(columns), 12)
    torch.testing.assert_close(found, resample_table(table, rows, columns), rtol=0, atol=2e-5)
    if rows == columns == 12:
        assert torch.equal(found, table)


def test_graph_is_the_network_at_every_size(little: DepthAnythingV2) -> None:
    for metric in (None, 20.0):
        network = DepthAnythingV2(replace(little.config, max_depth=metric)).eval().requires_grad_(False)
        network.load_state_dict(little.state_dict())
        graph = ExportGraph(network)
        assert largest_difference(network, lambda x, g=graph: g(torch.from_numpy(x)).numpy(), SIZES) < 1e-5


SIZES = sizes_to_verify(4, None)


def test_sizes_are_of_all_kinds() -> None:
    assert sizes_to_verify(37, (28, 42)) == [(28, 42)]
    sizes = sizes_to_verify(37, None)
    assert (518, 518) in sizes and len(set(sizes)) == len(sizes)
    assert all(side % 14 == 0 for size in sizes for side in size)
    assert any(h > w for h, w in sizes) and any(w > 3 * h for h, w in sizes) and any(h // 14 % 2 for h, _ in sizes)


@pytest.mark.slow
def test_dynamic_onnx_gives_the_native_maps(native: Any, dynamic: Exported) -> None:
    assert dynamic.difference < 1e-5 and len(dynamic.sizes) >= 5
    model = model_zoo.load(str(dynamic.path), device="cpu")
    for shape in SHAPES:
        expected = native.predict(image(*shape)).values
        assert difference(model.predict(image(*shape)).values, expected) < 1e-4, shape
    other = image(120, 160)
    wide = model_zoo.load(str(dynamic.path), device="cpu", input_size=224).predict(other).values
    expected = model_zoo.load(TINY, device="cpu", input_size=224).predict(other).values
    assert difference(wide, expected) < 1e-4


@pytest.mark.slow
def test_the_file_says_what_it_is(native: Any, dynamic: Exported) -> None:
    info = model_zoo.load(str(dynamic.path), device="cpu").info
    entry = models().get(TINY)
    assert (info.name, info.output, info.licence) == ("tiny-onnx", Output.DISPARITY, entry.licence)
    assert info.parameters == native.info.parameters
    assert info.settings["assumed"] == [] and info.settings["input_size"] == 168 and info.settings["multiple"] == 14
    assert info.settings["exported_from"] == TINY
    assert info.settings["exported_weights_sha256"] == entry.sha256 == native.info.weights_sha256


@pytest.mark.parametrize("to", ["openvino", "torchscript"])
def test_other_formats_give_the_native_maps(little: DepthAnythingV2, tmp_path: Path, to: str) -> None:
    path = tmp_path / ("n.xml" if to == "openvino" else "n.pt")
    done = export_network(little, to, path, FACTS)
    assert done.difference < 1e-5
    assert {file.name for file in tmp_path.iterdir()} == ({"n.xml", "n.bin"} if to == "openvino" else {"n.pt"})
    model, own = model_zoo.load(str(path), device="cpu"), predictor(little)
    assert model.info.settings["assumed"] == ([] if to == "openvino" else ["layout"])
    for shape in SHAPES:
        assert difference(model.predict(image(*shape)).values, own.predict(image(*shape)).values) < 1e-4, shape


def test_fixed_size(little: DepthAnythingV2, tmp_path: Path) -> None:
    path = export_network(little, "onnx", tmp_path / "t.onnx", FACTS, size=(56, 84), opset=20).path
    model = model_zoo.load(str(path), device="cpu")
    assert model.info.settings["network_input"] == [56, 84]
    of_that_shape = image(100, 150)  # which the rule of the network brings to 56x84 too
    assert difference(model.predict(of_that_shape).values, predictor(little).predict(of_that_shape).values) < 1e-4
    assert model.predict(image(50, 31)).values.shape == (50, 31)


def predictor(network: DepthAnythingV2) -> DepthAnythingV2Predictor:
    return DepthAnythingV2Predictor(network, ModelInfo("little", Output.DISPARITY), device="cpu")


@pytest.mark.parametrize(("to", "suffix"), [("onnx", ".onnx"), ("torchscript", ".ts"), ("openvino", ".xml")])
def test_half_precision_halves_the_file(little: DepthAnythingV2, tmp_path: Path, to: str, suffix: str) -> None:
    path = tmp_path / f"half{suffix}"
    done = export_network(little, to, path, replace(FACTS, precision="fp16"), size=(56, 70))
    assert 1e-7 < done.difference < 2e-2
    model = model_zoo.load(str(path), device="cpu")
    assert model.info.settings["file_precision"] == "fp16" and model.info.settings["dtype"] == "float32"
    assert model.predict(image(56, 70)).values.dtype == np.float32


def test_metric_network_keeps_its_metres(little: DepthAnythingV2, tmp_path: Path) -> None:
    network = DepthAnythingV2(little.config.metric(20)).eval().requires_grad_(False)
    network.load_state_dict(little.state_dict())
    facts = replace(FACTS, output="metric", max_depth=20.0)
    done = export_network(network, "onnx", tmp_path / "m.onnx", facts, size=(56, 56))
    model = model_zoo.load(str(done.path), device="cpu")
    values = model.predict(image(56, 56)).values
    assert model.info.output is Output.METRIC and model.info.settings["max_depth"] == 20
    assert 0 < values.min() < values.max() <= 20


def test_version_1_keeps_its_own_taps(tmp_path: Path) -> None:
    network = DepthAnythingV2(VERSION_1["tiny-v1"]).eval().requires_grad_(False)
    network.depth_head.scratch.output_conv2[2].bias.fill_(5)
    weights = save_state(network, tmp_path / "w.safetensors")
    entry = replace(models().get(TINY), name="mine-v1", options={"config": "tiny-v1"})
    done = export_model(entry, "onnx", tmp_path / "n.onnx", checkpoint=weights, size=(28, 42))
    assert done.difference < 1e-4 and done.facts.licence is None and done.facts.source == "w.safetensors"
    found = OnnxNetwork(done.path).run(picture(28, 42))["depth"]
    second = DepthAnythingV2(CONFIGS["tiny"]).eval().requires_grad_(False)
    second.load_state_dict(network.state_dict())
    assert difference(found, second(torch.from_numpy(picture(28, 42))).numpy()) > 1e-2


def test_a_file_that_differs_is_removed(
    little: DepthAnythingV2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "n.onnx"
    path.write_bytes(b"an earlier file")
    write = export.write

    def wrong(network: DepthAnythingV2, *arguments: Any) -> Callable[[], Any]:
        other = DepthAnythingV2(network.config).eval().requires_grad_(False)
        other.load_state_dict(network.state_dict())
        other.pretrained.pos_embed.data.mul_(1.1)
        return write(other, *arguments)

    monkeypatch.setattr(export, "write", wrong)
    with pytest.raises(ModelError, match=r"n\.onnx differs from small-world by .* more than 1e-04; it was removed"):
        export_network(little, "onnx", path, FACTS)
    assert path.read_bytes() == b"an earlier file" and [f.name for f in tmp_path.iterdir()] == ["n.onnx"]
    monkeypatch.setattr(export, "write", lambda *_: 1 / 0)
    with pytest.raises(ModelError, match="small-world cannot be exported to onnx here: division by zero"):
        export_network(little, "onnx", path, FACTS)
    assert [f.name for f in tmp_path.iterdir()] == ["n.onnx"]


def test_verification_sees_shapes_and_nan(little: DepthAnythingV2) -> None:
    with pytest.raises(ModelError, match="at 28x42"):
        largest_difference(little, lambda x: x[:, 0, 1:], [(28, 42)])
    with pytest.raises(ModelError, match="not finite"):
        largest_difference(little, lambda x: x[:, 0] * np.nan, [(28, 42)])


def test_what_cannot_be_exported_is_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = models().get(TINY)
    for options, says in (
        ({"to": "tflite"}, "choose onnx, openvino, torchscript"),
        ({"size": (100, 140)}, "98x140"),
        ({"size": (0, 14)}, "multiples of 14"),
        ({"opset": 9}, "17 to 20"),
        ({"precision": "int8"}, "fp32 or fp16"),
        ({"path": tmp_path / "x.txt"}, ".onnx"),
        ({"entry": models().get("constant")}, "constant"),
    ):  # fmt: skip
        arguments: dict[str, Any] = {"entry": entry, "to": "onnx", "path": tmp_path / "x.onnx", **options}
        with pytest.raises(UsageError, match=says):
            export_model(**arguments)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        export_network(DepthAnythingV2(CONFIGS["tiny"]), "onnx", tmp_path / "file" / "x.onnx", FACTS)
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda _: None)  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="needs onnx and onnxruntime") as caught:
        export_model(entry, "onnx", tmp_path / "x.onnx")
    assert "dabench[onnx]" in str(caught.value)
