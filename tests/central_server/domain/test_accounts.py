"""Names, passwords and the back-off."""

from datetime import timedelta

import pytest

from central_server.domain.accounts import check_credentials, lock_for
from central_server.domain.errors import InvalidError


@pytest.mark.parametrize(
    ("user", "password", "code"),
    [
        ("Inspector", "x" * 10, "error.user_name"),
        ("-a", "x" * 10, "error.user_name"),
        ("", "x" * 10, "error.user_name"),
        ("a" * 65, "x" * 10, "error.user_name"),
        ("a", "x" * 9, "error.password_length"),
        ("a", "x" * 201, "error.password_length"),
    ],
)
def test_what_an_account_cannot_have(user: str, password: str, code: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_credentials(user, password)
    assert refused.value.code == code


@pytest.mark.parametrize("user", ["a", "demo-lead", "xa.an_binh-2"])
def test_what_it_can_have(user: str) -> None:
    check_credentials(user, "x" * 10)


@pytest.mark.parametrize(
    "password",
    ["một câu dài", "0123456789", "mậtkhẩu🔑🔑🔑", " \t'\"<>&\0%s ", "x" * 64, "x" * 200],
)
def test_any_characters_make_a_password(password: str) -> None:
    check_credentials("a", password)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, None), (4, None), (5, 30), (6, 60), (9, 480), (10, 900), (10_000, 900)],
)
def test_the_lock_doubles_up_to_a_quarter_of_an_hour(failures: int, seconds: int | None) -> None:
    assert lock_for(failures) == (None if seconds is None else timedelta(seconds=seconds))
