"""The network equals the official computation, and transformers', to 1e-5 of the output range.

The official side is a plain reference (`benchmarks/official_reference.py`) or transformers; both the trainable network
and the arranged inference copy are held to it.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.encoder import resample_table
from model_zoo.depth_anything_v2.huggingface import to_official
from model_zoo.depth_anything_v2.inference import InferenceNetwork
from model_zoo.depth_anything_v2.model import DepthAnythingV2

CPU = torch.device("cpu")
SIZES = [(518, 518), (518, 686), (686, 518), (392, 518)]
WIDE = (112, 1722)
"""Few rows: what goes wrong there goes wrong by columns."""
LIMIT = 1e-5


def images(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(height * width))


def relative_error(ours: Tensor, reference: Tensor) -> float:
    """Largest difference over the reference's range; a dead or constant reference fails."""
    assert ours.shape == reference.shape and ours.dtype == torch.float32
    spread = (reference.max() - reference.min()).item()
    assert reference.std() > 0.02 * spread > 0, "the reference output is dead or constant"
    return (ours - reference).abs().max().item() / spread


@torch.no_grad()
def check_both(official: ModuleType, state: dict[str, Tensor], size: Any, network: DepthAnythingV2, x: Tensor) -> None:
    expected = official.predict(state, size, x, network.config.max_depth)
    assert relative_error(InferenceNetwork(network, CPU)(x), expected) <= LIMIT
    if x.shape[-2] <= 392:  # the larger sizes take the same path; time is better spent elsewhere
        assert relative_error(network(x), expected) <= LIMIT


@pytest.mark.parametrize("size", SIZES)
def test_small_equals_official(
    official: ModuleType, small_state: dict[str, Tensor], small: DepthAnythingV2, size: tuple[int, int]
) -> None:
    check_both(official, small_state, official.SIZES["vits"], small, images(*size))


@pytest.mark.slow
def test_small_equals_official_at_a_wide_size(
    official: ModuleType, small_state: dict[str, Tensor], small: DepthAnythingV2
) -> None:
    """1722 px loses a column of patches without the offset of 0.1."""
    check_both(official, small_state, official.SIZES["vits"], small, images(*WIDE))


@pytest.fixture(scope="module")
def base_state(official: ModuleType) -> dict[str, Tensor]:
    return official.random_state(official.SIZES["vitb"], seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("size", [SIZES[0], SIZES[3]])
def test_base_equals_official(
    official: ModuleType, base_state: dict[str, Tensor], make_network: Any, size: tuple[int, int]
) -> None:
    network = make_network(base_state, CONFIGS["base"])
    check_both(official, base_state, official.SIZES["vitb"], network, images(*size))


@pytest.mark.slow
def test_large_equals_official(official: ModuleType, make_network: Any) -> None:
    size = official.SIZES["vitl"]
    state = official.random_state(size, seed=2)
    check_both(official, state, size, make_network(state, CONFIGS["large"]), images(126, 168))


@pytest.mark.slow
def test_giant_with_few_blocks_equals_official(official: ModuleType, make_network: Any) -> None:
    """Its real widths, four blocks: the order of the SwiGLU halves is what could be wrong."""
    size = replace(official.SIZES["vitg"], blocks=4, taps=(0, 1, 2, 3))
    state = official.random_state(size, seed=4)
    network = make_network(state, replace(CONFIGS["giant"], depth=4, taps=(0, 1, 2, 3)))
    check_both(official, state, size, network, images(70, 98))


@pytest.fixture(scope="module")
def gated_config() -> Any:
    return replace(CONFIGS["tiny"], embed_dim=96, depth=4, mlp="swiglu", taps=(0, 1, 2, 3))


def test_swiglu_equals_official(official: ModuleType, make_network: Any, make_size: Any, gated_config: Any) -> None:
    size = make_size(official, gated_config)
    state = official.random_state(size, seed=5)
    network = make_network(state, gated_config)
    x = images(70, 98)
    check_both(official, state, size, network, x)
    swapped = {k: torch.cat(v.chunk(2)[::-1]) if ".w12." in k else v for k, v in state.items()}
    assert relative_error(official.predict(swapped, size, x), official.predict(state, size, x)) > 100 * LIMIT


@pytest.mark.parametrize("max_depth", [20.0, 80.0])
def test_metric_head_equals_official(
    official: ModuleType, tiny_state: dict[str, Tensor], make_network: Any, make_size: Any, max_depth: float
) -> None:
    config = CONFIGS["tiny"].metric(max_depth)
    bias = "depth_head.scratch.output_conv2.2.bias"
    state = {**tiny_state, bias: tiny_state[bias] - 2.5}  # around zero, so that the sigmoid does not saturate
    network = make_network(state, config)
    x = images(126, 168)
    check_both(official, state, make_size(official, config), network, x)
    assert network(x).min() >= 0 and network(x).max() <= max_depth


def test_batch_equals_single_images(tiny: DepthAnythingV2) -> None:
    run = InferenceNetwork(tiny, CPU)
    x = images(168, 224, batch=3)
    together = run(x)
    for index in range(3):
        assert relative_error(run(x[index : index + 1])[0], together[index]) <= LIMIT


def test_tables_are_resampled_once_per_size_and_bounded(tiny: DepthAnythingV2) -> None:
    run = InferenceNetwork(tiny, CPU)
    first = run.table((9, 12))
    assert run.table((9, 12)) is first
    for columns in range(1, 80):
        run.table((3, columns))
    assert len(run._tables) <= 32


@pytest.mark.parametrize("pixels", [546, 602, 1092, 1204, 1610, 1722])
def test_table_has_every_row_at_sizes_where_rounding_could_lose_one(official: ModuleType, pixels: int) -> None:
    table = official.random_state(official.Size(8, 0, 1, (), 8, (8, 8, 8, 8)))["pretrained.pos_embed"]
    side = pixels // 14
    ours = resample_table(table, 37, side)
    assert ours.shape == (1, 1 + 37 * side, 8)
    assert torch.equal(ours, official.positional_table(table, 37, side, 37))
    stretched = F.interpolate(table[:, 1:].reshape(1, 37, 37, 8).permute(0, 3, 1, 2), (37, side), mode="bicubic")
    assert (ours[:, 1:] - stretched.flatten(2).transpose(1, 2)).abs().max() > 1e-3, "the offset has no effect"


def test_compiled_graph_has_no_data_dependent_size(tiny: DepthAnythingV2) -> None:
    """For export the table is passed in as a constant, and the whole network is one graph."""
    x = images(126, 168)
    table = resample_table(tiny.pretrained.pos_embed, 9, 12)
    program = torch.export.export(tiny, (x, table))
    assert relative_error(program.module()(x, table), tiny(x)) <= LIMIT


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "published", "unused"),
    [
        ("small", 24_785_089, 74_240),
        ("base", 97_470_785, 295_936),
        ("large", 335_315_649, 1_181_184),
        ("giant", 1_258_132_225, 2_656_512),
    ],
)
def test_parameter_counts(official: ModuleType, name: str, published: int, unused: int) -> None:
    """The published count is ours plus what no forward pass reads: 2 F (9 F + 1) in a residual unit, and a mask."""
    config = CONFIGS[name]
    with torch.device("meta"):
        network = DepthAnythingV2(config)
    f = config.features
    assert unused == 2 * f * (9 * f + 1) + config.embed_dim
    assert sum(p.numel() for p in network.parameters()) == published - unused
    shapes = official.shapes(official.SIZES[config.encoder])
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == published
    ours = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    missing = shapes.keys() - ours.keys()
    assert ours == {key: shape for key, shape in shapes.items() if key not in missing}
    assert missing == {"pretrained.mask_token"} | {
        f"depth_head.scratch.refinenet4.resConfUnit1.{conv}.{kind}"
        for conv in ("conv1", "conv2")
        for kind in ("weight", "bias")
    }


def test_tiny_fits_the_package() -> None:
    with torch.device("meta"):
        network = DepthAnythingV2(CONFIGS["tiny"])
    assert sum(p.numel() for p in network.parameters()) <= 6_000_000


@pytest.mark.parametrize("name", ["small", "base", "large", "giant"])
def test_encoder_is_the_one_timm_builds(name: str) -> None:
    with torch.device("meta"):
        ours = DepthAnythingV2(CONFIGS[name]).pretrained
        theirs = timm.create_model(f"vit_{name}_patch14_dinov2", pretrained=False, num_classes=0)
    assert [(k, v.shape) for k, v in ours.named_parameters()] == [(k, v.shape) for k, v in theirs.named_parameters()]
    assert ours.norm.eps == theirs.norm.eps == 1e-6
    assert [type(m).__name__ for m in ours.blocks.modules()] == [type(m).__name__ for m in theirs.blocks.modules()]


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    network = DepthAnythingV2(CONFIGS["tiny"])
    network.depth_head.scratch.output_conv2[2].bias.data.fill_(1.0)
    network(images(126, 168)).mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_recomputing_blocks_gives_the_same_gradients(tiny_state: dict[str, Tensor], make_network: Any) -> None:
    grads = []
    for recompute in (False, True):
        network = make_network(tiny_state, CONFIGS["tiny"]).train().requires_grad_(True)
        network.pretrained.set_grad_checkpointing(recompute)
        network(images(56, 70)).mean().backward()
        grads.append(network.pretrained.pos_embed.grad)
    assert torch.allclose(grads[0], grads[1], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("size", [(500, 518), (518, 7)])
def test_sides_must_be_multiples_of_a_patch(tiny: DepthAnythingV2, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 14"):
        tiny(images(*size))


# --- transformers -----------------------------------------------------------------------------------------------------


def transformers_small() -> Any:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        image_size=518,
        patch_size=14,
        out_indices=[3, 6, 9, 12],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=384,
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
    )
    return DepthAnythingForDepthEstimation(config).eval()


def official_rule(embeddings: Any) -> Any:
    """transformers' method with the official rule, written apart from ours."""

    def interpolate(tokens: Tensor, height: int, width: int) -> Tensor:
        table = embeddings.position_embeddings
        rows, columns = height // 14, width // 14
        if rows == columns == 37:
            return table
        patches = table[:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
        factor = ((rows + 0.1) / 37, (columns + 0.1) / 37)
        patches = F.interpolate(patches, scale_factor=factor, mode="bicubic", align_corners=False)
        return torch.cat([table[:, :1], patches.flatten(2).transpose(1, 2)], dim=1)

    return interpolate


@pytest.fixture(scope="module")
def theirs(small_state: dict[str, Tensor]) -> Any:
    """transformers' model with the weights of `small_state`."""
    theirs = transformers_small()
    names = {key: to_official({key: value}) for key, value in theirs.state_dict().items()}
    for key, tensor in theirs.state_dict().items():
        source = small_state[next(iter(names[key]))]
        if source.shape != tensor.shape:  # query, key and value are thirds of one tensor
            source = source.chunk(3)["qkv".index(key.split("_proj")[0][-1])]
        tensor.copy_(source)
    return theirs


@torch.no_grad()
def test_small_equals_transformers(small: DepthAnythingV2, theirs: Any) -> None:
    x = images(518, 518)
    assert relative_error(InferenceNetwork(small, CPU)(x), theirs(x).predicted_depth) <= LIMIT


@torch.no_grad()
@pytest.mark.parametrize(
    "size", [(280, 378), *(pytest.param(size, marks=pytest.mark.slow) for size in [*SIZES[1:], WIDE])]
)
def test_small_equals_transformers_with_the_official_table(
    small: DepthAnythingV2, theirs: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = images(*size)
    ours = InferenceNetwork(small, CPU)(x)
    if size == (280, 378):
        assert relative_error(ours, theirs(x).predicted_depth) > 100 * LIMIT, "their own table rule should differ"
    embeddings = theirs.backbone.embeddings
    monkeypatch.setattr(embeddings, "interpolate_pos_encoding", official_rule(embeddings))
    assert relative_error(ours, theirs(x).predicted_depth) <= LIMIT
