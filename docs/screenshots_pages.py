"""Pictures of the pages around labelling, taken in a browser from a study of rendered pictures with simulated people.

``docs/build_screenshots.py`` calls :func:`shots`; run alone it makes these pages only:
``python docs/screenshots_pages.py OUT [SET]``.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotation.people import new_token
from annotation.queue import decide, disputes, place_pair
from annotation.settings import ProjectSettings
from annotation.simulate import SimulatedAnnotator, simulate
from annotation.study import Study
from dabench.datasets.mini import bundled_root

PEOPLE = {
    "p01": ("Olga Berg", "owner"), "p02": ("Adam Cole", "adjudicator"), "p03": ("Ann Lee", "annotator"),
    "p04": ("Ben Okafor", "annotator"), "p05": ("Cat Diaz", "annotator"), "p06": ("Vic Tan", "viewer"),
}  # fmt: skip
MODELS = {"first expert": 0.86, "second expert": 0.8, "third expert": 0.78}
"""Name of an expert and how often it is right in the demonstration."""
ANNOTATORS = (
    SimulatedAnnotator("p03", error=0.02, skip=0.3),
    SimulatedAnnotator("p04", error=0.03, skip=0.3, seconds=4.2),
    SimulatedAnnotator("p05", error=0.07, skip=0.3, seconds=2.2),
)
OWNER, ADJUDICATOR, ANNOTATOR = "p01", "p02", "p03"
IMAGES_PER_SCENE = 4
PICTURES = Path(__file__).resolve().parent / "images" / "labelling"
HARD = (
    # pairs on larger rendered pictures that people are made to disagree about: picture, scene, two points
    ("canal", "outdoor", (330, 185), (400, 345)),
    ("still-life", "object", (420, 168), (560, 412)),
    ("bridge", "outdoor", (455, 250), (300, 420)),
)
LEAST_WIDTH = 900
"""Smaller pictures are enlarged, so that the loupe and the zoom have something to show."""

Point = tuple[int, int]


class Answers:
    """The known order of the pairs; one in thirteen is said to be undecidable."""

    def __init__(self) -> None:
        self._closer: dict[tuple[str, frozenset[Point]], Point] = {}
        self._hard: set[str] = set()

    def add(self, image: str, closer: Point, farther: Point, *, hard: bool = False) -> None:
        self._closer[image, frozenset((closer, farther))] = closer
        if hard:
            self._hard.add(image)

    def __call__(self, image: str, first: Point, second: Point) -> str:
        """``first`` or ``second``, or empty: cannot be told."""
        closer = self._closer[image, frozenset((tuple(first), tuple(second)))]
        if image in self._hard or hashlib.sha256(f"{image} {closer}".encode()).digest()[0] < 20:
            return ""
        return "first" if tuple(first) == closer else "second"


def demo_study(path: Path, root: Path | None = None) -> Study:
    """A study half-way through: six people, pairs on every picture, disputes, decisions, pairs placed by hand.

    Args:
        root: a set in the layout of DA-2K, such as `dabench render` makes; None: the bundled one.
    """
    root = root or bundled_root()
    listed = json.loads((root / "annotations.json").read_text(encoding="utf-8"))
    chosen: dict[str, list[str]] = {}
    for name in listed:
        scene = chosen.setdefault(name.split("/")[1], [])
        if len(listed[name]) > 1 and len(scene) < IMAGES_PER_SCENE:
            scene.append(name)
    study = Study.open(path, create=True)
    study.images.mkdir(exist_ok=True)
    draw, truth, number = np.random.default_rng(7), Answers(), 0
    wanted = {scene: 1 + sum(len(listed[name]) for name in names) // 2 for scene, names in chosen.items()}
    settings = ProjectSettings(layered=True, gold_share=0.1, scene_targets=wanted)
    with study.store.write("owner") as write:
        write.append("study.set", {"name": "Glasshouse", "seed": 0})
        for alias, (name, role) in PEOPLE.items():
            write.append("person.added", {"alias": alias, "name": name, "role": role})
        write.append("project.created", {"name": "First round", "settings": settings.to_dict(), "state": "open"})
        for name, scene, first, second in HARD:
            image, scale = _add_image(study, write, PICTURES / f"{name}.jpg", scene)
            pair = {"point1": first, "point2": second, "closer_point": "point1"}
            _add_pair(write, draw, truth, number, image, scale, pair, hard=True)
            number += 1
        for scene, names in chosen.items():
            for name in names:
                image, scale = _add_image(study, write, root / name, scene)
                for pair in listed[name]:
                    _add_pair(write, draw, truth, number, image, scale, pair)
                    number += 1
    simulate(study, 1, ANNOTATORS, truth, seed=3, most=int(2.2 * number))
    _human_work(study)
    return study


def _add_image(study: Study, write: Any, file: Path, scene: str) -> tuple[str, int]:
    """Its sha256, and how much it was enlarged."""
    image = Image.open(file).convert("RGB")
    scale = max(1, math.ceil(LEAST_WIDTH / image.width))
    image = image.resize((scale * image.width, scale * image.height), Image.Resampling.BICUBIC)
    temporary = study.images / "new.png"
    image.save(temporary, compress_level=1)
    sha256 = hashlib.sha256(temporary.read_bytes()).hexdigest()
    temporary.rename(study.images / f"{sha256}.png")
    write.append(
        "image.added",
        {"sha256": sha256, "file": f"{sha256}.png", "width": image.width, "height": image.height, "scene": scene,
         "original_name": file.name, "original_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
         "licence": "Apache-2.0"},
    )  # fmt: skip
    return sha256, scale


def _add_pair(
    write: Any,
    draw: np.random.Generator,
    truth: Answers,
    number: int,
    image: str,
    scale: int,
    pair: dict[str, Any],
    *,
    hard: bool = False,
) -> None:
    first, second = (
        (scale * row + scale // 2, scale * col + scale // 2) for row, col in (pair["point1"], pair["point2"])
    )
    closer, farther = (first, second) if pair["closer_point"] == "point1" else (second, first)
    truth.add(image, closer, farther, hard=hard)
    a, b = (closer, farther) if draw.random() < 0.5 else (farther, closer)
    right = "a" if a == closer else "b"
    votes = []
    for model, accuracy in MODELS.items():
        vote = right if draw.random() < accuracy else "ab"[right == "a"]
        near, far = sorted(draw.random(2))[::-1]
        values = (near, far) if vote == "a" else (far, near)
        votes.append(
            {"model": model, "output": "disparity", "value_a": values[0], "value_b": values[1], "median_a": values[0],
             "median_b": values[1], "vote": vote}
        )  # fmt: skip
    known = str(uuid.uuid5(uuid.NAMESPACE_OID, f"demonstration {number}"))
    write.append(
        "pair.proposed",
        {"id": known, "project": 1, "image": image, "a_row": a[0], "a_col": a[1], "b_row": b[0], "b_col": b[1],
         "route": "disagreement" if number % 5 else "control", "stratum": f"gap bin {number % 3}", "probability": 0.4,
         "gap": 0.2, "score": 0.8, "position": number, "votes": votes},
    )  # fmt: skip
    if number % 9 == 4:
        write.append("pair.gold", {"id": known, "purpose": "gold", "gold": right})


def _human_work(study: Study) -> None:
    """Some decisions of the adjudicator, some pairs placed by hand."""
    ids = {row["alias"]: row["id"] for row in study.store.query("SELECT alias, id FROM people")}
    for number, dispute in enumerate(disputes(study, 1)[-6:]):
        result, reason = ("drop", "ambiguous") if number % 3 == 2 else ("ab"[number % 2], "clear when zoomed in")
        for relation in dispute.relations if result != "drop" else dispute.relations[:1]:
            decide(study, ids[ADJUDICATOR], str(uuid.uuid4()), dispute.pair, result, reason, relation)
    rows = study.store.query("SELECT sha256, width, height FROM images ORDER BY sha256")
    for number, (row, reason) in enumerate(zip(rows, ("reflection", "thin part", "low contrast"), strict=False)):
        a, b = (row["height"] // 3, row["width"] // 3 + number), (row["height"] // 2, row["width"] // 2)
        place_pair(study, ids[ANNOTATOR], str(uuid.uuid4()), 1, row["sha256"], a, b, reason, reason == "reflection")


def _review(page: Any) -> None:
    page.wait_for_selector("#answers tbody tr")
    page.wait_for_selector(".picture-canvas[data-painted]:not([data-painted=''])")
    page.keyboard.press("a")
    page.evaluate("window.scrollTo(0, 0)")


def _place(page: Any) -> None:
    page.wait_for_selector(".tile")
    page.locator(".tile[aria-label*='960 by 720']").first.click()
    page.wait_for_selector(".picture-canvas[data-painted]:not([data-painted=''])")
    canvas = page.locator(".picture-canvas")
    box = canvas.bounding_box()
    for right, down in ((0.32, 0.42), (0.62, 0.55)):
        canvas.click(position={"x": right * box["width"], "y": down * box["height"]})
    page.get_by_role("radio", name="thin part").check()
    page.wait_for_selector(".place-lens[data-ready='true']")
    page.evaluate("window.scrollTo(0, 0)")


def _pictures(page: Any) -> None:
    page.wait_for_selector("#placed tbody tr")
    page.wait_for_function("() => [...document.querySelectorAll('.tile img')].every((one) => one.complete)")
    page.evaluate("() => Promise.all([...document.querySelectorAll('.tile img')].map((one) => one.decode()))")


def _people(page: Any) -> None:
    page.wait_for_selector("#people tbody tr")


def _projects(page: Any) -> None:
    page.get_by_role("button", name="Settings").click()
    page.wait_for_selector("#settings-1 form")
    page.get_by_role("button", name="Save settings").evaluate(
        "(one) => { one.closest('.settings-foot').className = 'row'; }"
    )


def _dashboard(page: Any) -> None:
    page.wait_for_selector("#headline-body .figure")


def _figures(page: Any) -> None:
    _dashboard(page)
    page.evaluate("window.scrollTo(0, document.querySelector('#shortcuts').offsetTop - 80)")


PAGES: tuple[tuple[str, str, str | None, Callable[[Any], None] | None], ...] = (
    ("login", "/login", None, None),
    ("review", "/review", ADJUDICATOR, _review),
    ("place", "/place", ANNOTATOR, _place),
    ("place-pictures", "/place", ANNOTATOR, _pictures),
    ("dashboard", "/dashboard", OWNER, _dashboard),
    ("dashboard-figures", "/dashboard", OWNER, _figures),
    ("people", "/people", OWNER, _people),
    ("projects", "/projects", OWNER, _projects),
)
SIZES = {
    "": {"viewport": {"width": 1280, "height": 900}},
    "-phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True},
}
ON_PHONE = ("review", "place", "dashboard")


def shots(browser: Any, server: Any, out: Path) -> list[Path]:
    """Pictures of every page.

    Args:
        browser: a Playwright browser.
        server: with ``url`` and ``study``; the study is that of :func:`demo_study`.
        out: folder for ``NAME.png`` and ``NAME-phone.png``.
    """
    rows = server.study.store.query("SELECT id FROM pairs WHERE state = 'disputed' ORDER BY position LIMIT 1")
    hardest, made = rows[0]["id"] if rows else "", []
    for name, path, alias, prepare in PAGES:
        for suffix, options in SIZES.items():
            if suffix and name not in ON_PHONE:
                continue
            context = browser.new_context(reduced_motion="reduce", **options)
            page = context.new_page()
            if alias:
                token = {"token": new_token(server.study, alias)}
                page.request.post(f"{server.url}/api/login", data=token, headers={"Origin": server.url})
            page.goto(server.url + path + (f"?pair={hardest}" if name == "review" else ""))
            if prepare:
                prepare(page)
            page.wait_for_load_state("networkidle")
            made.append(out / f"{name}{suffix}.png")
            page.screenshot(path=made[-1])
            context.close()
    return made


def main(out: Path, root: Path | None = None) -> None:
    """Make the demonstration, serve it on a free port of this machine, and take the pictures."""
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "annotation"))
    from live_server import live_server

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        study = demo_study(Path(folder) / "study", root)
        with live_server(study) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            shots(browser, server, out)
            browser.close()
        study.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
