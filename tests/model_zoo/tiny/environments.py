"""Models of other environments: a worker of this interpreter, with stand-ins for the families' own packages.

The stand-ins in ``upstream/packages`` have the published names and signatures, and give a known function of the
picture; ``upstream/numpy_torch`` stands in for torch, so that each of the many workers starts in a moment. The adapters
run for real; the weights come over the hub's own protocol.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from dabench.types import ModelEntry

FACTORIES = ("model_zoo.environments.factory:load",)

UPSTREAM = Path(__file__).with_name("upstream")
SCALE = 2.0


def publish(hub: Any, entry: ModelEntry, folder: Path) -> ModelEntry:
    """Offer the weights of ``entry`` on the hub, and return the row whose worker finds them."""
    commit = entry.revision or hashlib.sha1(entry.name.encode()).hexdigest()
    source, revision, content = str(entry.source), entry.revision, json.dumps({"scale": SCALE}).encode()
    file = entry.file or "unet/diffusion_pytorch_model.safetensors"
    if entry.options["worker"] == "metric3d":
        content = pickle.dumps({"model_state_dict": {"scale": SCALE}})
    elif entry.options["worker"] == "depthfm":
        content = pickle.dumps({"scale": SCALE})
        hub.add("depthfm", commit, file, content)
        source = f"{hub.url}/depthfm/resolve/main/{file}"
    else:
        revision = commit
    sha256 = hub.add(str(entry.source), commit, file, content)
    return replace(
        entry,
        source=source,
        revision=revision,
        sha256=sha256,
        parameters=None,
        options={
            **entry.options,
            "environment": sys.executable,
            "env": {
                "PYTHONPATH": os.pathsep.join(str(UPSTREAM / name) for name in ("numpy_torch", "packages")),
                "HF_ENDPOINT": hub.url,
                "HF_HUB_CACHE": str(folder / "cache"),
                "TORCH_HOME": str(folder / "torch"),
            },
        },
    )
