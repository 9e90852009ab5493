"""The page of a run and of two runs: it stands alone, says what the records say, and shows what was scored."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dabench import evaluate
from dabench.errors import RecordError, UsageError
from dabench.reporting.loaded import Record, find_records, load_record
from dabench.reporting.report import Report, build_report
from dabench.reporting.report import page as page_module
from dabench.types import DepthMap, Image

HISTORIC = Path(__file__).resolve().parents[1] / "historic_results"
IMAGES = 6


def brightness(image: Image) -> DepthMap:
    return np.asarray(image.mean(axis=2) + 1, dtype=np.float32)


def rows(image: Image) -> DepthMap:
    height, width = image.shape[:2]
    return np.repeat(np.arange(1, height + 1, dtype=np.float32)[:, None], width, axis=1)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models under two protocols on a few images, with kept maps."""
    folder = tmp_path_factory.mktemp("report")
    for name, model in (("brightness", brightness), ("rows", rows)):
        for protocol in ("mini-pairs", "mini-depth"):
            evaluate(
                model,
                protocol,
                output="disparity",
                name=name,
                out=folder,
                limit=IMAGES,
                keep_predictions=True,
                workers=1,
            )
    return folder


@pytest.fixture(scope="module")
def pages(out: Path) -> dict[str, Report]:
    dense, other = (load_record(out / model / "mini-depth@1") for model in ("brightness", "rows"))
    pairs, others = (load_record(out / model / "mini-pairs@1") for model in ("brightness", "rows"))
    return {
        "dense": build_report([dense]),
        "pairs": build_report([pairs]),
        "dense-2": build_report([dense, other]),
        "pairs-2": build_report([pairs, others]),
    }


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made but not drawn, which takes most of the time, where a test is about the words of a page."""
    monkeypatch.setattr(page_module, "inline_svg", lambda *_: "<svg></svg>")


class Page(HTMLParser):
    """Ids, references and text of a page."""

    VOID = frozenset({"meta", "img", "input", "br", "link", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.words: list[str] = []
        self.tags: Counter[str] = Counter()
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in self.VOID:
            self.open.append(tag)
        self._attributes(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self._attributes(attrs)

    def _attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            elif name in ("href", "xlink:href"):
                self.links.append(str(value))
            elif name in ("src", "srcset", "poster", "data"):
                self.loaded.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("name", ["dense", "pairs", "dense-2", "pairs-2"])
def test_a_page_stands_alone(pages: dict[str, Report], name: str) -> None:
    text = pages[name].html
    page = Page(text)
    assert page.open == []
    assert [i for i, n in Counter(page.ids).items() if n > 1] == []
    assert all(source.startswith("data:image/webp;base64,") for source in page.loaded) and page.loaded
    for link in page.links:
        assert link.startswith(("#", "data:image/png;base64,")), link
        assert not link.startswith("#") or link[1:] in page.ids, link
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert not re.search(r"@import|url\((?!#)|<link|<iframe", text)
    assert len(text) < 2_000_000 and page.tags["script"] == 1
    assert '<meta name="viewport"' in text and "prefers-color-scheme:dark" in text and "@media print" in text
    drawn = len(re.findall(r'<svg role="img" aria-label="[^"]', text))
    assert drawn == len(pages[name].figures) > 4


def test_a_page_says_what_the_records_say(out: Path, pages: dict[str, Report]) -> None:
    record = load_record(out / "brightness" / "mini-depth@1")
    text = Page(pages["dense"].html).text
    for metric, title in (("abs_rel", "AbsRel"), ("delta1", "δ1"), ("rmse", "RMSE (m)")):
        entry = record.summary["metrics"][metric]
        assert re.search(rf"{re.escape(title)} [↑↓] {entry['value']:.4f}", text) or entry["value"] >= 10
    low, high = record.summary["metrics"]["abs_rel"]["ci95"]
    assert f"95 % interval [{low:.4f}, {high:.4f}]" in text
    assert "only a part of the split was scored" in text
    assert "scale and shift fitted to 1/g by least squares" in text and record.protocol_sha256 in text
    accuracy = load_record(out / "brightness" / "mini-pairs@1").summary["metrics"]["accuracy"]["value"]
    assert f"Pair accuracy ↑ {100 * accuracy:.1f} %" in Page(pages["pairs"].html).text


def test_the_worst_samples_come_first_and_the_median_ones_after(out: Path, pages: dict[str, Report]) -> None:
    lines = load_record(out / "brightness" / "mini-depth@1").samples()
    worst = [line["id"] for line in sorted(lines, key=lambda line: -line["abs_rel"])]
    shown = re.findall(r'<div class="sample"><h3><code>([^<]+)</code>', pages["dense"].html)
    assert shown == worst
    assert pages["dense"].html.count("signed relative error, from") == len(shown)
    pairs = load_record(out / "brightness" / "mini-pairs@1").samples()
    wrong = {line["id"]: line["n_valid"] - line["n_correct"] for line in pairs}
    shown = re.findall(r'<div class="sample"><h3><code>([^<]+)</code>', pages["pairs"].html)
    assert [wrong[i] for i in shown] == sorted(wrong.values(), reverse=True)
    marked = pages["pairs"].html.count('<g class="wrong">')
    assert marked == 2 * sum(wrong.values()), "on the image and on the map"


def test_two_runs_have_sliders_and_the_paired_difference(out: Path, pages: dict[str, Report]) -> None:
    first, second = (load_record(out / model / "mini-depth@1") for model in ("brightness", "rows"))
    apart = second.summary["metrics"]["abs_rel"]["value"] - first.summary["metrics"]["abs_rel"]["value"]
    page = Page(pages["dense-2"].html)
    assert f"{apart:+.4f}" in page.text
    sliders = pages["dense-2"].html.count('<div class="slider">')
    assert 0 < sliders <= IMAGES and page.tags["input"] == sliders
    lines, others = (load_record(out / m / "mini-pairs@1").samples() for m in ("brightness", "rows"))
    alone = sum(
        x == 1 and y == 0
        for a, b in zip(lines, others, strict=True)
        for x, y in zip(a["correct"], b["correct"], strict=True)
    )
    assert f"brightness alone {alone}," in Page(pages["pairs-2"].html).text


@pytest.mark.usefixtures("undrawn")
def test_without_kept_maps_the_page_says_how_to_keep_them(out: Path, tmp_path: Path) -> None:
    shutil.copytree(out / "rows" / "mini-depth@1", tmp_path / "rows" / "mini-depth@1")
    report = build_report([load_record(tmp_path / "rows")])
    command = f"dabench eval -m rows -p mini-depth@1 --keep-predictions --fresh --out {tmp_path}"
    assert command in report.html and report.notes == ["rows: This run kept no predictions. This keeps them; a report "
                                                       "never runs a model."]  # fmt: skip
    assert "data:image/webp" not in report.html and {"distribution-abs_rel", "alignment"} <= set(report.figures)
    shutil.copytree(out / "brightness" / "predictions", tmp_path / "rows" / "predictions")
    report = build_report([load_record(tmp_path / "rows")])
    assert "is of another model than the record" in report.html


@pytest.mark.usefixtures("undrawn")
def test_other_data_is_not_shown_as_that_which_was_scored(out: Path, tmp_path: Path) -> None:
    record = copied(out / "rows" / "mini-pairs@1", tmp_path)
    changed = json.loads((record.path / "run.json").read_text())
    changed["dataset"]["fingerprint"] = "0" * 64
    (record.path / "run.json").write_text(json.dumps(changed))
    report = build_report([load_record(record.path)])
    assert "is not the one that was scored" in report.html and "data:image/webp" not in report.html
    with pytest.raises(UsageError, match="different data"):
        build_report([load_record(out / "rows" / "mini-pairs@1"), load_record(record.path)])


def copied(run: Path, to: Path) -> Record:
    shutil.copytree(run, to / run.parent.name / run.name)
    return load_record(to / run.parent.name / run.name)


def test_what_cannot_be_reported_is_refused(out: Path, tmp_path: Path) -> None:
    pairs, dense = (load_record(out / "rows" / name) for name in ("mini-pairs@1", "mini-depth@1"))
    with pytest.raises(UsageError, match="unlike protocols"):
        build_report([pairs, dense])
    with pytest.raises(UsageError, match="not on 3"):
        build_report([pairs] * 3)
    record = copied(pairs.path, tmp_path)
    (record.path / "summary.json").unlink()
    with pytest.raises(RecordError, match="has not finished"):
        build_report([load_record(record.path)])


@pytest.mark.usefixtures("undrawn")
def test_text_of_a_record_is_text_in_the_page(out: Path, tmp_path: Path) -> None:
    record = copied(out / "rows" / "mini-pairs@1", tmp_path)
    hostile = "<script>alert('x')</script>\"onload=\"y"
    for name in ("run.json", "summary.json"):
        content = json.loads((record.path / name).read_text())
        content["model"]["name"] = hostile
        content["model"]["notes"] = [hostile]
        (record.path / name).write_text(json.dumps(content))
    page = Page(build_report([load_record(record.path)]).html)
    assert page.tags["script"] == 1 and page.text.count(hostile) >= 2


@pytest.mark.usefixtures("undrawn")
def test_records_of_every_schema_can_be_reported() -> None:
    for record in find_records([HISTORIC]):
        report = build_report([record])
        assert "is not to be ranked" in Page(report.html).text
        assert report.figures


@pytest.mark.slow
def test_thousands_of_samples_make_a_small_page(out: Path, tmp_path: Path) -> None:
    record = copied(out / "rows" / "mini-depth@1", tmp_path)
    lines = [json.loads(line) for line in (record.path / "samples.jsonl").read_text().splitlines()]
    draw = np.random.default_rng(0)
    many = []
    for at in range(5000):
        line = {**lines[at % len(lines)], "id": f"{at}", "abs_rel": float(draw.lognormal(-2, 1))}
        line["fit"] = {"scale": float(draw.normal(1, 1)), "shift": float(draw.normal())}
        many.append(json.dumps(line))
    (record.path / "samples.jsonl").write_text("\n".join(many) + "\n")
    summary = json.loads((record.path / "summary.json").read_text())
    summary["counts"] |= {"expected": len(many), "ok": len(many), "failed": 0, "empty": 0}
    (record.path / "summary.json").write_text(json.dumps(summary))
    assert len(build_report([load_record(record.path)]).html) < 500_000
