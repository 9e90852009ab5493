"""Every set that has a builder, under every protocol of its dataset, in as few passes as can be."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dabench import protocols
from dabench.errors import DabenchError, DatasetError, UsageError
from dabench.evaluate import evaluate_many
from dabench.passes import setting_of
from dabench.protocols import Protocol
from dabench.types import MAP_OUTPUTS, Output

LIMIT = 2


def builders() -> ModuleType:
    """The builders of the readers' contract test."""
    name = "built_sets"
    if name not in sys.modules:
        folder = Path(__file__).parents[1] / "datasets" / "builders"
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None and spec.loader is not None
        # the builders call each other by the name that their own tests give them
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault("dataset_builders", module)
        spec.loader.exec_module(module)
    return sys.modules[name]


class Counting:
    """A plausible model: nearer at the bottom, with some texture. Counts what it was shown."""

    def __init__(self, output: Output) -> None:
        self.output, self.calls = output, 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.calls += 1
        height, width = image.shape[:2]
        disparity = np.linspace(1, 2, height)[:, None] + 0.1 * np.linspace(0, 1, width) + image[..., 0] / 1000.0
        return disparity if self.output is Output.DISPARITY else 10.0 / disparity


@pytest.mark.slow
@pytest.mark.parametrize("which", sorted(builders().modules()))
def test_all_protocols_of_a_set_are_scored_together(which: str, tmp_path: Path) -> None:
    module = builders().modules()[which]
    name = builders().dataset_of(module)
    chosen = {p.id: p for p in protocols.all_protocols().values() if p.dataset.name == name}
    assert chosen, f"no protocol scores {name}"
    (tmp_path / "set").mkdir()
    root = module.build(tmp_path / "set")
    scored: set[str] = set()
    absent: set[str] = set()
    for output in MAP_OUTPUTS:
        refused: dict[str, DabenchError] = {}

        def tell(protocol: Protocol, error: DabenchError, refused: dict[str, DabenchError] = refused) -> None:
            refused[protocol.id] = error

        model = Counting(output)
        options: dict[str, Any] = {"output": output, "name": str(output), "data_root": root, "limit": LIMIT}
        runs = evaluate_many(model, list(chosen.values()), out=tmp_path / "out", on_error=tell, **options)
        assert all(isinstance(error, UsageError | DatasetError) for error in refused.values()), refused
        absent |= {i for i, error in refused.items() if isinstance(error, DatasetError)}
        lines = [(chosen[run.summary["protocol"]["id"]], line) for run in runs for line in run.samples]
        for protocol, line in lines:
            scored.add(protocol.id)
            if line["status"] == "failed":
                assert "smaller than the KB crop" in line["error"], (protocol.id, line)
            elif line["n_valid"] > 1:  # one pixel has no spread
                assert all(isinstance(line[metric], float) for metric in protocol.metrics), (protocol.id, line)
        shown = {
            (line["id"], setting_of(protocol))
            for protocol, line in lines
            if line["status"] != "failed" or protocol.crop.image == "full"
        }
        assert model.calls == sum(1 + setting.flip for _, setting in shown), "once for each inference setting"
        before = model.calls
        again = evaluate_many(model, list(chosen.values()), out=tmp_path / "out", on_error=tell, **options)
        tried = {(line["id"], setting_of(p)) for p, line in lines if line["status"] == "failed"} & shown
        assert len(again) == len(runs) and model.calls == before + sum(1 + setting.flip for _, setting in tried)
    assert scored | absent == set(chosen), "every protocol scores some output"
