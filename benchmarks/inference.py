"""Speed of Depth Anything V2 inference: ours against the official structure, transformers, ONNX Runtime and OpenVINO.

    python benchmarks/inference.py [--encoder small] [--height 518] [--width 686] [--threads 2] [--rounds 7] [--compile]
        [--clock cpu]

All run the same random weights on the same input; every output is compared with the official computation before
anything is timed, and one that differs by more than 1e-5 of the range is marked. Rounds are interleaved and ratios are
taken within a round, so that other work on the machine hits all alike; medians over rounds are printed, relative to
transformers.
A contender whose package is missing is left out, loudly.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import official_reference
import torch
from torch import Tensor, nn

from model_zoo.depth_anything_v2.config import CONFIGS, PATCH_SIZE
from model_zoo.depth_anything_v2.encoder import resample_table
from model_zoo.depth_anything_v2.huggingface import to_official
from model_zoo.depth_anything_v2.inference import InferenceNetwork
from model_zoo.depth_anything_v2.model import DepthAnythingV2

Contender = Callable[[], Tensor]

LIMIT = 1e-5
"""Agreement asked for, relative to the output range."""


class Baked(nn.Module):
    """The network with the positional table of one size as a constant, for exporters."""

    def __init__(self, network: DepthAnythingV2, size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        table = network.pretrained.pos_embed
        assert table is not None
        self.register_buffer("table", resample_table(table, size[0] // PATCH_SIZE, size[1] // PATCH_SIZE))

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images, self.table)


def build_network(encoder: str, state: dict[str, Tensor]) -> DepthAnythingV2:
    network = DepthAnythingV2(CONFIGS[encoder])
    network.load_state_dict(state, strict=False)
    return network.eval().requires_grad_(False)


def transformers_contender(encoder: str, state: dict[str, Tensor], images: Tensor) -> Contender:
    """Eager, as a user gets it, but with the official positional table so that the outputs can be compared."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    config = CONFIGS[encoder]
    backbone = Dinov2Config(
        hidden_size=config.embed_dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.num_heads,
        image_size=config.input_size,
        patch_size=PATCH_SIZE,
        out_indices=[tap + 1 for tap in config.taps],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    model = DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=config.embed_dim,
            neck_hidden_sizes=list(config.out_channels),
            fusion_hidden_size=config.features,
        )
    ).eval()
    for key, tensor in model.state_dict().items():
        source = state[next(iter(to_official({key: tensor})))]
        if source.shape != tensor.shape:  # query, key and value are thirds of one tensor
            source = source.chunk(3)["qkv".index(key.split("_proj")[0][-1])]
        tensor.copy_(source)
    embeddings = model.backbone.embeddings
    embeddings.interpolate_pos_encoding = lambda _tokens, height, width: official_reference.positional_table(
        embeddings.position_embeddings, height // PATCH_SIZE, width // PATCH_SIZE, config.table_size
    )
    return lambda: model(images).predicted_depth


def compiled_contender(network: DepthAnythingV2, images: Tensor) -> Contender:
    baked = torch.compile(Baked(network, images.shape[-2:]), dynamic=False, options={"freezing": True})
    start = time.perf_counter()
    with torch.no_grad():
        baked(images)
    print(f"compiling took {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return lambda: baked(images)


def onnx_contender(network: DepthAnythingV2, images: Tensor, threads: int) -> Contender:
    import onnxruntime

    file = io.BytesIO()
    torch.onnx.export(
        Baked(network, images.shape[-2:]), (images,), file, input_names=["images"], opset_version=17, dynamo=False
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    feed = {"images": images.numpy()}
    return lambda: torch.from_numpy(session.run(None, feed)[0])


def openvino_contender(network: DepthAnythingV2, images: Tensor, threads: int) -> Contender:
    import openvino

    converted = openvino.convert_model(
        Baked(network, images.shape[-2:]), example_input=(images,), input=[tuple(images.shape)]
    )
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(converted, "CPU", options)
    array = images.numpy()
    return lambda: torch.from_numpy(np.array(compiled([array])[0]))


def contenders(arguments: argparse.Namespace, state: dict[str, Tensor], images: Tensor) -> dict[str, Contender]:
    """Name -> a call that gives the map [1, H, W]. What cannot be built is named on standard error."""
    network = build_network(arguments.encoder, state)
    size = official_reference.SIZES[CONFIGS[arguments.encoder].encoder]
    ours = InferenceNetwork(network, torch.device("cpu"))
    makers: dict[str, Callable[[], Contender]] = {
        "transformers eager": lambda: transformers_contender(arguments.encoder, state, images),
        "official structure": lambda: lambda: official_reference.predict(state, size, images),
        "ours, trainable": lambda: lambda: network(images),
        "ours, eager": lambda: lambda: ours(images),
        "ONNX Runtime": lambda: onnx_contender(network, images, arguments.threads),
        "OpenVINO": lambda: openvino_contender(network, images, arguments.threads),
    }
    if arguments.compile:
        makers["ours, compiled"] = lambda: compiled_contender(network, images)
    built = {}
    for name, make in makers.items():
        print(f"building: {name}", file=sys.stderr)
        try:
            built[name] = make()
        except ImportError as error:
            print(f"LEFT OUT: {name} ({error.name} is not installed)", file=sys.stderr)
    return built


def measure(calls: dict[str, Contender], rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds per call, one list a contender, in interleaved rounds after one warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}", file=sys.stderr)
        for name, call in calls.items():
            start = clock()
            call()
            if number:
                seconds[name].append(clock() - start)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", choices=["small", "base", "large"], default="small")
    parser.add_argument("--height", type=int, default=518)
    parser.add_argument("--width", type=int, default=686)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile", action="store_true", help="time torch.compile too (a minute or more to build)")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine, one thread")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(arguments.threads)
    size = official_reference.SIZES[CONFIGS[arguments.encoder].encoder]
    state = official_reference.random_state(size)
    images = torch.randn(1, 3, arguments.height, arguments.width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        calls = contenders(arguments, state, images)
        expected = official_reference.predict(state, size, images)
        spread = (expected.max() - expected.min()).item()
        errors = {name: (call() - expected).abs().max().item() / spread for name, call in calls.items()}
        clock = time.perf_counter if arguments.clock == "wall" else time.process_time
        seconds = measure(calls, arguments.rounds, clock)
    base = seconds.get("transformers eager", seconds["official structure"])
    rows = {}
    print(f"{arguments.encoder}, fp32, {arguments.height}x{arguments.width}, {arguments.threads} threads, ", end="")
    print(f"{arguments.clock} clock")
    print(f"{'':22}{'median s':>10}{'least s':>10}{'ratio':>8}{'difference':>12}")
    for name, times in seconds.items():
        ratio = statistics.median(mine / other for mine, other in zip(times, base, strict=True))
        rows[name] = {"median": statistics.median(times), "least": min(times), "ratio": ratio, "error": errors[name]}
        verdict = "" if errors[name] <= LIMIT else "  above the limit"
        print(f"{name:22}{rows[name]['median']:10.3f}{min(times):10.3f}{ratio:8.2f}{errors[name]:12.1e}{verdict}")
    if arguments.json:
        content = {"arguments": vars(arguments) | {"json": None}, "size": asdict(size), "rows": rows}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    return int(any(error > LIMIT for name, error in errors.items() if name.startswith("ours")))


if __name__ == "__main__":
    sys.exit(main())
