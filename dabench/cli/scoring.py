"""What the verbs that score models have in common: load, score under what fits, tell, and go on after an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dabench.cli.choice import drop_unfit, find_model, load_predictions, request_of
from dabench.errors import DabenchError

if TYPE_CHECKING:
    from dabench.protocols import Protocol
    from dabench.run import Run
    from dabench.shards import Shard
    from dabench.types import DepthModel, PairModel

EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class Wanted:
    """One model, and how it is loaded.

    Attributes:
        name: in the catalogue, path of a network file, or what to call saved maps in the records.
        options: of :func:`dabench.registry.load_model`: checkpoint, device, precision, input_size, compile, settings,
            output.
        predictions: folder of saved maps to score in place of a model; ``options["output"]`` says what they are.
    """

    name: str
    options: Mapping[str, Any]
    predictions: Path | None = None

    def load(self, out: Path, *, fresh: bool) -> DepthModel | PairModel:
        if self.predictions is not None:
            return load_predictions(self.predictions, str(self.options["output"]), self.name)
        found: DepthModel | PairModel = find_model(self.name, dict(self.options), out, fresh=fresh)
        return found


@dataclass
class Session:
    """Scores models one after another; an error is told and the next one is scored.

    Attributes:
        out: folder of the records.
        shard: the share of the samples of this process, where there are several.
        common: further arguments of :func:`dabench.evaluate.evaluate_many`.
        runs: what was scored.
        begun: model and protocol id of all that could be scored here.
        problems: what could not.
    """

    out: Path
    shard: Shard | None
    common: Mapping[str, Any]
    runs: list[Run] = field(default_factory=list)
    begun: list[tuple[str, str]] = field(default_factory=list)
    problems: list[DabenchError] = field(default_factory=list)

    def report(self, name: str, error: DabenchError) -> None:
        """Tell an error, and remember it."""
        from dabench.cli.console import messages

        self.problems.append(error)
        told = str(error) if str(error).startswith(name) else f"{name}: {error}"
        messages().print(f"error: {told}", markup=False, soft_wrap=True)

    def score(self, wanted: Wanted, recipes: Sequence[Protocol], named: frozenset[str]) -> list[Run]:
        """Score one model under the protocols that fit it.

        Args:
            named: ids of protocols that were asked for one by one; those that a pattern brought may not fit.
        """
        try:
            model = wanted.load(self.out, fresh=bool(self.common.get("fresh")))
        except DabenchError as error:
            self.report(wanted.name, error)
            return []
        used = str(getattr(model, "device", "cpu"))
        # Which GPU of several computed a sample is no property of the run that they share.
        device = used if self.shard is None else used.split(":")[0]
        settings = {"device": device, "precision": wanted.options["precision"]}
        done: list[Run] = []
        try:
            fitting = drop_unfit(model, recipes, named)
            done = self._evaluate(model, fitting, settings=settings, request=request_of(dict(wanted.options)))
            self.begun += [(model.info.name, recipe.id) for recipe in fitting]
            _tell_kept(model, done)
        except DabenchError as error:
            self.report(wanted.name, error)
        finally:
            model.close()
        self.runs += done
        return done

    def _evaluate(self, model: DepthModel | PairModel, recipes: Sequence[Protocol], **options: Any) -> list[Run]:
        from dabench.cli.console import messages
        from dabench.cli.progress import PassesProgress
        from dabench.evaluate import evaluate_many

        def failed(recipe: Protocol, error: DabenchError) -> None:
            self.report(f"{model.info.name} on {recipe.id}", error)

        with PassesProgress(messages(), model.info.name) as bars:
            speaks = self.shard is None or not self.shard.call or self.shard.rank == 0
            return evaluate_many(
                model,
                recipes,
                out=self.out,
                shard=self.shard,
                progress=bars.update if speaks else None,
                on_error=failed,
                **self.common,
                **options,
            )


@contextmanager
def interruptible() -> Iterator[None]:
    """Say on Ctrl-C what is kept, and exit as the shell expects it."""
    try:
        yield
    except KeyboardInterrupt:
        from dabench.cli.console import messages

        messages().print("interrupted; what was finished is kept, the same command continues from there", markup=False)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _tell_kept(model: DepthModel | PairModel, runs: Sequence[Run]) -> None:
    """Say when scores come from predictions that were kept."""
    from dabench.cli.console import messages
    from dabench.kept import KeptModel

    scored = sum(run.kept for run in runs)
    if scored:
        loaded = "" if not isinstance(model, KeptModel) or model.was_loaded else "; the model was not loaded"
        messages().print(f"{model.info.name}: {scored} scores from kept predictions{loaded}", markup=False)
