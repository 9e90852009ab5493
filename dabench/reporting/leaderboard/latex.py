"""Tables as LaTeX, with booktabs, ready to paste."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from dabench.reporting.leaderboard.table import Column, Table, higher_is_better, mark, shown_cell, shown_interval
from dabench.reporting.leaderboard.table import shown_rank as rank_text

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "<": r"\textless{}", ">": r"\textgreater{}",
    "δ": r"$\delta$", "×": r"$\times$",
}  # fmt: skip
METRIC_TITLES = {"delta1": r"$\delta_1$", "delta2": r"$\delta_2$", "delta3": r"$\delta_3$"}


def escaped(text: str) -> str:
    """Text as LaTeX prints it: special characters escaped; of others, letters stay and the rest becomes ``?``."""
    return "".join(SPECIAL.get(c, c if c.isascii() or c.isalpha() else "?") for c in text)


def latex(tables: Sequence[Table], *, ranks: bool = True) -> str:
    """A ``table`` environment for each table. Needs ``\\usepackage{booktabs}``.

    The best value of a column is bold and the second underlined; measured rows stand below a rule, with their 95 %
    interval, and are marked by a dagger.
    """
    head = "% \\usepackage{booktabs}; bold: best, underlined: second; \\dagger: measured, with 95 % interval\n"
    return head + "\n".join(_one(table, ranks) for table in tables)


def _one(table: Table, ranks: bool) -> str:
    columns = table.shown
    best = {column: table.best(column) for column in columns}
    sized = any(row.parameters for row in table.rows)
    lead = 1 + ranks + sized
    names = ", ".join(dict.fromkeys(table.protocols.values()))
    caption = [f"{table.title}.", table.about, f"Protocol: {names}." if names and ranks else ""]
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escaped(' '.join(filter(None, caption)))}}}",
        rf"  \label{{tab:{table.key.replace('@', '-').replace('_', '-')}}}",
        rf"  \begin{{tabular}}{{{'r' * ranks}l{'r' * (len(columns) + sized)}}}",
        r"    \toprule",
    ]
    groups = [(name, len(list(members))) for name, members in groupby(columns, key=lambda c: c.dataset)]
    if len(groups) > 1:
        start, cells, rules = lead + 1, [""] * lead, []
        for name, width in groups:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(name)}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        lines += [f"    {' & '.join(cells)} \\\\", f"    {' '.join(rules)}"]
    titles = ["Rank"] * ranks + ["Model"] + ["Params (M)"] * sized + [_title(column) for column in columns]
    lines += [f"    {' & '.join(titles)} \\\\", r"    \midrule"]
    kind = table.rows[0].kind if table.rows else ""
    for row in table.rows:
        if (row.kind == "measured") != (kind == "measured"):
            lines.append(r"    \midrule")
        kind = row.kind
        name = escaped(row.model) + (r"$^\dagger$" if kind == "measured" else "")
        if row.unranked and kind == "measured":
            name += f" ({escaped(row.unranked)})"
        cells = [escaped(rank_text(row))] * ranks + [name]
        cells += [f"{row.parameters:.1f}" if row.parameters else "--"] * sized
        for column in columns:
            text = shown_cell(row, column) or "--"
            marked = mark(row, column, best[column])
            text = (
                rf"\textbf{{{text}}}" if marked == "best" else rf"\underline{{{text}}}" if marked == "second" else text
            )
            interval = shown_interval(row, column)
            cells.append(text + (rf" {{\scriptsize [{escaped(interval)}]}}" if interval else ""))
        lines.append(f"    {' & '.join(cells)} \\\\")
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""])


def _title(column: Column) -> str:
    if column.scene:
        return escaped(column.title)
    title = METRIC_TITLES.get(column.metric) or escaped(column.title)
    return title + (r" $\uparrow$" if higher_is_better(column.metric) else r" $\downarrow$")
