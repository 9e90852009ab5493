"""Bodies of the JSON routes: strict types, bounded texts and numbers, no unknown field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

JS_INTEGER = 2**53 - 1
"""The largest whole number that JavaScript keeps; it fits SQLite too."""


def plain_text(value: str) -> str:
    """No control characters but tab and line feed, and nothing that UTF-8 cannot hold."""
    if any((ord(c) < 32 and c not in "\t\n") or 0xD800 <= ord(c) <= 0xDFFF or c == "\x7f" for c in value):
        raise ValueError("control characters are not allowed")
    return value


def text(limit: int) -> Any:
    return Annotated[str, StringConstraints(max_length=limit), AfterValidator(plain_text)]


UUID = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
SHA256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:+-]{1,40}$")]
Count = Annotated[int, Field(ge=0, le=JS_INTEGER)]
Pixel = Annotated[int, Field(ge=0, le=2**24)]
Id = Annotated[int, Field(ge=1, le=JS_INTEGER)]
Milliseconds = Annotated[int, Field(ge=0, le=JS_INTEGER)]
Reason, Name = text(500), text(200)
Relation = Literal["closer", "front", "back"]


class Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Login(Body):
    token: Annotated[str, StringConstraints(min_length=8, max_length=200)]


class Nothing(Body):
    pass


class Keys(Body):
    """Action -> ``KeyboardEvent.code``, or empty: no key."""

    keys: Annotated[
        dict[Word, Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+]{0,40}$")]], Field(max_length=40)
    ]


class WantedTasks(Body):
    n: Annotated[int, Field(ge=1, le=16)] = 4


class Client(Body):
    """How the answer was given. ``viewport``: width, height, device pixel ratio."""

    viewport: Annotated[list[Annotated[float, Field(ge=0, le=1e6)]], Field(min_length=3, max_length=3)] | None = None
    zoom: Annotated[float, Field(ge=0, le=1e6)] | None = None
    key: text(40) = ""  # type: ignore[valid-type]
    input: text(40) = ""  # type: ignore[valid-type]
    blurs: Annotated[int, Field(ge=0, le=10**6)] = 0
    aids: Annotated[list[text(40)], Field(max_length=20)] = []  # type: ignore[valid-type]
    build: text(64) = ""  # type: ignore[valid-type]
    instructions_version: Annotated[int, Field(ge=0, le=10**6)] | None = None


class GivenAnswer(Body):
    uuid: UUID
    assignment: Id
    relation: Relation
    shown: Literal["first", "second", "equal", "skip"]
    reason: Reason = ""  # type: ignore[valid-type]
    confidence: Literal["", "guessing", "probably", "definitely"] = ""
    shown_at: Milliseconds | None = None
    answered_at: Milliseconds | None = None
    active_ms: Milliseconds | None = None
    wall_ms: Milliseconds | None = None
    client: Client = Client()


class Undo(Body):
    uuid: UUID
    response: UUID | None = None


class Assignments(Body):
    assignments: Annotated[list[Id], Field(max_length=64)]


class Point(Body):
    row: Pixel
    col: Pixel


class PlacedPair(Body):
    uuid: UUID
    image: SHA256
    a: Point
    b: Point
    reason: Reason  # type: ignore[valid-type]
    layered: bool = False


class Decision(Body):
    uuid: UUID
    pair: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    relation: Relation = "closer"
    result: Literal["a", "b", "equal", "drop", "reopen"]
    reason: Reason  # type: ignore[valid-type]


class NewPerson(Body):
    name: Name  # type: ignore[valid-type]
    role: Literal["owner", "adjudicator", "annotator", "viewer"]


class PersonChanges(Body):
    name: Name | None = None  # type: ignore[valid-type]
    role: Literal["owner", "adjudicator", "annotator", "viewer"] | None = None
    active: bool | None = None


class NewProject(Body):
    name: Name  # type: ignore[valid-type]
    settings: dict[str, Any] = {}


class ProjectChanges(Body):
    state: Literal["open", "paused", "closed"] | None = None
    settings: dict[str, Any] | None = None
