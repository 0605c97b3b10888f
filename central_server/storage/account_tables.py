"""Tables of those who log in: accounts, their second factors, log-in sessions, wrong attempts."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Column
from sqlmodel import Field, SQLModel

from central_server.storage.tables import UtcDateTime


class UserRow(SQLModel, table=True):
    """Somebody who logs in: one role over one unit subtree."""

    __tablename__ = "account"

    user_id: str = Field(primary_key=True, max_length=64)  # the log-in name
    password_hash: str = Field(max_length=200)
    role: str = Field(max_length=24)
    unit_id: str = Field(max_length=64)
    created_at: datetime = Field(sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LoginRow(SQLModel, table=True):
    """A server-side log-in session; only the hash of its cookie is stored."""

    __tablename__ = "login"

    token_hash: str = Field(primary_key=True, max_length=64)
    user_id: str = Field(max_length=64, index=True)
    csrf_token: str = Field(max_length=64)
    stage: str = Field(default="complete", max_length=16)  # see domain/second_factors.py
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class AttemptsRow(SQLModel, table=True):
    """Log-ins under one name since the last that succeeded.

    All names that nobody has share the row "": guessing them costs the same writes as a real one.
    """

    __tablename__ = "login_attempts"

    user_id: str = Field(primary_key=True, max_length=64)
    count: int = 0
    tried_at: datetime = Field(sa_type=UtcDateTime)
    locked_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SecondFactorRow(SQLModel, table=True):
    """An account's authenticator (TOTP) and what is left of its recovery codes."""

    __tablename__ = "second_factor"

    user_id: str = Field(primary_key=True, max_length=64)
    secret: str  # sealed to the server's key, see event_protocol/sealing.py
    last_step: int = Field(sa_type=BigInteger)  # no code of it or before counts again
    recovery_hashes: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    since: datetime = Field(sa_type=UtcDateTime)
