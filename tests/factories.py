"""Rows for the pages' tests: a small province with everything that a page can show."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlmodel import Session, SQLModel

from central_server.domain.flags import REGISTRY
from central_server.storage.evidence_tables import EvidenceRequestRow
from central_server.storage.tables import (
    DeskDayRow,
    DeskRow,
    DeviceRow,
    EventRow,
    FeedbackRow,
    FlagRow,
    NotificationRow,
    SessionRow,
    StreamRow,
    UnitRow,
)
from event_protocol.codec import encode_event, hash_event
from event_protocol.events import (
    CameraObserved,
    CameraObservedEvent,
    CameraState,
    Event,
    PresenceObserved,
    PresenceObservedEvent,
    PresenceState,
    ZoneRole,
)
from event_protocol.names import NO_HASH

NOW = datetime(2026, 3, 18, 3, 0, tzinfo=UTC)  # a Wednesday, 10:00 at the desks
_IDS = UUID("00000000-0000-4000-8000-000000000000")
COMPLAINT_WORDS = "Cán bộ yêu cầu nộp thêm tiền"


def make_id(name: str) -> str:
    """The same id for the same name."""
    return str(uuid5(_IDS, name))


def make_units() -> list[SQLModel]:
    """province > district > commune-a, commune-b; beside it another district with commune-c."""
    tree = {
        "province": (None, "Tỉnh mẫu", "province"),
        "district": ("province", "Cụm Bắc", "cluster"),
        "commune-a": ("district", "Xã An Bình", "commune"),
        "commune-b": ("district", "Phường Bến Đò", "ward"),
        "elsewhere": ("province", "Cụm Nam", "cluster"),
        "commune-c": ("elsewhere", "Xã Cẩm Sơn", "commune"),
    }
    return [
        UnitRow(unit_id=unit, parent_id=parent, name=name, kind=kind, valid_from=date(2025, 7, 1))
        for unit, (parent, name, kind) in tree.items()
    ]


def make_desk(unit: str, **changes: Any) -> list[SQLModel]:
    """A paired device with one desk of the unit, and its stream."""
    device: dict[str, Any] = {
        "device_id": f"device-{unit}",
        "unit_id": unit,
        "public_key": "ab" * 32,
        "paired_at": NOW - timedelta(days=60),
        "link": "online",
        "last_heard_at": NOW - timedelta(seconds=20),
        "telemetry": {
            "cpu_percent": 31.5,
            "outbox_depth": 0,
            "clockoffsetms": None,
            "cameras": {"camera": {"state": "ok", "fps": 12.5}},
        },
        "telemetry_at": NOW - timedelta(seconds=20),
    }
    return [
        DeviceRow(**(device | changes)),
        DeskRow(
            desk_id=f"desk-{unit}",
            unit_id=unit,
            name=f"Quầy 1 {unit[-1].upper()}",
            device_id=f"device-{unit}",
            token_key="cd" * 32,
        ),
        StreamRow(
            device=f"device-{unit}",
            epoch=1,
            received_through=120,
            highest_seen=123,
            projected_through=118,
        ),
    ]


def make_session(unit: str, name: str, arrived_at: datetime, **changes: Any) -> SessionRow:
    """A stay of twelve minutes: four of waiting, eight of service."""
    values: dict[str, Any] = {
        "session_id": make_id(name),
        "device": f"device-{unit}",
        "epoch": 1,
        "sequence": 1,
        "desk": f"desk-{unit}",
        "unit_id": unit,
        "state": "ended",
        "arrived_at": arrived_at,
        "service_started_at": arrived_at + timedelta(minutes=4),
        "ended_at": arrived_at + timedelta(minutes=12),
        "wait_s": 240.0,
        "service_s": 480.0,
        "officer_absent_s": 0.0,
        "unobserved_s": 60.0,
        "certainty": 0.92,
    }
    return SessionRow(**(values | changes))


def make_flag(unit: str, name: str, rule: str = "long_wait", **changes: Any) -> FlagRow:
    """An open flag on the unit's desk, one hour old."""
    values: dict[str, Any] = {
        "flag_id": make_id(name),
        "rule": rule,
        "rules_hash": "ef" * 32,
        "severity": "major",
        "device": f"device-{unit}",
        "epoch": 1,
        "desk": f"desk-{unit}",
        "unit_id": unit,
        "begin": NOW - timedelta(hours=1),
        "end": NOW - timedelta(minutes=40),
        "facts": {"threshold_s": 900, "proven_s": 905.0, "proven_at": NOW.isoformat()},
        "state": "open",
        "inspection_only": REGISTRY[rule].inspection_only,
    }
    return FlagRow(**(values | changes))


def make_complaint(unit: str, name: str, session_id: str | None = None) -> list[SQLModel]:
    """Feedback that names extortion, its critical flag and the notification."""
    feedback_id, flag_id = make_id(f"{name}-words"), make_id(name)
    return [
        FeedbackRow(
            feedback_id=feedback_id,
            channel="phone",
            desk=f"desk-{unit}",
            unit_id=unit,
            quarter_at=NOW - timedelta(minutes=45),
            rating=1,
            reasons=["asked_for_money"],
            comment=COMPLAINT_WORDS,
            match="matched" if session_id else "unmatched",
            session_id=session_id,
            is_complaint=True,
            receipt_hash="12" * 32,
        ),
        make_flag(
            unit,
            name,
            "complaint",
            severity="critical",
            session_id=session_id,
            feedback_id=feedback_id,
            facts={"reasons": ["asked_for_money"], "rating": 1},
            end=NOW - timedelta(minutes=45),
        ),
        NotificationRow(flag_id=flag_id, level=0, due_at=NOW, sent_at=NOW, attempts=1),
    ]


def make_received_clip(unit: str, **changes: Any) -> EvidenceRequestRow:
    """A clip that an inspector asked for about the commune's long wait; its file is not made."""
    values: dict[str, Any] = {
        "request_id": make_id(f"pictures-{unit}"),
        "flag_id": make_id(f"wait-{unit}"),
        "unit_id": unit,
        "device": f"device-{unit}",
        "desk": f"desk-{unit}",
        "kind": "clip",
        "begin": NOW - timedelta(minutes=60, seconds=5),
        "end": NOW - timedelta(minutes=48) + timedelta(seconds=5),
        "asked_at": NOW - timedelta(minutes=30),
        "asked_by": "inspector-district",
        "expires": NOW + timedelta(days=3),
        "state": "received",
        "answered_at": NOW - timedelta(minutes=20),
        "covered": [],
        "sha256": "ab" * 32,
        "size": 1000,
    }
    return EvidenceRequestRow(**(values | changes))


def make_ratings(unit: str, ratings: Iterable[int], at: datetime) -> list[SQLModel]:
    """Plain ratings, each in the same quarter of an hour."""
    return [
        FeedbackRow(
            feedback_id=make_id(f"{unit}-{at.isoformat()}-{number}"),
            channel="kiosk",
            desk=f"desk-{unit}",
            unit_id=unit,
            quarter_at=at,
            rating=rating,
            match="unmatched",
        )
        for number, rating in enumerate(ratings)
    ]


def make_desk_day(unit: str, day: date, observed_share: float) -> DeskDayRow:
    """Eight opening hours of which that share was observed."""
    return DeskDayRow(
        desk=f"desk-{unit}",
        day=day,
        device=f"device-{unit}",
        epoch=1,
        unit_id=unit,
        opening_s=8 * 3600.0,
        observed_s=8 * 3600.0 * observed_share,
    )


def make_presence(
    unit: str, at: datetime, role: str, state: str, *, sequence: int, since: datetime | None = None
) -> EventRow:
    """What the unit's device said of one zone at that time."""
    data = PresenceObserved(
        zone=role,
        role=ZoneRole(role),
        state=PresenceState(state),
        since=since or at,
        confidence=0.9,
        observed_share=1.0,
    )
    return _event_row(unit, PresenceObservedEvent(data=data, **_envelope(unit, at, sequence)))


def make_camera(unit: str, at: datetime, state: str, *, sequence: int) -> EventRow:
    """What the unit's device said of its camera at that time."""
    data = CameraObserved(camera="camera-1", state=CameraState(state), since=at)
    return _event_row(unit, CameraObservedEvent(data=data, **_envelope(unit, at, sequence)))


def make_stay(unit: str, arrived_at: datetime) -> list[SQLModel]:
    """The events behind `make_session`: also a covered camera in the ninth minute."""
    minute = timedelta(minutes=1)
    return [
        make_camera(unit, arrived_at - 30 * minute, "ok", sequence=1),
        make_presence(unit, arrived_at - 3 * minute, "citizen", "empty", sequence=2),
        make_presence(unit, arrived_at - 3 * minute, "officer", "empty", sequence=3),
        make_presence(unit, arrived_at, "citizen", "occupied", sequence=4),
        make_presence(unit, arrived_at + 4 * minute, "officer", "occupied", sequence=5),
        make_camera(unit, arrived_at + 8 * minute, "covered", sequence=6),
        make_presence(unit, arrived_at + 8 * minute, "citizen", "unknown", sequence=7),
        make_presence(unit, arrived_at + 8 * minute, "officer", "unknown", sequence=8),
        make_camera(unit, arrived_at + 9 * minute, "ok", sequence=9),
        make_presence(unit, arrived_at + 9 * minute, "citizen", "occupied", sequence=10),
        make_presence(unit, arrived_at + 9 * minute, "officer", "occupied", sequence=11),
        make_presence(unit, arrived_at + 12 * minute, "citizen", "empty", sequence=12),
    ]


def add_province(db: Session) -> None:
    """Two communes of one district and one of another: the same things happened in each."""
    communes = ("commune-a", "commune-b", "commune-c")
    rows: list[SQLModel] = make_units()
    for unit in communes:
        arrived_at = NOW - timedelta(hours=1)
        session = make_session(unit, f"session-{unit}", arrived_at)
        rows += make_desk(unit)
        rows += [session, *make_stay(unit, arrived_at)]
        rows.append(make_flag(unit, f"wait-{unit}", session_id=session.session_id))
        rows.append(make_flag(unit, f"gap-{unit}", "sequence_gap", severity="minor", desk=None))
        rows += make_complaint(unit, f"complaint-{unit}", session.session_id)
        rows.append(make_desk_day(unit, date(2026, 2, 10), 0.95))
    for row in rows:
        db.add(row)


def _envelope(unit: str, at: datetime, sequence: int) -> dict[str, Any]:
    return {
        "id": make_id(f"{unit}-event-{sequence}"),
        "source": f"/devices/device-{unit}",
        "time": at,
        "sequence": sequence,
        "epoch": 1,
        "boot": 1,
        "prevhash": NO_HASH,
        "subject": f"desk-{unit}",
    }


def _event_row(unit: str, event: Event) -> EventRow:
    body = encode_event(event)
    return EventRow(
        device=f"device-{unit}",
        epoch=event.epoch,
        sequence=event.sequence,
        event_id=str(event.id),
        type=event.type,
        desk=f"desk-{unit}",
        time=event.time,
        received_at=event.time,
        clock="ok",
        prevhash=event.prevhash,
        hash=hash_event(body),
        body=body,
    )
