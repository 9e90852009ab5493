"""Tables 2, 3, 4 and 14 of Depth Anything V2 (arXiv 2406.09414) as they are printed, and your models below them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dabench.errors import UsageError
from dabench.reporting.expected import PublishedNumber
from dabench.reporting.leaderboard.build import DATASETS, measured_row, merged, published_rows
from dabench.reporting.leaderboard.table import SCENES, Column, Row, Table
from dabench.reporting.loaded import Record

PAPER = "Depth Anything V2, arXiv 2406.09414"


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper.

    Attributes:
        title: what it shows.
        sources: the sources of its numbers, as the published tables name them.
        columns: in the order of print.
        protocols: for each dataset, the protocol under which a model of yours is added.
        note: what to know before comparing.
    """

    title: str
    sources: tuple[str, ...]
    columns: tuple[Column, ...]
    protocols: Mapping[str, str]
    note: str = ""


_IN_DOMAIN = ("delta1", "delta2", "delta3", "abs_rel", "rmse")
PAPER_TABLES: Mapping[str, PaperTable] = {
    "2": PaperTable(
        "Zero-shot relative depth estimation",
        (f"{PAPER}, Table 2",),
        tuple(Column(dataset, metric) for dataset in DATASETS[1:] for metric in ("abs_rel", "delta1")),
        {
            "KITTI": "kitti-dav2-table2@1", "NYU-D": "nyu-dav2-table2@1", "Sintel": "sintel-dav2-table2@1",
            "ETH3D": "eth3d-dav2-table2@1", "DIODE": "diode-dav2-table2@1",
        },
        "The authors released no evaluation code; the protocols are the best known recipes, found from the outside.",
    ),
    "3": PaperTable(
        "Pair accuracy on DA-2K",
        (f"{PAPER}, Table 3",),
        (Column("DA-2K", "accuracy"),),
        {"DA-2K": "da-2k@1"},
    ),
    "4": PaperTable(
        "Fine-tuned in-domain metric depth estimation",
        (f"{PAPER}, Table 4 (NYU-D half)", f"{PAPER}, Table 4 (KITTI half)"),
        (
            *(Column("NYU-D", metric) for metric in (*_IN_DOMAIN, "log10")),
            *(Column("KITTI", metric) for metric in (*_IN_DOMAIN, "rmse_log")),
        ),
        {"NYU-D": "nyu-zoedepth@1", "KITTI": "kitti-zoedepth@1"},
        "The paper fine-tunes and evaluates in the code of ZoeDepth, and cites the other rows; the released metric "
        "models are trained on other data and are not those of this table.",
    ),
    "14": PaperTable(
        "Pair accuracy on DA-2K by scene",
        (f"{PAPER}, Table 14",),
        (*(Column("DA-2K", "accuracy", scene) for scene in SCENES), Column("DA-2K", "accuracy")),
        {"DA-2K": "da-2k@1"},
    ),
}  # fmt: skip


def paper_table(name: str, numbers: Iterable[PublishedNumber], added: Sequence[Record] = ()) -> Table:
    """A table of the paper, in the order of print.

    Args:
        name: ``2``, ``3``, ``4`` or ``14``.
        numbers: published numbers; those of the table are chosen by their source.
        added: runs of your models; each model is one row below the printed ones.

    Raises:
        UsageError: there is no such table, or no added run is of one of its protocols.
    """
    if name not in PAPER_TABLES:
        raise UsageError(f"there is no paper table {name!r}", hint=f"one of {', '.join(PAPER_TABLES)}")
    paper = PAPER_TABLES[name]
    printed = [number for number in numbers if number.source in paper.sources]
    if not printed:
        raise UsageError(f"the published numbers hold nothing from {paper.sources[0]}")
    rows = _joined(published_rows(printed, {}))
    datasets = {protocol: dataset for dataset, protocol in paper.protocols.items()}
    fitting = [record for record in added if record.protocol_id in datasets]
    if added and not fitting:
        named = " ".join(f"-p {protocol}" for protocol in datasets)
        found = ", ".join(sorted({record.protocol_id for record in added}))
        raise UsageError(
            f"Table {name} takes runs under {', '.join(datasets)}; these are under {found}",
            hint=f"dabench eval -m MODEL {named} --data-root DIR --out OUT",
        )
    mine = merged([measured_row(record.model, record, datasets[record.protocol_id]) for record in fitting])
    mine = [replace(row, cells={c: cell for c, cell in row.cells.items() if c in paper.columns}) for row in mine]
    about = f"{PAPER}, Table {name}; values as printed." + (f" {paper.note}" if paper.note else "")
    return Table(f"table-{name}", f"Table {name}: {paper.title}", about, paper.protocols, paper.columns, rows + mine)


def _joined(rows: Sequence[Row]) -> list[Row]:
    """The halves of one printed row, which two sources hold, as one."""
    found: dict[str, Row] = {}
    for row in rows:
        first = found.get(row.model)
        found[row.model] = row if first is None else replace(
            first, cells={**first.cells, **row.cells}, source=f"{first.source}; {row.source}"
        )  # fmt: skip
    return list(found.values())
