"""One stream (a device's epoch) as a fold: its events in sequence order become what is derived.

Pure, and independent of every other stream: the same rows, given-up gaps and rule sets give the
same result however they were batched. The caller hands rows without a hole, or says `skip`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from pydantic import TypeAdapter

from central_server.domain import desks
from central_server.domain.desk_state import Changes, Desk, Frame
from central_server.domain.flags import Flag, Place, raise_flag
from central_server.domain.integrity import ClockFault, checkpoint_fault, clock_fault
from central_server.domain.presence import Statement
from central_server.domain.rules import RuleHistory
from event_protocol.events import CameraState, PresenceState, ZoneRole

FEEDBACK_TYPES = frozenset({"onestop.feedback.submitted", "onestop.feedback.amended"})
_PRESENCE = "onestop.presence.observed"
_STATES = {state.value: state for state in PresenceState}
_ROLES = {role.value: role for role in ZoneRole}
_CAMERA_STATES = {state.value: state for state in CameraState}


class StreamEvent(NamedTuple):
    """One occupied position; `type` is `None` if its content is unreadable."""

    sequence: int
    type: str | None
    clock: str  # ok | future | past
    prevhash: str | None
    hash: str
    body: bytes


class DeskSetting(NamedTuple):
    """What the registry says of a desk that the device may speak for."""

    unit_id: str
    schedule: str


@dataclass(frozen=True, slots=True)
class Setting:
    """What the fold needs besides the events. `public_key` counts for checkpoints from `paired_at`
    on: with which key older ones were signed is not known here.
    """

    device: str
    epoch: int
    unit_id: str
    desks: Mapping[str, DeskSetting]
    rules: RuleHistory
    public_key: bytes | None = None
    paired_at: datetime | None = None


@dataclass(slots=True)
class Stream:
    """All that the fold remembers; JSON between batches. `latest`: the last time that is known."""

    sequence: int = 0
    head: str | None = None  # hash of the last event, if it directly precedes the next
    latest: datetime | None = None
    desks: dict[str, Desk] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)  # desks that it may not speak for
    unreported: list[tuple[int, int]] = field(default_factory=list)  # gaps whose end is not known
    broken: Flag | None = None  # the chain's break that the next event may continue
    wrong_clock: Flag | None = None  # likewise


def may_speak_for(device: str, device_unit: str, desk_device: str | None, desk_unit: str) -> bool:
    """Whether what a device says of a desk is a fact: it serves it, or is of the same unit (a desk
    that another box took over since). Nobody can invent another unit's sessions.
    """
    return device == desk_device or desk_unit == device_unit


_STREAM: TypeAdapter[Stream] = TypeAdapter(Stream)


def load_stream(state: Mapping[str, Any]) -> Stream:
    """A stream's fold from its stored form; an empty one begins at the start."""
    return _STREAM.validate_python(state, strict=False) if state else Stream()


def dump_stream(stream: Stream) -> dict[str, Any]:
    """The stored form: JSON values."""
    form: dict[str, Any] = _STREAM.dump_python(stream, mode="json")
    return form


class StreamFold:
    """Advances one stream; what changed gathers in `changes`."""

    def __init__(self, stream: Stream, setting: Setting) -> None:
        self.stream = stream
        self.changes = Changes()
        self._setting = setting
        self._frames: dict[str, Frame | None] = {}

    def advance(self, event: StreamEvent) -> None:
        """Takes in the event at the next position."""
        stream = self.stream
        self._check_chain(event)
        stream.sequence, stream.head = event.sequence, event.hash
        if event.type is None:
            self._interrupt()
        elif event.type not in FEEDBACK_TYPES:  # their time is a quarter of an hour
            body = orjson.loads(event.body)
            at = datetime.fromisoformat(body["time"])
            fault = clock_fault(event.clock, at, stream.latest, body.get("clockoffsetms"))
            self._note_clock(event, body, at, fault)
            if fault in (None, ClockFault.OFFSET):  # a constant error leaves lengths as they are
                self._take(event, body, at)
            else:
                self._take_distrusted(event, body, at)

    def skip(self, first: int, last: int) -> None:
        """Those positions were given up: what they said is unknown."""
        self._interrupt()
        stream = self.stream
        stream.sequence, stream.head = last, None
        stream.unreported.append((first, last))

    def close(self) -> None:
        """The device opened a new epoch: what was under way ends as not observed."""
        if self.stream.latest is not None:
            self._report_gaps(self.stream.latest)
            for desk, frame in self._known_desks():
                desks.close(desk, frame, self.stream.latest)

    def _take(self, event: StreamEvent, body: Mapping[str, Any], at: datetime) -> None:
        stream = self.stream
        if event.type == "onestop.device.started":
            for desk, frame in self._known_desks():
                desks.restart(desk, frame, stream.latest or at)
        self._report_gaps(at)
        stream.latest = at if stream.latest is None else max(at, stream.latest)
        handle = _HANDLERS.get(event.type or "")
        if handle is not None:
            handle(self, event, body, at)

    def _take_distrusted(self, event: StreamEvent, body: Mapping[str, Any], at: datetime) -> None:
        stream = self.stream
        self._interrupt(distrusted=True)
        if event.clock == "ok":  # set back: this is the time from now on
            stream.latest = at
            for desk in stream.desks.values():
                desks.restart_clock(desk, at)
        if event.type == _PRESENCE and (frame := self._frame(body["subject"])) is not None:
            statement = _read_statement(event.sequence, body["data"], at)
            desks.observe_distrusted(self._desk(body["subject"]), frame, statement)

    def _interrupt(self, *, distrusted: bool = False) -> None:
        if self.stream.latest is not None:
            for desk, frame in self._known_desks():
                desks.interrupt(desk, frame, self.stream.latest, distrusted=distrusted)

    def _report_gaps(self, until: datetime) -> None:
        stream = self.stream
        for first, last in stream.unreported:
            begin = min(stream.latest or until, until)
            self._raise_integrity(
                "sequence_gap", (first,), begin, {"first": first, "last": last}, until
            )
        stream.unreported.clear()

    def _check_chain(self, event: StreamEvent) -> None:
        """Consecutive events that don't follow their predecessor are one break."""
        stream = self.stream
        if stream.head is None or event.prevhash in (None, stream.head):
            stream.broken = None
        elif stream.broken is not None:
            stream.broken.facts["last"] = event.sequence
            self.changes.add_flag(stream.broken)
        else:
            facts = {"first": event.sequence, "last": event.sequence, "cause": "prevhash"}
            at = self._moment(event)
            stream.broken = self._raise_integrity(
                "broken_chain", (event.sequence,), at, {**facts, "expected": stream.head}, at
            )

    def _check_checkpoint(self, event: StreamEvent, body: Mapping[str, Any], at: datetime) -> None:
        setting = self._setting
        is_by_this_key = setting.paired_at is None or at >= setting.paired_at
        key = setting.public_key if is_by_this_key else None
        cause = checkpoint_fault(setting.device, setting.epoch, key, body, event.prevhash)
        if cause is not None:
            facts = {"first": event.sequence, "last": event.sequence, "cause": cause}
            self._raise_integrity("broken_chain", (event.sequence, cause), at, facts, at)

    def _note_clock(
        self, event: StreamEvent, body: Mapping[str, Any], at: datetime, fault: ClockFault | None
    ) -> None:
        """Consecutive events by a clock that is wrong in one way are one flag."""
        stream, flag = self.stream, self.stream.wrong_clock
        if fault is None:
            stream.wrong_clock = None
        elif flag is not None and flag.facts["cause"] == fault:
            flag.facts["last"] = event.sequence
            self.changes.add_flag(flag)
        else:
            facts = {
                "cause": fault.value,
                "first": event.sequence,
                "last": event.sequence,
                "said_at": at.isoformat(),
                "offset_ms": body.get("clockoffsetms"),
            }
            begin = stream.latest or at
            stream.wrong_clock = self._raise_integrity(
                "wrong_clock", (event.sequence, fault.value), begin, facts, begin
            )

    def _raise_integrity(
        self,
        rule: str,
        origin: tuple[object, ...],
        begin: datetime,
        facts: dict[str, Any],
        end: datetime,
    ) -> Flag | None:
        setting = self._setting
        place = Place(setting.unit_id, setting.device, setting.epoch)
        derived_from = (setting.device, setting.epoch, *origin)
        rules = setting.rules.at(begin)
        facts = {"epoch": setting.epoch, **facts}
        flag = raise_flag(rule, rules, place, derived_from, begin, end, facts)
        self.changes.add_flag(flag)
        return flag

    def _moment(self, event: StreamEvent) -> datetime:
        """When that was, as well as is known: the last believed time, else what the event says."""
        if self.stream.latest is None and event.type is not None:
            return datetime.fromisoformat(orjson.loads(event.body)["time"])
        return self.stream.latest or _NO_TIME

    def _known_desks(self) -> list[tuple[Desk, Frame]]:
        found = ((desk, self._frame(name)) for name, desk in self.stream.desks.items())
        return [(desk, frame) for desk, frame in found if frame is not None]

    def _desk(self, name: str) -> Desk:
        desk = self.stream.desks.get(name)
        if desk is None:
            desk = self.stream.desks[name] = Desk()
        return desk

    def _frame(self, desk: str) -> Frame | None:
        """`None`: not a desk that this device may speak for; what it says of it is no fact."""
        if desk not in self._frames:
            known, setting = self._setting.desks.get(desk), self._setting
            if known is None and desk not in self.stream.strangers:
                self.stream.strangers.append(desk)
            self._frames[desk] = known and Frame(
                Place(known.unit_id, setting.device, setting.epoch, desk),
                desk,
                known.schedule,
                setting.rules,
                self.changes,
            )
        return self._frames[desk]

    def _observe_presence(self, event: StreamEvent, body: Mapping[str, Any], at: datetime) -> None:
        frame = self._frame(body["subject"])
        if frame is not None:
            statement = _read_statement(event.sequence, body["data"], at)
            desks.observe(self._desk(frame.desk), frame, statement)

    def _observe_camera(self, event: StreamEvent, body: Mapping[str, Any], at: datetime) -> None:
        frame, data = self._frame(body["subject"]), body["data"]
        if frame is not None:
            desks.observe_camera(
                self._desk(frame.desk),
                frame,
                data["camera"],
                _CAMERA_STATES[data["state"]],
                since=datetime.fromisoformat(data["since"]),
                at=at,
                sequence=event.sequence,
                told=desks.read_fault(data),
            )

    def _note_dropped(self, event: StreamEvent, body: Mapping[str, Any], at: datetime) -> None:
        """The box had no room for what it saw since then: as unknown as if it had not looked."""
        since = datetime.fromisoformat(body["data"]["since"])
        for desk, frame in self._known_desks():
            desks.interrupt(desk, frame, min(since, at))

    def _note_slip(self, event: StreamEvent, body: Mapping[str, Any], at: datetime) -> None:
        frame, data = self._frame(body["subject"]), body["data"]
        if frame is not None:
            desks.note_slip(self._desk(frame.desk), frame, data["text"], data.get("session_id"))


_Handler = Callable[[StreamFold, StreamEvent, Mapping[str, Any], datetime], None]
_HANDLERS: dict[str, _Handler] = {
    _PRESENCE: StreamFold._observe_presence,
    "onestop.camera.observed": StreamFold._observe_camera,
    "onestop.slip.scanned": StreamFold._note_slip,
    "onestop.observations.dropped": StreamFold._note_dropped,
    "onestop.device.checkpoint": StreamFold._check_checkpoint,
}
_NO_TIME = datetime.fromisoformat("1970-01-01T00:00:00Z")  # nothing in the stream says any time


def _read_statement(sequence: int, data: Mapping[str, Any], at: datetime) -> Statement:
    return Statement(
        sequence,
        at,
        data["zone"],
        _ROLES[data["role"]],
        _STATES[data["state"]],
        datetime.fromisoformat(data["since"]),
        data.get("session_id"),
    )
