"""Disputes, decisions, dashboard, policies."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Query

from annotation import policy, queue
from annotation.queue import Dispute

from ..allow import Shared, Signed
from ..bodies import Decision
from .work import Project, point

router = APIRouter()
ERRORS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2)
"""Shares of wrong answers for which the outcome of a policy is told."""


def dispute_json(dispute: Dispute) -> dict[str, Any]:
    return {**dataclasses.asdict(dispute), "a": point(dispute.a), "b": point(dispute.b)}


@router.get("/api/projects/{project}/disputes")
def disputes(
    project: Project,
    server: Shared,
    caller: Signed,
    state: Annotated[str, Query(pattern="^[a-z]{1,20}$")] = "disputed",
) -> dict[str, Any]:
    """Pairs of a state with every answer, vote and decision."""
    return {"disputes": [dispute_json(found) for found in queue.disputes(server.study, project, state)]}


@router.post("/api/decisions")
def decisions(body: Decision, server: Shared, caller: Signed) -> dict[str, Any]:
    decided = queue.decide(
        server.study, caller.id, body.uuid.lower(), body.pair, body.result, body.reason, body.relation
    )
    return {"pair": decided.pair, "state": decided.state}


@router.get("/api/projects/{project}/dashboard")
def dashboard(project: Project, server: Shared, caller: Signed) -> dict[str, Any]:
    """The figures of a project. Names are for owners; others know people by alias."""
    found = server.dashboards.get(project)
    if caller.role == "owner":
        return found
    nameless = [{field: value for field, value in one.items() if field != "name"} for one in found["people"]]
    return {**found, "people": nameless}


@router.get("/api/policies")
def policies(caller: Signed) -> list[dict[str, Any]]:
    """Every policy with what it keeps and how wrong that is, when single answers are wrong this often."""
    return [
        {
            "name": found.name,
            "title": found.title,
            "expected": [{"error": error, **dataclasses.asdict(found.expected(error))} for error in ERRORS],
        }
        for found in policy.POLICIES.values()
    ]
