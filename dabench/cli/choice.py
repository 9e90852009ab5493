"""What a call names: protocols and patterns, models, samples. Names are checked before anything is loaded."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dabench.errors import DabenchError, UsageError

if TYPE_CHECKING:
    from dabench.protocols import Protocol
    from dabench.types import DepthModel, PairModel

DEFAULT_PROTOCOLS = ("mini-pairs", "mini-depth")


def choose_protocols(
    dataset_names: Sequence[str], protocol_names: Sequence[str]
) -> tuple[list[Protocol], frozenset[str]]:
    """Protocols named, plus the defaults of datasets that none of them covers.

    Returns:
        The protocols, and the ids of those that were named themselves and not by a pattern. What a pattern matches is
        scored where it can be; what is named must be.

    Raises:
        UnknownNameError: a protocol or dataset nobody has, with the nearest names.
        UsageError: a dataset without a default protocol, or a pattern that matches nothing.
    """
    from dabench import datasets, protocols

    if not dataset_names and not protocol_names:
        protocol_names = DEFAULT_PROTOCOLS
    chosen: dict[str, Protocol] = {}
    named: set[str] = set()
    for name in protocol_names:
        if is_pattern(name):
            chosen |= {p.id: p for p in matching(name)}
        else:
            protocol = protocols.get(name)
            chosen[protocol.id] = protocol
            named.add(protocol.id)
    covered = {p.dataset.name for p in chosen.values()}
    for name in dataset_names:
        datasets.registry().get(name)
        if name in covered:
            continue
        defaults = protocols.defaults_of(name)
        if not defaults:
            raise UsageError(f"dataset '{name}' has no default protocol", hint="name one with -p")
        chosen |= {p.id: p for p in defaults}
        named |= {p.id for p in defaults}
    return list(chosen.values()), frozenset(named)


def is_pattern(name: str) -> bool:
    return any(character in name for character in "*?[")


def matching(pattern: str) -> list[Protocol]:
    """The protocols whose name matches a shell pattern, each in its newest version; with an @, all ids that match.

    Raises:
        UsageError: none does; names the nearest.
    """
    from dabench import protocols

    known = protocols.all_protocols()
    if "@" in pattern:
        found = [p for i, p in known.items() if fnmatchcase(i, pattern)]
    else:
        found = [p for p in known.values() if fnmatchcase(p.name, pattern) and p == protocols.get(p.name)]
    if not found:
        plain = "".join(c for c in pattern if c not in "*?[]").rstrip("-@")
        names = {p.name for p in known.values()} | {p.dataset.name for p in known.values()}
        near = difflib.get_close_matches(plain, sorted(names), n=3, cutoff=0.5)
        did_you_mean = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"no protocol matches '{pattern}'", hint=f"{did_you_mean}`dabench ls protocols` lists them")
    return found


def check_models(names: Sequence[str], output_kind: str | None = None) -> None:
    """Refuse unknown names and network files that cannot be used, before anything is loaded or scored.

    Args:
        output_kind: what the values of the network files among them mean.
    """
    from dabench.registry import is_network_file, model_entry

    for name in names:
        model_entry(name, output_kind if is_network_file(name) else None)


def asking_settings(
    names: Sequence[str], settings: dict[str, Any], endpoint: str | None, answers: Sequence[Path] | None
) -> dict[str, Any]:
    """The settings of a model with ``--endpoint`` and ``--answers`` among them.

    Raises:
        UsageError: the model is not asked anywhere, or an option is given in both ways.
    """
    from dabench.registry import is_network_file, models

    given: dict[str, Any] = {
        "endpoint": endpoint,
        "answers": "\n".join(str(path) for path in answers) if answers else None,
    }
    for option, value in given.items():
        if value is None:
            continue
        if len(names) != 1 or is_network_file(names[0]) or option not in models().get(names[0]).settable:
            asked = ", ".join(name for name in models() if option in models().get(name).settable) or "none"
            raise UsageError(f"--{option} belongs to one model that is asked over a network", hint=f"such as: {asked}")
        if option in settings:
            raise UsageError(f"--{option} and --option {option}= say the same", hint="pass one of them")
        settings = {**settings, option: value}
    return settings


def check_gives_maps(names: Sequence[str]) -> None:
    """Refuse a model that only orders points, where maps are wanted.

    Raises:
        UsageError: one of the models gives no map.
    """
    from dabench.registry import is_network_file, models
    from dabench.types import Output

    for name in names:
        if not is_network_file(name) and models().get(name).output is Output.ORDER:
            raise UsageError(f"model '{name}' gives no map, only which of two points is closer", hint="dabench eval")


def check_datasets(
    recipes: Sequence[Protocol],
    named: frozenset[str],
    data_root: Path | None,
    ids: list[str] | None,
    report: Callable[[str, DabenchError], None],
) -> list[Protocol]:
    """Open every dataset once, so that a missing one is told before a model is downloaded.

    Returns:
        The protocols whose data is there.

    Raises:
        DabenchError: the data of a protocol that was named itself, or of all, is not there.
    """
    from dabench.job import open_for

    groups: dict[object, list[Protocol]] = {}
    for recipe in recipes:
        field = recipe.valid.field if recipe.valid is not None else None
        key = (recipe.dataset, recipe.task, field)
        groups.setdefault(key, []).append(recipe)
    usable: list[Protocol] = []
    errors: list[tuple[str, DabenchError]] = []
    for members in groups.values():
        try:
            open_for(members[0], data_root, ids)
            usable += members
        except DabenchError as error:
            if any(recipe.id in named for recipe in members):
                raise
            errors.append((", ".join(recipe.id for recipe in members), error))
    if not usable:
        raise errors[0][1]
    for which, reason in errors:
        report(which, reason)
    return [recipe for recipe in recipes if recipe in usable]


def drop_unfit(model: DepthModel | PairModel, recipes: Sequence[Protocol], named: frozenset[str]) -> list[Protocol]:
    """The protocols that score this model's output; what a pattern matched besides is told and left out.

    So are the dense protocols beside those of pairs, for a model without maps: a dataset may have defaults of both.

    Raises:
        UsageError: none does.
    """
    from dabench.cli.console import messages
    from dabench.job import refuse
    from dabench.types import Output

    fitting: list[Protocol] = []
    unfit: dict[str, DabenchError] = {}
    for recipe in recipes:
        try:
            refuse(recipe, model.info)
            fitting.append(recipe)
        except UsageError as error:
            if recipe.id in named and model.info.output is not Output.ORDER:
                fitting.append(recipe)  # evaluate_many says why it is not scored
            else:
                unfit[recipe.id] = error
    if not fitting:
        raise next(iter(unfit.values()))
    if unfit:
        listed = ", ".join(unfit)
        messages().print(
            f"{model.info.name}: not for {model.info.output} output, left out: {listed}", markup=False, soft_wrap=True
        )
    return fitting


def read_subset(path: Path | None) -> list[str] | None:
    """Sample ids of a file, one a line.

    Raises:
        UsageError: unreadable or empty.
    """
    if path is None:
        return None
    try:
        ids = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--subset {path} cannot be read: {error}") from error
    if not ids:
        raise UsageError(f"--subset {path} names no sample")
    return ids


def request_of(options: dict[str, Any]) -> dict[str, Any]:
    """The options that choose what a model predicts, as kept predictions remember them."""
    chosen = {key: options[key] for key in ("precision", "input_size", "compile")}
    if options.get("settings"):
        chosen["settings"] = options["settings"]
    if options.get("output"):
        chosen["output"] = options["output"]
    return {**chosen, "checkpoint": options["checkpoint"] is not None}


def find_model(name: str, options: dict[str, Any], out: Path, *, fresh: bool) -> Any:
    """The model; or, where its predictions are kept in ``out``, a stand-in that loads it only when one is missing."""
    from dabench.kept import FOLDER, KeptModel, PredictionStore
    from dabench.registry import model_entry

    entry = model_entry(name, options.get("output"))
    store = PredictionStore(out / entry.name / FOLDER)
    if not fresh and store.manifest() is not None:
        checkpoint = options["checkpoint"]
        sha256 = _sha256(checkpoint) if checkpoint is not None else entry.sha256
        if store.serves(request_of(options), sha256, options["device"]):
            return KeptModel(store, lambda: load(name, options))
    return load(name, options)


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""  # no weights have this sum, and loading them says what is wrong


def load(name: str, options: dict[str, Any]) -> Any:
    from dabench.cli.console import messages
    from dabench.registry import load_model

    with messages().status(f"loading {name}"):
        return load_model(name, **options)


def load_predictions(folder: Path, output_kind: str, name: str) -> DepthModel:
    from dabench.registry import import_attribute

    saved: DepthModel = import_attribute("model_zoo.predictions:SavedPredictions")(folder, output_kind, name=name)
    return saved
