"""Status, telemetry, receipts and commands: signed by the server, for one device alone."""

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from event_protocol.events import WireModel
from event_protocol.examples import (
    DEVICE,
    SERVER_KEY,
    example_downlinks,
    example_status,
    example_telemetry,
)
from event_protocol.messages import (
    COMMAND,
    MAX_MESSAGE_BYTES,
    RECEIPT,
    DeviceStatus,
    Receipt,
    Telemetry,
    decode_message,
    decode_signed,
    encode_message,
    encode_signed,
)
from event_protocol.names import DeviceId

PUBLIC_KEY = SERVER_KEY.public_key().public_bytes_raw()
RECEIPT_MESSAGE, CONFIGURATION, CLIP = example_downlinks()
OTHER = DeviceId("another-box")


def test_status_and_telemetry_read_as_they_were_written() -> None:
    assert decode_message(DeviceStatus, encode_message(example_status())) == example_status()
    assert decode_message(Telemetry, encode_message(example_telemetry())) == example_telemetry()


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b"[]", b" " * (MAX_MESSAGE_BYTES + 1)])
def test_what_is_no_message_is_none(payload: bytes) -> None:
    assert decode_message(DeviceStatus, payload) is None
    assert decode_signed(DEVICE, RECEIPT, payload, PUBLIC_KEY) is None


def test_a_signed_receipt_reads_as_it_was_written() -> None:
    payload = encode_signed(DEVICE, RECEIPT_MESSAGE, SERVER_KEY)
    assert decode_signed(DEVICE, RECEIPT, payload, PUBLIC_KEY) == RECEIPT_MESSAGE


@pytest.mark.parametrize("command", [CONFIGURATION, CLIP], ids=lambda command: command.kind)
def test_a_signed_command_reads_as_it_was_written(command: WireModel) -> None:
    payload = encode_signed(DEVICE, command, SERVER_KEY)
    assert decode_signed(DEVICE, COMMAND, payload, PUBLIC_KEY) == command


def test_another_devices_receipt_and_another_signer_count_for_nothing() -> None:
    payload = encode_signed(DEVICE, RECEIPT_MESSAGE, SERVER_KEY)
    assert decode_signed(OTHER, RECEIPT, payload, PUBLIC_KEY) is None
    forged = encode_signed(DEVICE, RECEIPT_MESSAGE, Ed25519PrivateKey.generate())
    assert decode_signed(DEVICE, RECEIPT, forged, PUBLIC_KEY) is None


def test_a_receipt_changed_on_the_way_counts_for_nothing() -> None:
    message = orjson.loads(encode_signed(DEVICE, RECEIPT_MESSAGE, SERVER_KEY))
    changes: list[dict[str, object]] = [
        {"through": 9},
        {"rejected": []},
        {"signature": 7},
        {"extra": 1},
    ]
    for changed in changes:
        payload = orjson.dumps(message | changed)
        assert decode_signed(DEVICE, RECEIPT, payload, PUBLIC_KEY) is None


def test_signed_nonsense_counts_for_nothing() -> None:
    payload = encode_signed(DEVICE, example_status(), SERVER_KEY)
    assert decode_signed(DEVICE, RECEIPT, payload, PUBLIC_KEY) is None


@given(st.binary(max_size=200))
def test_any_bytes_count_for_nothing(payload: bytes) -> None:
    assert decode_message(Telemetry, payload) is None
    assert decode_signed(DEVICE, COMMAND, payload, PUBLIC_KEY) is None


@given(st.sampled_from(example_downlinks()), st.integers(0, 10**6), st.integers(1, 255))
def test_a_byte_changed_on_the_way_changes_no_meaning(
    message: WireModel, place: int, change: int
) -> None:
    payload = bytearray(encode_signed(DEVICE, message, SERVER_KEY))
    payload[place % len(payload)] ^= change
    assert decode_signed(DEVICE, RECEIPT, bytes(payload), PUBLIC_KEY) in (None, message)
    assert decode_signed(DEVICE, COMMAND, bytes(payload), PUBLIC_KEY) in (None, message)


@pytest.mark.parametrize(
    "content",
    ["9007199254740993", "1e308", "1e400", "-0.0", '"\\ud800"', "[" * 500 + "]" * 500, "null"],
)
@pytest.mark.parametrize("signature", [f'"{"A" * 86}=="', '"é"', "7", "null", "[]"])
def test_odd_json_counts_for_nothing(content: str, signature: str) -> None:
    payload = f'{{"signature":{signature},"through":{content}}}'.encode()
    assert decode_signed(DEVICE, RECEIPT, payload, PUBLIC_KEY) is None
    assert decode_signed(DEVICE, COMMAND, payload, PUBLIC_KEY) is None


def test_through_nothing_needs_no_hash() -> None:
    message = Receipt(epoch=1, through=0, server_time=example_telemetry().time)
    assert message.hash is None
