"""Authenticators and recovery codes: set up, asked for, each code taken once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_bytes

from sqlmodel import Session

from central_server.domain.errors import InvalidError
from central_server.domain.permissions import Viewer
from central_server.domain.second_factors import (
    RECOVERY_CODES,
    Stage,
    enrolment_address,
    first_stage,
    make_secret,
    matching_step,
)
from central_server.domain.server_log import RegistryChanged
from central_server.services.context import ServerContext
from central_server.services.signed_forms import SignedForm, new_nonce, read_form, write_form
from central_server.storage import accounts as account_store
from central_server.storage import server_log
from central_server.storage.account_tables import SecondFactorRow
from event_protocol.canonical import sha256_hex
from event_protocol.receipt_codes import read_code, write_code
from event_protocol.sealing import open_sealed, seal_bytes

# A page on which a phone is fetched, an app installed, a code photographed.
OFFER_LIFE = timedelta(minutes=30)
_NEVER = -1  # before the first step that any clock shows


class OfferedFactor(SignedForm):
    """A secret shown to its user and not yet proven; it waits in the page and nowhere else."""

    user_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Offer:
    """`address` for the QR code, `secret` for typing, `form` to come back with the first code."""

    secret: str
    address: str
    form: str


@dataclass(frozen=True, slots=True)
class Standing:
    """An account's second factor as its user may see it."""

    since: datetime
    recovery_codes_left: int


def find(db: Session, user_id: str) -> Standing | None:
    """Whether there is one, and what of it is left."""
    factor = account_store.find_second_factor(db, user_id)
    return None if factor is None else Standing(factor.since, len(factor.recovery_hashes))


def stage_after_password(db: Session, context: ServerContext, viewer: Viewer) -> Stage:
    """What the log-in still needs once the password, or a provider, has said who that is."""
    is_enrolled = account_store.find_second_factor(db, viewer.user_id) is not None
    required = context.settings.web.second_factor_required
    return first_stage(viewer.role, is_enrolled=is_enrolled, required=required)


def offer(context: ServerContext, user_id: str, issuer: str) -> Offer:
    """A new secret; nothing is stored before its first code has come back."""
    return _offered(context, user_id, issuer, make_secret())


def offer_again(context: ServerContext, user_id: str, issuer: str, form: str) -> Offer:
    """The same secret, whose first code was mistyped: the phone has it already."""
    try:
        return _offered(context, user_id, issuer, _read(context, user_id, form).secret)
    except InvalidError:
        return offer(context, user_id, issuer)


def enrol(db: Session, context: ServerContext, viewer: Viewer, form: str, typed: str) -> list[str]:
    """Puts the offered authenticator in the place of a former one once it shows a right code.

    Returns the recovery codes, which are told this once; `InvalidError` if nothing was changed.
    """
    secret, now = _read(context, viewer.user_id, form).secret, context.now()
    step = matching_step(secret, typed, now, _NEVER)
    if step is None:
        raise InvalidError("error.code_wrong")
    codes = [write_code(token_bytes(15)) for _ in range(RECOVERY_CODES)]
    factor = SecondFactorRow(
        user_id=viewer.user_id,
        secret=seal_bytes(secret.encode(), context.keys.sealing_public),
        last_step=step,
        # 120 random bits each: a quick hash is as safe as a slow one.
        recovery_hashes=[sha256_hex(code.encode()) for code in codes],
        since=now,
    )
    account_store.set_second_factor(db, factor)
    entry = RegistryChanged(
        by=viewer.user_id, what="user.second_factor_set", subject=viewer.user_id
    )
    server_log.append(db, entry, at=now)
    return codes


def spend(db: Session, context: ServerContext, user_id: str, typed: str) -> bool:
    """Whether that code counts: the authenticator's, or a recovery code; each does so once."""
    factor = account_store.hold_second_factor(db, user_id)
    if factor is None:
        return False
    secret = open_sealed(factor.secret, context.keys.sealing).decode()
    step = matching_step(secret, typed, context.now(), factor.last_step)
    if step is not None:
        factor.last_step = step
        # Sealed anew to the newest key, so that an old one can be given up one day.
        factor.secret = seal_bytes(secret.encode(), context.keys.sealing_public)
        return True
    code = read_code(typed)
    spent = None if code is None else sha256_hex(code.encode())
    if spent not in factor.recovery_hashes:
        return False
    factor.recovery_hashes = [kept for kept in factor.recovery_hashes if kept != spent]
    entry = RegistryChanged(by=user_id, what="user.recovery_code_used", subject=user_id)
    server_log.append(db, entry, at=context.now())
    return True


def _offered(context: ServerContext, user_id: str, issuer: str, secret: str) -> Offer:
    form = OfferedFactor(
        nonce=new_nonce(),
        expires_at=context.now() + OFFER_LIFE,
        user_id=user_id,
        secret=secret,
    )
    address = enrolment_address(secret, user_id, issuer)
    return Offer(secret, address, write_form(form, context.keys.pepper))


def _read(context: ServerContext, user_id: str, form: str) -> OfferedFactor:
    try:
        offered = read_form(OfferedFactor, form, context.keys.pepper, context.now())
    except InvalidError as error:
        raise InvalidError("error.offer_expired") from error
    if offered.user_id != user_id:
        raise InvalidError("error.offer_expired")
    return offered
