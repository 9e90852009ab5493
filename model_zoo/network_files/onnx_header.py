"""The outside of an ONNX file: its metadata and the files that hold its tensors, without loading any of them.

An ONNX file is one protocol-buffers message. Only field headers are read here and contents are skipped over, so that
a file of gigabytes costs nothing, and one that ends before its fields do is known to be cut short.

Source: onnx/onnx.proto (ModelProto, GraphProto, TensorProto, StringStringEntryProto); protocol-buffers wire format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dabench.errors import ModelError

IR_VERSION, GRAPH, METADATA = 1, 7, 14  # fields of ModelProto
INITIALIZER = 5  # of GraphProto
EXTERNAL_DATA = 13  # of TensorProto
KEY, VALUE = 1, 2  # of StringStringEntryProto
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_TEXT = 1 << 20


@dataclass(frozen=True)
class OnnxHeader:
    """What an ONNX file says of itself.

    Attributes:
        metadata: its ``metadata_props``.
        external: files beside it that hold tensors, as it names them.
    """

    metadata: Mapping[str, str]
    external: tuple[str, ...]


class _Malformed(Exception):
    """The bytes are not fields of a message."""


def read_header(path: Path) -> OnnxHeader:
    """Look at an ONNX file.

    Raises:
        ModelError: not an ONNX file, or one that is cut short.
    """
    metadata: dict[str, str] = {}
    external: dict[str, None] = {}
    seen: set[int] = set()
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            for field, end in _fields(stream, size):
                seen.add(field)
                if field == METADATA:
                    key, value = _entry(stream, end)
                    metadata[key] = value
                elif field == GRAPH:
                    external |= dict.fromkeys(_external(stream, end))
                stream.seek(end)
    except EOFError:
        if IR_VERSION in seen:
            raise ModelError(f"{path} is cut short: it ends before its network does", hint="get it again") from None
        raise ModelError(f"{path} is not an ONNX file") from None
    except _Malformed:
        raise ModelError(f"{path} is not an ONNX file, or a damaged one") from None
    if not {IR_VERSION, GRAPH} <= seen:
        raise ModelError(f"{path} is not an ONNX file: it holds no network")
    return OnnxHeader(metadata, tuple(external))


def _external(stream: BinaryIO, end: int) -> Iterator[str]:
    for field, tensor in _fields(stream, end):
        if field == INITIALIZER:
            for part, stop in _fields(stream, tensor):
                if part == EXTERNAL_DATA:
                    key, value = _entry(stream, stop)
                    if key == "location":
                        yield value
                stream.seek(stop)
        stream.seek(tensor)


def _entry(stream: BinaryIO, end: int) -> tuple[str, str]:
    texts = {KEY: "", VALUE: ""}
    for field, stop in _fields(stream, end):
        length = stop - stream.tell()
        if field in texts:
            if length > MAX_TEXT:
                raise _Malformed
            texts[field] = stream.read(length).decode("utf-8", "replace")
        stream.seek(stop)
    return texts[KEY], texts[VALUE]


def _fields(stream: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Number of each field up to ``end``, with the stream at its content, and where that ends.

    The caller leaves the stream at the end of the field.
    """
    while (start := stream.tell()) < end:
        tag = _varint(stream)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise _Malformed
        if kind == VARINT:
            _varint(stream)
            stop = stream.tell()
        elif kind == BYTES:
            length = _varint(stream)
            stop = stream.tell() + length
        elif kind in (FIXED64, FIXED32):
            stop = stream.tell() + (8 if kind == FIXED64 else 4)
        else:
            raise _Malformed
        if stop > end:
            raise EOFError
        yield number, stop
        if stream.tell() <= start:
            raise _Malformed


def _varint(stream: BinaryIO) -> int:
    value = 0
    for position in range(10):
        byte = stream.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 0x7F) << (7 * position)
        if byte[0] < 0x80:
            return value
    raise _Malformed
