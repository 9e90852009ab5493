"""From a catalogue row to a model in another environment.

``entry.options`` say where and how:

- ``environment``: name of an environment (``dabench setup``), or the absolute path of an interpreter or environment;
- ``worker``: name of an adapter in ``workers/``, or the path of an adapter file of one's own;
- or, in place of both, ``command``: what to start instead, in any language, that speaks the protocol;
- ``env``: environment variables of the worker; ``precisions``: those it can run in (``fp32`` alone if not said);
- ``notes``: what a reader of its records needs to see; ``start_timeout``, ``load_timeout``, ``predict_timeout``:
  seconds, the last also from DABENCH_WORKER_TIMEOUT; ``max_restarts``.

All options go to the worker with the rest of the row.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dabench.errors import CheckpointError, ModelError, UsageError
from dabench.types import ModelEntry, ModelInfo

from .location import Environment, require
from .model import MAX_RESTARTS, SubprocessModel
from .process import WorkerProcess
from .recipe import find, names

Notify = Callable[[str], None]

WORKER = Path(__file__).with_name("worker.py")
ADAPTERS = Path(__file__).with_name("workers")
START_TIMEOUT = 120.0
LOAD_TIMEOUT = 4 * 3600.0
"""Seconds; a download of gigabytes is part of loading."""
PREDICT_TIMEOUT = 1800.0
"""Seconds; fifty steps of diffusion on a CPU are part of predicting."""


def load(
    entry: ModelEntry,
    *,
    checkpoint: Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    input_size: int | None = None,
    compile: str = "auto",
    settings: Mapping[str, Any] | None = None,
    notify: Notify | None = None,
) -> SubprocessModel:
    """Start the worker of a catalogue row and have it load the model.

    Args:
        entry: the catalogue row.
        checkpoint: weights to use instead of the catalogued ones, as the family's own package takes them.
        device: passed on; the worker's environment decides what ``auto`` is.
        precision: one of the row's ``precisions``.
        input_size: no model here takes one; those whose size can be set have an option for it.
        compile: ``auto`` or ``off``.
        settings: the row's settable options.
        notify: told about licences and what the worker says while it loads; standard error if None.

    Raises:
        UsageError: an option that this model cannot meet; found before anything is started.
        ModelError: the environment is not set up, or the model cannot be loaded in it.
        CheckpointError: the checkpoint does not exist, or the weights are not the catalogued ones.
    """
    _check_options(entry, precision, input_size, compile)
    if checkpoint is not None and not checkpoint.exists():
        raise CheckpointError(f"checkpoint {checkpoint} does not exist")
    command, env, notes = _command(entry)
    notify = notify or _to_stderr
    if entry.non_commercial and checkpoint is None:
        notify(f"{entry.name}: licence {entry.licence}: NON-COMMERCIAL use only")
    request = {
        "name": entry.name,
        "source": entry.source,
        "revision": entry.revision,
        "file": entry.file,
        "checkpoint": str(checkpoint.resolve()) if checkpoint is not None else None,
        "device": device,
        "precision": precision,
        "settings": dict(settings or {}),
        "options": dict(entry.options),
    }

    def start() -> WorkerProcess:
        timeout = float(entry.options.get("start_timeout", START_TIMEOUT))
        return WorkerProcess(entry.name, command, env=env, start_timeout=timeout, listener=notify)

    model = SubprocessModel(
        entry.name,
        entry.output,
        start,
        request,
        load_timeout=float(entry.options.get("load_timeout", LOAD_TIMEOUT)),
        predict_timeout=_predict_timeout(entry),
        max_restarts=int(entry.options.get("max_restarts", MAX_RESTARTS)),
    )
    try:
        model.info = _info(entry, model, checkpoint, request, notes)
    except BaseException:
        model.close()
        raise
    return model


def _check_options(entry: ModelEntry, precision: str, input_size: int | None, compile: str) -> None:
    precisions = tuple(entry.options.get("precisions", ("fp32",)))
    if precision not in precisions:
        raise UsageError(
            f"model '{entry.name}' does not run in precision '{precision}'", hint=f"choose {' or '.join(precisions)}"
        )
    if input_size is not None:
        options = ", ".join(entry.settable) or "it has none"
        raise UsageError(f"model '{entry.name}' takes no input size", hint=f"its options: {options}")
    if compile not in ("auto", "off"):
        raise UsageError(f"model '{entry.name}' is not compiled", hint="leave --compile out")


def _command(entry: ModelEntry) -> tuple[list[str], dict[str, str], tuple[str, ...]]:
    """What to start, the variables it is given, and what is to be noted of the environment."""
    options = entry.options
    env = {str(key): str(value) for key, value in options.get("env", {}).items()}
    if "command" in options:
        return [str(part) for part in options["command"]], env, ()
    for key in ("environment", "worker"):
        if key not in options:
            raise UsageError(
                f"model '{entry.name}': its options name no '{key}'",
                hint="options need 'environment' and 'worker', or 'command'",
            )
    environment = require(str(options["environment"]), entry.name)
    adapter = Path(str(options["worker"]))
    if not adapter.suffix:
        adapter = ADAPTERS / f"{adapter}.py"
    if not adapter.is_file():
        raise ModelError(f"model '{entry.name}': its worker {adapter} does not exist")
    # -P would keep the script's folder off the search path, but is new in Python 3.11; worker.py does it itself.
    command = [str(environment.python), str(WORKER), str(adapter.resolve())]
    return command, {**environment.env(), **env}, _environment_notes(environment)


def _environment_notes(environment: Environment) -> tuple[str, ...]:
    if environment.adopted:
        return (f"run in an environment of the user's own ({environment.name}), whose packages are not pinned here",)
    if environment.name in names() and find(environment.name).sha256 != environment.recipe_sha256:
        return (f"the environment '{environment.name}' was made from an earlier list of packages",)
    return ()


def _info(
    entry: ModelEntry,
    model: SubprocessModel,
    checkpoint: Path | None,
    request: Mapping[str, Any],
    environment_notes: tuple[str, ...],
) -> ModelInfo:
    """What the record says: the row, and what the worker knows of itself."""
    loaded = model.loaded
    sha256 = loaded.get("weights_sha256")
    official = checkpoint is None or (sha256 is not None and sha256 == entry.sha256)
    if checkpoint is None and entry.sha256 and sha256 and sha256 != entry.sha256:
        raise CheckpointError(
            f"{entry.name}: the weights in its environment are not the catalogued ones: "
            f"SHA-256 {sha256}, expected {entry.sha256}",
            hint=f"delete {loaded.get('source')} from its cache, so that it is downloaded again",
        )
    notes = [*map(str, entry.options.get("notes", ())), *environment_notes, *map(str, loaded.get("notes", ()))]
    if not official and checkpoint is not None:
        notes.insert(0, f"weights given by the user ({checkpoint.name}), not the catalogued ones of {entry.name}")
    elif entry.non_commercial:
        notes.insert(0, f"the weights are licensed {entry.licence}: non-commercial use only")
    if official and sha256 and not entry.sha256:
        notes.append("no checksum of the weights is catalogued; they are what the family's own package downloaded")
    versions = {
        "python": model.greeting.get("python"),
        "numpy": model.greeting.get("numpy"),
        **dict(loaded.get("versions", {})),
    }
    return replace(
        model.info,
        weights_sha256=sha256,
        parameters=entry.parameters if entry.parameters and official else loaded.get("parameters"),
        licence=entry.licence if official else None,
        source=loaded.get("source") or (str(checkpoint) if checkpoint is not None else entry.source),
        settings={
            **request["settings"],
            "precision": request["precision"],
            **dict(loaded.get("settings", {})),
            "versions": {name: version for name, version in versions.items() if version},
        },
        notes=tuple(notes),
    )


def _predict_timeout(entry: ModelEntry) -> float:
    given = os.environ.get("DABENCH_WORKER_TIMEOUT")
    if not given:
        return float(entry.options.get("predict_timeout", PREDICT_TIMEOUT))
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise UsageError(f"DABENCH_WORKER_TIMEOUT={given} is not a number of seconds")
    return seconds


def _to_stderr(message: str) -> None:
    sys.stderr.write(message + "\n")
