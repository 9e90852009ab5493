"""The ``dabench`` command. One file a verb: each parses, calls one library function, and shows the result."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import typer

from dabench.cli import (
    bench,
    compare,
    data,
    doctor,
    eval,
    leaderboard,
    ls,
    predict,
    render,
    report,
    reproduce,
    run,
    search,
    show,
)
from dabench.errors import DabenchError


def version_option(requested: bool) -> None:
    if requested:
        from dabench.records import provenance

        about = provenance()
        typer.echo(f"dabench {about['dabench']}" + (f" ({about['commit'][:12]})" if about["commit"] else ""))
        raise typer.Exit


def build_app() -> typer.Typer:
    """The command line, with the verbs that other packages bring through ``dabench.commands`` entry points."""
    app = typer.Typer(
        name="dabench",
        help="Score monocular depth models so that every number means one thing.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        version: bool = typer.Option(
            False, "--version", callback=version_option, is_eager=True, help="Print the version and exit."
        ),
    ) -> None:
        pass

    app.command("eval")(eval.eval_command)
    app.command("ls")(ls.ls_command)
    app.command("show")(show.show_command)
    app.command("predict")(predict.predict_command)
    app.add_typer(data.app, name="data")
    app.command("bench")(bench.bench_command)
    app.command("compare")(compare.compare_command)
    app.command("reproduce")(reproduce.reproduce_command)
    app.command("run")(run.run_command)
    app.command("search")(search.search_command)
    app.command("render")(render.render)
    app.command("leaderboard")(leaderboard.leaderboard_command)
    app.command("report")(report.report_command)
    app.command("doctor")(doctor.doctor_command)
    for point in sorted(entry_points(group="dabench.commands"), key=lambda p: p.name):
        try:
            command = point.load()
        except Exception as error:  # a broken plugin must not take the command line down
            typer.echo(f"dabench: command '{point.name}' failed to load: {error}", err=True)
            continue
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=point.name)
        else:
            app.command(point.name)(command)
    return app


def main() -> None:
    """Entry point of the console script."""
    try:
        build_app()()
    except DabenchError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
