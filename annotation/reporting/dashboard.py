"""The state of a project in figures, as a JSON-ready dict.

Nothing here shows how a single pair was answered before it is settled, and models' votes appear only as their accuracy
on final pairs.

An *estimate*, written E below, is ``{"value", "low", "high", "n"}``: a share in [0, 1] or a coefficient, its interval
at ``level``, and what it rests on. Anything that cannot be said is null. Times are in seconds or hours of active work.

::

    study       name of the study
    project     {id, name, state, policy, policy_title, check_mode}
    at          milliseconds UTC; event: number of the newest event
    level       of all intervals; draws, seed: of the bootstraps
    warnings    a list of {about: shortcuts | people | agreement | forecast | scenes, subject, text}, most urgent first
    progress    {states: {proposed, queued, answered, agreed, disputed, adjudicated, final, dropped}, pairs, done,
                target | null, fill 0 to 1 | null, answers, answers_left, hours_left (of one person)}
    scenes      a list of {scene, images, pairs, states, done, target | null, fill | null,
                short (pairs that are missing for the target even if all open ones are kept as expected),
                answers, answers_left, hours_left, skip_rate E, seconds (median), pairs_per_image,
                expected (final pairs of the finished set), agreement E (share of equal first two answers),
                expected_error (share of wrong labels, from that) | null, design_effect,
                interval: [{accuracy: 0.85 | 0.9 | 0.95 | 0.97, low, high, half_width}]
                (what a model of that accuracy will be measured as)}
    people      a list of {alias, name, role, active, answers, by_kind: {label, check, gold, repeat, qualification;
                those that occur}, seconds: {median, p90, mean}, hours, gold E (accuracy on hidden test pairs),
                qualification E, repeat E (same answer again), skip_rate E, equal_rate E,
                first_rate E (share of A among A and B), fast E (share below 400 ms), agreement E (with the others),
                curve: [median seconds of each 50 answers], drift: {sessions, early, late:
                {seconds, skip_rate E, agreement E}} (first and last third of the sittings), last (ms UTC) | null,
                flags: [text]}
    agreement   {coding (a sentence), open_checks: {n, confirmed E},
                views: [{view: binary | three, title, items, answers, people, raw E, fleiss E, alpha E, ac1 E,
                cohen: [{people: [alias, alias], raw E, kappa E}]}],
                dawid_skene: {items, rounds, people: [{alias, accuracy, answers}], differs} | null}
    skips       {reasons: [{reason, n, share}], rate E, equal E}
    times       {kinds: [{kind: label | check | gold | repeat | qualification | adjudicate, n, hours, median,
                estimated}], hours, idle_hours, kept (final pairs), seconds_per_kept | null}
    shortcuts   {limit, least, groups: [{by: all | scene | stratum | route, name, pairs,
                cues: [{cue: lower | centre | bigger | brighter | left | point a, title, accuracy E, warn}],
                experts: [{model, accuracy E, ties}]}], pictures_left (images whose brightness is not read yet)}
    control     {pairs, wrong E}: control pairs, and how often all experts contradict the final label together
    forecast    {rho, design_effect, pairs, interval (as of scenes), error: {agreement E, gold E, used | null,
                from: agreement | gold | null} (of one answer),
                policies: [{policy, title, chosen, kept, wrong, answers}] (at error.used, before any review; empty
                without it), ambiguous: [{share, kept, wrong, answers}] (the chosen policy if that share of the pairs
                is a coin toss), observed: {decided, kept E, answers | null}}
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from annotation.policy import named
from annotation.study import Study

from .agreement import agreement_report, table
from .attention import warnings
from .brightness import Brightness
from .estimates import plain
from .forecast import ASSUMED_ERROR, answer_error, forecast, scene_forecast
from .people import people_report
from .reading import PairRow, read
from .scenes import scene_progress, total_progress
from .shortcuts import control_report, shortcut_report
from .skips import skip_report
from .times import time_ledger


def dashboard(
    study: Study,
    project: str | int | None = None,
    *,
    level: float = 0.95,
    draws: int = 500,
    seed: int = 0,
    picture_seconds: float | None = 2.0,
) -> dict[str, Any]:
    """All figures of a project; see the module's text for the fields.

    Args:
        project: name or id; None: the first.
        level: of the intervals.
        draws: of each bootstrap.
        picture_seconds: time that may be spent on reading pictures for the cue "brighter"; what was read is kept for
            the next call of this process. None: as long as it takes.

    Raises:
        NotFoundError: no such project.
        UnknownNameError: its settings name a policy that does not exist.
    """
    material = read(study, project)
    policy = named(material.settings.policy)
    answers = table(material)
    error = answer_error(material, answers, level, draws, seed)
    expected = policy.expected(error.used if math.isfinite(error.used) else ASSUMED_ERROR)
    scenes = scene_progress(material, expected.answers, expected.kept, level)
    pairs_of: dict[str, list[PairRow]] = defaultdict(list)
    for pair in material.wanted:
        pairs_of[pair.scene].append(pair)
    for scene in scenes:
        scene |= scene_forecast(scene, pairs_of[scene["scene"]], answers, policy, level, draws, seed)
    built: dict[str, Any] = plain(
        {
            "study": material.study,
            "project": {
                "id": material.project,
                "name": material.name,
                "state": material.state,
                "policy": policy.name,
                "policy_title": policy.title,
                "check_mode": material.settings.check_mode,
            },
            "at": study.store.now(),
            "event": material.event,
            "level": level,
            "draws": draws,
            "seed": seed,
            "warnings": [],
            "progress": total_progress(material, scenes),
            "scenes": scenes,
            "people": people_report(material, level),
            "agreement": agreement_report(material, answers, level, draws, seed),
            "skips": skip_report(material, level),
            "times": time_ledger(material),
            "shortcuts": shortcut_report(material, Brightness(study.images, picture_seconds), level, draws, seed),
            "control": control_report(material, level),
            "forecast": forecast(material, scenes, error, policy, level),
        }
    )
    built["warnings"] = warnings(built)
    return built
