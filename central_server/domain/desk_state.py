"""What the fold of one desk remembers, and where it notes what changed. Data only."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from central_server.domain.calendars import Calendar
from central_server.domain.flags import Condition, Flag, Place
from central_server.domain.presence import Zone
from central_server.domain.rules import RuleHistory, RuleSet
from central_server.domain.sessions import Session
from event_protocol.events import CameraState, ZoneRole


@dataclass(slots=True)
class Camera:
    """The last that a camera's picture was said to be."""

    state: CameraState
    since: datetime
    sequence: int  # of the statement
    told: dict[str, Any] = field(default_factory=dict)  # what more was said, as a flag's facts


@dataclass(slots=True)
class DeskDay:
    """What of one local day's opening hours was observed, in seconds."""

    opening_s: float
    observed_s: float = 0.0
    officer_present_s: float | None = None  # `None`: the desk has no officer zone


@dataclass(slots=True)
class Desk:
    """All that must be remembered of a desk; `cursor`: up to when time has been counted."""

    zones: dict[str, Zone] = field(default_factory=dict)
    cameras: dict[str, Camera] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)  # open ones, by zone
    conditions: dict[str, Condition] = field(default_factory=dict)
    days: dict[date, DeskDay] = field(default_factory=dict)
    cursor: datetime | None = None

    @property
    def has_officer_zone(self) -> bool:
        """Whether the officer can be seen at all."""
        return any(zone.role is ZoneRole.OFFICER for zone in self.zones.values())


@dataclass(slots=True)
class Changes:
    """What a stretch of a stream changed; a later form of the same thing replaces the former."""

    sessions: dict[str, tuple[str, Session]] = field(default_factory=dict)  # with the desk
    flags: dict[str, Flag] = field(default_factory=dict)
    days: dict[tuple[str, date], DeskDay] = field(default_factory=dict)

    def add_flag(self, flag: Flag | None) -> None:
        """Notes a flag's new form, if there is one."""
        if flag is not None:
            self.flags[flag.flag_id] = flag


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a desk's fold runs: its place, its rules, and where changes are noted."""

    place: Place
    desk: str
    schedule: str
    rules: RuleHistory
    changes: Changes

    def rules_at(self, at: datetime) -> tuple[RuleSet, Calendar]:
        """The rule set in force then and the desk's opening hours by it."""
        rules = self.rules.at(at)
        return rules, rules.calendar(self.schedule)

    def changed(self, session: Session) -> None:
        """Notes that a session has a new form."""
        self.changes.sessions[session.session_id] = (self.desk, session)
