"""Log-in sessions, by the hash of their cookie."""

from datetime import datetime

from sqlmodel import Session, col, delete, or_, select

from central_server.storage.account_tables import LoginRow, UserRow


def find_login(db: Session, token_hash: str) -> tuple[LoginRow, UserRow] | None:
    """The log-in session with that cookie, and whose it is."""
    row = db.exec(
        select(LoginRow, UserRow)
        .join(UserRow, col(UserRow.user_id) == col(LoginRow.user_id))
        .where(LoginRow.token_hash == token_hash)
    ).first()
    return None if row is None else (row[0], row[1])


def list_logins(db: Session, user_id: str) -> list[LoginRow]:
    """All of an account's, the last used first."""
    query = select(LoginRow).where(LoginRow.user_id == user_id)
    return list(db.exec(query.order_by(col(LoginRow.seen_at).desc(), LoginRow.token_hash)))


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


def drop_logins(db: Session, user_id: str, *, but: str | None = None) -> None:
    """All of an account's, but for one cookie's hash."""
    query = delete(LoginRow).where(col(LoginRow.user_id) == user_id)
    db.exec(query if but is None else query.where(col(LoginRow.token_hash) != but))


def drop_ended(db: Session, *, seen_before: datetime, opened_before: datetime) -> None:
    """Log-in sessions that nobody used since then, or that are too old."""
    is_ended = or_(col(LoginRow.seen_at) < seen_before, col(LoginRow.created_at) < opened_before)
    db.exec(delete(LoginRow).where(is_ended))
