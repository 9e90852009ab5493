"""The picture: transform, zoom, loupe, markers. Colours are compared with the stored file."""

from __future__ import annotations

import hashlib
import io
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.settings import ProjectSettings

PLAIN = ProjectSettings(gold_share=0, repeat_share=0)

TRANSFORM = (Path(__file__).parent / "transform.js").read_text()


def add_pictures(study, pictures, pairs):
    """A second project with own pictures: uint8 [H, W, 3] each, and (picture, a, b) for each pair."""
    with study.store.write("owner") as write:
        write.append("project.created", {"name": "charts", "settings": PLAIN.to_dict(), "state": "open"})
        names = []
        for number, pixels in enumerate(pictures):
            data = io.BytesIO()
            Image.fromarray(pixels).save(data, "PNG")
            sha256 = hashlib.sha256(data.getvalue()).hexdigest()
            (study.images / f"{sha256}.png").write_bytes(data.getvalue())
            height, width = pixels.shape[:2]
            write.append(
                "image.added",
                {"sha256": sha256, "file": f"{sha256}.png", "width": width, "height": height, "scene": "indoor",
                 "original_name": f"chart {number}.png", "original_sha256": sha256},
            )  # fmt: skip
            names.append(sha256)
        for number, (picture, a, b) in enumerate(pairs):
            write.append(
                "pair.proposed",
                {"id": str(uuid.uuid4()), "project": 2, "image": names[picture], "a_row": a[0], "a_col": a[1],
                 "b_row": b[0], "b_col": b[1], "route": "uniform", "position": 1000 + number, "votes": []},
            )  # fmt: skip


def chart(width, height):
    """Every pixel has its own colour: red and green are the low bits of column and row, blue the high ones."""
    rows, cols = np.mgrid[:height, :width]
    return np.stack([cols % 256, rows % 256, (cols // 256) * 16 + rows // 256], axis=-1).astype(np.uint8)


def open_charts(label, study, **options):
    work = label(study, **options)
    work.page.goto(f"{work.server.url}/?project=2")
    work.start()
    return work


def screenshot(page):
    """The page as it is painted, uint8 [H, W, 3] in device pixels."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))


def view_of(page):
    return page.evaluate(
        """() => { const s = document.getElementById('stage'), d = s.dataset;
             const {left, top, width, height} = s.getBoundingClientRect();
             return {scale: +d.scale, x: +d.x, y: +d.y, left, top, width, height}; }"""
    )


def place_of(view, row, col):
    """Window coordinates of the centre of a pixel; written apart from view.js."""
    return (
        view["left"] + view["width"] / 2 + (col + 0.5 - view["x"]) * view["scale"],
        view["top"] + view["height"] / 2 + (row + 0.5 - view["y"]) * view["scale"],
    )


def test_the_transform_holds_for_any_picture_screen_and_view(modules):
    assert modules.evaluate(TRANSFORM) == []


@pytest.mark.parametrize("ratio", [1, 1.5, 3])
def test_the_loupe_and_one_to_one_show_the_stored_pixel(new_study, label, ratio):
    study, pixels = new_study(settings=PLAIN, images=1, pairs_per_image=1), chart(1500, 1100)
    a, b = (700, 255), (300, 1400)
    add_pictures(study, [pixels], [(0, a, b)])
    work = open_charts(label, study, device_scale_factor=ratio, viewport={"width": 700, "height": 620})
    page = work.page
    page.keyboard.press("l")
    for lens, point in (("lens-a", 0), ("lens-b", 1)):
        page.wait_for_selector(f"#{lens}[data-ready='true']")
        row, col = page.evaluate(
            f"(() => {{ const d = document.getElementById('{lens}').dataset; return [+d.row, +d.col]; }})()"
        )
        assert (row, col) in (a, b), point
        assert centre_of(page, lens) == {tuple(pixels[row, col])}
    # Under the cursor, at an odd place and at the border of two tiles.
    view = view_of(page)
    for row, col in ((511, 512), (512, 768), (437, 641)):
        x, y = place_of(view, row, col)
        page.mouse.move(x, y)
        page.wait_for_selector(f"#lens[data-row='{row}'][data-col='{col}'][data-ready='true']")
        assert centre_of(page, "lens") == {tuple(pixels[row, col])}
    page.mouse.move(5, 5)
    page.wait_for_selector("#lens", state="hidden")
    page.keyboard.press("l")
    # One picture pixel is one screen pixel, and the markers leave theirs free.
    page.keyboard.press("n")
    page.wait_for_selector("#stage[data-exact='true']")
    view = view_of(page)
    assert view["scale"] == pytest.approx(1 / ratio)
    x, y = view["left"] + view["width"] / 2, view["top"] + view["height"] / 2
    row, col = int(view["y"]), int(view["x"])
    px, py = place_of(view, row, col)
    assert abs(px - x) <= 1 and abs(py - y) <= 1
    if ratio == 1:
        painted = screenshot(page)
        block = painted[int(py) - 3 : int(py) + 4, int(px) - 3 : int(px) + 4]
        wanted = [
            pixels[row - 5 + dy : row + 2 + dy, col - 5 + dx : col + 2 + dx] for dy in range(4) for dx in range(4)
        ]
        assert any((block == one).all() for one in wanted), "the screen shows other pixels than the stored ones"


def centre_of(page, canvas):
    """The colours of the enlarged middle pixel of a lens."""
    found = page.evaluate(
        """(id) => { const c = document.getElementById(id), zoom = Math.round(8 * devicePixelRatio);
             const corner = Math.floor((c.width - zoom) / 2);
             return [...c.getContext('2d').getImageData(corner, corner, zoom, zoom).data]; }""",
        canvas,
    )
    return {tuple(color) for color in np.array(found).reshape(-1, 4)[:, :3]}


def luminance(pixels):
    linear = np.where(pixels <= 10.0, pixels / 255 / 12.92, ((pixels / 255 + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def weakest_contrast(shown, painted, marker):
    """Of 36 directions from a point outwards, the least contrast of what the marker paints: as each holds
    light and dark paint, no background can hide it."""
    weakest = 100.0
    for angle in np.linspace(0, 2 * np.pi, 36, endpoint=False):
        steps = np.arange(4, 32, 0.5)
        rows = (marker["y"] + steps * np.sin(angle)).round().astype(int)
        cols = (marker["x"] + steps * np.cos(angle)).round().astype(int)
        ours = painted[rows, cols]
        if not ours.any():
            return 1.0
        light = luminance(shown[rows, cols][ours].astype(float))
        weakest = min(weakest, (light.max() + 0.05) / (light.min() + 0.05))
    return weakest


def test_markers_stand_out_on_anything_and_never_cover_their_pixel(new_study, label):
    draw = np.random.default_rng(3)
    shape = (240, 320, 3)
    pictures = [
        np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), np.full(shape, 118, np.uint8),
        draw.integers(0, 256, shape, dtype=np.uint8),
        np.where(np.indices(shape[:2]).sum(axis=0)[..., None] % 2, [255, 176, 46], [102, 204, 255]).astype(np.uint8),
    ]  # fmt: skip
    study = new_study(settings=PLAIN, images=1, pairs_per_image=1)
    pairs = [(k, (75, 100), (165, 225)) for k in range(5)] + [(3, (120, 160), (120, 163))]
    add_pictures(study, pictures, pairs)
    work = open_charts(label, study, viewport={"width": 900, "height": 640})
    page = work.page
    painted = np.zeros((640, 900), bool)  # the markers lie at the same places in the first five
    frames = []
    for number in range(6):
        work.ready()
        page.mouse.move(450, 20)
        page.wait_for_selector("#stage[data-exact='true']")
        shown = screenshot(page)
        page.keyboard.down("h")
        bare = screenshot(page)
        page.keyboard.up("h")
        assert not page.evaluate("document.getElementById('markers').classList.contains('away')")
        changed = (shown != bare).any(axis=-1)
        assert changed.sum() > 500
        for marker in work.points():
            x, y = round(marker["x"]), round(marker["y"])
            assert not changed[y - 2 : y + 3, x - 2 : x + 3].any(), "the pixel is covered"
        if number < 5:
            painted |= changed
            frames.append((shown, work.points()))
            work.press("e")
    for number, (shown, markers) in enumerate(frames):
        for marker in markers:
            assert weakest_contrast(shown, painted, marker) >= 4.5, number
    assert (
        len({page.evaluate(f"getComputedStyle(document.querySelector('.ring-{name} .core')).stroke") for name in "ab"})
        == 2
    )
    assert page.evaluate("['a', 'b'].map((n) => document.querySelector(`.ring-${n} .core`).tagName)") == [
        "rect",
        "circle",
    ]


def test_wheel_drag_and_keys_move_the_view_and_change_no_answer(new_study, label):
    study = new_study(settings=PLAIN, images=1, pairs_per_image=2)
    add_pictures(study, [chart(1200, 900)], [(0, (100, 100), (160, 240)), (0, (500, 500), (800, 1000))])
    work = open_charts(label, study)
    page, pair = work.page, work.ready()
    near = view_of(page)
    page.keyboard.press("z")
    whole = view_of(page)
    assert whole["scale"] < near["scale"]
    assert whole["scale"] * 1200 <= whole["width"] - 23.9 and whole["scale"] * 900 <= whole["height"] - 23.9
    page.keyboard.press("z")
    assert view_of(page)["scale"] == pytest.approx(near["scale"])
    x, y = place_of(near, 150, 200)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -240)
    page.wait_for_timeout(80)
    closer = view_of(page)
    assert closer["scale"] > near["scale"] * 1.2
    assert place_of(closer, 150, 200) == pytest.approx((x, y), abs=0.6)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 40, y - 30, steps=4)
    page.mouse.up()
    page.wait_for_timeout(80)
    assert place_of(view_of(page), 150, 200) == pytest.approx((x - 40, y - 30), abs=0.6)
    assert work.ready() == pair and work.responses() == []


def test_the_whole_picture_comes_first_and_then_the_pair(new_study, label):
    study = new_study(settings=PLAIN, images=1, pairs_per_image=1)
    add_pictures(study, [chart(1200, 900)], [(0, (100, 100), (160, 240))])
    work = open_charts(label, study, reduced_motion="no-preference", viewport={"width": 600, "height": 600})
    page = work.page
    page.evaluate("localStorage.setItem('dabench.settings', JSON.stringify({intro: 1}))")
    page.reload()
    work.ready()
    first = view_of(page)
    assert page.evaluate("document.getElementById('stage').dataset.moving") == "true"
    assert first["scale"] == pytest.approx(min((first["width"] - 24) / 1200, (first["height"] - 24) / 900))
    page.wait_for_selector("#stage[data-moving='false']")
    assert view_of(page)["scale"] > 2 * first["scale"]


def test_two_fingers_zoom_and_a_long_press_opens_the_loupe_above_the_finger(new_study, label):
    study = new_study(settings=PLAIN, images=1, pairs_per_image=1)
    add_pictures(study, [chart(1200, 900)], [(0, (400, 300), (600, 900))])
    work = open_charts(label, study, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page, pair = work.page, work.ready()
    touch = page.context.new_cdp_session(page)

    def send(kind, *points):
        touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(points)]},
        )

    view = view_of(page)
    middle = view["top"] + view["height"] / 2
    send("touchStart", (150, middle))
    send("touchStart", (150, middle), (240, middle))
    for step in range(1, 6):
        send("touchMove", (150 - 10 * step, middle), (240 + 10 * step, middle))
    send("touchEnd")
    page.wait_for_timeout(80)
    assert view_of(page)["scale"] == pytest.approx(view["scale"] * 190 / 90, rel=0.03)
    finger = (200, middle + 60)
    send("touchStart", finger)
    page.wait_for_selector("#lens", state="visible")
    lens = page.locator("#lens").bounding_box()
    assert lens["y"] + lens["height"] < finger[1] - 40
    send("touchMove", (210, middle + 70))
    send("touchEnd")
    page.wait_for_selector("#lens", state="hidden")
    assert work.ready() == pair and work.responses() == []
