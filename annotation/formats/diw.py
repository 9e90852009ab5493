"""Depth in the Wild's CSV, read (Chen et al., NIPS 2016; princeton-vl/relative_depth, ``DataLoader_DIW.lua``).

Two lines an image: its path, and ``yA,xA,yB,xB,relation,width,height``. Coordinates count from 1, as Torch does;
relation ``>`` says that A is farther.
"""

from __future__ import annotations

from pathlib import Path

from .reading import MOST_PAIRS, Found, ImportedPair, inside_path, read_text

COORDINATE_BASE = 1


def read(path: Path, base: int = COORDINATE_BASE) -> Found:
    """Pairs of the file; points come back counted from 0.

    Args:
        base: 1, what the coordinates of the file count from; 0 for a file that was changed. It is recorded with each
            pair.
    """
    lines = read_text(path).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    found = Found(notes=[f"coordinates of the file count from {base}"])
    if len(lines) % 2:
        found.faults.append(f"has {len(lines)} lines; a record has two")
        return found
    if len(lines) // 2 > MOST_PAIRS:
        found.faults.append(f"has more than {MOST_PAIRS} records")
        return found
    for number in range(0, len(lines), 2):
        found.add(_record(f"line {number + 2}", lines[number].strip(), lines[number + 1].strip(), base))
    return found


def _record(place: str, name: str, line: str, base: int) -> ImportedPair | str:
    name = name.removeprefix("./")
    if reason := inside_path(name):
        return f"{place}: '{name}' {reason}"
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != 7:
        return f"{place}: has {len(cells)} columns, not yA,xA,yB,xB,relation,width,height"
    try:
        y_a, x_a, y_b, x_b, width, height = (int(cells[i]) for i in (0, 1, 2, 3, 5, 6))
    except ValueError:
        return f"{place}: has coordinates or sizes that are not whole numbers"
    if cells[4] not in ("<", ">"):
        return f"{place}: relation {cells[4]!r} is neither '<' nor '>'"
    if min(y_a, x_a, y_b, x_b) < base:
        return f"{place}: has a coordinate below {base}, from which this file is said to count"
    more = {"diw": {"path": name, "record": line, "base": base}}
    return ImportedPair(
        place, name, (y_a - base, x_a - base), (y_b - base, x_b - base), "b" if cells[4] == ">" else "a",
        size=(height, width), more=more,
    )  # fmt: skip
