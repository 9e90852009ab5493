"""docs/protocols.md says what the protocol files say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from dabench import protocols

ROOT = Path(__file__).resolve().parents[2]
BUILDER = runpy.run_path(str(ROOT / "docs" / "build_protocols.py"))
PAGE = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    assert BUILDER["page"]() == PAGE, "run python docs/build_protocols.py"


def test_every_protocol_has_a_section_and_its_numbers() -> None:
    headings = re.findall(r"^### (\S+)$", PAGE, flags=re.MULTILINE)
    assert sorted(headings) == sorted(protocols.all_protocols())
    sections = dict(zip(headings, re.split(r"^### \S+$", PAGE, flags=re.MULTILINE)[1:], strict=True))
    for protocol in protocols.all_protocols().values():
        text = sections[protocol.id]
        assert all(source in text for source in protocol.sources)
        for entry in protocol.expected:
            assert f"`{entry.model}`" in text and f"{entry.metric} {entry.value:.5g}" in text and entry.by in text


def test_links_lead_to_sections() -> None:
    anchors = {re.sub(r"[^a-z0-9-]", "", name) for name in re.findall(r"^### (\S+)$", PAGE, flags=re.MULTILINE)}
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert len(links) > len(anchors) and set(links) <= anchors
