"""Network files whose answer is known in closed form, in all three formats, and files that are none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import model_zoo
from dabench.errors import DabenchError, ImageError, ModelError, UsageError
from dabench.registry import models
from dabench.types import Output
from model_zoo.network_files.input_rule import InputRule, input_rule
from model_zoo.network_files.model import restore
from model_zoo.network_files.ports import Port

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:FutureWarning")

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
Shape = list[int | str | None]


def mean_graph(
    path: Path, shape: Shape, *, axis: int = 1, keep: int = 0, weights: list[float] | None = None,
    kind: int = TensorProto.FLOAT, opset: int = 17, extra: tuple[str, ...] = (), meta: dict[str, str] | None = None,
    ir: int = 8,
) -> Path:  # fmt: skip
    """A network that gives the weighted sum over the channels, by default 1, 10 and 100 of them in order."""
    place = [1] * len(shape)
    weights = weights or [1, 10, 100]
    place[axis] = len(weights)
    array = np.array(weights, dtype=np.float32).reshape(place)
    nodes = [
        helper.make_node("Cast", ["image"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["cast", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "axes"], ["depth"], keepdims=keep),
    ]
    tensors = [numpy_helper.from_array(array, "weights"), numpy_helper.from_array(np.array([axis]), "axes")]
    rank = len(shape) - 1 + keep
    outputs = [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [None] * rank)]
    if "twin" in extra:
        nodes.append(helper.make_node("Neg", ["depth"], ["twin"]))
        outputs.append(helper.make_tensor_value_info("twin", TensorProto.FLOAT, [None] * rank))
    if "camera" in extra:
        tensors.append(numpy_helper.from_array(np.eye(3, dtype=np.float32)[None], "eye"))
        nodes.append(helper.make_node("Identity", ["eye"], ["camera"]))
        outputs.append(helper.make_tensor_value_info("camera", TensorProto.FLOAT, [1, 3, 3]))
    inputs = [helper.make_tensor_value_info("image", kind, shape)]
    if "second" in extra:
        inputs.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    model = helper.make_model(
        helper.make_graph(nodes, "mean", inputs, outputs, tensors), opset_imports=[helper.make_opsetid("", opset)]
    )
    model.ir_version = ir
    helper.set_model_props(model, meta or {})
    onnx.save(model, path)
    return path


def load(path: Path, output: str | None = "disparity", **options: Any) -> Any:
    return model_zoo.load(str(path), output=output, device="cpu", **options)


@pytest.fixture
def plain() -> np.ndarray[Any, Any]:
    """One colour everywhere, so that no resampling changes it."""
    return np.broadcast_to(np.array([10, 60, 200], np.uint8), (30, 40, 3)).copy()


def settings(**values: Any) -> dict[str, Any]:
    return {"input_size": 28, "settings": values}


EXPECTED: list[tuple[dict[str, Any], Callable[[Any], Any]]] = [
    ({}, lambda c: (c - MEAN) / DEVIATION),
    ({"mean_std": "half"}, lambda c: c * 2 - 1),
    ({"mean_std": "none"}, lambda c: c),
    ({"mean_std": "raw"}, lambda c: c * 255),
    ({"channels": "bgr"}, lambda c: ((c - MEAN) / DEVIATION)[::-1]),
    ({"channels": "bgr", "mean_std": "none"}, lambda c: c[::-1]),
]


@pytest.mark.parametrize(("options", "colour"), EXPECTED)
def test_colours_reach_the_network_normalised_and_in_order(
    plain: Any, tmp_path: Path, options: dict[str, Any], colour: Callable[[Any], Any]
) -> None:
    path = mean_graph(tmp_path / "n.onnx", [1, 3, None, None])
    prediction = load(path, **settings(**options)).predict(plain)
    expected = np.dot(colour(plain[0, 0] / 255), [1, 10, 100])
    assert prediction.output is Output.DISPARITY and prediction.values.dtype == np.float32
    np.testing.assert_allclose(prediction.values, np.full((30, 40), expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [([1, 3, 28, 42], 1), ([1, 28, 42, 3], 3), ([3, 28, 42], 0), ([28, 42, 3], 2), (["n", 3, "h", "w"], 1),
     (["n", "h", "w", 3], 3)],
)  # fmt: skip
def test_layout_is_found_from_the_shape(plain: Any, tmp_path: Path, shape: Shape, axis: int) -> None:
    path = mean_graph(tmp_path / "n.onnx", shape, axis=axis)
    options = {} if 28 in shape else {"input_size": 28}
    model = load(path, settings={"mean_std": "none"}, **options)
    np.testing.assert_allclose(model.predict(plain).values, np.dot(plain[0, 0] / 255, [1, 10, 100]), rtol=1e-5)
    assert model.info.settings["layout"] == ("nhwc" if axis in (2, 3) else "nchw")
    assert "layout" not in model.info.settings["assumed"]


@pytest.mark.parametrize(("kind", "scale"), [(TensorProto.UINT8, 255), (TensorProto.FLOAT16, 1)])
def test_the_type_of_the_input_is_that_of_the_signature(plain: Any, tmp_path: Path, kind: int, scale: int) -> None:
    path = mean_graph(tmp_path / "n.onnx", [1, 3, None, None], kind=kind)
    model = load(path, **settings(**({} if scale == 255 else {"mean_std": "none"})))
    expected = np.dot(plain[0, 0] / 255 * scale, [1, 10, 100])
    np.testing.assert_allclose(model.predict(plain).values, expected, rtol=1e-3)
    if scale == 255:
        with pytest.raises(UsageError, match="uint8"):
            load(path, **settings(mean_std="half"))


@pytest.mark.parametrize("keep", [0, 1])
def test_a_ramp_keeps_its_direction_and_size(tmp_path: Path, keep: int) -> None:
    path = mean_graph(tmp_path / "n.onnx", [1, 3, None, None], keep=keep)
    ramp = np.repeat(np.linspace(0, 255, 90).astype(np.uint8)[None, :, None], 50, axis=0).repeat(3, axis=2)
    values = load(path, **settings(mean_std="none")).predict(ramp).values
    assert values.shape == (50, 90)
    assert (np.diff(values[25, 3:-3]) > 0).all() and np.ptp(values[:, 45]) < 1e-3
    turned = load(path, **settings(mean_std="none")).predict(np.ascontiguousarray(ramp.transpose(1, 0, 2))).values
    np.testing.assert_allclose(turned, values.T, atol=1e-4)


def test_a_batch_is_its_images_and_the_same_image_the_same_bits(tmp_path: Path) -> None:
    model = load(mean_graph(tmp_path / "n.onnx", [1, 3, None, None]), **settings())
    images = [np.random.default_rng(n).integers(0, 255, (20 + n, 31, 3), np.uint8) for n in range(3)]
    for image, found in zip(images, model.predict_batch(images), strict=True):
        assert np.array_equal(model.predict(image).values, found.values)
    model.close()
    with pytest.raises(ModelError, match="closed"):
        model.predict(images[0])


@pytest.mark.parametrize(
    ("image", "options", "size"),
    [
        ((480, 640), {}, (518, 686)),  # Depth Anything: 518 x 690.7 -> 49.3 patches
        ((640, 480), {}, (686, 518)),
        ((100, 100), {"multiple": "32"}, (544, 544)),  # 518 is rounded up: nothing falls below
        ((100, 200), {"resize": "stretch"}, (518, 518)),
        ((100, 200), {"resize": "stretch", "multiple": 32}, (544, 544)),
    ],
)
def test_size_rule(image: tuple[int, int], options: dict[str, Any], size: tuple[int, int]) -> None:
    rule = input_rule(Path("n.onnx"), Port("image", (1, 3, None, None), "float32"), None, options, None)
    assert rule.size_for(*image) == size


def test_size_rule_is_the_official_one_of_depth_anything() -> None:
    from model_zoo.depth_anything_v2.preprocess import network_size, prepare

    rule = input_rule(Path("n"), Port("i", (1, 3, None, None), "float32"), None, {}, 168)
    for height, width in np.random.default_rng(0).integers(20, 900, (50, 2)):
        assert rule.size_for(height, width) == network_size(height, width, 168)
    image = np.random.default_rng(0).integers(0, 255, (60, 77, 3), np.uint8)
    assert np.array_equal(rule.prepare(image)[0], prepare(image, network_size(60, 77, 168)))


def test_one_fixed_side_keeps_the_aspect() -> None:
    rule = input_rule(Path("n"), Port("i", (1, 3, 280, None), "float32"), None, {}, None)
    assert rule.size_for(100, 200) == (280, 560)


def test_what_cannot_be_an_image_is_refused(tmp_path: Path) -> None:
    rule = input_rule(Path("n"), Port("i", (1, 3, None, None), "float32"), None, {}, 518)
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ImageError):
            rule.prepare(image)
    with pytest.raises(ImageError, match="limit"):
        rule.prepare(np.zeros((1, 900, 3), np.uint8))


def test_nan_stays(tmp_path: Path) -> None:
    values = np.ones((4, 4), np.float32)
    values[0, 0] = np.nan
    enlarged = restore(values, 8, 12)
    assert np.isnan(enlarged[0, 0]) and enlarged[-1, -1] == 1 and 0 < np.isnan(enlarged).sum() < 30
    assert np.array_equal(restore(values, 4, 4), values, equal_nan=True)


def test_everything_assumed_is_recorded(tmp_path: Path) -> None:
    path = mean_graph(tmp_path / "my net!.onnx", [1, 3, None, None])
    info = load(path, output="metric", **settings(mean_std="half")).info
    assert (info.name, info.output) == ("my-net-onnx", Output.METRIC)
    assert info.settings["assumed"] == ["channels", "resize", "multiple"]
    assert info.settings["input_size"] == 28 and info.settings["mean_std"] == "half"
    assert info.settings["runtime"].startswith("onnxruntime ")
    assert any("channels, resize, multiple" in note for note in info.notes)
    assert info.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


class TestOutputs:
    def test_a_small_matrix_is_no_map(self, plain: Any, tmp_path: Path) -> None:
        path = mean_graph(tmp_path / "n.onnx", [1, 3, None, None], extra=("camera",))
        assert load(path, input_size=140).info.settings["output_name"] == "depth"

    def test_several_maps_need_a_name(self, plain: Any, tmp_path: Path) -> None:
        path = mean_graph(tmp_path / "n.onnx", [1, 3, None, None], extra=("twin",))
        with pytest.raises(UsageError, match=r"n\.onnx.*'depth' \[1, 28, .*'twin'") as caught:
            load(path, **settings())
        assert "-o output=depth" in str(caught.value)
        straight = load(path, **settings(output="depth")).predict(plain).values
        assert np.array_equal(load(path, **settings(output="twin")).predict(plain).values, -straight)
        with pytest.raises(UsageError, match="no output 'other'"):
            load(path, **settings(output="other"))

    def test_a_vector_is_no_map(self, tmp_path: Path) -> None:
        torch.jit.script(Flat()).save(str(tmp_path / "flat.pt"))
        with pytest.raises(ModelError, match=r"flat\.pt has no output that is a map.*\[1, 9408\]"):
            load(tmp_path / "flat.pt", input_size=56, settings={"resize": "stretch"})


class Flat(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.reshape(1, -1)


class Weighted(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.tensor([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        depth = (images * self.weights).sum(1, keepdim=True)
        return {"depth": depth, "spare": depth.sum()[None]}


def test_torchscript_gives_the_same_map(plain: Any, tmp_path: Path) -> None:
    torch.jit.script(Weighted()).save(str(tmp_path / "n.ts"))
    model = load(tmp_path / "n.ts", "depth", **settings(mean_std="none"))
    np.testing.assert_allclose(model.predict(plain).values, np.dot(plain[0, 0] / 255, [1, 10, 100]), rtol=1e-5)
    assert (model.info.name, model.info.parameters) == ("n-torchscript", 3)
    assert "layout" in model.info.settings["assumed"]


def test_openvino_gives_the_same_map_and_counts_both_files(plain: Any, tmp_path: Path) -> None:
    source = mean_graph(tmp_path / "n.onnx", [1, 3, 28, 42])
    openvino.save_model(openvino.Core().read_model(source), tmp_path / "n.xml", compress_to_fp16=False)
    model = load(tmp_path / "n.xml", settings={"mean_std": "none"})
    expected = load(source, settings={"mean_std": "none"}).predict(plain).values
    np.testing.assert_allclose(model.predict(plain).values, expected, rtol=1e-5)
    assert model.info.name == "n-openvino" and model.info.settings["network_input"] == [28, 42]
    weights = tmp_path / "n.bin"
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert load(tmp_path / "n.xml").info.weights_sha256 != model.info.weights_sha256
    weights.unlink()
    with pytest.raises(ModelError, match=r"n\.xml has no n\.bin"):
        load(tmp_path / "n.xml")


FACTS = {
    "schema": 1, "name": "some-model", "output": "metric", "mean_std": "half", "resize": "stretch", "channels": "bgr",
    "input_size": 28, "multiple": 7, "max_depth": 20.0, "licence": "CC-BY-NC-4.0", "parameters": 3,
}  # fmt: skip


def test_what_the_file_says_is_used(plain: Any, tmp_path: Path) -> None:
    path = mean_graph(tmp_path / "n.onnx", [1, 3, None, None], meta={"dabench": json.dumps(FACTS)})
    model = load(path, None)
    assert model.info.output is Output.METRIC and model.info.settings["assumed"] == []
    assert model.rule.size_for(30, 90) == (28, 28) and model.info.settings["max_depth"] == 20.0
    assert any("non-commercial" in note for note in model.info.notes)
    expected = np.dot((plain[0, 0] / 255 * 2 - 1)[::-1], [1, 10, 100])
    np.testing.assert_allclose(model.predict(plain).values, expected, rtol=1e-5)
    assert load(path, "metric", settings={"multiple": "14"}).info.settings["multiple"] == 14
    with pytest.raises(UsageError, match="gives metric, not depth"):
        load(path, "depth")
    for damage in ("{", '{"schema": 1}', json.dumps({**FACTS, "output": "x"}), json.dumps({**FACTS, "multiple": 0})):
        with pytest.raises(ModelError, match=r"n\.onnx.*damaged"):
            load(mean_graph(path, [1, 3, None, None], meta={"dabench": damage}), None)
    with pytest.raises(ModelError, match="newer"):
        load(mean_graph(path, [1, 3, None, None], meta={"dabench": '{"schema": 2}'}), None)


def refused(path: Path, output: str | None = "disparity", **options: Any) -> str:
    with pytest.raises(DabenchError) as caught:
        load(path, output, **options)
    assert path.name in caught.value.message and "\n" not in caught.value.message
    return str(caught.value)


class TestBadFiles:
    def test_output_kind_is_needed(self, tmp_path: Path) -> None:
        path = mean_graph(tmp_path / "n.onnx", [1, 3, None, None])
        assert "--output-kind" in refused(path, None)
        with pytest.raises(UsageError, match="'nearness' is not one of"):
            load(path, "nearness")

    def test_not_there_and_of_another_kind(self, tmp_path: Path) -> None:
        assert "does not exist" in refused(tmp_path / "n.onnx")
        (tmp_path / "n.safetensors").write_bytes(b"123")
        assert "--checkpoint" in refused(tmp_path / "n.safetensors")
        (tmp_path / "d.onnx").mkdir()
        assert "not a file" in refused(tmp_path / "d.onnx")
        (tmp_path / "e.onnx").touch()
        assert "empty" in refused(tmp_path / "e.onnx")

    def test_a_truncated_onnx_file_wherever_it_is_cut(self, tmp_path: Path) -> None:
        whole = mean_graph(tmp_path / "n.onnx", [1, 3, None, None]).read_bytes()
        for length in (*range(1, 40), len(whole) // 2, len(whole) - 1):
            (tmp_path / "cut.onnx").write_bytes(whole[:length])
            text = refused(tmp_path / "cut.onnx")
            assert "cut short" in text or "not an ONNX file" in text
        assert "cut short" in text

    @pytest.mark.parametrize("content", [b"hello, this is text\n" * 20, b"\0" * 400, b"PK\x03\x04" * 50, b"\xff" * 99])
    def test_not_onnx(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "n.onnx").write_bytes(content)
        assert "not an ONNX file" in refused(tmp_path / "n.onnx")

    def test_external_data(self, tmp_path: Path, plain: Any) -> None:
        path = mean_graph(tmp_path / "n.onnx", [1, 3, 28, 28])
        model = onnx.load(path)
        onnx.save(model, path, save_as_external_data=True, location="n.data", size_threshold=43)
        before = load(path)
        assert before.predict(plain).values.shape == (30, 40)
        data = tmp_path / "n.data"
        content = bytearray(data.read_bytes())
        content[0] ^= 1
        data.write_bytes(content)
        assert load(path).info.weights_sha256 != before.info.weights_sha256
        data.unlink()
        assert "n.data" in refused(path)

    def test_unsupported_opset(self, tmp_path: Path) -> None:
        assert "opset" in refused(mean_graph(tmp_path / "n.onnx", [1, 3, 28, 28], opset=999))
        assert "update onnxruntime" in refused(mean_graph(tmp_path / "n.onnx", [1, 3, 28, 28], ir=999))

    @pytest.mark.parametrize(
        ("shape", "axis", "says"),
        [([1, 3], 1, "2 axes"), ([1, 1, 3, 28, 28], 2, "5 axes"), ([2, 3, 28, 28], 1, "2 images at once")],
    )
    def test_wrong_rank(self, tmp_path: Path, shape: Shape, axis: int, says: str) -> None:
        assert says in refused(mean_graph(tmp_path / "n.onnx", shape, axis=axis))

    def test_wrong_channels_inputs_and_types(self, tmp_path: Path) -> None:
        for channels in (1, 4):
            grey = mean_graph(tmp_path / "n.onnx", [1, channels, 28, 28], weights=[1.0] * channels)
            assert "three channels" in refused(grey)
        path = mean_graph(tmp_path / "m.onnx", [1, 3, 28, 28], extra=("second",))
        assert "2 inputs" in refused(path) and "'mask'" in refused(path)
        assert "int64" in refused(mean_graph(tmp_path / "i.onnx", [1, 3, 28, 28], kind=TensorProto.INT64))

    def test_axes_that_are_dynamic_in_name_only(self, tmp_path: Path) -> None:
        array = numpy_helper.from_array(np.array([1, 32, 32]), "shape")
        graph = helper.make_graph(
            [helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=0),
             helper.make_node("Reshape", ["mean", "shape"], ["depth"])],
            "fixed inside", [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, None, None])],
            [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, None, None])], [array],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.save(model, tmp_path / "n.onnx")
        assert "fails on an input of 28x" in refused(tmp_path / "n.onnx", input_size=28)
        options = {"resize": "stretch", "multiple": "32"}
        assert load(tmp_path / "n.onnx", input_size=32, settings=options).info.settings["resize"] == "stretch"

    def test_checkpoints_and_other_archives_are_no_torchscript(self, tmp_path: Path) -> None:
        for name, legacy in (("new.pt", False), ("old.pt", True)):
            torch.save({"w": torch.ones(2)}, tmp_path / name, _use_new_zipfile_serialization=not legacy)
            assert f"--checkpoint {tmp_path / name}" in refused(tmp_path / name)
        torch.jit.script(Weighted()).save(str(tmp_path / "n.pt"))
        whole = (tmp_path / "n.pt").read_bytes()
        (tmp_path / "n.pt").write_bytes(whole[: len(whole) // 2])
        assert "cut short" in refused(tmp_path / "n.pt")
        (tmp_path / "text.pt").write_text("hello")
        assert "not a TorchScript file" in refused(tmp_path / "text.pt")

    @pytest.mark.parametrize("content", ["<net><layers>", "<html></html>", "hello", ""])
    def test_not_openvino(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "n.xml").write_text(content)
        (tmp_path / "n.bin").touch()
        assert "n.xml" in refused(tmp_path / "n.xml")

    def test_an_openvino_file_that_only_looks_like_one(self, tmp_path: Path) -> None:
        (tmp_path / "n.xml").write_text("<net name='x' version='11'><layers></layers><edges></edges></net>")
        (tmp_path / "n.bin").touch()
        assert "n.xml" in refused(tmp_path / "n.xml")


def test_options_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    fixed = mean_graph(tmp_path / "f.onnx", [1, 3, 28, 28])
    for options in ({"input_size": 56}, {"settings": {"multiple": "7"}}, {"settings": {"resize": "keep-aspect"}}):
        assert "28x28" in refused(fixed, **options)
    for options in (
        {"settings": {"mean_std": "vgg"}}, {"checkpoint": "w.pth"}, {"precision": "fp16"}, {"compile": "on"},
        {"settings": {"layout": "nhwc"}},
    ):  # fmt: skip
        refused(fixed, **options)
    dynamic = mean_graph(tmp_path / "d.onnx", [1, 3, None, None])
    for options in ({"settings": {"multiple": "0"}}, {"settings": {"multiple": "x"}}, {"input_size": 7}):
        refused(dynamic, **options)
    with pytest.raises(UsageError, match="no option 'steps'"):
        load(fixed, settings={"steps": "4"})
    with pytest.raises(UsageError, match="device"):
        model_zoo.load(str(fixed), output="depth", device="tpu")


def test_a_catalogued_name_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "constant").write_text("a file of that name")
    assert model_zoo.load("constant").info.name == "constant" and "constant" in models()
    with pytest.raises(UsageError, match="gives disparity, not metric"):
        model_zoo.load("constant", output="metric")


def test_rule_of_an_integer_input_clamps_the_overshoot_of_cubic_resampling() -> None:
    rule = InputRule("raw", "stretch", "rgb", "nchw", "uint8", 4, 30, 30, 30, 1, ())
    edge = np.zeros((10, 10, 3), np.uint8)
    edge[:, 5:] = 255
    found = rule.prepare(edge)
    assert found.dtype == np.uint8 and found.max() == 255 and found.min() == 0
    assert (np.diff(found[0, 0, 15].astype(int)) >= 0).all()
