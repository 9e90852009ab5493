"""Pictures: what is served equals the file, and a file that is not what its digest says leaves the queue."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from annotation_live_server import Browsers
from PIL import Image

from annotation.errors import NotFoundError
from annotation.server.pictures import Pictures
from annotation.server.replies import Refused


@pytest.fixture
def browsers(study):
    with Browsers(study) as made:
        yield made


def add_image(study, pixels: np.ndarray, **fields) -> str:
    """A canonical PNG in the study; the file, size and digest are right unless ``fields`` says otherwise."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    content = fields.pop("content", buffer.getvalue())
    sha256 = hashlib.sha256(content).hexdigest()
    (study.images / f"{sha256}.png").write_bytes(content)
    data = {"sha256": sha256, "file": f"{sha256}.png", "width": pixels.shape[1], "height": pixels.shape[0]}
    data |= {"original_name": "x.png", "original_sha256": sha256, **fields}
    with study.store.write("owner") as write:
        write.append("image.added", data)
    return sha256


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def first_image(study) -> str:
    return study.store.one("SELECT sha256 FROM images ORDER BY rowid")["sha256"]


def opened(reply) -> Image.Image:
    assert reply.status_code == 200, reply.text
    return Image.open(io.BytesIO(reply.content))


def test_the_work_copy_is_a_jpeg_of_at_most_2048_without_metadata(browsers, study):
    wide = add_image(study, np.tile(np.linspace(0, 255, 2100, dtype=np.uint8)[None, :, None], (300, 1, 3)))
    reply = browsers("ann").get(f"/images/{wide}/work.jpg")
    picture = opened(reply)
    assert reply.headers["content-type"] == "image/jpeg" and picture.format == "JPEG"
    assert picture.size == (2048, 293) and not picture.getexif() and "icc_profile" not in picture.info
    columns = np.asarray(picture.convert("L")).astype(float).mean(axis=0)
    assert np.abs(columns - np.linspace(0, 255, 2048)).max() < 3
    small = opened(browsers("ann").get(f"/images/{first_image(study)}/work.jpg"))
    assert small.size == (64, 48), "a small picture is not enlarged"


def test_a_picture_of_pure_noise_is_served(browsers, study):
    sha256 = add_image(study, noise(400, 600))
    assert opened(browsers("ann").get(f"/images/{sha256}/work.jpg")).size == (600, 400)


def test_the_work_copy_is_made_once_and_may_be_deleted(browsers, study):
    sha256 = first_image(study)
    url, file = f"/images/{sha256}/work.jpg", study.cache / "work" / f"{sha256}.jpg"
    first = browsers("ann").get(url).content
    made = file.stat()
    assert browsers("ann").get(url).content == first == file.read_bytes()
    assert file.stat().st_mtime_ns == made.st_mtime_ns
    file.unlink()
    assert browsers("ann").get(url).content == first
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name], "no half file is left"


def test_many_at_once_get_the_same_whole_copy(study):
    pictures, sha256 = Pictures(study), first_image(study)
    with ThreadPoolExecutor(8) as pool:
        copies = set(pool.map(lambda _: pictures.work(sha256), range(16)))
    assert len(copies) == 1 and Image.open(io.BytesIO(copies.pop())).size == (64, 48)


def test_pictures_are_kept_by_the_browser_and_asked_for_by_etag(browsers, study):
    url = f"/images/{first_image(study)}/work.jpg"
    reply = browsers("ann").get(url)
    assert reply.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    again = browsers("ann").get(url, headers={"If-None-Match": reply.headers["ETag"]})
    assert again.status_code == 304 and again.content == b""
    assert browsers("ann").get(url, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "window"),
    [
        ((0, 0, 16, 16), (0, 0, 16, 16)),
        ((5, 7, 11, 3), (5, 7, 11, 3)),
        ((95, 140, 16, 16), (84, 134, 16, 16)),
        ((100_000, 0, 512, 512), (0, 0, 100, 150)),
        ((99, 149, 1, 1), (99, 149, 1, 1)),
    ],
)
def test_a_crop_is_native_pixels_inside_the_picture(browsers, study, asked, window):
    pixels = noise(100, 150)
    sha256 = add_image(study, pixels)
    row, col, rows, cols = asked
    reply = browsers("ann").get(
        f"/images/{sha256}/crop.png", params={"row": row, "col": col, "rows": rows, "cols": cols}
    )
    top, left, height, width = window
    assert reply.headers["X-Dabench-Crop"] == f"{top} {left} {height} {width}"
    assert np.array_equal(np.asarray(opened(reply)), pixels[top : top + height, left : left + width])


def test_a_crop_has_bounds(browsers, study):
    url = f"/images/{first_image(study)}/crop.png"
    for query in (
        "",
        "?row=0",
        "?row=-1&col=0",
        "?row=0&col=0&rows=513",
        "?row=0&col=0&rows=0",
        "?row=1.5&col=0",
        "?row=x&col=0",
    ):
        assert browsers("ann").get(url + query).status_code == 422, query


def test_a_picture_keeps_its_address_only(browsers, study):
    name = study.store.one("SELECT original_name AS n FROM images")["n"]
    for address in (
        "0" * 64,
        "F" * 64,
        "0" * 63,
        name,
        "..",
        f"{first_image(study)}.png",
        "%2e%2e",
        f"{first_image(study)}%00",
    ):
        assert browsers("ann").get(f"/images/{address}/work.jpg").status_code in (404, 422), address


def spoil(study, sha256: str, how: str) -> None:
    file = study.images / study.store.one("SELECT file FROM images WHERE sha256 = ?", sha256)["file"]
    if how == "missing":
        file.unlink()
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    elif how == "one bit":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    else:
        Image.fromarray(noise(48, 64)).save(file)


@pytest.mark.parametrize("how", ["missing", "empty", "cut", "one bit", "replaced"])
@pytest.mark.parametrize("served", [False, True])
def test_a_spoilt_file_marks_its_image_and_nothing_else(browsers, study, how, served):
    sha256 = first_image(study)
    url = f"/images/{sha256}/work.jpg"
    if served:
        assert browsers("ann").get(url).status_code == 200
    spoil(study, sha256, how)
    reply = browsers("ann").get(url)
    assert reply.status_code == 410 and set(reply.json()) == {"error", "hint"}
    assert str(study.path) not in reply.text
    states = dict(study.store.query("SELECT sha256, state FROM images"))
    assert states.pop(sha256) == "bad" and set(states.values()) == {"ok"}
    assert browsers("ann").get(f"/images/{sha256}/crop.png?row=0&col=0").status_code == 410
    changes = list(study.store.events(["image.changed"]))
    assert len(changes) == 1 and changes[0].actor == "server" and changes[0].data["problem"]
    assert browsers("ann").get(f"/images/{next(iter(states))}/work.jpg").status_code == 200


def png_header_of(width: int, height: int) -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "content",
    [
        png_header_of(20_000, 20_000),
        png_header_of(64, 48),
        b"GIF89a" + b"\0" * 50,
        b"<svg onload='alert(1)'/>",
        b"\x89PNG",
    ],
)
def test_what_cannot_be_decoded_is_marked_though_its_digest_fits(study, content):
    width, height = (20_000, 20_000) if len(content) > 60 and content[16:20] == b"\0\0N " else (64, 48)
    sha256 = add_image(study, noise(48, 64), content=content, width=width, height=height)
    pictures = Pictures(study)
    with pytest.raises(Refused) as refused:
        pictures.work(sha256)
    assert refused.value.status == 410
    row = study.store.one("SELECT state, problem FROM images WHERE sha256 = ?", sha256)
    assert row["state"] == "bad" and "decoded" in row["problem"]
    assert not pictures.usable(sha256)


def test_a_size_that_is_not_the_stored_one_is_refused(study):
    sha256 = add_image(study, noise(48, 64), width=63)
    with pytest.raises(Refused):
        Pictures(study).crop(sha256, 0, 0, 8, 8)


def test_a_cache_that_cannot_be_written_serves_all_the_same(study, caplog):
    (study.cache).mkdir(exist_ok=True)
    (study.cache / "work").write_text("a file where a folder belongs")
    sha256 = first_image(study)
    assert Image.open(io.BytesIO(Pictures(study).work(sha256))).size == (64, 48)
    assert "not kept" in caplog.text


def test_few_decoded_pictures_are_kept(study, monkeypatch):
    monkeypatch.setattr("annotation.server.pictures.KEPT_BYTES", 2 * 48 * 64 * 3)
    pictures = Pictures(study)
    for row in study.store.query("SELECT sha256 FROM images"):
        pictures.crop(row["sha256"], 0, 0, 8, 8)
    assert len(pictures._decoded) == 2


def test_the_map_of_an_expert_that_voted(browsers, study):
    sha256 = first_image(study)
    url = f"/images/{sha256}/expert"
    assert browsers("adam").get(f"{url}/steady.png").status_code == 404, "none is kept"
    pixels = noise(12, 16)
    for name in ("steady", "stranger"):
        (study.cache / "experts" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(study.cache / "experts" / name / f"{sha256}.png")
    assert np.array_equal(np.asarray(opened(browsers("adam").get(f"{url}/steady.png"))), pixels)
    assert browsers("adam").get(f"{url}/stranger.png").status_code == 404, "it gave no vote"
    for name in ("..", "%2e%2e", "a%2fb", ".hidden", "a%00", "x" * 101):
        assert browsers("adam").get(f"{url}/{name}.png").status_code in (404, 422), name
    (study.cache / "experts" / "steady" / f"{sha256}.png").write_bytes(b"\x89PNG")
    assert browsers("adam").get(f"{url}/steady.png").status_code == 404
    with pytest.raises(NotFoundError):
        Pictures(study).expert("0" * 64, "steady")
