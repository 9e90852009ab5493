"""What a report says in words: the protocol, the model, the data, the machine, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dabench.protocols import Protocol
from dabench.protocols.describe import STATUS_WORDS, description, steps
from dabench.reporting.loaded import Record
from dabench.reporting.report import html
from dabench.reporting.report.sources import Source

Line = Mapping[str, Any]
LISTED_FAILURES = 5


def protocol(recipe: Protocol) -> str:
    """The recipe in plain words, its traps and its sources; its full text folded away."""
    parts = description(recipe)
    told = "".join(html.paragraph(paragraph) for paragraph in parts.summary)
    told += html.paragraph(f"Status: {recipe.status} ({STATUS_WORDS[recipe.status]}).", "soft")
    told += html.definitions((step.title, step.text) for step in steps(recipe))
    for heading, paragraphs in (("Traps", parts.traps), ("Differs from its source", parts.differs)):
        if paragraphs:
            told += f"<h3>{heading}</h3>" + html.bullets(paragraphs)
    told += "<h3>Sources</h3>" + html.bullets(recipe.sources)
    told += f"<details><summary>The protocol file</summary><pre>{html.escape(recipe.text)}</pre></details>"
    return told + html.paragraph(f"SHA-256 {recipe.sha256}", "soft")


def environment(record: Record) -> str:
    """Who was scored on what, where and with which versions."""
    model, data = record.info["model"], record.info["dataset"]
    machine, settings = record.info.get("environment", {}), record.info.get("settings", {})
    parameters = model.get("parameters")
    packages = ", ".join(f"{name} {version}" for name, version in machine.get("packages", {}).items())
    return f"<h3>{html.escape(record.title)}</h3>" + html.definitions(
        [
            ("output", model.get("output")),
            ("parameters", f"{parameters / 1e6:.2f} M" if parameters else None),
            ("licence", model.get("licence")),
            ("weights", model.get("source")),
            ("weights SHA-256", model.get("weights_sha256")),
            ("model settings", _listed(model.get("settings", {}))),
            ("dataset", f"{data.get('name')}, split {data.get('split')}"),
            ("dataset licence", data.get("licence")),
            ("dataset fingerprint", data.get("fingerprint")),
            ("settings", _listed(settings)),
            ("machine", ", ".join(str(v) for v in (machine.get("platform"), machine.get("cuda_device")) if v)),
            ("CPUs, threads", ", ".join(str(v) for v in (machine.get("cpus"), machine.get("torch_threads")) if v)),
            ("Python", machine.get("python")),
            ("packages", packages),
            ("dabench", " ".join(str(v) for v in (record.info.get("dabench"), record.info.get("commit")) if v)),
        ]
    )


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)


def warnings(records: Sequence[Record]) -> str:
    """What a reader has to know before any number."""
    found = []
    for record in records:
        if record.partial:
            found.append(f"{record.title}: only a part of the split was scored; this is not the protocol's number.")
        elif not record.ok:
            found.append(
                f"{record.title}: something failed or is not covered; it counts as the protocol says, and the "
                "result is not to be ranked."
            )
        found += [f"{record.model}: {text}" for text in record.info["model"].get("notes", ())]
    return "".join(html.note(text) for text in found)


def counts(records: Sequence[Record], names: Sequence[str]) -> str:
    """How many samples were scored, empty or failed, with the first failures."""
    told = []
    for record, name in zip(records, names, strict=True):
        found = record.summary["counts"]
        whose = f"{name}: " if len(records) > 1 else ""
        text = f"{whose}{found['ok']} of {found['expected']} samples scored"
        text += "".join(f", {found[kind]} {kind}" for kind in ("empty", "failed") if found[kind])
        told.append(html.paragraph(text + ".", "soft"))
        if found["failed"]:
            failed = [line for line in record.samples() if line["status"] == "failed"]
            shown = [f"{line['id']}: {line.get('error', '')}" for line in failed[:LISTED_FAILURES]]
            more = [f"... and {len(failed) - len(shown)} more in samples.jsonl"] if len(failed) > len(shown) else []
            told.append(html.bullets([*shown, *more]))
    return "".join(told)


def lacking(source: Source) -> tuple[str, str]:
    """Why a report shows no images or no maps of a run, and the command that makes the next one show them."""
    record = source.record
    if not source.has_data:
        return f"No pictures: {source.missing_data.rstrip('.')}.", f"dabench report {record.path} --data-root DIR"
    if source.has_maps or record.info["model"]["output"] == "order":
        return "", ""
    command = f"dabench eval -m {record.model} -p {record.protocol_id} --keep-predictions --fresh"
    command += f" --out {record.path.parent.parent}"
    if source.record.info["dataset"]["name"] != "mini":
        command += " --data-root DIR"
    return f"{record.model}: {source.missing_maps} This keeps them; a report never runs a model.", command


def legend(recipe: Protocol) -> str:
    """How to read the pictures."""
    if recipe.task == "pairs":
        return (
            "A filled point is labelled closer. A solid blue line is a right pair, a dashed red one a wrong pair. "
            "Predictions are stretched to their own range, near red and far blue."
        )
    return (
        "Depth is coloured evenly in inverse depth, near red and far blue, from the 2nd to the 98th percentile of the "
        "image's truth. The error is (prediction - truth) / truth: blue is too near, red too far; errors beyond the "
        "ends of the bar have the colour of its ends. Grey does not count."
    )


def paired_pairs(lines: Sequence[tuple[Line, Line]], names: Sequence[str]) -> str:
    """How many pairs both models, one of them, or none has right."""
    told = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for a, b in lines:
        for x, y in zip(a.get("correct") or (), b.get("correct") or (), strict=False):
            told[x == 1, y == 1] += 1
    return (
        f"Of {sum(told.values())} pairs both have {told[True, True]} right, {names[0]} alone {told[True, False]}, "
        f"{names[1]} alone {told[False, True]}, and neither {told[False, False]}."
    )


def fit_in_disparity(recipe: Protocol, output: str) -> bool:
    """Whether predictions of this output are fitted to inverse depth."""
    if recipe.alignment is None:
        return False
    method = recipe.alignment.method(output)
    return method == "least-squares-disparity" or (method == "none" and output == "disparity")
