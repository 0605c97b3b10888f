"""A desk's day as a script: (time, what was said) -> what is derived. No keys, no database.

Times are minutes after 07:00 on Monday 2 March 2026 at the desk, when it opens.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import orjson

from central_server.domain.desk_state import DeskDay
from central_server.domain.flags import Flag, Place
from central_server.domain.rules import RuleHistory, RuleSet, parse_rules
from central_server.domain.sessions import Session
from central_server.domain.streams import (
    DeskSetting,
    Setting,
    StreamEvent,
    StreamFold,
    dump_stream,
    load_stream,
)
from central_server.services import derived_rows
from event_protocol.canonical import sha256_hex
from event_protocol.names import NO_HASH, format_time

OPENING = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
RULES_FILE = Path(__file__).resolve().parents[3] / "configs" / "flag_rules.yaml"
RULES: RuleSet = parse_rules(RULES_FILE.read_text(encoding="utf-8"), RULES_FILE.name)
DESKS = {"desk-1": DeskSetting("unit-a", "default"), "desk-2": DeskSetting("unit-a", "default")}


def minute(minutes: float) -> datetime:
    """The instant so many minutes after the desk opens."""
    return OPENING + timedelta(minutes=minutes)


def stay(number: int) -> str:
    """The id of the story's stay of that number."""
    return str(uuid5(UUID(int=0), f"stay {number}"))


@dataclass
class Story:
    """Collects rows; `told()` folds them, each row a batch of its own or all at once."""

    rows: list[StreamEvent | tuple[int, int]] = field(default_factory=list)
    sequence: int = 0
    head: str = NO_HASH
    rules: RuleHistory = field(default_factory=lambda: RuleHistory([(BEGINNING, RULES)]))
    public_key: bytes | None = None
    paired_at: datetime | None = None
    offset_ms: int | None = None  # what the box reckons its clock to be off, from now on

    def say(
        self,
        at: float,
        kind: str,
        data: dict[str, Any],
        *,
        desk: str | None = "desk-1",
        clock: str = "ok",
        prevhash: str | None = None,
    ) -> "Story":
        """One event of any type."""
        self.sequence += 1
        body: dict[str, Any] = {"time": format_time(minute(at)), "subject": desk, "data": data}
        if desk is None:
            del body["subject"]
        if self.offset_ms is not None:
            body["clockoffsetms"] = self.offset_ms
        raw = orjson.dumps({**body, "sequence": self.sequence})
        digest = sha256_hex(raw)
        row = StreamEvent(
            self.sequence, f"onestop.{kind}", clock, prevhash or self.head, digest, raw
        )
        self.rows.append(row)
        self.head = digest
        return self

    def zone(
        self,
        at: float,
        state: str,
        *,
        role: str = "citizen",
        zone: str | None = None,
        since: float | None = None,
        session: int | None = None,
        desk: str = "desk-1",
        clock: str = "ok",
    ) -> "Story":
        """`presence.observed`; `session` numbers the stay."""
        data = {
            "zone": zone or role,
            "role": role,
            "state": state,
            "since": format_time(minute(at if since is None else since)),
            "confidence": 0.9,
            "observed_share": 1,
        }
        if session is not None:
            data["session_id"] = stay(session)
        return self.say(at, "presence.observed", data, desk=desk, clock=clock)

    def officer(self, at: float, state: str, since: float | None = None) -> "Story":
        """Somebody, nobody or who knows in the officer's place."""
        return self.zone(at, state, role="officer", since=since)

    def comes(self, at: float, session: int, zone: str = "citizen") -> "Story":
        """A citizen sits down."""
        return self.zone(at, "occupied", zone=zone, session=session)

    def goes(self, at: float, zone: str = "citizen") -> "Story":
        """The citizen's place is empty."""
        return self.zone(at, "empty", zone=zone)

    def camera(
        self, at: float, state: str, since: float | None = None, name: str = "cam", **more: Any
    ) -> "Story":
        """`camera.observed`; `more`: its detail and shift."""
        since_text = format_time(minute(at if since is None else since))
        data = {"camera": name, "state": state, "since": since_text, **more}
        return self.say(at, "camera.observed", data)

    def starts(self, at: float) -> "Story":
        """The agent starts (again)."""
        return self.say(at, "device.started", {"last_run": "killed"}, desk=None)

    def unreadable(self) -> "Story":
        """A position whose content can't be read."""
        self.sequence += 1
        digest = sha256_hex(str(self.sequence).encode())
        self.rows.append(StreamEvent(self.sequence, None, "ok", None, digest, b"{}"))
        self.head = digest
        return self

    def loses(self, count: int = 1) -> "Story":
        """Positions that never arrive and are given up."""
        self.rows.append((self.sequence + 1, self.sequence + count))
        self.sequence += count
        return self

    def repeats(self, begin: float, end: float, **zones: str) -> "Story":
        """Each of these zones is stated again every five minutes, as it was at `begin`."""
        at = begin + 5
        while at <= end:
            for role, state in zones.items():
                self.zone(at, state, role=role, since=begin)
            at += 5
        return self

    def setting(self) -> Setting:
        """What the fold is told besides the rows."""
        return Setting("device-a", 1, "unit-a", DESKS, self.rules, self.public_key, self.paired_at)

    def told(self, *, one_by_one: bool = False, closed: bool = False) -> "Told":
        """The story's result; `one_by_one` stores and loads the fold between any two rows."""
        fold = StreamFold(load_stream({}), self.setting())
        told = Told()
        for row in self.rows:
            if isinstance(row, StreamEvent):
                fold.advance(row)
            else:
                fold.skip(*row)
            if one_by_one:
                told.note(fold)
                state = orjson.loads(orjson.dumps(dump_stream(fold.stream)))
                fold = StreamFold(load_stream(state), self.setting())
        if closed:
            fold.close()
        told.note(fold)
        told.state = dump_stream(fold.stream)
        return told


def both_ways(story: Story) -> "Told":
    """The story's result, which is the same however its rows were batched."""
    at_once, one_by_one = story.told(), story.told(one_by_one=True)
    assert at_once.rows() == one_by_one.rows()
    assert at_once.flags == one_by_one.flags
    assert at_once.days == one_by_one.days
    assert at_once.state == one_by_one.state
    return at_once


@dataclass
class Told:
    """What a story comes to."""

    sessions: dict[str, Session] = field(default_factory=dict)
    flags: dict[str, Flag] = field(default_factory=dict)
    days: dict[Any, DeskDay] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)

    def note(self, fold: StreamFold) -> None:
        """Takes over what a batch changed."""
        self.sessions.update({k: session for k, (_, session) in fold.changes.sessions.items()})
        self.flags.update(fold.changes.flags)
        self.days.update(fold.changes.days)

    def rows(self) -> list[dict[str, Any]]:
        """The sessions as they are stored."""
        place = Place("unit-a", "device-a", 1, "desk-1")
        found = self.sessions.values()
        return [derived_rows.session_row(one, "desk-1", place) for one in found]

    def session(self, number: int) -> Session:
        """The stay of that number."""
        return self.sessions[stay(number)]

    def only_flag(self, rule: str) -> Flag:
        """The one flag of that rule."""
        (flag,) = (flag for flag in self.flags.values() if flag.rule == rule)
        return flag

    def rules_broken(self) -> list[str]:
        """The rule codes of all flags."""
        return sorted(flag.rule for flag in self.flags.values())
