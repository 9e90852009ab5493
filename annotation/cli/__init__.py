"""``dabench annotate``: one file a verb; each parses, calls one library function, and shows the result."""

from __future__ import annotations

import typer

from annotation.cli import backup, export, fetch_sam, import_, people, propose, serve, stats

app = typer.Typer(
    name="annotate",
    help="Build a new pair set: propose pairs, label them in the browser, review, release.",
    no_args_is_help=True,
)

app.command("propose")(propose.propose)
app.command("fetch-sam")(fetch_sam.fetch_sam)
app.command("serve")(serve.serve)
app.add_typer(people.people_app, name="people")
app.add_typer(people.project_app, name="project")
app.command("stats")(stats.stats)
app.command("export")(export.export)
app.command("import")(import_.import_command)
app.command("backup")(backup.backup)
