"""The whole schema on one page: the two logs, what is derived from them, and the registry.

Logs are append-only. Everything under "derived" can be dropped and is re-derived from them.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


def table_of(model: type[SQLModel]) -> Table:
    """The model's table for SQLAlchemy Core, which hot paths use."""
    table: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
    return table


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes on every database; SQLite itself knows no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _big() -> Any:
    return Field(sa_type=BigInteger)


def _big_key() -> Any:
    return Field(sa_type=BigInteger, primary_key=True)


def _json(default: Any = dict) -> Any:
    return Field(default_factory=default, sa_column=Column(JSON, nullable=False))


# --- the two logs -----------------------------------------------------------------------------


# Before and after every time that is stored; each time zone can still show the latter.
EVER, NEVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


class EventRow(SQLModel, table=True):
    """What devices said: one row for each occupied position of a chain.

    On PostgreSQL in parts by month, see months.py: there each part has its own unique indexes.
    """

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("device", "event_id", name="uq_event_source_id"),
        Index("ix_event_desk_time", "desk", "time"),
        # Filed by position itself: a third less to write for each event, measured.
        {"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (received_at)"},
    )

    device: str = Field(primary_key=True, max_length=64)
    epoch: int = _big_key()
    sequence: int = _big_key()
    event_id: str | None = Field(default=None, max_length=128)  # None: unreadable and nameless
    type: str | None = Field(default=None, max_length=64)  # None: content unreadable
    desk: str | None = Field(default=None, max_length=64)
    time: datetime | None = Field(default=None, sa_type=UtcDateTime)
    received_at: datetime = Field(sa_type=UtcDateTime)
    clock: str = Field(max_length=16)  # ok | future | past: a wrong clock is marked, not rejected
    reason: str | None = Field(default=None, max_length=500)  # why unreadable
    prevhash: str | None = Field(default=None, max_length=128)
    hash: str = Field(max_length=64)
    body: bytes = Field(sa_type=LargeBinary)  # canonical bytes without `sealed`
    sealed: str | None = None  # feedback's ciphertext; retention may erase it


class ServerLogRow(SQLModel, table=True):
    """What the server itself observed or was told: one chain, see domain/server_log.py."""

    __tablename__ = "server_log"

    sequence: int = _big_key()
    entry_id: str = Field(max_length=36, unique=True)
    type: str = Field(max_length=64, index=True)
    time: datetime = Field(sa_type=UtcDateTime)
    prevhash: str = Field(max_length=64)
    hash: str = Field(max_length=64)
    body: bytes = Field(sa_type=LargeBinary)  # canonical bytes without `sealed`
    sealed: str | None = None


class QuarantineRow(SQLModel, table=True):
    """What could not be filed, or stands beside what was: kept with its reason, never dropped."""

    __tablename__ = "quarantine"

    quarantine_id: int | None = Field(default=None, primary_key=True)
    received_at: datetime = Field(sa_type=UtcDateTime)
    topic: str = Field(max_length=300)
    device: str | None = Field(default=None, max_length=64, index=True)
    epoch: int | None = Field(default=None, sa_type=BigInteger)
    sequence: int | None = Field(default=None, sa_type=BigInteger)
    kind: str = Field(max_length=32)  # refused | other_bytes | known_id_elsewhere
    reason: str = Field(max_length=500)
    sha256: str = Field(max_length=64, index=True)
    payload: bytes = Field(sa_type=LargeBinary)  # the first 64 KiB


# --- derived from the logs --------------------------------------------------------------------


class StreamRow(SQLModel, table=True):
    """How far one device's epoch has been received without a gap, and projected."""

    __tablename__ = "stream"

    device: str = Field(primary_key=True, max_length=64)
    epoch: int = _big_key()
    received_through: int = Field(default=0, sa_type=BigInteger)
    received_hash: str | None = Field(default=None, max_length=64)
    highest_seen: int = Field(default=0, sa_type=BigInteger)
    gap_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    resend_asked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    given_up: list[list[int]] = _json(list)  # [first, last] positions stepped over as unknown
    projected_through: int = Field(default=0, sa_type=BigInteger)
    projected_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # its event time
    superseded_by: int | None = Field(default=None, sa_type=BigInteger)  # the device's next epoch
    state: dict[str, Any] = _json()  # the fold, see services/stream_projector.py
    must_refold: bool = False  # late facts or rules: derive this stream again from its start
    newest_id: str | None = Field(default=None, max_length=36)  # the highest id that tells a time
    # Nothing behind `projected_through` was received before; None: not known, NEVER: nothing is.
    unprojected_since: datetime | None = Field(default=NEVER, sa_type=UtcDateTime)
    dropped_through: int = Field(default=0, sa_type=BigInteger)  # see StreamCutRow


class StreamCutRow(SQLModel, table=True):
    """A stream's events up to `through` were dropped by retention; what must be known of them.

    Not derived: nothing could derive it again.
    """

    __tablename__ = "stream_cut"

    device: str = Field(primary_key=True, max_length=64)
    epoch: int = _big_key()
    through: int = _big()
    hash: str = Field(max_length=64)  # of the last one dropped
    at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # its event time
    fold: dict[str, Any] = _json()  # as it stood there: whatever is folded anew begins with it
    log_sequence: int = _big()  # the signed checkpoint that stands for them


class SessionRow(SQLModel, table=True):
    """One stay of somebody at a desk, as derived; times UTC, lengths in seconds."""

    __tablename__ = "service_session"
    __table_args__ = (
        Index("ix_session_unit_arrived", "unit_id", "arrived_at"),
        Index("ix_session_desk_arrived", "desk", "arrived_at"),
    )

    session_id: str = Field(primary_key=True, max_length=36)
    device: str = Field(max_length=64, index=True)
    epoch: int = _big()
    sequence: int = _big()  # position of the event that opened it
    desk: str = Field(max_length=64)
    unit_id: str = Field(max_length=64)
    state: str = Field(max_length=16)  # waiting | serving | ended | abandoned | uncertain
    arrived_at: datetime = Field(sa_type=UtcDateTime)
    service_started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    wait_s: float | None = None  # None: not known (no officer zone, or not observed)
    service_s: float | None = None
    officer_absent_s: float | None = None
    unobserved_s: float = 0.0
    certainty: float = 1.0  # 0–1, see domain/sessions.py
    slip: str | None = Field(default=None, max_length=512)
    clock_suspect: bool = False


class DeskDayRow(SQLModel, table=True):
    """One desk's local day: what of its opening hours was observed."""

    __tablename__ = "desk_day"

    desk: str = Field(primary_key=True, max_length=64)
    day: date = Field(primary_key=True)
    device: str = Field(primary_key=True, max_length=64)
    epoch: int = _big_key()
    unit_id: str = Field(max_length=64, index=True)
    opening_s: float
    observed_s: float  # of the opening hours
    officer_present_s: float | None = None


class FeedbackRow(SQLModel, table=True):
    """One citizen's feedback, opened. For the inspection side only (DESIGN.md, who may know)."""

    __tablename__ = "feedback"
    __table_args__ = (Index("ix_feedback_desk_quarter", "desk", "quarter_at"),)

    feedback_id: str = Field(primary_key=True, max_length=36)
    channel: str = Field(max_length=16)
    desk: str | None = Field(default=None, max_length=64)  # None: from home, unit only
    unit_id: str = Field(max_length=64, index=True)
    quarter_at: datetime = Field(sa_type=UtcDateTime)
    exact_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # erased once matched
    rating: int | None = None
    reasons: list[str] = _json(list)
    comment: str | None = None
    contact: str | None = None
    survey: dict[str, int] = _json()
    match: str = Field(max_length=16)  # pending | matched | ambiguous | unmatched
    session_id: str | None = Field(default=None, max_length=36)  # complaints only
    weight: float = 1.0
    is_complaint: bool = False
    receipt_hash: str | None = Field(default=None, max_length=128, index=True)
    unreadable: str | None = Field(default=None, max_length=200)  # why it could not be unsealed
    # The signed checkpoint that stands for its events, which retention has dropped.
    log_sequence: int | None = Field(default=None, sa_type=BigInteger)


class FlagRow(SQLModel, table=True):
    """A rule was broken. `facts` say by what; a continuing condition has a begin and an end."""

    __tablename__ = "flag"
    __table_args__ = (
        Index("ix_flag_unit_state", "unit_id", "state"),
        Index("ix_flag_desk_begin", "desk", "begin"),
        Index("ix_flag_rule_begin", "rule", "begin"),
        Index("ix_flag_stream", "device", "epoch"),
    )

    flag_id: str = Field(primary_key=True, max_length=36)
    rule: str = Field(max_length=40)
    rules_hash: str = Field(max_length=64)  # the rule set by which it was raised
    severity: str = Field(max_length=16)  # minor | major | critical
    device: str | None = Field(default=None, max_length=64)
    epoch: int | None = Field(default=None, sa_type=BigInteger)
    desk: str | None = Field(default=None, max_length=64)
    unit_id: str = Field(max_length=64)
    session_id: str | None = Field(default=None, max_length=36, index=True)
    feedback_id: str | None = Field(default=None, max_length=36)
    begin: datetime = Field(sa_type=UtcDateTime)
    end: datetime | None = Field(default=None, sa_type=UtcDateTime)
    facts: dict[str, Any] = _json()
    state: str = Field(max_length=16)  # open | taken | dismissed | withdrawn
    taken_by: str | None = Field(default=None, max_length=64)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decision_reason: str | None = Field(default=None, max_length=1000)
    inspection_only: bool = False  # complaints and integrity: never shown to the unit's own chain
    log_sequence: int | None = Field(default=None, sa_type=BigInteger)  # as with feedback


class RuleSetRow(SQLModel, table=True):
    """A rule set by content hash and the event time from which it applies."""

    __tablename__ = "rule_set"

    rules_hash: str = Field(primary_key=True, max_length=64)
    effective_from: datetime = Field(sa_type=UtcDateTime, primary_key=True)
    content: dict[str, Any] = _json()


# --- not derived: what works on the derived, and the registry ---------------------------------


class FlagFeedRow(SQLModel, table=True):
    """Grows with each new or changed flag, so that open pages can follow (server-sent events)."""

    __tablename__ = "flag_feed"

    feed_id: int | None = Field(default=None, primary_key=True)
    flag_id: str = Field(max_length=36)
    at: datetime = Field(sa_type=UtcDateTime)


class NotificationRow(SQLModel, table=True):
    """A grave flag's way to people: sent, acknowledged, or escalated if nobody takes it."""

    __tablename__ = "notification"
    __table_args__ = (UniqueConstraint("flag_id", "level", name="uq_notification_flag_level"),)

    notification_id: int | None = Field(default=None, primary_key=True)
    flag_id: str = Field(max_length=36, index=True)
    level: int  # 0: the team; higher: the next in the escalation list
    due_at: datetime = Field(sa_type=UtcDateTime, index=True)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # all targets have it
    attempts: int = 0
    delivered: list[str] = _json(list)  # short hashes of the targets that have it
    last_error: str | None = Field(default=None, max_length=300)
    acknowledged_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    acknowledged_by: str | None = Field(default=None, max_length=64)


class FeedbackEntryRow(SQLModel, table=True):
    """Where in the server's log a feedback's entries stand: first tap, completions, messages."""

    __tablename__ = "feedback_entry"

    sequence: int = _big_key()
    feedback_id: str = Field(max_length=36, index=True)


class UnitRow(SQLModel, table=True):
    """A node of the effective-dated tree of units."""

    __tablename__ = "unit"

    unit_id: str = Field(primary_key=True, max_length=64)
    parent_id: str | None = Field(default=None, max_length=64)
    name: str = Field(max_length=200)
    kind: str = Field(max_length=40)
    valid_from: date
    valid_to: date | None = None


class DeskRow(SQLModel, table=True):
    """A desk of a unit; `schedule` names its opening hours in the rules file."""

    __tablename__ = "desk"

    desk_id: str = Field(primary_key=True, max_length=64)
    unit_id: str = Field(max_length=64, index=True)
    name: str = Field(max_length=200)
    device_id: str | None = Field(default=None, max_length=64, index=True)
    schedule: str = Field(default="default", max_length=64)
    token_key: str = Field(max_length=64)  # hex; signs the desk screen's QR codes


class DeviceRow(SQLModel, table=True):
    """An edge box and its last health; `password_hash` is its broker password's."""

    __tablename__ = "device"

    device_id: str = Field(primary_key=True, max_length=64)
    unit_id: str = Field(max_length=64, index=True)
    public_key: str | None = Field(default=None, max_length=64)  # Ed25519, hex; None: not paired
    password_hash: str | None = Field(default=None, max_length=200)
    paired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    link: str | None = Field(default=None, max_length=16)  # online | offline
    link_epoch: int = Field(default=0, sa_type=BigInteger)
    link_boot: int = Field(default=0, sa_type=BigInteger)
    last_heard_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    silent_since: datetime | None = Field(default=None, sa_type=UtcDateTime)  # as logged by tick
    telemetry: dict[str, Any] = _json()
    telemetry_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class PairingCodeRow(SQLModel, table=True):
    """A one-time code for one device."""

    __tablename__ = "pairing_code"

    code_hash: str = Field(primary_key=True, max_length=64)
    device_id: str = Field(max_length=64)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class UsedTokenRow(SQLModel, table=True):
    """A rating token or form that has counted: it counts once."""

    __tablename__ = "used_token"

    token: str = Field(primary_key=True, max_length=120)
    feedback_id: str = Field(max_length=36)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
