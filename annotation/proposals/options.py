"""Settings of a proposal from the texts of a command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from dabench.errors import UnknownNameError, UsageError

from .settings import ProposalSettings


def read_settings(named: Mapping[str, Any], scenes: Sequence[str], options: Sequence[str]) -> ProposalSettings:
    """Settings from those that have an option of their own, ``SCENE=N`` texts, and ``NAME=VALUE`` texts.

    Raises:
        UsageError: a text that is malformed, a value that does not fit, or a setting given twice.
    """
    values: dict[str, Any] = dict(named)
    quotas: dict[str, int] = {}
    for text in scenes:
        name, _, number = text.rpartition("=")
        if not name or not number.isdecimal():
            raise UsageError(f"--scene {text} is not NAME=N", hint="for instance --scene indoor=100")
        if name in quotas:
            raise UsageError(f"--scene {name} is given twice")
        quotas[name] = int(number)
    values["scene_pairs"] = quotas
    for text in options:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--option {text} is not NAME=VALUE")
        if name not in ProposalSettings.__struct_fields__:
            raise UnknownNameError("setting of the proposal", name, ProposalSettings.__struct_fields__)
        if name in values:
            raise UsageError(f"--option {name} is given twice, or has an option of its own")
        values[name] = value.split(",") if name == "gap_edges" else None if value.lower() == "none" else value
    try:
        return msgspec.convert(values, ProposalSettings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"settings of the proposal: {error}") from error
