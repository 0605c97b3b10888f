"""Tables of pictures asked for: two derived from the server's log, one of the upload under way."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, LargeBinary
from sqlmodel import Field, SQLModel

from central_server.storage.tables import UtcDateTime


class EvidenceRequestRow(SQLModel, table=True):
    """One clip or snapshot that was asked for, and what came of it. Derived."""

    __tablename__ = "evidence_request"

    request_id: str = Field(primary_key=True, max_length=36)
    flag_id: str = Field(max_length=36, index=True)
    unit_id: str = Field(max_length=64)
    device: str = Field(max_length=64)
    desk: str = Field(max_length=64)
    kind: str = Field(max_length=16)  # clip | snapshot
    begin: datetime = Field(sa_type=UtcDateTime)
    end: datetime = Field(sa_type=UtcDateTime)
    asked_at: datetime = Field(sa_type=UtcDateTime)
    asked_by: str | None = Field(default=None, max_length=64)  # None: by the settings
    expires: datetime = Field(sa_type=UtcDateTime)
    state: str = Field(max_length=16, index=True)  # see domain/evidence.py
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str | None = Field(default=None, max_length=32)  # why none, or not all
    covered: list[dict[str, str]] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False)
    )
    sha256: str | None = Field(default=None, max_length=64, index=True)
    size: int | None = Field(default=None, sa_type=BigInteger)
    held: bool = False


class EvidenceHistoryRow(SQLModel, table=True):
    """What was done about a request, by its entry's place in the server's log. Derived."""

    __tablename__ = "evidence_history"

    sequence: int = Field(sa_type=BigInteger, primary_key=True)
    request_id: str = Field(max_length=36, index=True)
    type: str = Field(max_length=64)
    at: datetime = Field(sa_type=UtcDateTime)
    by: str | None = Field(default=None, max_length=64)
    reason: str | None = Field(default=None, max_length=300)


class EvidenceTransferRow(SQLModel, table=True):
    """How far a device's answer has come; forgotten without loss: the device says it again."""

    __tablename__ = "evidence_transfer"

    request_id: str = Field(primary_key=True, max_length=36)
    heard_at: datetime = Field(sa_type=UtcDateTime)  # the device's last sign of working on it
    report: bytes = Field(sa_type=LargeBinary)  # the signed report, as it came
    sha256: str | None = Field(default=None, max_length=64)  # of what it sends
    size: int | None = Field(default=None, sa_type=BigInteger)
    held: bool = False  # whether the device says that its ring keeps the span
    boot_key: str | None = Field(default=None, max_length=64)
    keys: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
