"""Accounts: made and changed by administrators, recognised by their password."""

from functools import cache
from secrets import token_urlsafe

from pwdlib import PasswordHash
from sqlmodel import Session

from central_server.domain import accounts
from central_server.domain.errors import InvalidError
from central_server.domain.permissions import Role, UnitId, UserId, Viewer
from central_server.domain.server_log import RegistryChanged
from central_server.services.context import ServerContext
from central_server.storage import accounts as account_store
from central_server.storage import logins as login_store
from central_server.storage import server_log
from central_server.storage.account_tables import UserRow
from central_server.storage.tables import UnitRow


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
    user = UserRow(
        user_id=user_id,
        password_hash=_hasher().hash(password),
        role=role.value,
        unit_id=unit_id,
        created_at=context.now(),
    )
    with context.database.transaction() as db:
        _require_unit(db, unit_id)
        if account_store.find_user(db, user_id) is not None:
            raise InvalidError("error.user_exists", user=user_id)
        account_store.add_user(db, user)
        _log(db, context, by, "user.created", user_id)
    return viewer_of(user)


def change_user(
    context: ServerContext,
    user_id: str,
    *,
    role: Role | None = None,
    unit_id: str | None = None,
    is_disabled: bool | None = None,
    password: str | None = None,
    drop_second_factor: bool = False,
    by: str = "command",
) -> None:
    """Changes what is given, in one transaction; `InvalidError` if there is no such user or unit.

    Ends all log-in sessions of the account, so that nobody goes on as what it no longer is, and the
    wait after too many attempts.
    """
    if password is not None:
        accounts.check_credentials(user_id, password)
    with context.database.transaction() as db:
        user = account_store.find_user(db, user_id)
        if user is None:
            raise InvalidError("error.user_unknown", user=user_id)
        if unit_id is not None:
            _require_unit(db, unit_id)
            user.unit_id = unit_id
            _log(db, context, by, "user.unit_changed", user_id)
        if role is not None:
            user.role = role.value
            _log(db, context, by, "user.role_changed", user_id)
        if is_disabled is not None:
            user.disabled_at = context.now() if is_disabled else None
            _log(db, context, by, "user.disabled" if is_disabled else "user.enabled", user_id)
        if password is not None:
            set_password(db, context, user, password, by=by)
        if drop_second_factor:
            account_store.drop_second_factor(db, user_id)
            _log(db, context, by, "user.second_factor_dropped", user_id)
        account_store.forget_attempts(db, user_id)
        login_store.drop_logins(db, user_id)


def set_password(
    db: Session, context: ServerContext, user: UserRow, password: str, *, by: str
) -> None:
    """A new password, which the caller has checked."""
    user.password_hash = _hasher().hash(password)
    _log(db, context, by, "user.password_changed", user.user_id)


def authenticate(context: ServerContext, user_id: str, password: str) -> Viewer | None:
    """Who that is, or `None`: unknown, disabled, locked and wrong look and last the same.

    The attempt is counted before it is judged, so that many at once are no way around the lock;
    `forget_attempts` is the business of whoever completes the log-in.
    """
    user, may_try = _take_attempt(context, user_id)
    known_hash = _nobodys_hash() if user is None else user.password_hash
    typed = password[: accounts.MAX_PASSWORD_CHARACTERS]  # of more, no more is hashed
    right = _hasher().verify(typed, known_hash) and typed == password
    if user is None or not right or not may_try or user.disabled_at is not None:
        return None
    return viewer_of(user)


def take_attempt(db: Session, context: ServerContext, key: str) -> bool:
    """Counts one more attempt; whether the back-off lets it be judged."""
    now = context.now()
    attempts = account_store.hold_attempts(db, key, now)
    attempts.tried_at = now  # a write in any case: a locked name is not the quicker answer
    if attempts.locked_until is not None and now < attempts.locked_until:
        return False
    attempts.count += 1
    lock = accounts.lock_for(attempts.count)
    attempts.locked_until = None if lock is None else now + lock
    return True


def viewer_of(user: UserRow) -> Viewer:
    """The account as the rules see it."""
    return Viewer(UserId(user.user_id), Role(user.role), UnitId(user.unit_id))


def _take_attempt(context: ServerContext, user_id: str) -> tuple[UserRow | None, bool]:
    with context.database.transaction() as db:
        is_name = accounts.is_user_name(user_id)
        user = account_store.find_user(db, user_id) if is_name else None
        key = account_store.NOBODY if user is None else user.user_id
        return user, take_attempt(db, context, key)


def _require_unit(db: Session, unit_id: str) -> None:
    if db.get(UnitRow, unit_id) is None:
        raise InvalidError("error.unit_unknown", unit=unit_id)


def _log(db: Session, context: ServerContext, by: str, what: str, user_id: str) -> None:
    entry = RegistryChanged(by=by, what=what, subject=user_id)
    server_log.append(db, entry, at=context.now())
