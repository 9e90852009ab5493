"""Makes the scenes that a recipe generates itself, where they are not there yet.

Each set is made by a process of its own in `ROOT.partial`, which becomes ROOT when it is complete; so a set that exists
is whole, and an interrupted one is made again or, where its maker can, continued.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dabench.errors import DatasetError

from .recipe import Generate, Recipe

POLL_SECONDS = 0.5
LAST_LINES = 5

Progress = Callable[[str, int, int], None]
"""(name of the set, images made, images wanted)."""


@dataclass(frozen=True)
class Job:
    """A set to be made."""

    name: str
    root: Path
    generate: Generate

    @property
    def partial(self) -> Path:
        """Where it grows."""
        return self.root.with_name(self.root.name + ".partial")

    def command(self) -> list[str]:
        """The maker's command line."""
        options = ["--out", str(self.partial), "--scenes", str(self.generate.scenes), "--seed", str(self.generate.seed)]
        if self.generate.by == "sketch":
            return [sys.executable, "-m", f"{__package__}.sketch", *options]
        return [sys.executable, "-m", "dabench", "render", *options, "--views", str(self.generate.views)]

    def made(self) -> int:
        """Images written so far."""
        return sum(1 for _ in self.partial.glob("images/*/*.jpg"))


def jobs(recipe: Recipe, data_root: Path) -> list[Job]:
    """The sets of `recipe`, validation included, that are to be made and are not under `data_root`."""
    found = {}
    for choice in (*recipe.data.sets, *recipe.data.validation):
        root = data_root / choice.root
        if choice.generate is not None and not root.exists():
            found[root] = Job(choice.root, root, choice.generate)
    return list(found.values())


def prepare(recipe: Recipe, data_root: Path, *, at_once: int = 2, progress: Progress | None = None) -> list[Path]:
    """Make what `jobs` lists, `at_once` sets at a time, and return their folders.

    Raises:
        DatasetError: a maker failed; the message has its last lines.
    """
    waiting = jobs(recipe, data_root)
    made = [job.root for job in waiting]
    running: list[tuple[Job, subprocess.Popen[bytes]]] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                running.append((job, _start(job)))
            time.sleep(POLL_SECONDS)
            for job, process in list(running):
                if process.poll() is not None:
                    running.remove((job, process))
                    _finish(job, process.returncode)
                if progress is not None:
                    total = job.generate.images
                    progress(job.name, total if process.returncode is not None else min(job.made(), total), total)
    finally:
        for _, process in running:
            process.terminate()
            process.wait()
    return made


def wait_for(recipe: Recipe, data_root: Path, poll: float = POLL_SECONDS) -> None:
    """Return when no set is left to be made; for the processes beside the one that calls `prepare`."""
    while jobs(recipe, data_root):
        time.sleep(poll)


def _start(job: Job) -> subprocess.Popen[bytes]:
    job.partial.mkdir(parents=True, exist_ok=True)
    with _log(job).open("wb") as log:
        return subprocess.Popen(job.command(), stdout=log, stderr=subprocess.STDOUT)


def _finish(job: Job, status: int) -> None:
    log = _log(job)
    if status != 0:
        lines: Sequence[str] = log.read_text(errors="replace").strip().splitlines()[-LAST_LINES:]
        raise DatasetError(
            f"making {job.root} failed with status {status}: " + "\n".join(lines),
            hint=f"the whole output is in {log}",
        )
    log.unlink(missing_ok=True)
    job.partial.rename(job.root)


def _log(job: Job) -> Path:
    return job.root.with_name(job.root.name + ".log")
