"""Accounts and their log-in sessions."""

from datetime import datetime

from sqlmodel import Session, col, delete, select

from central_server.storage.tables import LoginRow, UserRow


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


def find_login(db: Session, token_hash: str) -> tuple[LoginRow, UserRow] | None:
    """The log-in session with that cookie, and whose it is."""
    row = db.exec(
        select(LoginRow, UserRow)
        .join(UserRow, col(UserRow.user_id) == col(LoginRow.user_id))
        .where(LoginRow.token_hash == token_hash)
    ).first()
    return None if row is None else (row[0], row[1])


def add_login(db: Session, login: LoginRow) -> None:
    """A new log-in session."""
    db.add(login)
    db.flush()


def touch_login(db: Session, token_hash: str, at: datetime) -> None:
    """Somebody just used this log-in session."""
    login = db.get(LoginRow, token_hash)
    if login is not None:
        login.seen_at = at


def drop_login(db: Session, token_hash: str) -> None:
    """That cookie opens nothing any more."""
    db.exec(delete(LoginRow).where(col(LoginRow.token_hash) == token_hash))


def drop_idle_logins(db: Session, seen_before: datetime) -> None:
    """Log-in sessions that nobody used since then."""
    db.exec(delete(LoginRow).where(col(LoginRow.seen_at) < seen_before))
