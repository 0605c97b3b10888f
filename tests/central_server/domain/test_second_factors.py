"""Whose log-in needs a second step, and which codes count: once, within a step of the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from central_server.domain.permissions import Role
from central_server.domain.second_factors import (
    STEP_S,
    Stage,
    enrolment_address,
    first_stage,
    make_secret,
    matching_step,
)

# RFC 6238, appendix B: the last six of its eight digits, SHA-1.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_TIME, RFC_CODE = datetime(2005, 3, 18, 1, 58, 29, tzinfo=UTC), "081804"
RFC_STEP = int(RFC_TIME.timestamp()) // STEP_S


@pytest.mark.parametrize("role", Role)
def test_who_enrolled_is_asked_whatever_the_role(role: Role) -> None:
    assert first_stage(role, is_enrolled=True, required=()) is Stage.CODE
    assert first_stage(role, is_enrolled=False, required=(role,)) is Stage.ENROLMENT
    assert first_stage(role, is_enrolled=False, required=()) is Stage.COMPLETE


def test_the_standards_own_example() -> None:
    assert matching_step(RFC_SECRET, RFC_CODE, RFC_TIME, -1) == RFC_STEP
    assert matching_step(RFC_SECRET, " 081 804 ", RFC_TIME, -1) == RFC_STEP


@pytest.mark.parametrize(
    ("steps_off", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_phones_clock_may_be_off_by_one_step(steps_off: int, counts: bool) -> None:
    at = RFC_TIME - timedelta(seconds=STEP_S * steps_off)
    assert (matching_step(RFC_SECRET, RFC_CODE, at, -1) is not None) is counts


def test_a_code_counts_once_and_so_does_what_came_before_it() -> None:
    step = matching_step(RFC_SECRET, RFC_CODE, RFC_TIME, -1)
    assert step is not None
    for last in (step, step + 1):
        assert matching_step(RFC_SECRET, RFC_CODE, RFC_TIME, last) is None
    assert matching_step(RFC_SECRET, RFC_CODE, RFC_TIME, step - 1) == step


@pytest.mark.parametrize("typed", ["", "081805", "81804", "0818040", "٠٨١٨٠٤", "a81804", "081804x"])
def test_what_is_no_code(typed: str) -> None:
    assert matching_step(RFC_SECRET, typed, RFC_TIME, -1) is None


def test_secrets_are_long_and_never_the_same() -> None:
    assert len({make_secret() for _ in range(50)}) == 50
    assert all(len(make_secret()) == 32 for _ in range(3)), "160 bits in base32"
    address = enrolment_address(RFC_SECRET, "thanh-tra", "Giám sát một cửa")
    assert address.startswith("otpauth://totp/")
    assert f"secret={RFC_SECRET}" in address
