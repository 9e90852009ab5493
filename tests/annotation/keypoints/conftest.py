"""``networks.py`` is importable as ``keypoints_networks``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

_spec = importlib.util.spec_from_file_location("keypoints_networks", Path(__file__).parent / "networks.py")
assert _spec is not None and _spec.loader is not None
sys.modules["keypoints_networks"] = _module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def sam() -> Any:
    """One tiny network for all tests; it has no state."""
    pytest.importorskip("segment_anything")
    from keypoints_networks import tiny_sam

    return tiny_sam()
