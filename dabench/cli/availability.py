"""Whether a catalogued model can run here and now, told from files and installed packages alone.

Nothing is imported but the catalogue and no connection is opened: the Hugging Face cache is looked at as folders
(``models--ORG--NAME/snapshots/COMMIT/FILE``), packages are looked for and not loaded.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from dabench.registry import missing_packages
from dabench.types import ModelEntry

PIN_FILE = "dabench-pins.json"
ENVIRONMENT_MARKER = "environment.json"


@dataclass(frozen=True)
class Availability:
    """What stands between a model and a run.

    Attributes:
        state: one of ``STATES``.
        installed: a run needs nothing more: no package, no download.
        needs: what to do first, as a command where there is one; None for a model that runs or that nobody can run.
    """

    state: str
    installed: bool
    needs: str | None = None


STATES = {
    "bundled": "runs offline: the weights are in the package",
    "baseline": "runs offline: there are no weights",
    "installed": "runs offline: all it needs is on this machine",
    "downloadable": "runs: its weights are downloaded and checked on first use",
    "needs package": "runs once the package is installed that its row names",
    "needs environment": "runs once its own Python environment is set up",
    "needs endpoint": "runs against a service that you name",
    "published-only": "does not run: numbers of the literature only",
}


def availability(entry: ModelEntry, cache: Path | None = None) -> Availability:
    """What a catalogue row needs on this machine.

    Args:
        entry: the row.
        cache: the hub cache; the one that the hub client would use by default.
    """
    if entry.status == "published-only":
        return Availability("published-only", installed=False)
    if missing := missing_packages(entry):
        package = f"dabench[{entry.extra}]" if entry.extra else " ".join(missing)
        return Availability("needs package", installed=False, needs=f"pip install '{package}'")
    if entry.status in ("bundled", "baseline"):
        return Availability(entry.status, installed=True)
    if entry.status == "endpoint":
        return Availability("needs endpoint", installed=False, needs="--endpoint URL, and -o model=NAME")
    environment = entry.options.get("environment")
    if environment is not None and not has_environment(str(environment)):
        return Availability("needs environment", installed=False, needs=f"dabench setup {environment}")
    if not (entry.source or entry.file or entry.files) or has_weights(entry, cache or hub_cache()):
        return Availability("installed", installed=True)
    return Availability("downloadable", installed=False, needs=f"a download from {entry.source}")


def has_weights(entry: ModelEntry, cache: Path) -> bool:
    """Whether all files of a row lie in the hub cache, at the commit that a run would take."""
    files = {*entry.files, *([entry.file] if entry.file else [])}
    if not entry.source or not files:
        return False
    kind = "" if entry.source.startswith("spaces/") else "models/"  # a space is named as in its address
    repository = cache / (kind + entry.source).replace("/", "--")
    commit = entry.revision or _pinned(cache, entry.source) or _branch(repository)
    if commit is None:
        return False
    folder = repository / "snapshots" / commit
    return all((folder / file).is_file() for file in files)


def has_environment(wanted: str) -> bool:
    """Whether a Python environment is set up: one of ``dabench setup``, or the absolute path of one's own."""
    if Path(wanted).is_absolute():
        return Path(wanted).exists()
    try:
        marker = json.loads((_environments() / wanted / ENVIRONMENT_MARKER).read_text(encoding="utf-8"))
        return Path(marker["python"]).is_file()
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _environments() -> Path:
    """Where ``dabench setup`` puts environments: DABENCH_ENVIRONMENTS, or the place for a user's data."""
    if chosen := os.environ.get("DABENCH_ENVIRONMENTS"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local")
    elif sys.platform == "darwin":
        data = Path("~/Library/Application Support")
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share")
    return data.expanduser() / "dabench" / "environments"


def hub_cache() -> Path:
    """The folder that the hub client keeps repositories in: HF_HUB_CACHE, or under HF_HOME or the user's cache."""
    if where := os.environ.get("HF_HUB_CACHE"):
        return Path(where).expanduser()
    if where := os.environ.get("HF_HOME"):
        return Path(where).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def _branch(repository: Path) -> str | None:
    try:
        return (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _pinned(cache: Path, source: str) -> str | None:
    """The commit that was pinned when an unpinned repository was first used."""
    try:
        return str(json.loads((cache / PIN_FILE).read_text(encoding="utf-8"))["revisions"][source])
    except (OSError, ValueError, KeyError, TypeError):
        return None
