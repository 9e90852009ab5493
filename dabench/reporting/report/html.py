"""Pieces of the page. Every text that comes from a record is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from dabench.reporting.report.style import CSS, SCRIPT

__all__ = ["bullets", "definitions", "document", "escape", "note", "panel", "paragraph", "section", "slider", "table"]


def paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind!r}' if kind else ''}>{escape(text)}</p>"


def note(text: str, command: str = "") -> str:
    """Something that the reader should not miss, with the command that changes it."""
    way_out = f"<br><code>{escape(command)}</code>" if command else ""
    return f'<div class="note">{escape(text)}{way_out}</div>'


def bullets(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def definitions(entries: Iterable[tuple[str, object]]) -> str:
    """Names and values; empty values are left out."""
    kept = [(name, value) for name, value in entries if value not in (None, "", (), [], {})]
    return "<dl>" + "".join(f"<dt>{escape(n)}</dt><dd>{escape(str(v))}</dd>" for n, v in kept) + "</dl>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns but the first hold numbers."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}{' class=n' if at else ''}>{escape(cell)}</{tag}>" for at, cell in enumerate(row))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells(head, "th")}</tr></thead><tbody>{body}</tbody></table></div>'


def section(anchor: str, heading: str, *parts: str) -> str:
    return f'<section id="{anchor}"><h2>{escape(heading)}</h2>{"".join(parts)}</section>'


def panel(label: str, picture: str, words: str, over: str = "", below: str = "") -> str:
    """One picture with its label on top and its colour bar below."""
    return (
        f'<div class="panel"><span>{escape(label)}</span><div class="pic">'
        f'<img src="{picture}" alt="{escape(words, quote=True)}" loading="lazy">{over}</div>{below}</div>'
    )


def slider(left: tuple[str, str], right: tuple[str, str], words: str, over: str = "") -> str:
    """Two pictures of the same size in one place; the edge between them follows the pointer or the arrow keys.

    Args:
        left, right: name and picture.
    """
    return (
        f'<div class="slider"><img src="{right[1]}" alt="{escape(f"{words}, {right[0]}", quote=True)}">'
        f'<div class="over"><img src="{left[1]}" alt="{escape(f"{words}, {left[0]}", quote=True)}"></div>{over}'
        f'<i class="edge"></i><em class="l">{escape(left[0])}</em><em class="r">{escape(right[0])}</em>'
        f'<input type="range" min="0" max="100" value="50" aria-label="'
        f'{escape(f"edge between {left[0]} and {right[0]}", quote=True)}"></div>'
    )


def document(title: str, lead: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """The whole page.

    Args:
        lead: what stands above the list of sections.
        sections: anchor, heading and content of each.
    """
    links = "".join(f'<a href="#{anchor}">{escape(heading)}</a>' for anchor, heading, _ in sections)
    body = "".join(section(anchor, heading, content) for anchor, heading, content in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n<body><header>{lead}</header>"
        f'<nav aria-label="sections">{links}</nav>\n<main>{body}</main><script>{SCRIPT}</script></body></html>\n'
    )
