"""The published numbers: each cites a source, none is there twice, and unlike recipes never meet."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from dabench import protocols
from dabench.errors import DabenchError
from dabench.reporting import expected
from dabench.reporting.expected import PublishedNumber, numbers, published, read

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(expected.__file__).with_name("published")
ROWS = published()
# The datasets of dabench that a name in a table may mean.
DATASETS = {
    "KITTI": {"kitti", "moge-eval"},
    "NYU-D": {"nyu-d", "moge-eval"},
    "Sintel": {"sintel", "moge-eval"},
    "ETH3D": {"eth3d", "moge-eval"},
    "DIODE": {"diode", "moge-eval"},
    "DIODE Indoor": {"diode"},
    "DA-2K": {"da-2k"},
    "DIW": {"diw"},
    **{name: {"moge-eval"} for name in ("iBims-1", "GSO", "DDAD", "Spring", "HAMMER")},
}
HEADER = ",".join(expected.COLUMNS)
GOOD = "M,v,m-v,1.5,KITTI,,label_a,kitti-bts@1,abs_rel,0.1,published,A paper and Table 1,"


def key(row: PublishedNumber) -> tuple[str, ...]:
    return (row.model, row.variant, row.dataset, row.group, row.protocol_label, row.metric, row.source)


def test_the_tables_in_results_are_the_ones_in_the_wheel() -> None:
    shown = ROOT / "results" / "published"
    assert shown.resolve() == FOLDER.resolve()
    files = sorted(shown.glob("*.csv"))
    assert len(files) >= 20 and all(read(path) for path in files)
    assert len(ROWS) == sum(len(read(path)) for path in files) >= 2300


def test_every_number_cites_a_source() -> None:
    cites = re.compile(r"arXiv|Table|[A-Za-z0-9-]+/[A-Za-z0-9-]+|[A-Z]{4} 20\d\d|infer_image")
    assert [row for row in ROWS if not cites.search(row.source)] == []
    machine = re.compile(r"/(work|tmp|home|root)/|local copy|stored text|verified:")
    assert [row for row in ROWS if machine.search(row.source + row.note)] == []


def test_no_number_is_there_twice() -> None:
    seen: dict[tuple[str, ...], float] = {}
    for row in ROWS:
        assert key(row) not in seen, row
        seen[key(row)] = row.value


def test_reruns_are_told_from_author_numbers() -> None:
    for row in ROWS:
        assert (row.kind == "reproduced") == row.protocol_label.startswith("rerun_"), row


def test_a_label_means_at_most_one_protocol_on_a_dataset() -> None:
    meant: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in ROWS:
        meant[row.protocol_label, row.dataset].add(row.protocol)
    assert {pair: ids for pair, ids in meant.items() if len(ids) > 1} == {}


def test_a_protocol_exists_for_its_dataset_and_metric() -> None:
    known = protocols.all_protocols()
    for row in ROWS:
        if row.protocol:
            protocol = known[row.protocol]
            assert protocol.dataset.name in DATASETS[row.dataset], row
            assert row.metric in protocol.metrics, row


def test_a_number_stands_beside_the_newest_version_of_its_recipe() -> None:
    assert [
        row for row in ROWS if row.protocol and protocols.get(row.protocol.partition("@")[0]).id != row.protocol
    ] == []


def test_numbers_under_one_protocol_belong_together() -> None:
    """What several papers print for one model under one of our protocols agrees; another recipe would be far off."""
    found: dict[tuple[str, str, str], list[PublishedNumber]] = defaultdict(list)
    for row in ROWS:
        if row.protocol and row.model_id and not row.group and row.kind == "published":
            found[row.protocol, row.model_id, row.metric].append(row)
    several = {place: rows for place, rows in found.items() if len({row.source for row in rows}) > 1}
    assert len(several) > 40
    for place, rows in several.items():
        values = [row.value for row in rows]
        # The widest known disagreement: two papers copy one Metric3D row as 0.050 and as 0.058.
        assert max(values) <= min(values) * 1.17, (place, [(row.value, row.source) for row in rows])


def test_copied_cells_have_a_label_of_their_own() -> None:
    """Lotus-type tables print Depth Anything's own 0.131 on ETH3D beside values of another recipe."""
    for row in ROWS:
        if (
            row.model in ("Depth Anything V1", "Depth Anything V2")
            and row.dataset == "ETH3D"
            and row.metric == "abs_rel"
        ):
            if row.protocol == "eth3d-marigold@2":
                assert row.value < 0.1, row
            if row.value > 0.12 and row.protocol:
                assert row.protocol in ("eth3d-dav2-table2@1", "eth3d-depth-pro@1"), row
    copied = [row for row in ROWS if row.protocol_label == "dav2_table2_as_copied_by_others"]
    assert len(copied) >= 20 and not any(row.protocol or row.model_id for row in copied)


def test_what_a_protocol_expects_is_in_the_tables() -> None:
    """By name: a published number stands beside the newest version of the recipe that describes it best."""
    listed: dict[tuple[str, str, str, str], set[float]] = defaultdict(set)
    for row in ROWS:
        listed[row.protocol.partition("@")[0], row.model_id, row.metric, row.kind].add(row.value)
    for protocol in protocols.all_protocols().values():
        for entry in protocol.expected:
            values = listed[protocol.name, entry.model, entry.metric, entry.kind]
            assert any(abs(value - entry.value) < 1e-9 for value in values), (protocol.id, entry, values)


def test_the_mean_of_the_da2k_scene_table_is_the_pooled_number() -> None:
    pooled = {row.model_id: row.value for row in ROWS if row.protocol_label == "da2k_pair_accuracy"}
    for name in ("small", "base", "large"):
        rows = [
            row
            for row in ROWS
            if row.protocol_label == "da2k_pair_accuracy_per_scene" and row.model_id == f"depth-anything-v2-{name}"
        ]
        assert len({row.group for row in rows}) == 9
        (mean,) = (row.value for row in rows if not row.group)
        assert mean == pooled[f"depth-anything-v2-{name}"]
        scenes = [row.value for row in rows if row.group]
        assert min(scenes) < mean < max(scenes)


def test_numbers_are_found_by_protocol_model_and_metric() -> None:
    found = numbers(protocol="eth3d-dav2-table2@1", model="depth-anything-v2-large", metric="abs_rel")
    assert {row.value for row in found} == {0.131}
    assert not any(row.group for row in numbers(protocol="da-2k@1"))
    assert numbers(protocol="no-such@1") == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (GOOD.replace("0.1,", "nan,"), "abs_rel"),
        (GOOD.replace("0.1,", "11,"), "outside"),
        (GOOD.replace("abs_rel,0.1", "delta1,96.4"), "ratios, not percent"),
        (GOOD.replace("0.1,", "much,"), "value"),
        (GOOD.replace("0.1,", ","), "value"),
        (GOOD.replace("abs_rel", "absrel"), "absrel"),
        (GOOD.replace("published", "guessed"), "kind"),
        (GOOD.replace("A paper and Table 1", ""), "source"),
        (GOOD.replace("kitti-bts@1", "kitti-bts"), "protocol"),
        (GOOD.replace("label_a", "Label A"), "protocol_label"),
        (GOOD.replace("1.5", "-1.5"), "parameters_millions"),
        (GOOD.removeprefix("M"), "model"),
    ],
)
def test_a_malformed_row_names_the_file_the_line_and_the_field(tmp_path: Path, line: str, named: str) -> None:
    path = tmp_path / "paper.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n")
    (row,) = read(path)
    assert (row.value, row.parameters_millions, row.protocol) == (0.1, 1.5, "kitti-bts@1")
    path.write_text(f"{HEADER}\n{GOOD}\n{line}\n")
    with pytest.raises(DabenchError) as caught:
        read(path)
    told = f"{caught.value} {caught.value.hint}"
    assert "paper.csv, line 3" in told and named in told


def test_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "paper.csv").write_text("model,value\nM,1\n")
    with pytest.raises(DabenchError, match=r"paper\.csv"):
        read(tmp_path / "paper.csv")


def test_the_tables_and_the_catalogue_name_models_alike() -> None:
    """So that `dabench show MODEL` finds its numbers; what is not catalogued is listed here, by kind."""
    from dabench.registry import models
    from dabench.reporting.names import PUBLISHED_AS, numbers_of

    named = {row.model_id for row in ROWS if row.model_id} - {n for names in PUBLISHED_AS.values() for n in names}
    not_catalogued = {
        "bts-densenet161", "monodepth2-mono-640x192", "monodepth2-mono-1024x320",  # trained on the set they score
        "dust3r", "monst3r", "cut3r",  # of several views
        "depthcrafter", "depth-any-video",  # of videos
        "depthmaster", "depth-anything-ac-small",  # later than the models this package follows
        "metric3d-v2",  # the tables do not say which size
        "dpt-hybrid-nyu-new", "depth-anything-v1-large-kitti", "depth-anything-v1-large-nyu",  # other releases
    }  # fmt: skip
    assert named - set(models()) == not_catalogued
    assert set(PUBLISHED_AS) <= set(models())
    for name, others in PUBLISHED_AS.items():
        assert not set(others) & set(models())
        assert len(numbers_of(name)) > len(numbers(model=name))
