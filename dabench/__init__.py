"""dabench: evaluation and benchmarking of monocular depth estimation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Output", "Prediction", "__version__", "evaluate", "evaluate_many"]

if TYPE_CHECKING:
    from dabench.evaluate import evaluate, evaluate_many
    from dabench.types import Output, Prediction

_LAZY = {
    "evaluate": "dabench.evaluate",
    "evaluate_many": "dabench.evaluate",
    "Output": "dabench.types",
    "Prediction": "dabench.types",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        value = globals()[name] = getattr(importlib.import_module(_LAZY[name]), name)
        return value
    raise AttributeError(f"module 'dabench' has no attribute '{name}'")
