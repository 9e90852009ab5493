"""docs/models.md says what the catalogue says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from dabench.types import ModelEntry
from model_zoo.catalog import FAMILIES, entries

ROOT = Path(__file__).resolve().parents[2]
BUILDER = runpy.run_path(str(ROOT / "docs" / "build_models.py"))
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
LINES = {match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)` \|.*$", PAGE, flags=re.MULTILINE)}


def test_the_page_is_up_to_date() -> None:
    assert BUILDER["page"]() == PAGE, "run python docs/build_models.py"


def test_every_family_says_what_is_done_to_an_image() -> None:
    for family in FAMILIES:
        title, rule = BUILDER["SECTIONS"][family.__name__.rpartition(".")[2]]
        assert f"\n## {title}\n" in PAGE
        assert rule or all(entry.status == "published-only" for entry in family.entries())


def said_of(entry: ModelEntry) -> str:
    return LINES[entry.name]


def test_every_model_has_its_line() -> None:
    for entry in entries():
        line = said_of(entry)
        assert f"| {entry.output} |" in line
        assert (entry.licence or "") in line and ("**NC**" in line) == entry.non_commercial
        if entry.status == "published-only":
            assert str(entry.reason) in line
        elif entry.status == "downloadable":
            assert entry.summary in line and str(entry.source) in line
            unknown = "not pinned" if "environment" in entry.options else "pinned on first use"
            assert (entry.sha256[:12] if entry.sha256 else f"SHA-256 {unknown}") in line
            assert (entry.revision[:12] if entry.revision else f"revision {unknown}") in line
        for key in entry.settable:
            assert f"`-o {key}=`" in PAGE
        assert not entry.extra or f"pip install 'dabench[{entry.extra}]'" in PAGE
        assert "environment" not in entry.options or f"dabench setup {entry.options['environment']}\n" in PAGE


def test_the_page_is_the_same_every_time() -> None:
    assert BUILDER["page"]() == BUILDER["page"]()
    assert not re.search(r"/(work|tmp|home|root)/", PAGE)
