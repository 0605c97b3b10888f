"""Accounts: create, log in, stay logged in, log out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from secrets import token_urlsafe

from pwdlib import PasswordHash
from sqlmodel import Session

from central_server.domain import accounts
from central_server.domain.errors import InvalidError
from central_server.domain.permissions import Role, UnitId, UserId, Viewer
from central_server.domain.server_log import RegistryChanged
from central_server.services.context import ServerContext
from central_server.storage import accounts as account_store
from central_server.storage import server_log
from central_server.storage.tables import LoginRow, UnitRow, UserRow

# `seen_at` is written at most so often: a page view need not be a write.
_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewLogin:
    """What the browser is given once; the server keeps the token's hash only."""

    token: str
    viewer: Viewer
    csrf_token: str


@dataclass(frozen=True, slots=True)
class Login:
    """A log-in session that still holds."""

    viewer: Viewer
    csrf_token: str


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()  # Argon2id


@cache
def _nobodys_hash() -> str:
    """Checked when there is no such account, so that the answer takes as long."""
    return _hasher().hash(token_urlsafe(16))


def create_user(
    context: ServerContext,
    *,
    user_id: str,
    password: str,
    role: Role,
    unit_id: str,
    by: str = "command",
) -> Viewer:
    """A new account over a unit's subtree; `InvalidError` if the name is taken."""
    accounts.check_credentials(user_id, password)
    now = context.now()
    user = UserRow(
        user_id=user_id,
        password_hash=_hasher().hash(password),
        role=role.value,
        unit_id=unit_id,
        created_at=now,
    )
    with context.database.transaction() as db:
        if db.get(UnitRow, unit_id) is None:
            raise InvalidError("error.unit_unknown", unit=unit_id)
        if account_store.find_user(db, user_id) is not None:
            raise InvalidError("error.user_exists", user=user_id)
        account_store.add_user(db, user)
        entry = RegistryChanged(by=by, what="user.created", subject=user_id)
        server_log.append(db, entry, at=now)
    return _viewer(user)


def authenticate(context: ServerContext, user_id: str, password: str) -> Viewer | None:
    """Who that is, or `None`: unknown, disabled, locked and wrong look and last the same."""
    with context.database.reading() as db:
        user = account_store.find_user(db, user_id)
    known_hash = user.password_hash if user is not None else _nobodys_hash()
    right = _hasher().verify(password[: accounts.MAX_PASSWORD_CHARACTERS], known_hash)
    now = context.now()
    if user is not None and user.locked_until is not None and now < user.locked_until:
        return None
    if user is None or not right:
        _count_failure(context, user_id, now)
        return None
    if user.disabled_at is not None:
        return None
    if user.failed_attempts:
        with context.database.transaction() as db:
            _reset_failures(db, user_id)
    return _viewer(user)


def log_in(
    context: ServerContext, user_id: str, password: str, former_token: str | None = None
) -> NewLogin:
    """A new log-in session; the browser's former one ends, so that none can be planted."""
    viewer = authenticate(context, user_id, password)
    if viewer is None:
        raise InvalidError("error.login_failed")
    return open_login(context, viewer, former_token)


def open_login(context: ServerContext, viewer: Viewer, former_token: str | None = None) -> NewLogin:
    """A log-in session for somebody who has been authenticated."""
    token, csrf_token, now = token_urlsafe(32), token_urlsafe(32), context.now()
    with context.database.transaction() as db:
        if former_token is not None:
            account_store.drop_login(db, _token_hash(former_token))
        account_store.drop_idle_logins(db, now - _idle_limit(context))
        account_store.add_login(
            db,
            LoginRow(
                token_hash=_token_hash(token),
                user_id=viewer.user_id,
                csrf_token=csrf_token,
                created_at=now,
                seen_at=now,
            ),
        )
    return NewLogin(token, viewer, csrf_token)


def find_login(context: ServerContext, token: str, *, is_use: bool = True) -> Login | None:
    """The log-in session of a cookie, unless it was idle too long or the account was disabled.

    `is_use=False` asks without counting as activity: an open page that only listens goes idle.
    """
    token_hash, now = _token_hash(token), context.now()
    with context.database.reading() as db:
        found = account_store.find_login(db, token_hash)
    if found is None:
        return None
    login, user = found
    if user.disabled_at is not None or now - login.seen_at > _idle_limit(context):
        return None
    if is_use and now - login.seen_at > _TOUCH_EVERY:
        with context.database.transaction() as db:
            account_store.touch_login(db, token_hash, now)
    return Login(_viewer(user), login.csrf_token)


def log_out(context: ServerContext, token: str) -> None:
    """That cookie opens nothing any more."""
    with context.database.transaction() as db:
        account_store.drop_login(db, _token_hash(token))


def _count_failure(context: ServerContext, user_id: str, now: datetime) -> None:
    with context.database.transaction() as db:
        user = account_store.find_user(db, user_id)
        if user is not None:
            user.failed_attempts += 1
            lock = accounts.lock_for(user.failed_attempts)
            user.locked_until = None if lock is None else now + lock


def _reset_failures(db: Session, user_id: str) -> None:
    user = account_store.find_user(db, user_id)
    if user is not None:
        user.failed_attempts, user.locked_until = 0, None


def _idle_limit(context: ServerContext) -> timedelta:
    return timedelta(minutes=context.settings.web.session_idle_minutes)


def _viewer(user: UserRow) -> Viewer:
    return Viewer(UserId(user.user_id), Role(user.role), UnitId(user.unit_id))


def _token_hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
