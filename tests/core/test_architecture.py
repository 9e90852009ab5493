"""The arrows of the house, read from the imports: annotation -> model_zoo -> dabench, and what each part may touch."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dabench", "model_zoo", "annotation")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
OPENS_CONNECTIONS = {"dabench/datasets/fetch.py", "model_zoo/hub.py", "model_zoo/vlm/client.py"}
NETWORK = {
    "socket", "ssl", "http.client", "urllib.request", "ftplib", "requests", "httpx", "aiohttp", "urllib3",
    "huggingface_hub", "websockets",
}  # fmt: skip
WORKER, ELSEWHERE = "model_zoo/environments/worker.py", "model_zoo.environments.workers"
"""The script and the adapters that run in another environment, where a family's own package gets its weights."""
DOWNLOADS = {"from_pretrained", "load_state_dict_from_url", "download_url_to_file", "hf_hub_download"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Absolute dotted names a file imports, anywhere in it; ``from a import b`` gives ``a`` and ``a.b``."""
    package = path.relative_to(ROOT).parent.parts
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def within(name: str, *roots: str) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def below(folder: str) -> list[Path]:
    return [path for path in FILES if within(".".join(path.relative_to(ROOT).with_suffix("").parts), folder)]


def test_the_reader_of_imports_reads_imports(tmp_path: Path) -> None:
    assert {"dabench.types", "dabench.types.Output", "numpy"} <= imports(ROOT / "dabench" / "scoring" / "pairs.py")
    assert len(FILES) > 30 and below("dabench.scoring") and below("model_zoo.depth_anything_v2")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows_point_one_way(path: Path) -> None:
    upward = {"dabench": ("model_zoo", "annotation"), "model_zoo": ("annotation",), "annotation": ()}[
        path.relative_to(ROOT).parts[0]
    ]
    assert {name for name in imports(path) if upward and within(name, *upward)} == set()


@pytest.mark.parametrize("path", below("model_zoo"), ids=name_of)
def test_the_zoo_knows_only_the_nouns_of_the_harness(path: Path) -> None:
    allowed = ("dabench.types", "dabench.registry", "dabench.errors")
    reached = {name for name in imports(path) if within(name, "dabench") and not within(name, *allowed)}
    assert reached <= {"dabench", "dabench.__version__"}


@pytest.mark.parametrize("path", below("dabench.scoring"), ids=name_of)
def test_scoring_knows_arrays_only(path: Path) -> None:
    allowed = (
        "__future__", "collections.abc", "dataclasses", "math", "statistics", "typing", "numba", "numpy", "scipy",
        "dabench.types", "dabench.errors", "dabench.scoring",
    )  # fmt: skip
    assert {name for name in imports(path) if not within(name, *allowed)} <= {"dabench", "collections"}
    called = {node.func.id for node in ast.walk(ast.parse(path.read_text()))
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
    assert not called & {"open", "print", "input", "exec", "eval", "__import__"}


@pytest.mark.parametrize("path", below("dabench.reporting") or [ROOT / "dabench" / "records.py"], ids=name_of)
def test_reporting_knows_records_only(path: Path) -> None:
    forbidden = ("torch", "timm", "transformers", "dabench.inference", "dabench.evaluate", "dabench.registry")
    assert {name for name in imports(path) if within(name, *forbidden)} == set()


def _from_disk(call: ast.Call) -> bool:
    """Whether a loader that may download is told not to."""
    told = [keyword.value for keyword in call.keywords if keyword.arg == "local_files_only"]
    return any(isinstance(value, ast.Constant) and value.value is True for value in told)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_fetchers_open_connections(path: Path) -> None:
    if name_of(path) in OPENS_CONNECTIONS:
        return
    assert {name for name in imports(path) if within(name, *NETWORK)} == set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path in below(ELSEWHERE) or name_of(path) == WORKER:
        return
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and not _from_disk(node)
    }
    assert not called & DOWNLOADS
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "pretrained":
            assert isinstance(node.value, ast.Constant) and node.value.value is False


def test_the_fetchers_exist() -> None:
    for name in OPENS_CONNECTIONS:
        assert any(within(imported, *NETWORK) for imported in imports(ROOT / name))


def test_what_runs_elsewhere_is_never_imported_here() -> None:
    assert len(below(ELSEWHERE)) >= 7
    for path in FILES:
        assert {name for name in imports(path) if within(name, ELSEWHERE)} == set(), path


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_house_style(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500
    assert path.stem not in ("utils", "util", "helpers", "helper", "misc", "common")
    assert "TODO" not in text and "FIXME" not in text
    assert not any(machine in text for machine in (f"/{top}/" for top in ("root", "work", "tmp", "home")))
    tree = ast.parse(text)
    assert path.stem.startswith("_") or not tree.body or ast.get_docstring(tree), "a module says what it is"
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert not within(getattr(node, "module", "") or node.names[0].name, "__main__")


def test_cli_files_hold_one_verb_each_and_no_torch() -> None:
    for path in below("dabench.cli"):
        assert {name for name in imports(path) if within(name, "timm", "transformers", "model_zoo")} == set(), path


@pytest.mark.parametrize(
    "code",
    [
        "import dabench",
        "import dabench.cli",
        "import dabench.cli; dabench.cli.build_app()",
        "import dabench.evaluate",
        "from dabench.registry import models, broken_providers; assert models().names() and not broken_providers()",
        "from dabench import datasets, protocols; assert protocols.all_protocols(); assert datasets.registry().names()",
        "import model_zoo",
        "import model_zoo.catalog",
    ],
)
def test_what_does_not_need_torch_does_not_import_it(code: str) -> None:
    heavy = "('torch', 'torchvision', 'timm', 'transformers', 'mitsuba', 'matplotlib', 'pandas')"
    script = f"{code}\nimport sys\nloaded = [m for m in {heavy} if m in sys.modules]\nassert not loaded, loaded"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_importing_every_module_does_no_work() -> None:
    """Modules of the harness import in one process without output, threads or files."""
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in below("dabench")]
    names = [n for n in names if not n.endswith("__main__") and not within(n, "dabench.render")]
    script = (
        f"import importlib, threading, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        "assert threading.active_count() == 1 and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_packages_are_the_ones_under_test() -> None:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin is not None
        assert Path(spec.origin).resolve() == ROOT / package / "__init__.py"
