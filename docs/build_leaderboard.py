"""Regenerate results/LEADERBOARD.md and results/site/index.html from results/measured and the published tables.

python docs/build_leaderboard.py            write both
python docs/build_leaderboard.py --check    fail when one of them is stale
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dabench.cli.leaderboard import licences
from dabench.reporting.expected import published
from dabench.reporting.leaderboard.build import board
from dabench.reporting.leaderboard.site import html
from dabench.reporting.leaderboard.text import markdown
from dabench.reporting.loaded import find_records

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
HEADING = "dabench leaderboard"


def pages() -> dict[Path, str]:
    """The generated files and what they should hold."""
    tables = board(find_records([RESULTS / "measured"]), published(), licences=licences())
    return {
        RESULTS / "LEADERBOARD.md": markdown(tables, heading=HEADING),
        RESULTS / "site" / "index.html": html(tables, heading=HEADING),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare the files with the records")
    check = parser.parse_args().check
    stale = False
    for path, text in pages().items():
        if check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                sys.stderr.write(f"{path.relative_to(ROOT)} is stale; run python docs/build_leaderboard.py\n")
                stale = True
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
