"""The plain reference of the official computation, and networks with random weights that share its state."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from model_zoo.depth_anything_v2.config import CONFIGS, DepthAnythingV2Config
from model_zoo.depth_anything_v2.model import DepthAnythingV2

REFERENCE = Path(__file__).resolve().parents[2] / "benchmarks" / "official_reference.py"


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, 2))
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def official() -> ModuleType:
    """benchmarks/official_reference.py, which shares no code with the package."""
    spec = importlib.util.spec_from_file_location("official_reference", REFERENCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def reference_size(official: ModuleType, config: DepthAnythingV2Config) -> object:
    """The reference's description of `config`, for sizes that the official repository lacks."""
    hidden = config.embed_dim * 8 // 3 if config.mlp == "swiglu" else None
    return official.Size(
        config.embed_dim,
        config.depth,
        config.num_heads,
        config.taps,
        config.features,
        config.out_channels,
        hidden,
        config.table_size,
    )


def network_of(state: dict[str, torch.Tensor], config: DepthAnythingV2Config) -> DepthAnythingV2:
    """Our network with an official state, whose never-used tensors are the only ones left over."""
    with torch.device("meta"):
        network = DepthAnythingV2(config)
    left_over = network.load_state_dict({k: v.clone() for k, v in state.items()}, strict=False, assign=True)
    assert not left_over.missing_keys
    assert len(left_over.unexpected_keys) == 5
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def small_state(official: ModuleType) -> dict[str, torch.Tensor]:
    return official.random_state(official.SIZES["vits"])


@pytest.fixture(scope="session")
def small(small_state: dict[str, torch.Tensor]) -> DepthAnythingV2:
    return network_of(small_state, CONFIGS["small"])


@pytest.fixture(scope="session")
def tiny_state(official: ModuleType) -> dict[str, torch.Tensor]:
    return official.random_state(reference_size(official, CONFIGS["tiny"]), seed=3)


@pytest.fixture(scope="session")
def tiny(tiny_state: dict[str, torch.Tensor]) -> DepthAnythingV2:
    return network_of(tiny_state, CONFIGS["tiny"])


@pytest.fixture
def make_network():  # type: ignore[no-untyped-def]
    return network_of


@pytest.fixture
def make_size():  # type: ignore[no-untyped-def]
    return reference_size
