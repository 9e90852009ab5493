"""Tables of pairs and of answers, as CSV and Parquet, and tables of pairs read back.

The columns ``pa_*`` and ``pb_*`` are the two points in an order that is balanced over the answers, so that nobody who
reads the table inherits a constant answer.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dabench.errors import UsageError

from .reading import MOST_PAIRS, Found, ImportedPair, inside_path, read_bytes, read_text
from .released import Lettered

Row = dict[str, Any]
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Beginnings of a cell that a spreadsheet may run as a formula."""
PAIR_COLUMNS: Mapping[str, str] = {
    "id": "string", "image": "string", "image_sha256": "string", "scene": "string", "width": "int32",
    "height": "int32", "pa_row": "int32", "pa_col": "int32", "pb_row": "int32", "pb_col": "int32", "closer": "string",
    "layer_behind": "string", "route": "string", "stratum": "string", "probability": "float64", "gap": "float64",
    "score": "float64", "reason": "string", "pa_source": "string", "pb_source": "string", "answers": "int32",
    "agreeing": "int32",
}  # fmt: skip
RESPONSE_COLUMNS: Mapping[str, str] = {
    "response": "string", "pair": "string", "image": "string", "person": "string", "kind": "string",
    "relation": "string", "round": "int32", "shown": "string", "closer": "string", "confidence": "string",
    "reason": "string", "mode": "string", "received_at": "int64", "active_ms": "int64", "wall_ms": "int64",
    "late": "bool", "instructions_version": "int32",
}  # fmt: skip
NEEDED = ("image", "pa_row", "pa_col", "pb_row", "pb_col")
READ = {*NEEDED, "closer", "width", "height", "image_sha256", "scene"}


def pair_rows(pairs: Sequence[Lettered], images: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """One row a pair, with the columns of ``PAIR_COLUMNS``. ``images``: by SHA-256, with width and height."""
    rows = []
    for found in pairs:
        pair, image = found.pair, images[found.pair.image]
        relation = "front" if pair.layered else "closer"
        counts = pair.answers.get(relation, {})
        behind = pair.labels.get("back", "") if pair.layered else ""
        sources = pair.sources if found.a_is_first else pair.sources[::-1]
        rows.append(
            {
                "id": pair.id, "image": pair.key, "image_sha256": pair.image, "scene": pair.scene,
                "width": image["width"], "height": image["height"], "pa_row": found.first[0],
                "pa_col": found.first[1], "pb_row": found.second[0], "pb_col": found.second[1],
                "closer": found.closer, "layer_behind": found.letter(behind), "route": pair.route,
                "stratum": pair.stratum, "probability": pair.probability, "gap": pair.gap, "score": pair.score,
                "reason": pair.reason, "pa_source": sources[0], "pb_source": sources[1],
                "answers": sum(counts.values()), "agreeing": counts.get(pair.closer, 0),
            }
        )  # fmt: skip
    return rows


def escaped(value: Any) -> Any:
    """A cell for CSV: None as an empty one, and an apostrophe before text that a spreadsheet could run."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    return f"'{value}" if isinstance(value, str) and value.startswith((*DANGEROUS, "'")) else value


def unescaped(cell: str) -> str:
    """The inverse of :func:`escaped` on text."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith((*DANGEROUS, "'")) else cell


def csv_bytes(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    """Rows as CSV: UTF-8, a header, line feeds, cells escaped against formulas."""
    lines = [columns, *([escaped(row.get(name)) for name in columns] for row in rows)]
    return "".join(f"{','.join(map(_quoted, cells))}\n" for cells in lines).encode()


def _quoted(cell: Any) -> str:
    """A cell in quotes where it needs them. Python's own writer leaves a lone carriage return bare."""
    text = str(cell)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def parquet_bytes(rows: Sequence[Row], columns: Mapping[str, str]) -> bytes:
    """Rows as Parquet with the given column types. Raises UsageError where pyarrow is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise UsageError("Parquet needs pyarrow", hint="pip install 'dabench[annotate]'") from error
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    table = pa.table({name: [row.get(name) for row in rows] for name in columns}, schema=schema)
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def read(path: Path) -> Found:
    """Pairs of a ``pairs.csv`` or ``pairs.parquet``.

    Needed columns: ``image``, ``pa_row``, ``pa_col``, ``pb_row``, ``pb_col`` (whole pixels from 0). ``closer`` is
    ``A``, ``B``, ``equal`` or empty; ``width``, ``height`` and ``image_sha256`` are checked against the image; all
    other columns are kept.
    """
    parquet = path.suffix.lower() == ".parquet"
    rows, start = (_parquet_rows(path), 1) if parquet else (_csv_rows(path), 2)
    found = Found()
    if rows and (absent := [name for name in NEEDED if name not in rows[0]]):
        found.faults.append(f"has no column {', '.join(absent)}")
        return found
    for number, row in enumerate(rows, start=start):
        found.add(_pair(f"row {number}", row))
    return found


def _pair(place: str, row: Row) -> ImportedPair | str:
    if None in row:
        return f"{place}: has more cells than the header has columns"
    whole: dict[str, int] = {}
    for name in ("pa_row", "pa_col", "pb_row", "pb_col", "width", "height"):
        value = row.get(name)
        if value in (None, "") and name not in NEEDED:
            continue
        try:
            whole[name] = int(str(value))
        except ValueError:
            return f"{place}: {name} must be a whole number, got {value!r}"
        if whole[name] < 0:
            return f"{place}: {name} is {value}, below 0"
    if reason := inside_path(row.get("image")):
        return f"{place}: image {row['image']!r} {reason}"
    closer = row.get("closer") or ""
    labels = {"A": "a", "B": "b", "equal": "equal", "": None}
    if closer not in labels:
        return f"{place}: closer must be A, B, equal or empty, got {closer!r}"
    size = (whole["height"], whole["width"]) if {"height", "width"} <= set(whole) else None
    rest = {name: value for name, value in row.items() if name not in READ and value not in (None, "")}
    return ImportedPair(
        place, str(row["image"]), (whole["pa_row"], whole["pa_col"]), (whole["pb_row"], whole["pb_col"]),
        labels[closer], size=size, sha256=str(row.get("image_sha256") or ""), scene=str(row.get("scene") or ""),
        more={"table": rest} if rest else {},
    )  # fmt: skip


def _csv_rows(path: Path) -> list[Row]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise UsageError(f"{path}: two columns have one name")
        rows: list[Row] = []
        for cells in reader:
            if not cells:
                continue
            if len(rows) == MOST_PAIRS:
                raise UsageError(f"{path} has more than {MOST_PAIRS} rows", hint="split it")
            row: Row = {**dict.fromkeys(header), **dict(zip(header, map(unescaped, cells), strict=False))}
            rows.append({**row, None: cells[len(header) :]} if len(cells) > len(header) else row)  # type: ignore[dict-item]
        return rows
    except csv.Error as error:
        raise UsageError(f"{path} line {reader.line_num}: {error}") from error


def _parquet_rows(path: Path) -> list[Row]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise UsageError("Parquet needs pyarrow", hint="pip install 'dabench[annotate]'") from error
    data = read_bytes(path)
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        if file.metadata.num_rows > MOST_PAIRS:
            raise UsageError(f"{path} has more than {MOST_PAIRS} rows", hint="split it")
        rows: list[Row] = file.read().to_pylist()
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise UsageError(f"{path} is not readable Parquet: {error}") from error
    return rows
