"""The first person of a study."""

from __future__ import annotations

from annotation.people import add_person, new_token
from annotation.study import Study

NAME = "Owner"


def owner_token(study: Study, *, renew: bool = False) -> str | None:
    """A sign-in token of the owner, or None when the owner has a link already.

    A study without an active owner gets one. ``renew``: a new token for the first owner in any case, which ends the
    old one and its sessions.
    """
    row = study.store.one(
        "SELECT alias, EXISTS (SELECT 1 FROM credentials c WHERE c.person = people.id AND c.revoked IS NULL) AS link "
        "FROM people WHERE role = 'owner' AND active ORDER BY id LIMIT 1"
    )
    if row is None:
        return new_token(study, add_person(study, NAME, "owner"))
    return new_token(study, row["alias"]) if renew or not row["link"] else None
