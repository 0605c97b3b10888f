"""Log-in sessions: opened step by step, used, listed and ended.

A cookie's value is told to its browser once and stored as a hash. Each step of a log-in ends the
session of the step before and opens a new one: what somebody planted or saw earlier opens nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe

import structlog
from sqlmodel import Session

from central_server.domain.accounts import check_credentials
from central_server.domain.errors import InvalidError, NotFoundError, NotLoggedInError
from central_server.domain.permissions import Viewer
from central_server.domain.second_factors import Stage
from central_server.services import accounts, second_factors
from central_server.services.context import ServerContext
from central_server.storage import accounts as account_store
from central_server.storage import logins as login_store
from central_server.storage.account_tables import LoginRow

_log = structlog.get_logger()
# `seen_at` is written at most so often: a page view need not be a write.
_TOUCH_EVERY = timedelta(minutes=1)
# Between two steps: long enough to fetch the phone, or to install an app.
STEP_LIFE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class NewLogin:
    """What the browser is given once; the server keeps the token's hash only."""

    token: str
    viewer: Viewer
    csrf_token: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class Login:
    """A log-in session that still holds."""

    viewer: Viewer
    csrf_token: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class OpenLogin:
    """One of an account's log-in sessions as its user sees it; `login_id` opens nothing."""

    login_id: str
    opened_at: datetime
    seen_at: datetime
    is_this: bool


def log_in(
    context: ServerContext, user_id: str, password: str, former_token: str | None = None
) -> NewLogin:
    """The first step; the browser's former session ends. `InvalidError` whatever is wrong."""
    viewer = accounts.authenticate(context, user_id, password)
    if viewer is None:
        _log.info("log-in refused")  # no name: people type passwords into that field
        raise InvalidError("error.login_failed")
    return begin(context, viewer, former_token)


def begin(context: ServerContext, viewer: Viewer, former_token: str | None = None) -> NewLogin:
    """A session for somebody whom a password or a provider named: complete, or for a next step."""
    with context.database.reading() as db:
        stage = second_factors.stage_after_password(db, context, viewer)
    return open_login(context, viewer, former_token, stage)


def open_login(
    context: ServerContext,
    viewer: Viewer,
    former_token: str | None = None,
    stage: Stage = Stage.COMPLETE,
) -> NewLogin:
    """A session at that stage, in the place of the former one."""
    with context.database.transaction() as db:
        return _open(db, context, viewer, former_token, stage)


def give_code(context: ServerContext, token: str, typed: str) -> NewLogin:
    """The second step. Wrong codes count as wrong passwords do, in the same back-off."""
    login = require_stage(context, token, Stage.CODE)
    with context.database.transaction() as db:
        may_try = accounts.take_attempt(db, context, login.viewer.user_id)
        if may_try and second_factors.spend(db, context, login.viewer.user_id, typed):
            return _open(db, context, login.viewer, token, Stage.COMPLETE)
    _log.info("second factor refused", user=login.viewer.user_id)
    raise InvalidError("error.code_wrong")


def set_second_factor(
    context: ServerContext, token: str, form: str, typed: str
) -> tuple[NewLogin, list[str]]:
    """Sets up the offered authenticator, ends every session of the account and opens a new one.

    Returns the recovery codes, too. In the course of a log-in only where there is none yet: who
    knows a password alone can't replace what its owner has set up meanwhile.
    """
    login = require_stage(context, token, Stage.ENROLMENT, Stage.COMPLETE)
    user_id = login.viewer.user_id
    with context.database.transaction() as db:
        if login.stage is Stage.ENROLMENT and second_factors.find(db, user_id) is not None:
            raise NotLoggedInError()
        codes = second_factors.enrol(db, context, login.viewer, form, typed)
        login_store.drop_logins(db, user_id)
        return _open(db, context, login.viewer, None, Stage.COMPLETE), codes


def require_stage(context: ServerContext, token: str, *stages: Stage) -> Login:
    """The session of that cookie, if it stands at such a stage; else `NotLoggedInError`."""
    login = find_login(context, token)
    if login is None or login.stage not in stages:
        raise NotLoggedInError()
    return login


def find_login(context: ServerContext, token: str, *, is_use: bool = True) -> Login | None:
    """The session of a cookie, unless it was idle too long, is too old, or the account disabled.

    `is_use=False` asks without counting as activity: an open page that only listens goes idle.
    """
    token_hash, now = _token_hash(token), context.now()
    with context.database.reading() as db:
        found = login_store.find_login(db, token_hash)
    if found is None:
        return None
    login, user = found
    if user.disabled_at is not None or _has_ended(context, login, now):
        return None
    if is_use and now - login.seen_at > _TOUCH_EVERY:
        with context.database.transaction() as db:
            login_store.touch_login(db, token_hash, now)
    return Login(accounts.viewer_of(user), login.csrf_token, Stage(login.stage))


def list_open(context: ServerContext, viewer: Viewer, token: str) -> list[OpenLogin]:
    """The viewer's own complete sessions, the last used first."""
    now = context.now()
    with context.database.reading() as db:
        rows = login_store.list_logins(db, viewer.user_id)
    return [
        OpenLogin(row.token_hash, row.created_at, row.seen_at, row.token_hash == _token_hash(token))
        for row in rows
        if row.stage == Stage.COMPLETE and not _has_ended(context, row, now)
    ]


def end_one(context: ServerContext, viewer: Viewer, login_id: str) -> None:
    """Ends one of the viewer's own sessions; `NotFoundError` if it is nobody's or another's."""
    with context.database.transaction() as db:
        found = login_store.find_login(db, login_id)
        if found is None or found[1].user_id != viewer.user_id:
            raise NotFoundError()
        login_store.drop_login(db, login_id)


def end_others(context: ServerContext, viewer: Viewer, token: str) -> None:
    """Ends all of the viewer's sessions but this one."""
    with context.database.transaction() as db:
        login_store.drop_logins(db, viewer.user_id, but=_token_hash(token))


def change_password(
    context: ServerContext, viewer: Viewer, current: str, new: str, token: str
) -> NewLogin:
    """Ends every session of the account and opens a new one here. `InvalidError`."""
    check_credentials(viewer.user_id, new)
    if accounts.authenticate(context, viewer.user_id, current) is None:
        raise InvalidError("error.password_wrong")
    with context.database.transaction() as db:
        user = account_store.find_user(db, viewer.user_id)
        if user is None:
            raise NotLoggedInError()
        accounts.set_password(db, context, user, new, by=viewer.user_id)
        login_store.drop_logins(db, viewer.user_id)
        return _open(db, context, viewer, token, Stage.COMPLETE)


def log_out(context: ServerContext, token: str) -> None:
    """That cookie opens nothing any more."""
    with context.database.transaction() as db:
        login_store.drop_login(db, _token_hash(token))


def _open(
    db: Session, context: ServerContext, viewer: Viewer, former_token: str | None, stage: Stage
) -> NewLogin:
    token, csrf_token, now = token_urlsafe(32), token_urlsafe(32), context.now()
    web = context.settings.web
    if former_token is not None:
        login_store.drop_login(db, _token_hash(former_token))
    login_store.drop_ended(
        db,
        seen_before=now - timedelta(minutes=web.session_idle_minutes),
        opened_before=now - timedelta(hours=web.session_life_hours),
    )
    row = LoginRow(
        token_hash=_token_hash(token),
        user_id=viewer.user_id,
        csrf_token=csrf_token,
        stage=stage.value,
        created_at=now,
        seen_at=now,
    )
    login_store.add_login(db, row)
    if stage is Stage.COMPLETE:
        account_store.forget_attempts(db, viewer.user_id)
    _log.info("logged in", user=viewer.user_id, stage=stage.value)
    return NewLogin(token, viewer, csrf_token, stage)


def _has_ended(context: ServerContext, login: LoginRow, now: datetime) -> bool:
    web = context.settings.web
    life = timedelta(hours=web.session_life_hours)
    if login.stage != Stage.COMPLETE:
        life = min(life, STEP_LIFE)
    is_idle = now - login.seen_at > timedelta(minutes=web.session_idle_minutes)
    return is_idle or now - login.created_at > life


def _token_hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
