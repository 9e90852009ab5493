"""The files of a transformers model, read strictly: a parameter that a file lacks is an error, never a random start."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from dabench.errors import CheckpointError, DabenchError, ModelError
from dabench.types import ModelEntry
from model_zoo.snapshot import WeightFolder

from .predictor import Rule


def find_class(entry: ModelEntry) -> Any:
    """The class of the row's ``architecture``. Raises ModelError where this transformers has none of that name."""
    import transformers

    name = entry.options["architecture"]
    try:
        return getattr(transformers, name)
    except AttributeError as error:
        raise ModelError(
            f"model '{entry.name}': transformers {transformers.__version__} has no {name}",
            hint="pip install --upgrade transformers",
        ) from error


def load_network(entry: ModelEntry, architecture: Any, folder: WeightFolder, rule: Rule) -> tuple[Any, list[str]]:
    """The network with its weights, and the names in the file that it has no use for."""
    path = folder.path
    _check_config(path / "config.json", architecture)
    with _quiet(), _explained(path, f"cannot be loaded as {architecture.__name__}"):
        config = architecture.config_class.from_pretrained(path, local_files_only=True)
        for key, value in entry.options.get("config", {}).items():
            setattr(config, key, value)
        if rule.needs and not getattr(config, rule.needs, False):
            raise CheckpointError(
                f"{path / 'config.json'} says {rule.needs}: false, without which the map is not in metres",
                hint="give the files of the full model",
            )
        network, report = architecture.from_pretrained(
            path,
            config=config,
            local_files_only=True,
            use_safetensors=str(entry.file).endswith(".safetensors"),
            output_loading_info=True,
        )
    missing = sorted(key for key in report["missing_keys"] if not re.fullmatch(rule.unread, key))
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise CheckpointError(
            f"{path / str(entry.file)} lacks {', '.join(missing[:3])}{more}",
            hint="the file is incomplete, or belongs to another model",
        )
    for key, value in network.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all() and not re.fullmatch(rule.unread, key):
            raise CheckpointError(f"{path / str(entry.file)}: {key} holds NaN or infinity", hint="the file is damaged")
    return network.float().eval().requires_grad_(False), sorted(report["unexpected_keys"])


def _check_config(path: Path, architecture: Any) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.get("architectures") or [content["model_type"]]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} is no configuration of a model", hint="fetch the file again") from error
    if architecture.__name__ not in found and found != [architecture.config_class.model_type]:
        raise CheckpointError(
            f"{path} is of {', '.join(map(str, found))}, the model is {architecture.__name__}",
            hint="choose the model that the files belong to, or the files of this model",
        )


def load_processor(path: Path, settings: dict[str, Any]) -> Any:
    """The image processor of a folder, with ``settings`` in place of those of the file."""
    from transformers import AutoImageProcessor

    with _quiet(), _explained(path / "preprocessor_config.json", "is no configuration of an image processor"):
        return AutoImageProcessor.from_pretrained(path, local_files_only=True, **settings)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from reporting on standard error what is checked, and said, here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    """Turn whatever the library raises into one CheckpointError; its exceptions have no common type."""
    try:
        yield
    except DabenchError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path} {what}: {reason}", hint="the files are damaged, or of another model") from error
