"""Accounts, their second factors, and how often their log-in was tried."""

from datetime import datetime

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, select

from central_server.storage.account_tables import AttemptsRow, SecondFactorRow, UserRow
from central_server.storage.tables import table_of

NOBODY = ""  # whose attempts are those under names that nobody has


def find_user(db: Session, user_id: str) -> UserRow | None:
    """The account with that log-in name."""
    return db.get(UserRow, user_id)


def add_user(db: Session, user: UserRow) -> None:
    """A new account; the caller has made sure that the name is free."""
    db.add(user)
    db.flush()


def list_users(db: Session) -> list[UserRow]:
    """All accounts by name."""
    return list(db.exec(select(UserRow).order_by(UserRow.user_id)))


def hold_attempts(db: Session, user_id: str, at: datetime) -> AttemptsRow:
    """The account's attempts, new if there were none; others wait until this transaction ends."""
    insert = sqlite.insert if db.get_bind().dialect.name == "sqlite" else postgresql.insert
    first = {"user_id": user_id, "count": 0, "tried_at": at}
    db.connection().execute(insert(table_of(AttemptsRow)).on_conflict_do_nothing(), [first])
    return db.get_one(AttemptsRow, user_id, with_for_update=True)


def forget_attempts(db: Session, user_id: str) -> None:
    """The log-in succeeded, or an administrator opened it again."""
    row = db.get(AttemptsRow, user_id)
    if row is not None:
        db.delete(row)


def find_second_factor(db: Session, user_id: str) -> SecondFactorRow | None:
    """The account's authenticator."""
    return db.get(SecondFactorRow, user_id)


def hold_second_factor(db: Session, user_id: str) -> SecondFactorRow | None:
    """To be used or changed: others who would wait until this transaction ends."""
    return db.get(SecondFactorRow, user_id, with_for_update=True)


def set_second_factor(db: Session, factor: SecondFactorRow) -> None:
    """In the place of the former one."""
    db.merge(factor)
    db.flush()


def drop_second_factor(db: Session, user_id: str) -> None:
    """The account has none any more."""
    factor = find_second_factor(db, user_id)
    if factor is not None:
        db.delete(factor)
