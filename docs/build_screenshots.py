"""Make ``docs/screenshots``: every page of the labelling tool, taken in a real browser from a study made here.

``python docs/build_screenshots.py [OUT]`` needs Chromium. The pictures in the study are rendered scenes
(``docs/images/labelling``: ``dabench render --split photo --size 720x960 --views 1 --samples 8 --seed 11``); the people
are simulated. No file is larger than 150 kB.
"""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from annotation.people import new_token
from annotation.settings import ProjectSettings
from annotation.study import Study

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "images" / "labelling"
LARGEST = 150_000
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True,
}  # fmt: skip
PAIRS = (
    # picture, scene, first point, second point
    ("canal", "outdoor", (320, 690), (560, 340)),
    ("canal", "outdoor", (440, 160), (330, 520)),
    ("still-life", "object", (470, 165), (560, 420)),
    ("still-life", "object", (630, 590), (560, 690)),
    ("bridge", "outdoor", (190, 300), (250, 590)),
    ("bridge", "outdoor", (520, 260), (420, 480)),
)


def label_study(path: Path) -> Study:
    """A study of the rendered pictures with a few pairs, and a person for each screenshot."""
    study = Study.open(path, create=True)
    study.images.mkdir(exist_ok=True)
    settings = ProjectSettings(gold_share=0, repeat_share=0, policy="majority-5")
    with study.store.write("owner") as write:
        write.append("study.set", {"name": "Rendered streets", "seed": 0})
        for number in range(len(SHOTS)):
            write.append("person.added", {"alias": f"p{number}", "name": f"Person {number}", "role": "annotator"})
        write.append("project.created", {"name": "Streets", "settings": settings.to_dict(), "state": "open"})
        digests, scenes = {}, {name: scene for name, scene, *_ in PAIRS}
        for name in dict.fromkeys(pair[0] for pair in PAIRS):
            digests[name] = _add_picture(study, write, PICTURES / f"{name}.jpg", scenes[name])
        for number, (name, _, a, b) in enumerate(PAIRS):
            write.append(
                "pair.proposed",
                {"id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"pair {number}")), "project": 1, "image": digests[name],
                 "a_row": a[0], "a_col": a[1], "b_row": b[0], "b_col": b[1], "route": "uniform",
                 "position": number, "votes": []},
            )  # fmt: skip
    return study


def _add_picture(study: Study, write: Any, file: Path, scene: str) -> str:
    import hashlib

    data = io.BytesIO()
    with Image.open(file) as picture:
        width, height = picture.size
        picture.convert("RGB").save(data, "PNG")
    digest = hashlib.sha256(data.getvalue()).hexdigest()
    (study.images / f"{digest}.png").write_bytes(data.getvalue())
    write.append(
        "image.added",
        {"sha256": digest, "file": f"{digest}.png", "width": width, "height": height, "scene": scene,
         "original_name": file.name, "original_sha256": digest, "licence": "Apache-2.0"},
    )  # fmt: skip
    return digest


def _ready(page: Any, shown: int = 1) -> None:
    page.wait_for_selector(f"body[data-shown='{shown}'][data-ready='true']")
    page.wait_for_selector("#stage[data-moving='false']")


def _help(page: Any) -> None:
    page.wait_for_selector("#help-dialog[open]")
    _ready(page)


def _start(page: Any) -> None:
    _help(page)
    page.keyboard.press("Enter")
    _ready(page)


def _label(page: Any, answers: int = 1) -> None:
    _start(page)
    for shown in range(2, answers + 2):
        page.keyboard.press("1")
        _ready(page, shown)
    page.wait_for_selector("#save[data-state='saved']")
    page.wait_for_timeout(400)


def _loupe(page: Any) -> None:
    _label(page, 4)
    page.keyboard.press("l")
    page.wait_for_selector("#lens-b[data-ready='true']")
    if page.evaluate("matchMedia('(hover: hover)').matches"):
        page.mouse.move(700, 190)
        page.wait_for_selector("#lens[data-ready='true']")
    page.wait_for_timeout(300)


def _skip(page: Any) -> None:
    _label(page)
    page.keyboard.press("s")
    page.wait_for_selector("#skip-dialog[open]")


SHOTS: tuple[tuple[str, dict[str, Any], Callable[[Any], None]], ...] = (
    ("label", DESKTOP, _label),
    ("label-phone", PHONE, _label),
    ("label-loupe", DESKTOP, _loupe),
    ("label-loupe-phone", PHONE, _loupe),
    ("label-skip", DESKTOP, _skip),
    ("label-help", DESKTOP, _help),
)


def label_shots(browser: Any, server: Any, out: Path) -> list[Path]:
    """Pictures of the labelling page. ``server``: ``url`` and ``study`` of :func:`label_study`."""
    made = []
    for number, (name, options, prepare) in enumerate(SHOTS):
        study = server.study
        context = browser.new_context(reduced_motion="reduce", **options)
        page = context.new_page()
        token = {"token": new_token(study, f"p{number}")}
        page.request.post(f"{server.url}/api/login", data=json.dumps(token), headers={
            "Origin": server.url, "Content-Type": "application/json",
        })  # fmt: skip
        page.goto(server.url)
        prepare(page)
        made.append(out / f"{name}.jpg")
        page.screenshot(path=made[-1], type="jpeg", quality=85)
        page.close(run_before_unload=True)
        context.close()
    return made


def shrink(file: Path) -> Path:
    """The picture as it is if it is small; else as JPEG, if need be of fewer pixels."""
    if file.stat().st_size <= LARGEST:
        return file
    with Image.open(file) as picture:
        pixels = picture.convert("RGB")
    file.unlink()
    smaller = file.with_suffix(".jpg")
    for scale in (1, 0.75, 0.5, 0.25):
        size = (round(pixels.width * scale), round(pixels.height * scale))
        for quality in (86, 80, 72):
            pixels.resize(size, Image.Resampling.LANCZOS).save(
                smaller, quality=quality, optimize=True, progressive=True
            )
            if smaller.stat().st_size <= LARGEST:
                return smaller
    return smaller


def _module(name: str, file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main(out: Path) -> None:
    from playwright.sync_api import sync_playwright

    serving = _module("annotation_live_server", HERE.parent / "tests" / "annotation" / "live_server.py")
    pages = _module("screenshots_pages", HERE / "screenshots_pages.py")
    chromium = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if chromium is None:
        raise SystemExit("there is no Chromium; apt-get install chromium")
    out.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        studies = (
            (label_study, label_shots),
            (pages.demo_study, pages.shots),
        )
        for number, (make, shots) in enumerate(studies):
            study = make(Path(folder) / f"study{number}")
            with serving.live_server(study) as server:
                made += shots(browser, server, out)
            study.close()
        browser.close()
    for file in made:
        small = shrink(file)
        sys.stdout.write(f"{small} {small.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "screenshots")
