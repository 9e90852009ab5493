"""``dabench annotate export``: freeze the labelled pairs, and write a release in the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dabench.errors import UsageError

if TYPE_CHECKING:
    from annotation.study import Study

FORMATS = "da2k, csv, parquet, label-studio, coco or questions"


def export(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study.")],
    release: Annotated[
        str | None, typer.Option("--release", metavar="NAME", help="Release to make, or to export once it is made.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help=f"Write the release as {FORMATS}; without it, just make it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; else one inside the study.")] = None,
    project: Annotated[str | None, typer.Option("--project", help="Name of a project; else the first.")] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Judge the answers by another policy than they were collected under.")
    ] = None,
    allow_unlicensed: Annotated[
        bool, typer.Option("--allow-unlicensed", help="Release images of which no licence is known, too.")
    ] = False,
    events: Annotated[bool, typer.Option("--events", help="Also write the whole event log, without names.")] = False,
    seed: Annotated[int, typer.Option(help="Of the letters A and B in the formats that have them.")] = 0,
    image_prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Put before the path of each image (label-studio).")
    ] = "",
    imported: Annotated[
        bool, typer.Option("--imported", help="Write the imported pairs with their imported labels instead.")
    ] = False,
) -> None:
    """Freeze the final pairs as a release that never changes, or write one in another format."""
    from annotation.releases.exporting import export as export_as
    from annotation.releases.exporting import export_events
    from annotation.releases.release import find_release, list_releases, make_release
    from annotation.study import Study

    with Study.open(study) as opened:
        if imported:
            _export_imported(opened, project, out)
            return
        names = [found.name for found in list_releases(opened)]
        if release is None:
            raise UsageError(
                "name the release with --release NAME", hint=f"there are: {', '.join(names) or 'none yet'}"
            )
        if release in names:
            if policy is not None or (form is None and not events):
                raise UsageError(
                    f"there is a release '{release}' already, and releases never change",
                    hint=f"choose another name, or write it in a format: --format {FORMATS}",
                )
            found = find_release(opened, release)
        else:
            here = out if form in (None, "da2k") else None
            found = make_release(
                opened, release, project=project, policy=policy, allow_unlicensed=allow_unlicensed, out=here
            )
            counts = len(found.content["pairs"]), len(found.content["images"])
            typer.echo(f"release {found.name}: {counts[0]} pairs on {counts[1]} images, digest {found.digest}")
            if previous := found.manifest["previous"]:
                changed = found.manifest["changes"]
                said = ", ".join(f"{len(changed[kind])} {kind}" for kind in ("added", "removed", "relabelled"))
                typer.echo(f"against {previous}: {said}")
            if found.unlicensed:
                typer.echo(f"note: {len(found.unlicensed)} images have no licence", err=True)
            typer.echo(f"written to {found.folder}")
            typer.echo(f"score it: dabench eval -d pairs --data-root {found.folder} -m MODEL")
            form = None if form == "da2k" else form
        if form is not None:
            typer.echo(f"written to {export_as(opened, found, form, out=out, seed=seed, prefix=image_prefix)}")
        if events:
            path = opened.path / "exports" / f"{found.name}-events.jsonl.gz"
            typer.echo(f"event log in {export_events(opened, path)}; it holds the answers of test pairs")


def _export_imported(study: Study, project: str | None, out: Path | None) -> None:
    from annotation.atomic import write_file
    from annotation.formats import da2k
    from annotation.importing import imported_pairs

    pairs = imported_pairs(study, project)
    without = sum(pair.label not in ("a", "b") for pair in pairs)
    if not pairs or without:
        raise UsageError(
            f"{without} of {len(pairs)} imported pairs have no label that DA-2K's format can hold"
            if pairs
            else f"{study.path} holds no imported pairs"
        )
    path = (out or study.path / "exports" / "imported") / "annotations.json"
    write_file(path, da2k.encoded(da2k.restored(pairs)))
    typer.echo(f"{len(pairs)} pairs written to {path}")
