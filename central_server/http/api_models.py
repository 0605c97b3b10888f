"""What the JSON interface answers: a model for each thing, made from rows the viewer may see.

Fields about decisions and complaints are null for those who may not know them.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, PlainSerializer

from central_server.domain.flags import visible_facts
from central_server.storage.device_lists import DeviceView, health_of
from central_server.storage.tables import DeskRow, FlagRow, SessionRow, UnitRow


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


UtcInstant = Annotated[
    datetime, PlainSerializer(_iso, return_type=str, when_used="json-unless-none")
]


class SessionOut(BaseModel):
    """One stay of somebody at a desk; lengths in seconds, null where not known."""

    session_id: str
    desk: str
    unit_id: str
    device: str
    state: Literal["waiting", "serving", "ended", "abandoned", "uncertain"]
    arrived_at: UtcInstant
    service_started_at: UtcInstant | None
    ended_at: UtcInstant | None
    wait_s: float | None
    service_s: float | None
    officer_absent_s: float | None
    unobserved_s: float
    certainty: float = Field(description="0–1: how much of the stay was observed, and how well.")
    slip: str | None
    clock_suspect: bool

    @classmethod
    def of(cls, row: SessionRow) -> "SessionOut":
        """As the row says; nothing in it links to feedback."""
        return cls.model_validate(row, from_attributes=True)


class SessionList(BaseModel):
    """One page, the latest arrival first."""

    items: list[SessionOut]
    next_cursor: str | None


class SegmentOut(BaseModel):
    """One state of a lane from `begin` until just before `end`."""

    lane: Literal["citizen", "officer", "waiting", "camera"]
    state: Literal[
        "occupied", "empty", "unknown",
        "ok", "lost", "covered", "moved", "defocused", "frozen", "dark",
    ]  # fmt: skip
    begin: UtcInstant
    end: UtcInstant


class TimelineOut(BaseModel):
    """A session's minutes: segments without holes; not knowing is a state."""

    session_id: str
    begin: UtcInstant
    end: UtcInstant
    segments: list[SegmentOut]


class FlagOut(BaseModel):
    """A rule was broken. Who took or decided it is told to the inspection side only."""

    flag_id: str
    rule: str
    severity: Literal["minor", "major", "critical"]
    state: Literal["open", "taken", "dismissed", "withdrawn"]
    unit_id: str
    desk: str | None
    device: str | None
    session_id: str | None
    begin: UtcInstant
    end: UtcInstant | None
    facts: dict[str, Any]
    rules_hash: str
    inspection_only: bool
    taken_by: str | None
    decided_at: UtcInstant | None
    decision_reason: str | None

    @classmethod
    def of(cls, row: FlagRow, *, inspection: bool) -> "FlagOut":
        """As this side of the house may see it."""
        flag = cls.model_validate(row, from_attributes=True)
        if inspection:
            return flag
        facts = visible_facts(row.facts, inspection=False)
        nobody = {"taken_by": None, "decided_at": None, "decision_reason": None}
        return flag.model_copy(update={"facts": facts, **nobody})


class FlagList(BaseModel):
    """One page: the gravest first, of equals the oldest."""

    items: list[FlagOut]
    next_cursor: str | None


class DismissIn(BaseModel):
    """Why nothing is to be done."""

    reason: str = Field(min_length=1, max_length=1000)


class DeviceOut(BaseModel):
    """An edge box: events `missing` are known of but not received, `waiting` not projected."""

    device_id: str
    unit_id: str
    desks: list[str]
    health: Literal["silent", "offline", "never", "online", "unpaired", "revoked"]
    link: str | None
    last_heard_at: UtcInstant | None
    silent_since: UtcInstant | None
    telemetry: dict[str, Any]
    telemetry_at: UtcInstant | None
    missing: int
    waiting: int

    @classmethod
    def of(cls, view: DeviceView) -> "DeviceOut":
        """Without keys and passwords."""
        device = view.device
        return cls(
            device_id=device.device_id,
            unit_id=device.unit_id,
            desks=[desk.desk_id for desk in view.desks],
            health=health_of(device),
            link=device.link,
            last_heard_at=device.last_heard_at,
            silent_since=device.silent_since,
            telemetry=device.telemetry,
            telemetry_at=device.telemetry_at,
            missing=view.backlog.missing,
            waiting=view.backlog.waiting,
        )


class DeviceList(BaseModel):
    """The scope's devices, those in trouble first."""

    items: list[DeviceOut]


class UnitOut(BaseModel):
    """A node of the tree; `desks` are its own."""

    unit_id: str
    parent_id: str | None
    name: str
    kind: str
    desks: list[str]

    @classmethod
    def of(cls, unit: UnitRow, desks: list[DeskRow]) -> "UnitOut":
        """The unit with those of the desks that are its own."""
        own = [desk.desk_id for desk in desks if desk.unit_id == unit.unit_id]
        return cls(
            unit_id=unit.unit_id,
            parent_id=unit.parent_id,
            name=unit.name,
            kind=unit.kind,
            desks=own,
        )


class UnitList(BaseModel):
    """The viewer's part of the tree."""

    items: list[UnitOut]


class RatingOut(BaseModel):
    """Share of satisfied answers, its 95 % Wilson interval; coverage: answers ÷ sessions seen."""

    answers: int
    satisfied_share: float
    interval_low: float
    interval_high: float
    coverage: float | None


class UnitMonthOut(BaseModel):
    """One unit's month; `rating` is null before the month is over or under five answers."""

    unit_id: str | None = Field(description="Null: all units of the answer together.")
    desks: int
    sessions: int
    uncertain_sessions: int
    rating: RatingOut | None
    observed_share: float | None = Field(description="Of the opening hours.")
    open_flags: int


class ScorecardOut(BaseModel):
    """The units that have desks, and their total over what is shown."""

    month: str
    units: list[UnitMonthOut]
    total: UnitMonthOut


class WhoOut(BaseModel):
    """Who is logged in, and the token that every change must carry."""

    user: str
    role: str
    unit_id: str
    csrf_token: str


class CredentialsIn(BaseModel):
    """A log-in name and its password; `code` is the authenticator's, where there is one."""

    user: str = Field(max_length=64)
    password: str = Field(max_length=200)
    code: str = Field(default="", max_length=64)
