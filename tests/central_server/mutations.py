"""Damaged, forged and absurd forms of real messages; the same ones for the same seed."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

# What each parser and database stumbles over in its own way.
_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 1e308, 2**53, 2**63, 2**64, -(2**70), "", "x", "\0", "\ud800"),
    *("é" * 300, "x" * 70_000, "'; drop table event; --", "0001-01-01T00:00:00Z"),
    *("9999-12-31T23:59:59.999Z", "2026-02-30T00:00:00Z", "00000000-0000-0000-0000-000000000000"),
    *([], {}, [[[[]]]], {"a": {"b": {"c": None}}}, ["x"] * 1000, {"type": "onestop.other"}),
)
_ODD_TEXTS = (
    *(b"NaN", b"-0", b"1e999", b"\xff\xfe", b"\x00", b'"\\ud800"'),
    *(b"[" * 3000, b'{"a":1,' * 50),
)


def mutate(dice: Random, payload: bytes) -> bytes:
    """One damaged form; now and then damaged twice."""
    damaged = dice.choice(_MUTATIONS)(dice, payload)
    return dice.choice(_MUTATIONS)(dice, damaged) if dice.random() < 0.2 else damaged


def _flip_bits(dice: Random, payload: bytes) -> bytes:
    content = bytearray(payload)
    for _ in range(dice.randint(1, 4)):
        if content:
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    return bytes(content)


def _cut(dice: Random, payload: bytes) -> bytes:
    return payload[: dice.randint(0, len(payload))]


def _drop_part(dice: Random, payload: bytes) -> bytes:
    at = dice.randint(0, len(payload))
    return payload[:at] + payload[at + dice.randint(1, 20) :]


def _repeat_part(dice: Random, payload: bytes) -> bytes:
    begin = dice.randint(0, len(payload))
    end = dice.randint(begin, len(payload))
    return payload[:end] + payload[begin:end] + payload[end:]


def _insert(dice: Random, payload: bytes) -> bytes:
    at = dice.randint(0, len(payload))
    return payload[:at] + dice.choice(_ODD_TEXTS) + payload[at:]


def _change_value(dice: Random, payload: bytes) -> bytes:
    return _in_fields(dice, payload, lambda part, name: part.update({name: _odd(dice)}))


def _drop_field(dice: Random, payload: bytes) -> bytes:
    return _in_fields(dice, payload, lambda part, name: part.pop(name))


def _rename_field(dice: Random, payload: bytes) -> bytes:
    def rename(part: dict[str, Any], name: str) -> None:
        part[dice.choice(("", "extra", name.upper(), "sealed", "data"))] = part.pop(name)

    return _in_fields(dice, payload, rename)


def _in_fields(
    dice: Random, payload: bytes, change: Callable[[dict[str, Any], str], object]
) -> bytes:
    """Changes one field of the message or of its data; what is no JSON gets damaged bytes."""
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):  # an earlier damage
        return _flip_bits(dice, payload)
    if not isinstance(content, dict) or not content:
        return _insert(dice, payload)
    inner = content.get("data")
    part = inner if isinstance(inner, dict) and inner and dice.random() < 0.5 else content
    change(part, dice.choice(list(part)))
    return json.dumps(content, separators=(",", ":")).encode()


def _odd(dice: Random) -> Any:
    return dice.choice(_ODD_VALUES)


_MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (
    *(_flip_bits, _cut, _drop_part, _repeat_part, _insert),
    *(_change_value, _change_value, _change_value, _drop_field, _rename_field),
)
