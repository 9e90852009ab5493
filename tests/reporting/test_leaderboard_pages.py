"""The HTML page and the LaTeX of a leaderboard: well formed, nothing from elsewhere, right for hostile names."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dabench.reporting.expected import published
from dabench.reporting.leaderboard.build import board
from dabench.reporting.leaderboard.charts import nice_ticks, scatter
from dabench.reporting.leaderboard.latex import escaped, latex
from dabench.reporting.leaderboard.paper import paper_table
from dabench.reporting.leaderboard.site import html
from dabench.reporting.leaderboard.table import Cell, Column, Row, Table
from dabench.reporting.loaded import find_records

ROOT = Path(__file__).resolve().parents[2]
MAY_STAY_OPEN = {"td", "th", "tr", "dt", "dd"}
VOID = {"meta", "link", "input"}


class Page(HTMLParser):
    """Elements with their attributes, text by element; complains about what is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert [tag for tag in self.stack if tag not in MAY_STAY_OPEN] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack[-1] != tag and self.stack[-1] in MAY_STAY_OPEN:
            self.stack.pop()
        assert self.stack and self.stack.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.stack:
            self.texts.setdefault(self.stack[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    return board(find_records([ROOT / "results" / "measured"]), published())


@pytest.fixture(scope="module")
def text(tables: list[Table]) -> str:
    return html(tables)


def test_the_page_is_well_formed_and_whole(text: str, tables: list[Table]) -> None:
    page = Page(text)
    sections = [attrs["id"] for attrs in page.all("section") if attrs.get("class") == "t"]
    assert sections == [table.key for table in tables]
    rows = [attrs for attrs in page.all("tr") if attrs.get("data-k")]
    assert len(rows) == sum(len(table.rows) for table in tables)
    assert {attrs["data-k"] for attrs in rows} == {"measured", "published", "reproduced"}
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {attrs["href"] for attrs in page.all("a")}
    assert links and {str(link).removeprefix("#") for link in links} <= set(ids), "every protocol's text is in the page"
    assert any(attrs.get("name") == "viewport" for attrs in page.all("meta"))


def test_each_row_has_a_cell_for_each_column(text: str) -> None:
    for table in re.findall(r"<table>.*?</table>", text, re.DOTALL):
        head, body = table.split("<tbody>")
        columns = head.rsplit("<tr>", 1)[1].count("<th")
        assert columns >= 4 and {row.count("<td") for row in body.split("<tr")[1:]} == {columns}


def test_nothing_comes_from_elsewhere(text: str) -> None:
    """No address, no inline handler or style attribute; what there is, the policy allows by its hash."""
    page = Page(text)
    for tag, attrs in page.elements:
        assert not {"src", "srcset", "action", "style", "srcdoc"} & attrs.keys(), tag
        assert not [name for name in attrs if name.startswith("on")], tag
        assert (attrs.get("href") or "#").startswith(("#", "data:,")), attrs
    assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttpRequest|innerHTML|eval\(", text)
    (policy,) = [attrs["content"] or "" for attrs in page.all("meta") if attrs.get("http-equiv")]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    for kind in ("style", "script"):
        (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_the_page_stays_small(text: str) -> None:
    assert len(text.encode()) < 320_000


def test_the_page_has_bars_and_charts(text: str) -> None:
    assert text.count("By scene:") >= 4
    assert "accuracy % against latency" in text and "KITTI: AbsRel against parameters" in text


def hostile() -> Table:
    column = Column("<d>", "accuracy")
    rows = [
        Row('<script>alert("x")</script>', "measured", {column: Cell(0.5, 0.4, 0.6)}, parameters=3.0, note='"><em>'),
        Row("a & b_{c} 50% #1 $x$ ~^\\", "published", {column: Cell(0.25)}, parameters=30.0, licence="<i>"),
    ]
    return Table("key&", "<title> & 100 %", "about <x>", {}, [column], rows)


def test_names_are_text() -> None:
    text = html([hostile()])
    Page(text)
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    assert text.count("<script>") == 1 and '"><em>' not in text and "<i>" not in text


@pytest.mark.parametrize("name", ["2", "3", "4", "14", "board", "hostile"])
def test_latex_is_balanced(name: str, tables: list[Table]) -> None:
    given = {"board": tables, "hostile": [hostile()]}.get(name) or [paper_table(name, published())]
    text = latex(given, ranks=name == "board")
    stack: list[str] = []
    for kind, environment in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            stack.append(environment)
        else:
            assert stack.pop() == environment
    assert stack == [] and text.count(r"\begin{tabular}") == len(given)
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if mark == "{" else -1
        assert depth >= 0
    assert depth == 0 and len(re.findall(r"(?<!\\)\$", text)) % 2 == 0
    for tabular in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        widths = set()
        for line in tabular[1].splitlines():
            if line.endswith(r"\\"):
                spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
                widths.add(len(re.findall(r"(?<!\\)&", line)) + 1 + sum(n - 1 for n in spans))
        assert widths == {len(tabular[0])}
        assert [len(re.findall(rf"\\{rule}", tabular[1])) for rule in ("toprule", "bottomrule")] == [1, 1]
    assert not re.search(r"(?<!\\)[#_](?![^{}]*\})", re.sub(r"\$[^$]*\$|^%.*$|\\label\{[^}]*\}", "", text, flags=re.M))


def test_latex_marks_the_best_and_the_second() -> None:
    text = latex([paper_table("3", published())], ranks=False)
    assert r"\textbf{97.4}" in text and r"\underline{97.1}" in text
    assert text.count(r"\textbf") == text.count(r"\underline") == 1


def test_latex_says_why_a_row_has_no_rank() -> None:
    column = Column("d", "abs_rel")
    rows = [
        Row("part_one", "measured", {column: Cell(0.01)}, unranked="coverage 99.00 %"),
        *(Row(name, "measured", {column: Cell(value)}, rank=(1, 2)) for name, value in (("a", 0.1), ("b", 0.2))),
    ]
    text = latex([Table("k", "t", "", {"d": "p@1"}, [column], rows)])
    assert r"- & part\_one$^\dagger$ (coverage 99.00 \%) & 0.010 \\" in text
    assert r"1--2 & a$^\dagger$ & \textbf{0.100} \\" in text and r"\caption{t. Protocol: p@1.}" in text


def test_latex_escapes() -> None:
    assert escaped("50 % & a_b {c} #1 $x$ ~ ^ \\ é 1–3") == (
        r"50 \% \& a\_b \{c\} \#1 \$x\$ \textasciitilde{} \textasciicircum{} \textbackslash{} é 1--3"
    )


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (85.8, 97.4), (0.5, 0.5), (0.0, 0.0), (1e-6, 2e-6), (3, 7e5)])
def test_ticks_span_the_values(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low + 1e-9 and ticks[-1] >= high - 1e-9 and ticks[0] < ticks[-1] and len(ticks) <= 8


def test_a_chart_stays_in_its_frame(tables: list[Table]) -> None:
    drawn = 0
    for table in tables:
        text = scatter(table, table.primary(table.datasets[0]), lambda row: row.parameters, "million parameters")
        for x, y in re.findall(r'cx="(-?\d+)" cy="(-?\d+)"', text):
            drawn += 1
            assert 44 <= int(x) <= 386 and 12 <= int(y) <= 206
    assert drawn > 50


def test_a_chart_needs_two_points_and_leaves_out_what_may_not_be_ranked() -> None:
    column = Column("d", "abs_rel")
    rows = [Row(str(i), "measured", {column: Cell(0.1 * i)}, parameters=10.0**i) for i in (1, 2)]
    partial = Row("p", "measured", {column: Cell(0.01)}, parameters=5.0, unranked="partial: 3 samples")
    table = Table("k", "t", "", {}, [column], [*rows, partial])
    assert scatter(table, column, lambda row: row.parameters, "x").count("<circle") == 2
    assert scatter(table, column, lambda row: row.seconds, "x") == ""
