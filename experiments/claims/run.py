"""Claims of Depth Anything V2 in miniature: train all arms, compare them, write the page.

python experiments/claims/run.py --list                 # arms, and how long the rest will take
python experiments/claims/run.py                        # everything, for two CPU cores; goes on where it was
python experiments/claims/run.py --only H1,H5 --budget gpu
python experiments/claims/run.py --report               # RESULTS.md and its plots from the results on disk
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if str(ROOT) not in sys.path:  # run as a script, from anywhere
    sys.path.insert(0, str(ROOT))

from dabench.errors import DabenchError, UsageError  # noqa: E402
from experiments.claims import page  # noqa: E402
from experiments.claims.arms import BUDGETS, TEACHER, Arm, Budget, arms_of, chosen, needs_teacher, start_of  # noqa: E402
from experiments.claims.study import Places, estimate, read_result, remaining, run_study  # noqa: E402

console = Console()


def say(text: str) -> None:
    """Print a line as it is, however long."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def places_of(budget: Budget, work: Path | None, results: Path | None) -> Places:
    """Default folders. The page of the smoke budget, which says nothing, and of results elsewhere stays with them."""
    work = (work or ROOT / "runs" / "claims") / budget.name
    if results is not None:
        return Places(work, results / budget.name, results)
    if budget.name == "smoke":
        return Places(work, work / "results", work)
    return Places(work, HERE / "results" / budget.name, HERE)


def show(arms: list[Arm], budget: Budget, places: Places) -> None:
    """Print the arms, what is done of each, and the time that the rest takes."""
    table = Table("arm", "what", "done", title=f"budget {budget.name}: {budget.steps} steps of {budget.batch} images")
    teaching = any(needs_teacher(arm) for arm in arms)
    rows = [(start_of(size), 1) for size in dict.fromkeys(["tiny", *([budget.teacher_size] if teaching else [])])]
    rows += [(TEACHER, budget.teachers)] if teaching else []
    for arm, runs in [*rows, *((arm, budget.seeds) for arm in arms)]:
        done = sum(read_result(places, arm, seed, budget) is not None for seed in range(runs))
        table.add_row(arm.name, arm.title, f"{done}/{runs}")
    console.print(table)
    left, minutes = len(remaining(arms, budget, places)), estimate(arms, budget, places) / 60
    console.print(f"{left} trainings left: about {minutes:.0f} minutes, {budget.at_once} at once")


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 where a training failed."""
    parser = argparse.ArgumentParser(prog="experiments/claims/run.py", description=__doc__.splitlines()[0])
    parser.add_argument("--budget", choices=list(BUDGETS), default="cpu")
    parser.add_argument("--only", default="", metavar="H1,H5", help="these hypotheses; all without")
    parser.add_argument("--list", action="store_true", help="print the arms and an estimate, and train nothing")
    parser.add_argument("--report", action="store_true", help="write the page from the results, and train nothing")
    parser.add_argument("--work", type=Path, help="folder for sets, labels and runs (default runs/claims)")
    parser.add_argument("--results", type=Path, help="folder of the results (default beside this file)")
    parser.add_argument("--at-once", type=int, help="trainings at the same time")
    options = parser.parse_args(arguments)
    budget = BUDGETS[options.budget]
    if options.at_once is not None:
        if options.at_once < 1:
            raise UsageError("--at-once must be at least 1")
        budget = Budget(**{**budget.__dict__, "at_once": options.at_once})
    hypotheses = chosen([name.strip() for name in options.only.split(",") if name.strip()])
    arms, places = arms_of(hypotheses), places_of(budget, options.work, options.results)
    if options.list:
        show(arms, budget, places)
        return 0
    if options.report:
        say(f"wrote {page.write(budget, places)}")
        return 0
    logging.basicConfig(level=logging.WARNING)
    problems = run_study(arms, budget, places, say)
    page.draw_samples(budget, places)
    for problem in problems:
        say(f"failed: {problem}")
    say(f"wrote {page.write(budget, places)}")
    return int(bool(problems))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's end is as orderly as Ctrl-C
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("stopped; the same command goes on")
        sys.exit(130)
    except DabenchError as error:
        say(f"error: {error}")
        sys.exit(2)
