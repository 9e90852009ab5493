"""Everything that can be wrong with what a user hands to the command line, and the outcome each has.

Exit codes: 0 all scored; 1 something failed or coverage is short (records are written); 2 the call was wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from dabench.cli import main

PAIR = {"point1": [0, 0], "point2": [11, 15], "closer_point": "point2"}


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def dabench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command as the console script does, in a folder of its own; a traceback fails the test."""
    monkeypatch.setenv("COLUMNS", "500")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["dabench", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        code = ended.value.code
        return Answer(code if isinstance(code, int) else int(code is not None), captured.out, captured.err)

    return run


@pytest.fixture
def prior(dabench: Command, tmp_path: Path) -> Command:
    """Score ``location-prior`` on a pair set."""

    def run(root: Path, *more: object) -> Answer:
        return dabench("eval", "-m", "location-prior", "-d", "pairs", "--data-root", root, *more)

    return run


@pytest.fixture
def one_image(tmp_path: Path) -> Callable[[Callable[[Path], None]], Path]:
    """A set of a good picture and the one that ``write`` makes at the path it is given."""

    def make(write: Callable[[Path], None], name: str = "odd.png") -> Path:
        root = tmp_path / "one"
        (root / "images").mkdir(parents=True)
        Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(root / "images" / "good.png")
        write(root / "images" / name)
        pairs = {"images/good.png": [PAIR], f"images/{name}": [PAIR]}
        (root / "annotations.json").write_text(json.dumps(pairs))
        return root

    return make


def pixels(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    high = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, high, shape, dtype=dtype, endpoint=True)


def turned() -> Image.Exif:
    """The camera was held on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def summary(answer: Answer) -> dict[str, Any]:
    [found] = json.loads(answer.out)
    return found


class TestPicturesThatAreScored:
    @pytest.mark.parametrize(
        ("name", "write"),
        [
            ("grey16.png", lambda p: Image.fromarray(pixels(12, 16, dtype=np.uint16)).save(p)),
            ("grey.png", lambda p: Image.fromarray(pixels(12, 16)).save(p)),
            ("grey_alpha.png", lambda p: Image.fromarray(pixels(12, 16, 2), "LA").save(p)),
            ("rgba.png", lambda p: Image.fromarray(pixels(12, 16, 4)).save(p)),
            ("palette.png", lambda p: Image.fromarray(pixels(12, 16, 3)).quantize(8).save(p)),
            ("cmyk.jpg", lambda p: Image.fromarray(pixels(12, 16, 3)).convert("CMYK").save(p)),
            ("turned.jpg", lambda p: Image.fromarray(pixels(16, 12, 3)).save(p, exif=turned())),
            ("wide.png", lambda p: Image.fromarray(pixels(20, 10000, 3)).save(p)),
            ("tall.png", lambda p: Image.fromarray(pixels(10000, 20, 3)).save(p)),
        ],
    )  # fmt: skip
    def test_every_kind_of_picture(
        self, prior: Command, one_image: Any, name: str, write: Callable[[Path], None]
    ) -> None:
        answer = prior(one_image(write, name), "--json")
        assert answer.code == 0, answer.err
        assert summary(answer)["counts"] == {"expected": 2, "ok": 2, "empty": 0, "failed": 0, "pairs": 2}
        assert summary(answer)["metrics"]["accuracy"]["value"] == 1.0

    def test_one_pixel_has_no_room_for_two_points(self, prior: Command, one_image: Any) -> None:
        answer = prior(one_image(lambda p: Image.fromarray(pixels(1, 1, 3)).save(p)))
        assert answer.code == 2 and "point2 [11, 15] lies outside the image of 1 rows and 1 columns" in answer.err
        assert "odd.png" in answer.err


class TestPicturesThatFail:
    @pytest.mark.parametrize(
        "damage",
        [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"text", lambda b: b[:200] + b"\0" * 200 + b[400:]],
        ids=["truncated", "empty", "not an image", "corrupt"],
    )
    def test_the_sample_fails_is_counted_shown_and_exits_one(
        self, prior: Command, one_image: Any, damage: Callable[[bytes], bytes]
    ) -> None:
        def write(path: Path) -> None:
            Image.fromarray(pixels(12, 16, 3)).save(path)
            path.write_bytes(damage(path.read_bytes()))

        root = one_image(write)
        answer = prior(root)
        assert answer.code == 1 and "odd.png" in answer.err and "1 of 2 samples failed" in answer.err
        assert "failed" in answer.out and "50.0 %" in answer.out, "the failed image's pair is wrong"
        folder = Path("runs/location-prior/pairs@1")
        assert json.loads((folder / "summary.json").read_text())["counts"]["failed"] == 1
        lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
        assert [line["status"] for line in lines] == ["ok", "failed"] and "ImageError" in lines[1]["error"]
        assert prior(root).code == 1, "and again, when nothing was mended"
        Image.fromarray(pixels(12, 16, 3)).save(root / "images" / "odd.png")
        assert prior(root).code == 0, "and not, when it was"

    def test_a_missing_picture_and_a_folder_in_its_place(self, prior: Command, one_image: Any) -> None:
        root = one_image(lambda p: p.mkdir())
        answer = prior(root)
        assert answer.code == 2 and "missing images/odd.png" in answer.err and not Path("runs").exists()


class TestAnnotations:
    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ({"images/good.png": [{**PAIR, "point1": [12, 0]}]}, "point1 [12, 0] lies outside the image of 12 rows"),
            ({"images/good.png": [{**PAIR, "point1": [0, -1]}]}, "lies outside"),
            ({"images/good.png": [{**PAIR, "closer_point": "p1"}]}, "closer_point must be"),
            ({"images/gone.png": [PAIR]}, "missing images/gone.png"),
            ({"../good.png": [PAIR]}, "not a path inside the root"),
            ([], "not an object"),
            ({}, "holds no pairs"),
            ("{", "not readable JSON"),
        ],
    )
    def test_a_bad_file_is_refused(self, prior: Command, one_image: Any, content: Any, told: str) -> None:
        root = one_image(lambda p: None)
        (root / "annotations.json").write_text(content if isinstance(content, str) else json.dumps(content))
        answer = prior(root)
        assert answer.code == 2 and told in answer.err and "annotations.json" in answer.err
        assert answer.out == "" and not Path("runs").exists()

    def test_no_annotations(self, prior: Command, tmp_path: Path) -> None:
        answer = prior(tmp_path / "here")
        assert answer.code == 2 and "annotations.json is missing" in answer.err


class TestTheCall:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["eval", "-m", "depth-anything-v2-smal"], "did you mean 'depth-anything-v2-small'"),
            (["eval", "-m", "constant", "-d", "da2k"], "did you mean 'da-2k'"),
            (["eval", "-m", "constant", "-p", "mini-pair"], "did you mean 'mini-pairs"),
            (["eval", "-m", "constant", "-p", "pairs@7"], "pairs@1"),
            (["eval", "-m", "constant", "-p", "zzz*"], "no protocol matches 'zzz*'"),
            (["eval", "-m", "constant", "-d", "pairs"], "DABENCH_DATA"),
            (["eval", "-m", "constant", "-d", "pairs", "--data-root", "nowhere"], "nowhere does not exist"),
            (["eval", "-m", "constant", "-d", "pairs", "--data-root", "a_file"], "is a file, not a folder"),
            (["eval", "-m", "constant", "-d", "da-2k", "--data-root", "."], "dabench data fetch da-2k"),
            (["eval", "-m", "constant", "-d", "pairs", "--data-root", "SET", "--subset", "gone.txt"], "gone.txt"),
            (["eval", "-m", "constant", "-d", "pairs", "--data-root", "SET", "--subset", "a_file"], "names no sample"),
            (["eval", "-m", "constant", "-d", "pairs", "--data-root", "SET", "--subset", "ids.txt"], "'images/nope'"),
            (["eval", "-m", "constant", "-d", "pairs", "--data-root", "SET", "--batch-size", "0"], "batch"),
            (["eval", "-m", "constant", "-d", "pairs", "--data-root", "SET", "--limit", "0"], "limit"),
            (["eval", "-d", "pairs", "--data-root", "SET", "--predictions", "gone", "--output-kind", "depth"], "gone"),
            (["eval", "-d", "pairs", "--data-root", "SET", "--predictions", "a_file", "--output-kind", "depth"],
             "is not a folder"),
            (["eval", "-d", "pairs", "--data-root", "SET", "--predictions", "."], "--output-kind"),
            (["eval", "-d", "pairs", "--data-root", "SET", "--predictions", ".", "--output-kind", "far"], "'far'"),
            (["eval", "-d", "pairs", "--data-root", "SET", "--output-kind", "depth"], "--predictions"),
            (["eval", "--no-such-option"], "--no-such-option"),
            (["show", "depth-anything-v2-smal"], "depth-anything-v2-small"),
            (["ls", "modells"], "modells"),
            (["predict", "a_file", "-m", "constnt"], "did you mean 'constant'"),
            (["data", "check", "da-2"], "da-2k"),
        ],
    )  # fmt: skip
    def test_a_wrong_call_exits_two_and_writes_nothing(
        self, dabench: Command, one_image: Any, arguments: list[str], told: str
    ) -> None:
        root = one_image(lambda p: Image.fromarray(pixels(12, 16, 3)).save(p))
        Path("a_file").touch()
        Path("ids.txt").write_text("images/good\nimages/nope\n")
        answer = dabench(*[str(root) if a == "SET" else a for a in arguments])
        assert answer.code == 2 and told in answer.err and answer.out == ""
        assert not Path("runs").exists()

    @pytest.mark.slow
    def test_a_checkpoint_that_is_not_one(self, dabench: Command, one_image: Any) -> None:
        root = one_image(lambda p: Image.fromarray(pixels(12, 16, 3)).save(p))
        Path("empty.pth").touch()
        for checkpoint, told in (("gone.pth", "gone.pth"), (".", ""), ("empty.pth", "empty.pth")):
            answer = dabench("eval", "-m", "depth-anything-v2-small", "--checkpoint", checkpoint,
                             "-d", "pairs", "--data-root", root)  # fmt: skip
            assert answer.code == 2 and told in answer.err and not Path("runs").exists(), checkpoint

    def test_damaged_records(self, prior: Command, one_image: Any) -> None:
        root = one_image(lambda p: Image.fromarray(pixels(12, 16, 3)).save(p))
        assert prior(root).code == 0
        samples = Path("runs/location-prior/pairs@1/samples.jsonl")
        samples.write_text("{\n" + samples.read_text())
        answer = prior(root)
        assert answer.code == 2 and "samples.jsonl line 1 is damaged" in answer.err and "--fresh" in answer.err
        assert prior(root, "--fresh").code == 0
        Path("runs/location-prior/pairs@1/run.json").write_text("")
        assert prior(root).code == 2 and prior(root, "--fresh").code == 0

    def test_another_run_in_the_same_place(self, prior: Command, one_image: Any) -> None:
        root = one_image(lambda p: Image.fromarray(pixels(12, 16, 3)).save(p))
        assert prior(root).code == 0
        answer = prior(root, "--batch-size", 2)
        assert answer.code == 2 and "settings.batch_size" in answer.err and "--out" in answer.err

    def test_out_is_a_file(self, prior: Command, one_image: Any) -> None:
        root = one_image(lambda p: Image.fromarray(pixels(12, 16, 3)).save(p))
        Path("a_file").touch()
        answer = prior(root, "--out", "a_file")
        assert answer.code in (1, 2) and "a_file" in answer.err


def test_an_interrupt_keeps_what_was_finished(prior: Command, pair_set: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from model_zoo.baselines import LocationPrior

    root, calls, predict = pair_set(5), 0, LocationPrior.predict

    def interrupted(self: LocationPrior, image: np.ndarray) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return predict(self, image)

    monkeypatch.setattr(LocationPrior, "predict", interrupted)
    answer = prior(root, "--workers", 1)
    assert answer.code == 130 and "the same command continues" in answer.err
    samples = Path("runs/location-prior/pairs@1/samples.jsonl")
    kept = samples.read_text()
    assert kept.count("\n") == 2
    assert prior(root).code == 0 and calls == 6 and samples.read_text().startswith(kept)


class TestPredict:
    def test_good_pictures_are_written_and_bad_ones_named(self, dabench: Command, tmp_path: Path) -> None:
        Image.fromarray(pixels(12, 16, 3)).save("good.png")
        Image.fromarray(pixels(1, 1, 3)).save("dot.png")
        Path("cut.png").write_bytes(Path("good.png").read_bytes()[:100])
        Path("folder.png").mkdir()
        answer = dabench("predict", "good.png", "cut.png", "gone.png", "folder.png", "dot.png",
                         "-m", "location-prior", "--out", "maps")  # fmt: skip
        assert answer.code == 1 and "3 of 5 pictures failed" in answer.err
        assert "gone.png: no such file" in answer.err and "folder.png: is a folder" in answer.err
        assert "cut.png" in answer.err
        assert np.load("maps/good.npy").shape == (12, 16) and np.load("maps/dot.npy").shape == (1, 1)
        assert {p.name for p in Path("maps").iterdir()} == {
            f"{stem}{end}" for stem in ("good", "dot") for end in (".npy", "_16bit.png", "_color.png")
        }

    def test_two_pictures_of_one_name(self, dabench: Command) -> None:
        for folder in ("a", "b"):
            Path(folder).mkdir()
            Image.fromarray(pixels(4, 4, 3)).save(f"{folder}/x.png")
        answer = dabench("predict", "a/x.png", "b/x.png", "-m", "constant", "--out", "maps")
        assert answer.code == 0 and len(list(Path("maps").glob("*.npy"))) == 2


class TestSavedPredictions:
    @pytest.fixture
    def score(self, dabench: Command, pair_set: Any) -> Callable[..., tuple[Answer, dict[str, Any]]]:
        """Save right maps of six images, spoil those of image 2 with ``spoil``, and score them."""

        def run(spoil: Callable[[Path, np.ndarray], None]) -> tuple[Answer, dict[str, Any]]:
            root = pair_set(6)
            for path in root.rglob("*.png"):
                target = Path("maps") / path.relative_to(root).with_suffix(".npy")
                target.parent.mkdir(parents=True, exist_ok=True)
                values = np.asarray(Image.open(path))[..., 0].astype(np.float32)
                np.save(target, values)
                if path.stem == "rgb_002":
                    spoil(target, values)
            answer = dabench("eval", "-d", "pairs", "--data-root", root, "--predictions", "maps",
                             "--output-kind", "disparity", "--json")  # fmt: skip
            return answer, summary(answer)

        return run

    @pytest.mark.parametrize(
        ("spoil", "told"),
        [
            (lambda path, values: path.unlink(), "no map for 'images/aerial/rgb_002'"),
            (lambda path, values: path.write_bytes(path.read_bytes()[:300]), "rgb_002.npy"),
            (lambda path, values: path.write_bytes(b""), "rgb_002.npy"),
            (lambda path, values: np.save(path, values.T), "transpose"),
            (lambda path, values: np.save(path, np.dstack([values] * 3)), "has shape [24, 32, 3]"),
            (lambda path, values: np.save(path, values.astype(str)), "rgb_002.npy"),
        ],
        ids=["missing", "truncated", "empty", "transposed", "three channels", "text"],
    )
    def test_a_bad_map_fails_its_sample(self, score: Any, spoil: Any, told: str) -> None:
        answer, found = score(spoil)
        assert answer.code == 1 and told in answer.err
        assert found["counts"]["failed"] == 1 and found["counts"]["ok"] == 5
        assert found["metrics"]["accuracy"]["value"] == found["coverage"] == 15 / 18

    def test_nan_is_uncovered(self, score: Any) -> None:
        answer, found = score(lambda path, values: np.save(path, values * np.nan))
        assert answer.code == 1 and "coverage" in answer.err and found["counts"]["failed"] == 0
        assert found["metrics"]["accuracy"]["value"] == found["coverage"] == 15 / 18

    def test_a_constant_is_wrong_and_no_failure(self, score: Any) -> None:
        answer, found = score(lambda path, values: np.save(path, values * 0))
        assert answer.code == 0 and found["coverage"] == 1.0 and found["metrics"]["accuracy"]["value"] == 15 / 18


@pytest.mark.slow
def test_a_full_disk_and_a_second_try(pair_set: Any, tmp_path: Path) -> None:
    """Through the console script, in a process whose files may not grow past 5000 bytes."""
    root = pair_set(40)
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
    script = "import sys\nfrom dabench.cli import main\nsys.exit(main())"
    command = ["eval", "-m", "random", "-d", "pairs", "--data-root", str(root), "--out", str(tmp_path / "out")]

    def run(text: str, *more: str) -> Answer:
        done = subprocess.run(
            [sys.executable, "-c", text, *command, *more], capture_output=True, text=True, timeout=120
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    full = run(code + script)
    assert full.code == 1 and "cannot write" in full.err and "same command again" in full.err
    assert "Traceback" not in full.err
    folder = tmp_path / "out" / "random" / "pairs@1"
    kept = (folder / "samples.jsonl").read_text().splitlines()[:-1]
    assert len(kept) > 5 and not (folder / "summary.json").exists()
    assert run(script).code == 0
    assert (folder / "samples.jsonl").read_text().splitlines()[: len(kept)] == kept
    before = (folder / "summary.json").read_bytes()
    assert run(script).code == 0 and (folder / "summary.json").read_bytes() == before
