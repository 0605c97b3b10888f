"""The second step of a log-in: who needs it, and which codes count (TOTP, RFC 6238)."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from hmac import compare_digest

import pyotp

from central_server.domain.permissions import Role

STEP_S = 30
# A phone's clock may be off by one step; more would only give guesses more chances.
SKEW_STEPS = 1
RECOVERY_CODES = 8


class Stage(StrEnum):
    """What a log-in session still lacks; only a complete one opens pages."""

    COMPLETE = "complete"
    CODE = "code"  # the password was right; the code is due
    ENROLMENT = "enrolment"  # the role needs an authenticator and has none yet


def first_stage(role: Role, *, is_enrolled: bool, required: Collection[Role]) -> Stage:
    """Where a log-in stands after its first step; who enrolled is asked whatever the role."""
    if is_enrolled:
        return Stage.CODE
    return Stage.ENROLMENT if role in required else Stage.COMPLETE


def make_secret() -> str:
    """160 random bits in base32, as authenticator apps take them."""
    return pyotp.random_base32()


def enrolment_address(secret: str, user_id: str, issuer: str) -> str:
    """The `otpauth:` address in an enrolment's QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=user_id, issuer_name=issuer)


def matching_step(secret: str, typed: str, at: datetime, last_step: int) -> int | None:
    """The time step whose code was typed; none up to `last_step`, so that a code counts once."""
    code = "".join(typed.split())
    if not (code.isascii() and code.isdecimal()):
        return None
    now, totp = int(at.timestamp()) // STEP_S, pyotp.TOTP(secret)
    for step in range(max(now - SKEW_STEPS, last_step + 1), now + SKEW_STEPS + 1):
        if compare_digest(totp.generate_otp(step), code):
            return step
    return None
