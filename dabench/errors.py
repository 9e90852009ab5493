"""The exception tree of dabench.

DabenchError
├── UsageError            the call was wrong                          exit code 2
│   └── UnknownNameError  a model, dataset or protocol nobody registered
├── ProtocolError         a protocol file that does not validate      exit code 2
├── DatasetError          a dataset root that is absent or malformed  exit code 2
├── ModelError            a model that cannot be built or run         exit code 2
│   └── CheckpointError   a weight file that does not fit the model
├── DownloadError         a transfer that failed                      exit code 1
├── RecordError           run records that are damaged or disagree    exit code 2
└── SampleError           one sample failed; the run goes on          exit code 1
    └── ImageError        an image that cannot be decoded
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DabenchError(Exception):
    """Base of every error that dabench raises on purpose.

    Args:
        message: what is wrong, naming the file, field or option.
        hint: the way out, shown on its own line.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(DabenchError):
    """The call itself was wrong: an option, a name or a combination of them."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that no registry entry has; the message lists the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str | None = None) -> None:
        candidates = sorted(known)
        near = difflib.get_close_matches(name, candidates, n=3, cutoff=0.5)
        if near:
            suggestion = "did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
        else:
            suggestion = f"known: {', '.join(candidates)}" if candidates else "none are registered"
        super().__init__(f"unknown {kind} '{name}'", hint=hint or suggestion)
        self.kind = kind
        self.name = name
        self.near = near


class ProtocolError(DabenchError):
    """A protocol file that is malformed or contradicts itself."""

    exit_code = 2


class DatasetError(DabenchError):
    """A dataset root that is absent, incomplete or malformed; the message lists what is wrong."""

    exit_code = 2


class ModelError(DabenchError):
    """A model that cannot be built, or that returned something that is not a prediction."""

    exit_code = 2


class CheckpointError(ModelError):
    """A weight file that is absent, damaged, or belongs to another model."""


class DownloadError(DabenchError):
    """A transfer that failed, or whose content does not match its checksum."""


class RecordError(DabenchError):
    """Run records that are damaged, of an unknown schema, or of another run."""

    exit_code = 2


class SampleError(DabenchError):
    """One sample could not be scored. The run records it as failed and goes on."""


class ImageError(SampleError):
    """An image file that is missing, truncated or of an unsupported kind."""
