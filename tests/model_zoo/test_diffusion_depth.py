"""Marigold, E2E-FT and Lotus on tiny networks of the real classes, against upstream's pipeline and by hand."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from torch.nn import functional

import model_zoo
from dabench.errors import CheckpointError, ImageError, ModelError, UsageError
from dabench.registry import models
from dabench.types import ModelEntry, Output
from model_zoo.catalog import e2e_ft, lotus, marigold
from model_zoo.diffusion_depth import load
from model_zoo.diffusion_depth.components import Components, read_components
from model_zoo.diffusion_depth.images import processing_size
from model_zoo.diffusion_depth.marigold import Marigold
from model_zoo.diffusion_depth.one_step import EndToEndFineTuned, Lotus

_SPEC = importlib.util.spec_from_file_location("tiny_diffusion", Path(__file__).parent / "tiny/diffusion.py")
assert _SPEC is not None and _SPEC.loader is not None
tiny = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tiny)

ROWS = {entry.name: entry for family in (marigold, lotus, e2e_ft) for entry in family.entries()}
SMALL = {"processing_resolution": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a row with tiny random weights, written once."""
    written: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in written:
            written[name] = tmp_path_factory.mktemp(name)
            tiny.write(ROWS[name], written[name])
        return written[name]

    return get


def build(name: str, path: Path, **settings: Any) -> Any:
    return load(ROWS[name], checkpoint=path, device="cpu", settings={**SMALL, **settings})


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def copied(path: Path, to: Path) -> Path:
    for file in path.rglob("*"):
        if file.is_file():
            (to / file.relative_to(path)).parent.mkdir(parents=True, exist_ok=True)
            (to / file.relative_to(path)).write_bytes(file.read_bytes())
    return to


def edited(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- from the hub, by name


@pytest.mark.parametrize("name", ["marigold-lcm-v1.0", "lotus-g-v1.0", "marigold-e2e-ft"])
def test_by_name_from_the_hub(name: str, hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row: ModelEntry = tiny.publish(hub, ROWS[name], tmp_path / "published")
    monkeypatch.setitem(models()._items, name, row)
    model: Any = model_zoo.load(name, device="cpu")
    assert {request.path.rpartition("/resolve/")[2].partition("/")[2] for request in hub.log} >= set(row.files)
    assert model.info.source == f"{row.source}@{row.revision}"
    assert model.info.weights_sha256 == row.sha256
    assert model.info.licence == row.licence
    assert model.info.parameters == row.parameters
    assert dict(row.settable).items() <= dict(model.info.settings).items()
    prediction = model.predict(picture(30, 40))
    assert prediction.values.shape == (30, 40) and prediction.values.dtype == np.float32
    assert prediction.output is row.output
    hub.log.clear()
    again = model_zoo.load(name, device="cpu", settings={"processing_resolution": "32"})
    assert hub.log == []
    assert (again.predict(picture(30, 40)).values == prediction.values).all()


# --- Marigold


@pytest.mark.parametrize(
    ("name", "steps", "ensemble"),
    [("marigold-v1.0", 3, 1), ("marigold-v1.1", 1, 3), ("marigold-lcm-v1.0", 2, 3)],
)
def test_marigold_is_the_upstream_pipeline(name: str, steps: int, ensemble: int, folder: Callable[[str], Path]) -> None:
    from diffusers import MarigoldDepthPipeline

    image = picture(50, 75)
    values = build(name, folder(name), steps=steps, ensemble=ensemble).predict(image).values
    pipeline = MarigoldDepthPipeline.from_pretrained(folder(name), local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        PillowImage.fromarray(image),
        num_inference_steps=steps,
        ensemble_size=ensemble,
        processing_resolution=64,
        generator=torch.Generator().manual_seed(1234),
    ).prediction[0, :, :, 0]
    assert np.ptp(theirs) > 0.1, "a flat map would prove nothing"
    assert (values == theirs).all()


def test_marigold_settings_are_what_was_used(folder: Callable[[str], Path]) -> None:
    settings = build("marigold-v1.1", folder("marigold-v1.1"), steps=2, ensemble=1).info.settings
    assert settings["steps"] == 2 and settings["ensemble"] == 1 and settings["seed"] == 1234
    assert settings["timestep_spacing"] == "trailing" and settings["rescale_betas_zero_snr"] is True
    old = build("marigold-v1.0", folder("marigold-v1.0"), steps=2, ensemble=1).info.settings
    assert old["timestep_spacing"] == "leading" and old["rescale_betas_zero_snr"] is False


@pytest.mark.parametrize("name", ["marigold-lcm-v1.0", "lotus-g-v1.0"])
def test_noise_is_a_matter_of_the_seed_alone(name: str, folder: Callable[[str], Path]) -> None:
    images = [picture(40, 64), picture(64, 30, seed=1), picture(40, 64, seed=2)]
    few = {"steps": 2, "ensemble": 1} if "ensemble" in ROWS[name].settable else {}
    model = build(name, folder(name), **few)
    torch.manual_seed(7)
    first = [model.predict(image).values for image in images]
    torch.manual_seed(8)
    backwards = [prediction.values for prediction in model.predict_batch(images[::-1])][::-1]
    other = build(name, folder(name), **few, seed=5).predict(images[0]).values
    for one, two in zip(first, backwards, strict=True):
        assert (one == two).all()
    assert (other != first[0]).mean() > 0.5


def test_resolutions_that_the_pipeline_refuses(folder: Callable[[str], Path]) -> None:
    """756, as upstream evaluates ETH3D, is no multiple of 8: scaled before, to the same values where both can."""
    name = "marigold-v1.1"
    image = picture(45, 60)
    odd = build(name, folder(name), steps=1, ensemble=1, processing_resolution=60).predict(image).values
    native = build(name, folder(name), steps=1, ensemble=1, processing_resolution=0).predict(image).values
    assert np.abs(odd - native).max() < 1e-5


# --- one step, by hand


def test_e2e_ft_by_hand(folder: Callable[[str], Path]) -> None:
    """decode(clean latent of unet([encode(image), zeros], t = 999)), with the clean latent from the formula."""
    name = "marigold-e2e-ft"
    image = picture(40, 64)
    model = build(name, folder(name))
    values, parts = model.predict(image).values, model._method.parts
    with torch.inference_mode():
        pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        latent = parts.vae.encode(pixels).latent_dist.mean * 0.18215
        said = parts.unet(torch.cat([latent, torch.zeros_like(latent)], 1), 999, parts.text).sample
        betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        clean = -np.sqrt(1 - np.prod(1 - betas)) * said  # v-prediction at a zero latent
        decoded = parts.vae.decode(clean / 0.18215).sample
    expected = (decoded.mean(1)[0].clamp(-1, 1) + 1) / 2
    assert np.ptp(expected.numpy()) > 0.1
    assert np.abs(values - expected.numpy()).max() < 1e-5


def test_e2e_ft_pads_and_restores(folder: Callable[[str], Path]) -> None:
    """Its size rule is the pipeline's: long side scaled, edges repeated up to a multiple of 8, cut off again."""
    from diffusers.pipelines.marigold import MarigoldImageProcessor

    name = "marigold-e2e-ft"
    image = picture(67, 100)
    method = build(name, folder(name))._method
    values = method(image)
    processor = MarigoldImageProcessor(vae_scale_factor=8)
    prepared, padding, original = processor.preprocess(PillowImage.fromarray(image), 64)
    square = method.parts.vae.encode(prepared).latent_dist.mean * 0.18215
    zeros = torch.zeros_like(square)
    said = method.parts.unet(torch.cat([square, zeros], 1), 999, method.parts.text).sample
    clean = method.scheduler.step(said, 999, zeros).pred_original_sample
    decoded = (method.parts.vae.decode(clean / 0.18215).sample.mean(1, keepdim=True).clamp(-1, 1) + 1) / 2
    expected = processor.resize_antialias(processor.unpad_image(decoded, padding), original, "bilinear", is_aa=False)
    assert (values - expected).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["lotus-g-v2.1-disparity", "lotus-d-v1.0"])
def test_lotus_by_hand(name: str, folder: Callable[[str], Path]) -> None:
    """44 rows are 5.5 latents: the decoder gives 40, repeated up to 44."""
    image = picture(44, 64)
    model = build(name, folder(name))
    values, parts = model.predict(image).values, model._method.parts
    task = torch.tensor([[np.sin(1.0), np.sin(0.0), np.cos(1.0), np.cos(0.0)]], dtype=torch.float32)
    with torch.inference_mode():
        latent = parts.vae.encode(torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 127.5 - 1).latent_dist.mean
        latent = latent * 0.18215
        if "-g-" in name:
            latent = torch.cat([latent, torch.randn(1, 4, 5, 8, generator=torch.Generator().manual_seed(42))], 1)
        clean = parts.unet(latent, 999, parts.text, class_labels=task).sample
        colours = (parts.vae.decode(clean / 0.18215).sample[0] / 2 + 0.5).clamp(0, 1)
    rows = np.floor((np.arange(44) + 0.5) * 40 / 44).astype(int)
    expected = colours.mean(0).numpy()[rows]
    assert colours.shape[1:] == (40, 64) and np.ptp(expected) > 0.1
    assert np.abs(values - expected).max() < 1e-5
    assert model.info.output is (Output.DISPARITY if "disparity" in name else Output.DEPTH)


def test_empty_prompt_is_two_tokens(folder: Callable[[str], Path]) -> None:
    name = "lotus-d-v1.0"
    parts = read_components(folder(name), ROWS[name].files, torch.device("cpu"), torch.float32)
    assert parts.text.shape == (1, 2, tiny.WIDTH), "start and end of text, not padded"


# --- which way round


def _module() -> Any:
    module: Any = torch.nn.Module()
    module.dtype, module.device = torch.float32, torch.device("cpu")
    return module


class _Known:
    """Networks that are a known function: the latent is the image's brightness, the clean latent that of the image."""

    def __init__(self, answer: float) -> None:
        self.unet, self.vae = _module(), _module()
        self.unet.config = SimpleNamespace(in_channels=8)
        self.unet.forward = lambda latent, *_, **__: (answer * latent[:, :4],)
        self.vae.encode, self.vae.decode = self._encode, self._decode
        self.vae.config = SimpleNamespace(latent_channels=4, scaling_factor=1.0, block_out_channels=(1, 1, 1, 1))

    @staticmethod
    def _encode(image: torch.Tensor) -> Any:
        latent = functional.avg_pool2d(image.mean(1, keepdim=True), 8).repeat(1, 4, 1, 1)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latent))

    @staticmethod
    def _decode(latent: torch.Tensor, **_: Any) -> Any:
        return (latent[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3),)

    def parts(self, **scheduler: Any) -> Components:
        base = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
        base |= {"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", "clip_sample": False}
        return Components(self.unet, self.vae, torch.zeros(1, 2, 4), {**base, **scheduler}, {})


@pytest.mark.parametrize("kind", ["marigold", "e2e-ft", "lotus-g", "lotus-d"])
def test_a_ramp_comes_out_the_right_way_round(kind: str) -> None:
    """A clean latent of 1 is far for depth, near for disparity: no method turns it round or offsets it."""
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 32, 0).repeat(3, 2)
    method: Any
    if kind == "marigold":
        zero_snr = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
        method = Marigold(_Known(-1.0).parts(**zero_snr), Output.DEPTH, 1, 1, seed=0, processing_resolution=64)
    elif kind == "e2e-ft":
        method = EndToEndFineTuned(_Known(-1.0).parts(), 64)
    else:
        method = Lotus(_Known(1.0).parts(), 64, seed=0 if kind == "lotus-g" else None)
    with torch.inference_mode():
        values = method(ramp)[0, 0].numpy()
    assert values.shape == (32, 64)
    assert np.corrcoef(values.ravel(), ramp[:, :, 0].ravel())[0, 1] > 0.98
    assert np.abs(values - ramp[:, :, 0] / 255).max() < 0.12  # latents are 8 px wide


# --- any image


@pytest.mark.parametrize("name", ["marigold-v1.1", "lotus-d-v1.0", "marigold-e2e-ft"])
@pytest.mark.parametrize("resolution", [64, 0])
def test_any_size_and_aspect_ratio(name: str, resolution: int, folder: Callable[[str], Path]) -> None:
    few = {"steps": 1, "ensemble": 1} if name.startswith("marigold-v") else {}
    model = build(name, folder(name), **few, processing_resolution=resolution)
    for height, width in ((1, 1), (1, 300), (300, 2), (9, 23)):
        image = picture(height, width)
        values = model.predict(image).values
        assert values.shape == (height, width) and values.dtype == np.float32
        assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1
    turned = image[::-1, ::-1]
    assert (model.predict(turned).values == model.predict(turned.copy()).values).all(), "views are as good as copies"


@pytest.mark.parametrize(
    ("shape", "resolution", "size", "by_the_rule"),
    [
        ((480, 640), 768, (576, 768), True),
        ((4032, 6048), 756, (504, 756), True),
        ((376, 1241), 0, (376, 1241), True),
        ((1, 1), 768, (768, 768), True),
        ((1, 1), 0, (8, 8), False),
        ((2, 2000), 768, (8, 768), False),
    ],
)
def test_processing_size(shape: tuple[int, int], resolution: int, size: tuple[int, int], by_the_rule: bool) -> None:
    assert processing_size(*shape, resolution) == (size, by_the_rule)


def test_bfloat16_is_near_float32(folder: Callable[[str], Path]) -> None:
    name = "marigold-v1.1"
    image = picture(40, 64)
    exact = build(name, folder(name), steps=1, ensemble=3).predict(image).values
    settings = {**SMALL, "steps": 1, "ensemble": 3}
    half = load(ROWS[name], checkpoint=folder(name), device="cpu", precision="bf16", settings=settings)
    values = half.predict(image).values
    assert half.info.settings["precision"] == "bf16"
    assert np.abs(values - exact).max() > 0
    assert np.corrcoef(values.ravel(), exact.ravel())[0, 1] > 0.95


def test_no_image_and_closed_model(folder: Callable[[str], Path]) -> None:
    model = build("lotus-d-v1.0", folder("lotus-d-v1.0"))
    wrong: list[Any] = [np.zeros((4, 4)), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8), None]
    for image in wrong:
        with pytest.raises(ImageError):
            model.predict(image)
    model.close()
    with pytest.raises(ModelError, match="was closed"):
        model.predict(picture(4, 4))


# --- own weights


def test_fine_tuned_folder_as_todays_libraries_save_it(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """safetensors instead of .bin, one tokenizer.json instead of vocabulary and merges."""
    from diffusers import AutoencoderKL
    from transformers import CLIPTokenizer

    name = "marigold-lcm-v1.0"
    own = copied(folder(name), tmp_path)
    vae = AutoencoderKL.from_pretrained(own / "vae", use_safetensors=False, low_cpu_mem_usage=False)
    tokenizer = CLIPTokenizer.from_pretrained(own / "tokenizer")
    for file in [own / "vae/diffusion_pytorch_model.bin", *(own / "tokenizer").iterdir()]:
        file.unlink()
    vae.save_pretrained(own / "vae")
    tokenizer.save_pretrained(own / "tokenizer")
    assert (own / "vae/diffusion_pytorch_model.safetensors").is_file()
    assert (own / "tokenizer/tokenizer.json").is_file() and not (own / "tokenizer/vocab.json").is_file()
    model = build(name, own, steps=1, ensemble=1)
    theirs = build(name, folder(name), steps=1, ensemble=1)
    image = picture(20, 30)
    assert (model.predict(image).values == theirs.predict(image).values).all()
    assert model.info.licence is None and model.info.source == str(own)
    assert any("not the catalogued ones" in note for note in model.info.notes)


def _without(state: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != key}


def _drop_key(path: Path, key: str) -> None:
    from safetensors.torch import load_file, save_file

    save_file(_without(load_file(path), key), path, metadata={"format": "pt"})


UNET = "unet/diffusion_pytorch_model.safetensors"
BREAKS: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "missing file": ("marigold-v1.1", lambda f: (f / "vae/config.json").unlink(), r"has no vae/config\.json"),
    "missing weights": ("lotus-d-v1.0", lambda f: (f / UNET).unlink(), r"has no unet/diffusion_pytorch_model"),
    "missing key of the U-Net": (
        "lotus-d-v1.0",
        lambda f: _drop_key(f / UNET, "conv_out.bias"),
        r"unet: the weights do not fit .* lacks conv_out\.bias",
    ),
    "missing key of the text encoder": (
        "marigold-e2e-ft",
        lambda f: _drop_key(f / "text_encoder/model.safetensors", "text_model.final_layer_norm.bias"),
        r"text_encoder: the weights do not fit .* lacks .*final_layer_norm\.bias",
    ),
    "truncated weights": (
        "lotus-d-v1.0",
        lambda f: (f / UNET).write_bytes((f / UNET).read_bytes()[:1000]),
        r"unet cannot be loaded as a UNet2DConditionModel",
    ),
    "weights of another size": (
        "marigold-e2e-ft",
        lambda f: edited(f / "unet/config.json", block_out_channels=[16, 16]),
        r"unet cannot be loaded as a UNet2DConditionModel",
    ),
    "another class": (
        "lotus-d-v1.0",
        lambda f: edited(f / "vae/config.json", _class_name="AutoencoderTiny"),
        r"vae/config\.json describes a AutoencoderTiny, not a AutoencoderKL",
    ),
    "no JSON": (
        "lotus-d-v1.0",
        lambda f: (f / "unet/config.json").write_text("{"),
        r"unet/config\.json cannot be read as JSON",
    ),
    "no tokenizer": (
        "marigold-e2e-ft",
        lambda f: (f / "tokenizer/vocab.json").write_text("[]"),
        r"tokenizer cannot be loaded as a CLIPTokenizer",
    ),
    "wrong output": (
        "marigold-v1.1",
        lambda f: edited(f / "model_index.json", prediction_type="disparity"),
        r"the model predicts disparity; marigold-v1\.1 predicts depth",
    ),
    "unknown scheduler": (
        "marigold-v1.1",
        lambda f: edited(f / "scheduler/scheduler_config.json", _class_name="PNDMScheduler"),
        r"names PNDMScheduler; Marigold runs with DDIMScheduler or LCMScheduler",
    ),
    "scheduler of a distilled model": (
        "marigold-e2e-ft",
        lambda f: edited(f / "scheduler/scheduler_config.json", _class_name="LCMScheduler"),
        r"names LCMScheduler, not DDIMScheduler",
    ),
}


@pytest.mark.parametrize(("name", "spoil", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_one_clear_sentence(
    name: str,
    spoil: Callable[[Path], Any],
    message: str,
    folder: Callable[[str], Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    own = copied(folder(name), tmp_path)
    spoil(own)
    capfd.readouterr()
    with pytest.raises(CheckpointError, match=message) as caught:
        build(name, own)
    assert "\n" not in caught.value.message and caught.value.hint
    assert capfd.readouterr().err == "", "the libraries' own warnings are not shown beside it"


@pytest.mark.parametrize(
    ("name", "other", "message"),
    [
        ("marigold-v1.1", "lotus-d-v1.0", r"in_channels is 4, not 8"),
        ("marigold-e2e-ft", "lotus-g-v1.0", r"class_embed_type is projection, not None"),
        ("lotus-d-v1.0", "lotus-g-v1.0", r"in_channels is 8, not 4"),
        ("lotus-g-v1.0", "marigold-v1.1", r"class_embed_type is None, not projection"),
    ],
)
def test_wrong_layout(name: str, other: str, message: str, folder: Callable[[str], Path], tmp_path: Path) -> None:
    own = copied(folder(other), tmp_path)
    with pytest.raises(CheckpointError, match=message) as caught:
        build(name, own)
    assert caught.value.message.startswith(f"{name}: ") and caught.value.hint


def test_wrong_options_are_found_before_a_download(hub: Any) -> None:
    wrong: list[dict[str, Any]] = [
        {"input_size": 518},
        {"compile": "on"},
        {"compile": "perhaps"},
        {"device": "tpu"},
        {"precision": "fp8"},
        {"precision": "fp16", "device": "cpu"},
        {"settings": {"steps": 0}},
        {"settings": {"ensemble": "0"}},
        {"settings": {"seed": -1}},
        {"settings": {"processing_resolution": 4}},
        {"settings": {"guidance": 3}},
    ]
    for options in wrong:
        with pytest.raises(UsageError):
            model_zoo.load("marigold-v1.1", **options)
    assert hub.log == []


@pytest.mark.parametrize("name", list(ROWS))
def test_rows(name: str) -> None:
    row = ROWS[name]
    assert row.file in row.files and len(set(row.files)) == len(row.files)
    assert row.licence and row.sources and row.paper and row.requires == ("diffusers", "transformers")
    assert row.output is (Output.DISPARITY if name.endswith("-disparity") else Output.DEPTH)
    assert ("seed" in row.settable) == (row.options["method"] in ("marigold", "lotus-g"))


def test_parameters_are_those_of_stable_diffusion_2() -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    task = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 4}
    kinds: dict[str, dict[str, Any]] = {
        "marigold-v1.1": {"in_channels": 8},
        "stable-diffusion-e2e-ft": {"in_channels": 8},
        "lotus-g-v1.0": {"in_channels": 8, **task},
        "lotus-d-v1.0": {"in_channels": 4, **task},
    }
    with torch.device("meta"):
        vae: Any = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
        )
        for name, kind in kinds.items():
            unet: Any = UNet2DConditionModel(
                attention_head_dim=(5, 10, 20, 20), cross_attention_dim=1024, use_linear_projection=True, **kind
            )
            counted = sum(p.numel() for network in (unet, vae) for p in network.parameters())
            assert ROWS[name].parameters == counted, name
