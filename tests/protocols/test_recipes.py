"""What the shipped recipes say: the house's six exactly, the field's by the facts that tell them apart."""

from __future__ import annotations

import re

import pytest

from dabench import protocols
from dabench.protocols.describe import description, differences, expected_numbers

KNOWN = protocols.all_protocols()
EIGEN_NYU = (45, 471, 41, 601)

# id: images, dataset, split, field, lower and upper bound (both exclusive), crop, disparity floor, range, default
HOUSE = {
    "kitti-eigen-garg@1": (652, "kitti", "eigen-benchmark", "annotated", 1e-3, 80, "garg", 1 / 80, (1e-3, 80), True),
    "nyu-eigen-raw@1": (654, "nyu-d", "test", "raw", 1e-3, 10, EIGEN_NYU, 1 / 10, (1e-3, 10), True),
    "sintel-final@1": (1064, "sintel", "final", "depth", 0, 70, "none", 1 / 70, (1e-3, 70), True),
    "eth3d-native@1": (454, "eth3d", "distorted", "depth", 0, None, "none", None, (1e-3, 1e3), True),
    "diode-indoor@1": (325, "diode", "indoor", "masked", 1e-3, 50, "none", 1 / 50, (1e-3, 50), True),
    "diode-all@1": (771, "diode", "all", "masked", 1e-3, 350, "none", 1 / 350, (1e-3, 350), False),
}


@pytest.mark.parametrize("name", HOUSE)
def test_the_recipes_of_the_house(name: str) -> None:
    images, dataset, split, field, low, high, crop, floor, limits, default = HOUSE[name]
    p = KNOWN[name]
    assert p.valid is not None and p.alignment is not None
    assert (p.dataset.expected, p.dataset.name, p.dataset.split) == (images, dataset, split)
    assert (p.valid.field, p.valid.min, p.valid.max) == (field, low, high)
    assert not p.valid.min_inclusive and not p.valid.max_inclusive
    assert p.valid.clip_to is None and p.valid.quantile_limit is None
    assert (p.crop.image, p.crop.frame, p.crop.region) == ("full", "full", crop)
    a = p.alignment
    assert (a.disparity, a.depth, a.metric, a.scope) == (
        "least-squares-disparity", "least-squares-depth", "none", "image",
    )  # fmt: skip
    unbounded = "max-ground-truth"
    assert a.disparity_floor == (unbounded if floor is None else pytest.approx(floor, rel=1e-12))
    assert a.depth_range == (limits[0], unbounded if limits[1] is None else limits[1])
    assert (a.fit_on, a.fit_floor, a.fit_max_side, a.unusable) == ("usable", None, None, "worst")
    assert (p.resampling.mode, p.resampling.align_corners, p.inference.flip) == ("bilinear", False, False)
    assert (p.space, p.aggregation.total, p.status, p.default) == ("depth", "mean-of-images", "house", default)


@pytest.mark.parametrize("name", HOUSE)
def test_the_variants_for_metric_models(name: str) -> None:
    house, stem = KNOWN[name], name.removesuffix("@1")
    affine, median = KNOWN[f"{stem}-affine@1"], KNOWN[f"{stem}-median@1"]
    assert [d.title for d in differences(house, affine)] == ["metric model"]
    assert affine.alignment is not None and affine.alignment.metric == "least-squares-depth"
    assert median.alignment is not None
    assert {o: median.alignment.method(o) for o in ("disparity", "depth", "metric")} == {
        "disparity": "refuse", "depth": "refuse", "metric": "median-ratio",
    }  # fmt: skip
    assert median.valid == house.valid and median.crop == house.crop and median.dataset == house.dataset


def test_one_default_a_dataset() -> None:
    defaults = {name for name, protocol in KNOWN.items() if protocol.default}
    assert {name for name, row in HOUSE.items() if row[-1]} <= defaults
    assert len({KNOWN[name].dataset.name for name in defaults}) == len(defaults)


def test_there_are_enough_of_them() -> None:
    by_dataset = {
        d: [p for p in KNOWN.values() if p.dataset.name == d] for d in ("kitti", "nyu-d", "sintel", "eth3d", "diode")
    }
    assert all(len(found) >= 8 for found in by_dataset.values())
    assert len(KNOWN) >= 35
    statuses = {p.status for p in KNOWN.values()}
    assert statuses == {"reproduces", "published-only", "unreproduced", "house"}


@pytest.mark.parametrize("stem", ["kitti", "nyu", "sintel", "eth3d", "diode"])
def test_the_best_known_recipe_of_the_papers_table(stem: str) -> None:
    """Indoor DIODE; errors in disparity, and no claim, where nobody has reproduced the column."""
    p = KNOWN[f"{stem}-dav2-table2@1"]
    unexplained = stem in ("sintel", "eth3d")
    assert p.status == ("unreproduced" if unexplained else "reproduces")
    assert p.space == ("disparity" if unexplained else "depth")
    published = {e.model: e.value for e in p.expected if e.metric == "abs_rel" and "2406.09414" in e.by}
    assert len(published) == 8
    assert all((e.tolerance is None) == unexplained for e in p.expected)
    house = {"kitti": "kitti-eigen-garg@1", "nyu": "nyu-eigen-raw@1", "diode": "diode-indoor@1"}.get(stem)
    if house is not None:
        assert {d.title for d in differences(p, KNOWN[house])} <= {"network size", "measured"}


@pytest.mark.parametrize(
    ("name", "images", "region", "frame", "image"),
    [
        ("kitti-monodepth2-velodyne", 697, "garg", "full", "full"),
        ("kitti-monodepth2-benchmark", 652, "none", "full", "full"),
        ("kitti-zoedepth", 652, "garg", "kb", "kb"),
        ("kitti-bts", 652, "garg", "full", "kb"),
        ("kitti-dav2-metric", 652, "none", "full", "full"),
        ("kitti-unidepth", 652, "garg", "kb", "kb"),
        ("kitti-marigold", 652, "eigen", "kb", "kb"),
        ("kitti-midas-gist", 1000, "none", "full", "full"),
        ("kitti-midas-paper", 161, "none", "full", "full"),
        ("kitti-depth-anything-ac", 652, "none", "full", "full"),
        ("kitti-dust3r", 1269, "none", "full", "full"),
        ("nyu-zoedepth", 654, EIGEN_NYU, "full", "full"),
        ("nyu-midas-gist", 654, "none", "full", "full"),
        ("nyu-depth-anything-ac", 654, "none", "full", "full"),
        ("nyu-dust3r-table2", 654, EIGEN_NYU, "full", "full"),
        ("nyu-dust3r-lineage", 654, "none", "full", "full"),
        ("sintel-dust3r", 643, "none", "full", "full"),
        ("sintel-plumbline-clean", 1064, "none", "full", "full"),
        ("diode-zoedepth-indoor", 325, EIGEN_NYU, "full", "full"),
        ("diode-zoedepth-outdoor", 446, "garg", "full", "full"),
        ("diode-depth-anything-ac", 325, "none", "full", "full"),
        ("diode-marigold", 771, "none", "full", "full"),
        ("diode-moge", 771, "none", "full", "full"),
    ],
)
def test_which_images_and_which_pixels(name: str, images: int, region: object, frame: str, image: str) -> None:
    p = protocols.get(name)
    assert (p.dataset.expected, p.crop.region, p.crop.frame, p.crop.image) == (images, region, frame, image)


def test_ground_truth_fields_that_are_easily_confused() -> None:
    fields = {name: p.valid.field for name, p in KNOWN.items() if p.valid is not None}
    assert {n for n, f in fields.items() if f == "filled"} == {
        "nyu-plumbline-filled@1", "nyu-dust3r-table2@1", "nyu-dust3r-lineage@1", "nyu-dust3r-lineage@2",
    }  # fmt: skip
    assert {n for n, f in fields.items() if f == "velodyne"} == {"kitti-monodepth2-velodyne@1"}
    assert {n for n, f in fields.items() if f == "unmasked"} == {
        "diode-devkit@1", "diode-zoedepth-indoor@1", "diode-zoedepth-outdoor@1",
    }  # fmt: skip


def test_metric_recipes_refuse_affine_predictions() -> None:
    """An affine-invariant prediction that nobody aligned has a meaningless error."""
    for name, p in KNOWN.items():
        if p.alignment is not None:
            assert "none" not in (p.alignment.disparity, p.alignment.depth), name
            if p.alignment.metric == "none":
                assert p.alignment.disparity in ("least-squares-disparity", "refuse"), name


def test_disparity_is_never_fitted_in_depth() -> None:
    """The commonest mistake: it doubles the error on NYU and quadruples it on KITTI."""
    for name, p in KNOWN.items():
        if p.alignment is not None and p.alignment.disparity not in ("least-squares-disparity", "refuse"):
            assert p.alignment.disparity == "median-ratio" and "monodepth2" in name


def test_expected_numbers_cite_a_paper_or_a_repository() -> None:
    cites = re.compile(r"arXiv \d{4}\.\d{5}|Table|[\w.-]+/[\w.-]+")
    for name, p in KNOWN.items():
        for entry in p.expected:
            assert cites.search(entry.by), (name, entry)
            assert entry.kind == "reproduced" or "plumbline" not in entry.by, (name, entry)
        if p.status == "reproduces" and p.task == "depth":
            told = " ".join(description(p).evidence)
            assert "ndependent" in told, name
        if p.status == "house":
            assert p.expected == (), "numbers belong to the recipe they were measured under"


def values(name: str, kind: str) -> dict[tuple[str, str], tuple[float, float | None]]:
    return {(e.model, e.metric): (e.value, e.tolerance) for e in expected_numbers(KNOWN[name]) if e.kind == kind}


def test_where_a_recipe_reproduces_the_rerun_agrees() -> None:
    """The tolerance that a file states holds for the independent run that it quotes."""
    reruns = {
        "kitti-dav2-table2@1": "kitti-plumbline-garg@1",
        "nyu-dav2-table2@1": "nyu-plumbline@1",
        "diode-dav2-table2@1": "diode-plumbline-indoor@1",
    }
    compared = 0
    for name, p in KNOWN.items():
        if p.status != "reproduces" or p.task != "depth":
            continue
        published, rerun = values(name, "published"), values(reruns.get(name, name), "reproduced")
        assert published.keys() & rerun.keys(), name
        for key in published.keys() & rerun.keys():
            (value, tolerance), (again, _) = published[key], rerun[key]
            assert tolerance is not None and abs(again - value) <= tolerance * value, (name, key, value, again)
            compared += 1
    assert compared > 30


def test_sources_are_original_and_pinned() -> None:
    for name, p in KNOWN.items():
        if p.status == "house":
            continue
        assert any(re.search(r"arXiv|@ [0-9a-f]{7}|issue|\.md", source) for source in p.sources), name
        for source in p.sources:
            repository = re.match(r"[\w-]+/[\w.-]+ @ (\S+?),", source)
            assert repository is None or re.fullmatch(r"[0-9a-f]{7,40}", repository[1]), (name, source)


def test_protocols_that_a_description_names_exist() -> None:
    for name, p in KNOWN.items():
        for mentioned in re.findall(r"[a-z0-9]+(?:-[a-z0-9.]+)*@\d+", p.description):
            assert mentioned in KNOWN, (name, mentioned)


def test_what_the_corrected_recipes_changed() -> None:
    """A newer version differs from the one before in the steps that its description names, and in no other."""
    unidepth = "kitti-unidepth nyu-unidepth eth3d-unidepth sintel-unidepth diode-unidepth-indoor"
    marigold = "kitti-marigold nyu-marigold eth3d-marigold diode-marigold"
    moge = " ".join(
        f"{s}-moge-affine-depth" for s in ("ddad", "diode", "eth3d", "gso", "ibims", "kitti", "nyu", "sintel")
    )
    rows = [
        ("kitti-dust3r sintel-dust3r nyu-dust3r-lineage", {"resize", "depth model", "metric model", "total"}),
        ("kitti-cut3r-video sintel-cut3r-video sintel-monst3r-notebook", {"resize"}),
        ("kitti-plumbline-garg", {"crop", "fit"}),
        ("kitti-plumbline-median", {"crop", "unusable value"}),
        ("sintel-plumbline sintel-plumbline-clean diode-plumbline diode-plumbline-indoor", {"fit"}),
        (f"{unidepth} eth3d-midas-paper", {"ground truth"}),
        ("sintel-vda", {"images"}),
        (f"{marigold} {moge}", {"fit"}),
    ]
    changed = {f"{name}@2": steps for names, steps in rows for name in names.split()}
    assert {name for name, p in KNOWN.items() if p.version > 1} == set(changed)
    for name, steps in changed.items():
        p = KNOWN[name]
        before = KNOWN[f"{p.name}@{p.version - 1}"]
        assert {d.title for d in differences(before, p)} == steps, name
        assert protocols.get(p.name) == p, "a name without a version means the newest"
        assert f"ersion {p.version - 1}" in p.description and (before.task, before.default) == (p.task, p.default)
