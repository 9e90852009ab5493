"""The dry run's numbers against the paper, torch's own counters, and sets on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.training.cost import (
    activation_bytes,
    encoder_flops,
    forward_flops,
    head_flops,
    training_flops,
)
from model_zoo.depth_anything_v2.training.estimate import estimate, memory_of
from model_zoo.depth_anything_v2.training.network import TrainedNetwork, widen_last
from model_zoo.depth_anything_v2.training.recipe import available_recipes, load_recipe


def on_meta(name: str) -> DepthAnythingV2:
    with torch.device("meta"):
        return DepthAnythingV2(CONFIGS[name])


@pytest.mark.parametrize("recipe", ["paper-student-small", "paper-student-base", "paper-student-large"])
def test_students_see_their_images_one_and_a_half_times(recipe: str) -> None:
    """192 x 480,000 over the 62 million of arXiv 2406.09414, section 7.1; table 7 adds to 62.3 million."""
    found = estimate(load_recipe(recipe), None)
    assert found.samples == 92_160_000 and found.images == 62_000_000 and found.images_from == "stated"
    assert found.passes is not None and round(found.passes, 2) == 1.49
    assert sum(count.images for count in found.sets) == 62_300_000


def test_the_teacher_sees_its_images_seventeen_times() -> None:
    """64 x 160,000 over 595,000; table 7 adds to 604,000."""
    found = estimate(load_recipe("paper-teacher-giant"), None)
    assert found.samples == 10_240_000 and found.images == 595_000
    assert found.passes is not None and round(found.passes, 1) == 17.2
    assert found.steps_per_pass == pytest.approx(595_000 / 64)
    assert sum(count.images for count in found.sets) == 604_000


@pytest.mark.parametrize(
    ("name", "parameters", "published"),
    [("small", 24.8e6, 115e9), ("base", 97.5e6, 381e9), ("large", 335.3e6, 1304e9), ("giant", 1258e6, 4534e9)],
)
def test_flops_and_parameters_of_the_official_sizes(name: str, parameters: float, published: float) -> None:
    """Against a count of the official code at 518x518, which also computes what is never used."""
    assert forward_flops(CONFIGS[name], (518, 518)) == pytest.approx(published, rel=0.02)
    assert sum(p.numel() for p in on_meta(name).parameters()) == pytest.approx(parameters, rel=0.01)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("tiny", (112, 154)),
        ("small", (518, 518)),
        ("small", (14, 14)),
        ("base", (126, 182)),
        ("large", (392, 518)),
        pytest.param("giant", (98, 14), marks=pytest.mark.slow),
    ],
)
def test_flops_are_those_that_torch_counts(name: str, size: tuple[int, int]) -> None:
    model, images = on_meta(name), torch.empty(2, 3, *size, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as whole:
        model(images)
    with torch.no_grad(), FlopCounterMode(display=False) as encoder:
        model.pretrained(images)
    config = CONFIGS[name]
    assert 2 * encoder_flops(config, size) == encoder.get_total_flops()
    assert 2 * forward_flops(config, size) == whole.get_total_flops()
    assert head_flops(config, size) == forward_flops(config, size) - encoder_flops(config, size)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_flops_are_those_that_torch_counts(checkpointing: bool) -> None:
    """Forward and backward on a real small network. Images need no gradient, and what a block computes
    last is not computed again, so a bit less.
    """
    model, config, size = DepthAnythingV2(CONFIGS["tiny"]).train(), CONFIGS["tiny"], (56, 84)
    model.pretrained.set_grad_checkpointing(checkpointing)
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(1, 3, *size)).sum().backward()
    assert counter.get_total_flops() == pytest.approx(
        training_flops(config, size, checkpointing=checkpointing), rel=0.04
    )


def test_a_frozen_encoder_adds_a_forward_pass() -> None:
    config, size = CONFIGS["small"], (518, 518)
    added = training_flops(config, size, frozen_encoder=True) - training_flops(config, size)
    assert added == encoder_flops(config, size)


def saved_bytes(name: str, size: tuple[int, int], images: int, *, half: bool, checkpointing: bool) -> int:
    """Bytes of tensors that autograd keeps, parameters left out, on fake tensors (nothing is computed)."""
    network = on_meta(name)
    with FakeTensorMode(allow_non_fake_inputs=True):
        network = network.to_empty(device="cpu").train()
        widen_last(network)
        network.pretrained.set_grad_checkpointing(checkpointing)
        seen = {p.untyped_storage()._cdata: p.untyped_storage() for p in network.parameters()}
        total = 0

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal total
            storage = tensor.untyped_storage()
            if storage._cdata not in seen:
                seen[storage._cdata] = storage
                total += storage.nbytes()
            return tensor

        model = TrainedNetwork(network, "bf16" if half else "fp32")
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model(torch.empty(images, 3, *size))
    return total


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize(
    ("name", "size"),
    [("tiny", (112, 154)), ("small", (518, 518)), pytest.param("giant", (98, 98), marks=pytest.mark.slow)],
)
def test_activations_are_those_that_autograd_keeps(name: str, size: tuple[int, int], half: bool) -> None:
    """Of the second image of a batch, so that copies of weights do not count."""
    one, two = (saved_bytes(name, size, n, half=half, checkpointing=False) for n in (1, 2))
    assert activation_bytes(CONFIGS[name], size, half=half) == pytest.approx(two - one, rel=0.1)


def test_checkpointing_keeps_what_autograd_keeps_and_one_block_more() -> None:
    name, size = "small", (518, 518)
    one, two = (saved_bytes(name, size, n, half=True, checkpointing=True) for n in (1, 2))
    estimated = activation_bytes(CONFIGS[name], size, half=True, checkpointing=True)
    assert two - one < estimated < 1.5 * (two - one)
    assert estimated < 0.5 * activation_bytes(CONFIGS[name], size, half=True)


def test_memory_of_the_optimisers() -> None:
    adamw = memory_of(load_recipe("mini", ["optim.optimiser=adamw", "optim.ema=none"]))
    assert adamw.weights == adamw.gradients == 4 * 3_998_113
    assert adamw.optimiser == 2 * adamw.weights and adamw.average == 0 and adamw.frozen_encoder == 0
    muon = memory_of(load_recipe("mini"))
    assert muon.weights < muon.optimiser < adamw.optimiser and muon.average == muon.weights
    assert muon.total == sum(
        (muon.weights, muon.gradients, muon.optimiser, muon.average, muon.half_copies, muon.activations)
    )


def test_memory_is_shared_out() -> None:
    teacher = load_recipe("paper-teacher-giant")
    alone, many = memory_of(teacher), memory_of(teacher, 16)
    assert many.optimiser == alone.optimiser // 16 and many.activations == alone.activations // 16
    assert alone.optimiser == 2 * 4 * estimate(teacher, None).parameters
    ddp = memory_of(load_recipe("paper-teacher-giant", ["run.shard=ddp"]), 16)
    assert ddp.optimiser == alone.optimiser and ddp.activations == many.activations
    pieces = memory_of(load_recipe("paper-teacher-giant", ["run.accumulate=4"]), 16)
    assert pieces.activations == many.activations // 4
    student = memory_of(load_recipe("paper-student-small"))
    assert student.frozen_encoder == 4 * sum(p.numel() for p in on_meta("small").pretrained.parameters())


def test_labels_of_the_paper_take_46_terabytes() -> None:
    """2 bytes x 518 x 710 pixels x 62.3 million."""
    found = estimate(load_recipe("paper-student-small"), None)
    assert found.label_bytes == pytest.approx(2 * 518 * 710 * 62.3e6, rel=0.01)
    assert estimate(load_recipe("paper-teacher-giant"), None).label_bytes is None


def test_time_is_work_over_speed() -> None:
    recipe = load_recipe("paper-student-small")
    assert estimate(recipe, None).seconds is None
    found = estimate(recipe, None, processes=8, tflops=300)
    assert found.seconds == pytest.approx(found.total_flops / 2.4e15)


@pytest.mark.parametrize("name", available_recipes())
def test_every_recipe_can_be_estimated_without_data(name: str, tmp_path: Path) -> None:
    found = estimate(load_recipe(name), tmp_path, processes=2)
    assert found.steps > 0 and found.memory.total > 4 * found.parameters and found.total_flops > 0
    for count in found.sets:
        assert count.found is None and count.state == ("to be made" if count.choice.generate else "missing")
        assert (count.choice.root in count.problem) == (count.state == "missing")


def test_sets_on_disk_are_counted(tmp_path: Path, write_rendered_set: Callable[[Path, Sequence[int]], None]) -> None:
    recipe = load_recipe("mini", ["data.sets.0.repeat=3", "data.batch=4", "run.steps=10"])
    write_rendered_set(tmp_path / "mini" / "sketches-0", range(40))
    half = estimate(recipe, tmp_path)
    assert [count.state for count in half.sets] == ["incomplete", "to be made"] and half.images_from == "expected"
    write_rendered_set(tmp_path / "mini" / "sketches-1", range(100, 120))
    full = estimate(recipe, tmp_path)
    images = [count.found for count in full.sets]
    assert full.images_from == "found" and None not in images and 0 < (images[1] or 0) <= 20 < (images[0] or 0) <= 40
    assert full.images == 3 * (images[0] or 0) + (images[1] or 0)
    assert full.passes == pytest.approx(40 / full.images)


def test_a_damaged_set_is_an_answer(tmp_path: Path) -> None:
    folder = tmp_path / "mini" / "sketches-0"
    folder.mkdir(parents=True)
    count = estimate(load_recipe("mini"), tmp_path).sets[0]
    assert count.state == "missing" and "sketches-0" in count.problem and count.images == 600


def test_the_docs_have_these_costs() -> None:
    """The table of docs/training.md, section Cost, as its command prints it."""
    docs = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    for name in ("paper-teacher-giant", *(f"paper-student-{size}" for size in ("small", "base", "large"))):
        found = estimate(load_recipe(name), None, processes=64, tflops=300)
        hours = (found.seconds or 0) * found.processes / 3600
        row = (
            f"| `{name}` | {found.samples:,} | {found.training_flops / 1e9:,.0f} | {found.total_flops / 1e18:.3g} "
            f"| {hours:.3g} | {found.memory.total / 1e9:.3g} |"
        )
        assert row in docs
