"""The quick canonical form against the reference encoder."""

import math
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from event_protocol.canonical import (
    NotCanonicalError,
    canonical_bytes,
    chained_hash,
    sha256_hex,
)

numbers = (
    st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1.0, 1e16, 1e21, 1e-5, 1e-6, 1e-7, 5e-324, 2.5e17, 123456.0])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=8), values, max_size=6)


@given(objects)
def test_it_is_what_the_reference_encoder_writes(value: dict[str, Any]) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@given(st.dictionaries(st.text("abe.0,}]1", max_size=6), numbers | st.text("e1.0,}]", max_size=9)))
def test_texts_that_look_like_numbers_mislead_nobody(value: dict[str, Any]) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


def keeps_to_exact_integers(value: object) -> bool:
    """Whether no float stands for a whole number that JSON can't say exactly."""
    if isinstance(value, dict | list):
        return all(
            map(keeps_to_exact_integers, value.values() if isinstance(value, dict) else value)
        )
    return not isinstance(value, float) or abs(value) < 2**53


@given(objects.filter(keeps_to_exact_integers))
def test_canonical_bytes_are_their_own_canonical_form(value: dict[str, Any]) -> None:
    written = canonical_bytes(value)
    assert canonical_bytes(orjson.loads(written)) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": 1, "a": 2}, b'{"a":2,"b":1}'),
        ({"x": 1.0}, b'{"x":1}'),
        ({"x": -0.0}, b'{"x":0}'),
        ({"x": [1e21, 1e20, 1e-7, 0.000001]}, b'{"x":[1e+21,100000000000000000000,1e-7,0.000001]}'),
        ({"\ue000": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ue000":1}'.encode()),  # as UTF-16
        ({"x": '\x00\t\x1f\x7f/"\\'}, b'{"x":"\\u0000\\t\\u001f\x7f/\\"\\\\"}'),
    ],
)
def test_the_places_where_encoders_differ(value: dict[str, Any], written: bytes) -> None:
    assert canonical_bytes(value) == written


def nested(depth: int) -> dict[str, Any]:
    inner: list[Any] = []
    for _ in range(depth - 1):
        inner = [inner]
    return {"x": inner}


@pytest.mark.parametrize("depth", [100, 300])
def test_deep_nesting_is_written_as_long_as_it_can_be(depth: int) -> None:
    assert canonical_bytes(nested(depth)) == b'{"x":' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    "value",
    [
        {"x": 2**53},
        {"x": -(2**53)},
        {"x": math.nan},
        {"x": math.inf},
        {"x": "\ud800"},
        {"x": object()},
        nested(5000),
    ],
    ids=["big", "small", "nan", "infinite", "surrogate", "no JSON", "deep"],
)
def test_what_has_no_canonical_form_is_said_to_have_none(value: dict[str, Any]) -> None:
    with pytest.raises(NotCanonicalError):
        canonical_bytes(value)


def test_the_chained_hash_leaves_the_seal_out() -> None:
    plain = {"a": 1, "z": 2.5}
    sealed = {**plain, "sealed": "x"}
    expected = sha256_hex(canonical_bytes(plain))
    assert chained_hash(canonical_bytes(plain), plain) == expected
    assert chained_hash(canonical_bytes(sealed), sealed) == expected
