"""The ring's data keys: opened by the server alone, handed back for the span asked for alone."""

from datetime import UTC, datetime, timedelta

import pytest
from nacl.public import PrivateKey

from event_protocol.evidence import Span
from event_protocol.evidence_keys import (
    KEY_LIFETIME,
    DataKey,
    hand_back,
    seal_key,
    take_back,
    unseal_key,
)
from event_protocol.names import DeviceId
from event_protocol.sealing import SealError, seal_bytes, sealing_key_id

SERVER = PrivateKey(b"s" * 32)
PUBLIC = bytes(SERVER.public_key)
KEYS = {sealing_key_id(PUBLIC): bytes(SERVER)}
BOOT = PrivateKey(b"b" * 32)
SINCE = datetime(2026, 1, 5, 1, tzinfo=UTC)
KEY = DataKey(device=DeviceId("desk-box-01"), camera="ceiling", since=SINCE, key="0f" * 32)
SECOND = timedelta(seconds=1)


def test_the_server_opens_a_key_and_the_same_boot_takes_it_back() -> None:
    opened = unseal_key(seal_key(KEY, PUBLIC), KEYS)
    assert opened == KEY
    assert take_back(hand_back(opened, bytes(BOOT.public_key)), bytes(BOOT)) == b"\x0f" * 32


def test_another_boot_and_another_server_open_nothing() -> None:
    handed = hand_back(KEY, bytes(BOOT.public_key))
    with pytest.raises(SealError):
        take_back(handed, b"c" * 32)
    with pytest.raises(SealError):
        unseal_key(seal_key(KEY, PUBLIC), {})


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(SealError):
        unseal_key(seal_bytes(b"{}", PUBLIC), KEYS)
    with pytest.raises(SealError):
        take_back("not base64", bytes(BOOT))
    short = seal_bytes(b"short", bytes(BOOT.public_key)).partition(":")[2]
    with pytest.raises(SealError):
        take_back(short, bytes(BOOT))


@pytest.mark.parametrize(
    ("device", "camera", "begin", "end", "may"),
    [
        ("desk-box-01", "ceiling", SINCE, SINCE + SECOND, True),
        ("desk-box-01", "ceiling", SINCE - SECOND, SINCE, True),
        ("desk-box-01", "ceiling", SINCE + KEY_LIFETIME, SINCE + KEY_LIFETIME, True),
        ("desk-box-01", "ceiling", SINCE - 2 * SECOND, SINCE - SECOND, False),
        ("desk-box-01", "ceiling", SINCE + KEY_LIFETIME + SECOND, SINCE + 2 * KEY_LIFETIME, False),
        ("desk-box-02", "ceiling", SINCE, SINCE, False),
        ("desk-box-01", "door", SINCE, SINCE, False),
    ],
)
def test_a_key_is_good_for_its_camera_and_its_minutes(
    device: str, camera: str, begin: datetime, end: datetime, may: bool
) -> None:
    assert KEY.may_open(device, camera, Span(begin=begin, end=end)) is may
