"""What a list's address says: filters, a page's limit and the cursor where it goes on."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query

from central_server.domain.errors import InvalidError
from central_server.domain.permissions import FlagScope, UnitId, UnitScope, narrow, only
from central_server.http.dependencies import Visit
from central_server.services.scorecards import local_midnight
from central_server.storage.flag_lists import ACTIVE, STATES, FlagFilter, FlagPlace
from central_server.storage.session_lists import SessionFilter, SessionPlace

FlagStateChoice = Literal["", "active", "open", "taken", "dismissed", "withdrawn", "all"]
SeverityChoice = Literal["", "critical", "major", "minor"]
SessionStateChoice = Literal["", "waiting", "serving", "ended", "abandoned", "uncertain"]
Day = Annotated[
    str,
    Query(pattern=r"^(|(19|20)\d\d-\d\d-\d\d)$", description="A local day (UTC+7), `2026-03-31`."),
]
Name = Annotated[str, Query(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=200, description="Items of one page.")]
Cursor = Annotated[str, Query(max_length=200, description="`next_cursor` of the page before.")]


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when: what both lists can be filtered by. `until` is the last day, included."""

    unit: Annotated[Name, Query(description="This unit and all below it.")] = ""
    own: Annotated[bool, Query(description="Only the unit itself, not what is below.")] = False
    desk: Name = ""
    since: Day = ""
    until: Day = ""

    def narrow(self, scope: UnitScope, visit: Visit) -> UnitScope:
        """The part of the scope that is asked for."""
        if not self.unit:
            return scope
        unit = UnitId(self.unit)
        return only(scope, unit) if self.own else narrow(scope, unit, visit.parents)

    def begin(self) -> datetime | None:
        """The first instant asked for."""
        return _midnight(self.since)

    def end(self) -> datetime | None:
        """The first instant not asked for any more."""
        midnight = _midnight(self.until)
        return None if midnight is None else midnight + timedelta(days=1)


PlaceQuery = Annotated[Place, Depends()]


@dataclass(frozen=True, slots=True)
class FlagQuery:
    """The filters of the list of flags."""

    place: PlaceQuery
    state: Annotated[
        FlagStateChoice, Query(description="`active` (also if empty): open or taken.")
    ] = ""
    severity: SeverityChoice = ""
    rule: Annotated[str, Query(max_length=40)] = ""

    def filter(self) -> FlagFilter:
        """As storage takes them."""
        states = {"": ACTIVE, "active": ACTIVE, "all": STATES}.get(self.state, (self.state,))
        return FlagFilter(
            states=states,
            rule=self.rule or None,
            severity=self.severity or None,
            desk=self.place.desk or None,
            since=self.place.begin(),
            until=self.place.end(),
        )

    def scope(self, visit: Visit) -> FlagScope:
        """The part of the viewer's flags that is asked for."""
        scope = visit.flag_scope()
        return FlagScope(self.place.narrow(scope.units, visit), scope.inspection)

    def address(self) -> str:
        """The query string that says the same."""
        return _address(self.place, state=self.state, severity=self.severity, rule=self.rule)


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """The filters of the list of sessions."""

    place: PlaceQuery
    state: SessionStateChoice = ""

    def filter(self) -> SessionFilter:
        """As storage takes them."""
        return SessionFilter(
            state=self.state or None,
            desk=self.place.desk or None,
            since=self.place.begin(),
            until=self.place.end(),
        )

    def address(self) -> str:
        """The query string that says the same."""
        return _address(self.place, state=self.state)


Flags = Annotated[FlagQuery, Depends()]
Sessions = Annotated[SessionQuery, Depends()]


def flag_cursor(place: FlagPlace) -> str:
    """An opaque word for where the page ended."""
    return _pack(place.rank, place.begin.isoformat(), place.flag_id)


def read_flag_cursor(cursor: str) -> FlagPlace | None:
    """Where the page before ended; `None` at the beginning."""
    if not cursor:
        return None
    try:
        rank, begin, flag_id = _unpack(cursor)
        return FlagPlace(int(str(rank)), _aware(begin), str(flag_id))
    except (ValueError, TypeError):
        raise InvalidError("error.cursor") from None


def session_cursor(place: SessionPlace) -> str:
    """An opaque word for where the page ended."""
    return _pack(place.arrived_at.isoformat(), place.session_id)


def read_session_cursor(cursor: str) -> SessionPlace | None:
    """Where the page before ended; `None` at the beginning."""
    if not cursor:
        return None
    try:
        arrived_at, session_id = _unpack(cursor)
        return SessionPlace(_aware(arrived_at), str(session_id))
    except (ValueError, TypeError):
        raise InvalidError("error.cursor") from None


def _pack(*parts: object) -> str:
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _unpack(cursor: str) -> list[object]:
    parts: list[object] = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return parts


def _aware(text: object) -> datetime:
    at = datetime.fromisoformat(str(text))
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at


def _midnight(day: str) -> datetime | None:
    if not day:
        return None
    try:
        return local_midnight(date.fromisoformat(day))
    except ValueError:
        raise InvalidError("error.day", day=day) from None


def _address(place: Place, **others: str) -> str:
    parts = {
        "unit": place.unit,
        "own": "1" if place.own else "",
        "desk": place.desk,
        "since": place.since,
        "until": place.until,
        **others,
    }
    return urlencode({name: value for name, value in parts.items() if value})
