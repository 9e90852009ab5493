"""Writes settings as TOML, which the standard library only reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

NOTHING = "none"
"""How recipes and `--set` write None, which TOML does not have."""


def to_toml(table: Mapping[str, Any]) -> str:
    """A TOML document. Tables of the top level become sections, lists of tables in them `[[section.name]]`."""
    return "\n".join(_toml(table)) + "\n"


def _toml(table: Mapping[str, Any]) -> Iterator[str]:
    """Lines of a TOML document: plain values, then tables, then the lists of tables that tables hold."""
    yield from (f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping))
    for name, section in table.items():
        if isinstance(section, Mapping):
            yield f"\n[{_key(name)}]"
            lists = {k: v for k, v in section.items() if isinstance(v, (list, tuple)) and v and isinstance(v[0], dict)}
            yield from (f"{_key(key)} = {_value(value)}" for key, value in section.items() if key not in lists)
            for key, items in lists.items():
                for item in items:
                    yield f"\n[[{_key(name)}.{_key(key)}]]"
                    yield from (f"{_key(k)} = {_value(v)}" for k, v in item.items())


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    if value is None:
        return f'"{NOTHING}"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value) if isinstance(value, float) else json.dumps(value)
