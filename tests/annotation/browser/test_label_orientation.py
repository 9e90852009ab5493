"""Photos of every EXIF orientation, from the file to the pixel that a person sees under the loupe."""

from __future__ import annotations

import io

import numpy as np
from annotation_studies import STORED
from PIL import Image

from annotation.canonical import write_canonical
from annotation.settings import ProjectSettings

HEIGHT, WIDTH = 120, 200
CENTRE = """(name) => { const c = document.getElementById(name);
    return [...c.getContext('2d').getImageData(c.width >> 1, c.height >> 1, 1, 1).data].slice(0, 3); }"""


def upright(number: int) -> np.ndarray:
    """Every pixel tells its place; blue tells the picture."""
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([cols, rows, np.full_like(rows, 20 * number)], axis=-1).astype(np.uint8)


def test_every_orientation_is_labelled_upright(new_study, label):
    study = new_study(settings=ProjectSettings(gold_share=0, repeat_share=0), images=1, pairs_per_image=1)
    draw = np.random.default_rng(0)
    points = {}
    with study.store.write("owner") as write:
        settings = ProjectSettings(gold_share=0, repeat_share=0).to_dict()
        write.append("project.created", {"name": "turned", "settings": settings, "state": "open"})
        for orientation, store in STORED.items():
            exif, stream = Image.Exif(), io.BytesIO()
            exif[0x0112] = orientation
            Image.fromarray(np.ascontiguousarray(store(upright(orientation)))).save(stream, "PNG", exif=exif)
            copy = write_canonical(stream.getvalue(), f"turned {orientation}.png", study.images)
            write.append(
                "image.added",
                {"sha256": copy.sha256, "file": copy.file, "width": copy.width, "height": copy.height, "scene": "x",
                 "original_name": f"{orientation}.png", "original_sha256": copy.original_sha256,
                 "orientation": copy.orientation},
            )  # fmt: skip
            (a_row, b_row), (a_col, b_col) = draw.choice(HEIGHT, 2, False), draw.choice(WIDTH, 2, False)
            pair = f"pair {orientation}"
            points[pair] = (orientation, {(int(a_row), int(a_col)), (int(b_row), int(b_col))})
            write.append(
                "pair.proposed",
                {"id": pair, "project": 2, "image": copy.sha256, "a_row": int(a_row), "a_col": int(a_col),
                 "b_row": int(b_row), "b_col": int(b_col), "route": "uniform", "position": orientation, "votes": []},
            )  # fmt: skip
    work = label(study)
    page = work.page
    page.goto(f"{work.server.url}/?project=2")
    work.start()
    page.keyboard.press("l")
    for _ in range(len(STORED)):
        orientation, expected = points.pop(work.ready())
        seen = set()
        for lens in ("lens-a", "lens-b"):
            page.wait_for_selector(f"#{lens}[data-ready='true']")
            row, col = page.evaluate(
                "(name) => { const d = document.getElementById(name).dataset; return [+d.row, +d.col]; }", lens
            )
            seen.add((row, col))
            assert page.evaluate(CENTRE, lens) == [col, row, 20 * orientation], orientation
        assert seen == expected
        if points:
            work.press("1")
