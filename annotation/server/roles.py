"""Who may call what. A route that is not in this table answers nobody."""

from __future__ import annotations

OWNER = frozenset({"owner"})
REVIEW = OWNER | {"adjudicator"}
WORK = REVIEW | {"annotator"}
LOOK = REVIEW | {"viewer"}
"""The dashboard is not for annotators: shares of answers and what cues give away would end their blindness."""
ANYBODY = WORK | LOOK
PUBLIC: frozenset[str] = frozenset()
"""No session is needed. Pages are empty shells; all that they show comes from routes below ``/api``."""

PAGES = {
    "/": "label.html",
    "/login": "login.html",
    "/review": "review.html",
    "/place": "place.html",
    "/dashboard": "dashboard.html",
    "/people": "people.html",
    "/projects": "projects.html",
}

ROLES: dict[tuple[str, str], frozenset[str]] = {
    **{("GET", path): PUBLIC for path in PAGES},
    ("GET", "/static/{name}"): PUBLIC,
    ("POST", "/api/login"): PUBLIC,
    ("POST", "/api/logout"): ANYBODY,
    ("GET", "/api/session"): ANYBODY,
    ("PUT", "/api/keys"): ANYBODY,
    ("POST", "/api/projects/{project}/tasks"): WORK,
    ("POST", "/api/answers"): WORK,
    ("POST", "/api/undo"): WORK,
    ("POST", "/api/heartbeat"): WORK,
    ("POST", "/api/return"): WORK,
    ("GET", "/api/projects/{project}/history"): WORK,
    ("GET", "/api/projects/{project}/images"): WORK,
    ("POST", "/api/projects/{project}/pairs"): WORK,
    ("GET", "/api/projects/{project}/placed"): WORK,
    ("GET", "/images/{sha256}/work.jpg"): WORK,
    ("GET", "/images/{sha256}/crop.png"): WORK,
    ("GET", "/images/{sha256}/expert/{model}.png"): REVIEW,
    ("GET", "/api/projects/{project}/disputes"): REVIEW,
    ("POST", "/api/decisions"): REVIEW,
    ("GET", "/api/projects/{project}/dashboard"): LOOK,
    ("GET", "/api/policies"): LOOK,
    ("GET", "/api/people"): OWNER,
    ("POST", "/api/people"): OWNER,
    ("PATCH", "/api/people/{alias}"): OWNER,
    ("POST", "/api/people/{alias}/token"): OWNER,
    ("GET", "/api/projects"): OWNER,
    ("POST", "/api/projects"): OWNER,
    ("PATCH", "/api/projects/{project}"): OWNER,
}
