"""Receipt codes are long, forgiving to type, and kept only as slow hashes."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_protocol.receipt_codes import hash_code, hint_of, read_code, write_code


@given(st.binary(min_size=15, max_size=32))
def test_a_written_code_is_read_back(secret: bytes) -> None:
    code = write_code(secret)
    assert read_code(code) == code
    assert read_code(f"  {code.lower().replace('-', ' ')} ") == code


def test_a_code_has_120_bits_in_six_groups() -> None:
    code = write_code(secrets.token_bytes(15))
    assert [len(group) for group in code.split("-")] == [4] * 6
    assert set(code) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567-")


def test_too_short_a_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="15 random bytes"):
        write_code(b"short")


def test_digits_that_base32_lacks_are_read_as_the_letters_they_resemble() -> None:
    assert read_code("O1I0-BBBB-GGGG-AAAA-AAAA-AAAA") == "OIIO-BBBB-GGGG-AAAA-AAAA-AAAA"
    assert read_code("0110 8BB8 9GG9 AAAA AAAA AAAA") == "OIIO-BBBB-GGGG-AAAA-AAAA-AAAA"


@pytest.mark.parametrize("typed", ["", "ABCD", "ă" * 24, "A" * 25, "!" * 24, "Ⅷ" * 6])
def test_anything_else_is_no_code(typed: str) -> None:
    assert read_code(typed) is None


def test_the_hash_depends_on_code_and_pepper_and_on_nothing_else() -> None:
    code = write_code(b"0" * 15)
    assert hash_code(code) == hash_code(code)
    assert len({hash_code(code), hash_code(code, b"pepper"), hash_code(write_code(b"1" * 15))}) == 3


def test_a_hash_begins_with_the_hint_that_anybody_can_make_of_the_code() -> None:
    code, other = write_code(b"0" * 15), write_code(b"1" * 15)
    assert len(hint_of(code)) == 6
    assert hint_of(code) != hint_of(other)
    for pepper in (b"", b"pepper"):
        assert hash_code(code, pepper).startswith(hint_of(code))
