"""From records and published numbers to tables: one for each recipe, and never two recipes in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dabench.protocols import Protocol, all_protocols
from dabench.records import Json
from dabench.reporting.expected import RANGES, PublishedNumber
from dabench.reporting.leaderboard.ranking import ranked
from dabench.reporting.leaderboard.sample_ranks import sample_ranks
from dabench.reporting.leaderboard.table import SCENES, Cell, Column, Row, Table, ordered_columns
from dabench.reporting.loaded import Record
from dabench.reporting.speed import timed

DATASETS = ("DA-2K", "KITTI", "NYU-D", "Sintel", "ETH3D", "DIODE")
"""The names that papers give the datasets of dabench, in the order of Depth Anything V2, Table 2."""
DATASET_TITLES = {
    "da-2k": "DA-2K", "kitti": "KITTI", "nyu-d": "NYU-D", "sintel": "Sintel", "eth3d": "ETH3D", "diode": "DIODE",
}  # fmt: skip
LABEL_TITLES = {
    "da2k_pair_accuracy": "DA-2K pair accuracy",
    "da2k_pair_accuracy_per_scene": "DA-2K pair accuracy by scene",
    "rerun_da2k_pair_accuracy": "DA-2K pair accuracy, independent rerun",
    "dav2_table2_affine_inv_disparity": "Zero-shot relative depth, as in Depth Anything V2, Table 2",
    "marigold_affine_inv_depth_lsq": "Zero-shot relative depth, as in Marigold",
    "moge_affine_inv_disparity": "Zero-shot relative depth, as in MoGe (disparity)",
    "moge_affine_inv_depth": "Zero-shot relative depth, as in MoGe (depth)",
    "moge_scale_inv_depth": "Zero-shot scale-invariant depth, as in MoGe",
    "midas_readme_zero_shot": "Zero-shot relative depth, as in MiDaS",
    "nyu_in_domain_as_cited": "NYU-D in domain, as cited by later papers",
    "kitti_in_domain_as_cited": "KITTI in domain, as cited by later papers",
}
METRICS = (*RANGES, "irmse", "mae")
SHOWN_METRICS = 4
ABLATION = "_ablation_"


def board(
    records: Iterable[Record],
    numbers: Iterable[PublishedNumber] = (),
    *,
    licences: Mapping[str, str] | None = None,
    everything: bool = False,
) -> list[Table]:
    """The tables of a leaderboard.

    Args:
        records: runs; each stands in every table of its protocol, and in one of its own where no paper's is.
        numbers: published numbers; each label is a table.
        licences: of the weights, by name in the catalogue, for published rows.
        everything: with the tables of recipes that are none of our protocols, and with ablations.

    Returns:
        Tables with measured rows first, then those of the six datasets.
    """
    runs = _told_apart(list(records))
    labels: dict[str, list[PublishedNumber]] = {}
    for number in numbers:
        labels.setdefault(number.protocol_label, []).append(number)
    tables: list[Table] = []
    placed: set[int] = set()
    for label, printed in labels.items():
        protocols = {number.dataset: number.protocol for number in printed if number.protocol}
        names = {protocol: dataset for dataset, protocol in protocols.items()}
        if not everything and (not protocols or ABLATION in label):
            continue
        mine = [run for run in runs if run[1].protocol_id in names and ABLATION not in label and _current(run[1])]
        placed |= {id(record) for _, record in mine}
        rows = merged(
            [measured_row(name, record, names[record.protocol_id]) for name, record in mine]
        ) + published_rows(printed, licences or {})  # fmt: skip
        sources = list(dict.fromkeys(number.source for number in printed))
        shown_sources = "; ".join(sources[:3]) + (f"; and {len(sources) - 3} more" if len(sources) > 3 else "")
        title = LABEL_TITLES.get(label, label.replace("_", " "))
        tables.append(_table(label, title, f"Printed values from: {shown_sources}.", protocols, rows))
    alone: dict[tuple[str, str], list[tuple[str, Record]]] = {}
    for name, record in runs:
        if id(record) not in placed:
            alone.setdefault((record.protocol_id, record.protocol_sha256), []).append((name, record))
    for (protocol_id, sha256), mine in alone.items():
        recipe = mine[0][1].protocol
        current = _current(mine[0][1])
        dataset = DATASET_TITLES.get(recipe.dataset.name, recipe.dataset.name)
        rows = merged([measured_row(name, record, dataset) for name, record in mine])
        about = "" if current else (
            f"This text of {protocol_id} (SHA-256 {sha256[:12]}...) is not the one that dabench ships; its numbers "
            "stand apart."
        )  # fmt: skip
        key = protocol_id if current else f"{protocol_id}-{sha256[:12]}"
        tables.append(_table(key, recipe.title, about, {dataset: protocol_id} if current else {}, rows))
    by_name: dict[tuple[str, str], list[Record]] = {}
    for name, record in runs:
        by_name.setdefault((name, record.protocol_id), []).append(record)

    def rank(table: Table) -> Table:
        def compared(column: Column, rows: Sequence[Row]) -> list[tuple[float, float]] | None:
            protocol = table.protocols.get(column.dataset, "")
            found = [by_name.get((row.model, protocol), []) for row in rows]
            alone = all(len(records) == 1 for records in found)
            return sample_ranks([records[0] for records in found]) if alone else None

        return ranked(table, compared)

    return sorted(map(rank, tables), key=_place)


def _place(table: Table) -> tuple[bool, int, int, str]:
    measured = any(row.kind == "measured" for row in table.rows)
    known = list(LABEL_TITLES)
    first = min((DATASETS.index(name) for name in table.datasets if name in DATASETS), default=len(DATASETS))
    return not measured, known.index(table.key) if table.key in known else len(known), first, table.key


def _table(key: str, title: str, about: str, protocols: Mapping[str, str], rows: Sequence[Row]) -> Table:
    columns = {column for row in rows for column in row.cells}
    metrics = {row_column.metric for row_column in columns}
    order = [metric for metric in METRICS if metric in metrics] + sorted(metrics - set(METRICS))
    leading = _leading_metrics(rows)
    ordered = ordered_columns(columns, DATASETS, leading or order)
    for_page = {column for column in columns if column.shown}
    return Table(key, title, about, protocols, [replace(c, shown=c in for_page) for c in ordered], rows)


def _leading_metrics(rows: Sequence[Row]) -> list[str]:
    """The order of metrics of a protocol, where every row was measured under it."""
    if not rows or any(row.kind != "measured" for row in rows):
        return []
    return list(dict.fromkeys(column.metric for row in rows for column in row.cells if not column.scene))


def _current(record: Record) -> bool:
    """Whether a record was made under the text that dabench ships for its protocol."""
    shipped = all_protocols().get(record.protocol_id)
    return shipped is not None and shipped.sha256 == record.protocol_sha256


def _told_apart(records: Sequence[Record]) -> list[tuple[str, Record]]:
    """Records with the name to show: a model that was scored twice under one protocol carries its folder's name."""
    unique = list({record.path.resolve(): record for record in records}.values())
    seen: dict[tuple[str, str, str], int] = {}
    for record in unique:
        seen[record.model, record.protocol_id, record.protocol_sha256] = (
            seen.get((record.model, record.protocol_id, record.protocol_sha256), 0) + 1
        )
    return [
        (
            record.model
            if seen[record.model, record.protocol_id, record.protocol_sha256] == 1
            else f"{record.model} ({_folder(record)})",
            record,
        )
        for record in unique
    ]


def _folder(record: Record) -> str:
    parts = record.path.resolve().parts
    return parts[-3] if len(parts) > 3 else record.path.name


def why_unranked(record: Record) -> str:
    """Why a run may not be ranked, or ``""``: unfinished, partial, a failed sample, incomplete coverage."""
    if not record.summary:
        return "unfinished"
    if not record.complete:
        return "incomplete records"
    if record.partial:
        return f"partial: {record.summary['counts']['expected']} samples"
    if failed := record.summary["counts"]["failed"]:
        return f"{failed} samples failed"
    if record.summary["coverage"] < 1.0:
        return f"coverage {100 * record.summary['coverage']:.2f} %"
    return ""


def measured_row(name: str, record: Record, dataset: str) -> Row:
    """The row of one run.

    Args:
        name: what to call the model.
        dataset: what the table calls the dataset.
    """
    cells: dict[Column, Cell] = {}
    for place, (metric, entry) in enumerate(record.summary.get("metrics", {}).items()):
        _put(cells, Column(dataset, metric, shown=place < SHOWN_METRICS), entry)
    groups: Json = record.summary.get("groups", {})
    pairs = "accuracy" in record.summary.get("metrics", {})
    for group, content in groups.items():
        for place, (metric, entry) in enumerate(content["metrics"].items()):
            if place == 0:
                _put(cells, Column(dataset, metric, group, shown=pairs and set(groups) <= set(SCENES)), entry)
    model = record.info["model"]
    seconds = timed(record)
    if seconds is None:
        seconds = record.summary.get("timing", {}).get("median_seconds")
    environment, settings = record.info.get("environment", {}), record.info.get("settings", {})
    device = environment.get("cuda_device") if str(settings.get("device", "")).startswith("cuda") else None
    return Row(
        model=name,
        kind="measured",
        cells=cells,
        model_id=record.model,
        parameters=model["parameters"] / 1e6 if model.get("parameters") else None,
        licence=model.get("licence"),
        seconds=seconds,
        device=str(device or settings.get("device") or "unknown device"),
        source=f"{_folder(record)}/{record.model}/{record.protocol_id}",
        note="; ".join(model.get("notes") or ()),
        unranked=why_unranked(record),
    )


def _put(cells: dict[Column, Cell], column: Column, entry: Json) -> None:
    if entry["value"] is not None:
        low, high = entry["ci95"]
        cells[column] = Cell(entry["value"], low, high)


def merged(rows: Sequence[Row]) -> list[Row]:
    """Rows of one model on several datasets as one. Whatever keeps one of its runs from a rank keeps all of it."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.model, []).append(row)
    return [
        replace(
            members[0],
            cells={column: cell for row in members for column, cell in row.cells.items()},
            unranked="; ".join(dict.fromkeys(row.unranked for row in members if row.unranked)),
            source="; ".join(row.source for row in members),
            note="; ".join(dict.fromkeys(row.note for row in members if row.note)),
            seconds=members[0].seconds if len(members) == 1 else None,
        )
        for members in found.values()
    ]


def published_rows(numbers: Iterable[PublishedNumber], licences: Mapping[str, str]) -> list[Row]:
    """The rows of a published table, in its order: a row for each model, variant and source."""
    grouped: dict[tuple[str, ...], list[PublishedNumber]] = {}
    for number in numbers:
        grouped.setdefault((number.model, number.variant, number.kind, number.source), []).append(number)
    return [
        Row(
            model=" ".join(part for part in (model, variant) if part),
            kind=kind,
            cells={Column(n.dataset, n.metric, n.group): Cell(n.value) for n in members},
            model_id=members[0].model_id,
            parameters=members[0].parameters_millions,
            licence=licences.get(members[0].model_id),
            source=source,
            note="; ".join(dict.fromkeys(n.note for n in members if n.note)),
        )
        for (model, variant, kind, source), members in grouped.items()
    ]


def protocols_of(tables: Iterable[Table]) -> list[Protocol]:
    """The protocols that tables are of, each once, in their order."""
    known = all_protocols()
    names = dict.fromkeys(name for table in tables for name in table.protocols.values())
    return [known[name] for name in names if name in known]
