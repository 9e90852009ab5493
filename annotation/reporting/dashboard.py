"""The state of a project in figures, as a JSON-ready dict.

Nothing here shows how a single pair was answered before it is settled, and models' votes appear only as their accuracy
on final pairs.

An *estimate*, written E below, is ``{"value", "low", "high", "n"}``: a share in [0, 1] or a coefficient, its interval
at ``level``, and what it rests on. Anything that cannot be said is null. Times are in seconds or hours.

::

    study       name of the study
    project     {id, name, state}
    at          milliseconds UTC; event: number of the newest event
    level       of all intervals; draws, seed: of the bootstraps
    progress    {states: {proposed, queued, answered, agreed, disputed, adjudicated, final, dropped}, pairs, done,
                target | null, fill 0 to 1 | null, answers, answers_left, hours_left (of one person)}
    scenes      a list of {scene, images, pairs, states, done, target | null, fill | null,
                short (pairs that are missing for the target even if all open ones are kept as expected),
                answers, answers_left, hours_left, skip_rate E, seconds (median), pairs_per_image,
                expected (final pairs of the finished set)}
"""

from __future__ import annotations

from typing import Any

from annotation.study import Study

from .estimates import plain
from .reading import read
from .scenes import scene_progress, total_progress


def dashboard(
    study: Study, project: str | int | None = None, *, level: float = 0.95, draws: int = 500, seed: int = 0
) -> dict[str, Any]:
    """All figures of a project; see the module's text for the fields.

    Args:
        project: name or id; None: the first.
        level: of the intervals.
        draws: of each bootstrap.

    Raises:
        NotFoundError: no such project.
    """
    material = read(study, project)
    scenes = scene_progress(material, per_pair=3.0, kept=1.0, level=level)
    built: dict[str, Any] = plain(
        {
            "study": material.study,
            "project": {"id": material.project, "name": material.name, "state": material.state},
            "at": study.store.now(),
            "event": material.event,
            "level": level,
            "draws": draws,
            "seed": seed,
            "progress": total_progress(material, scenes),
            "scenes": scenes,
        }
    )
    return built
