"""What lies on the disk can be read by the server's leave only."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey

from edge_agent.evidence.data_keys import DataKeys
from edge_agent.evidence.segment_file import (
    HEAD_BYTES,
    UnreadableError,
    decrypt,
    encrypt,
    read_head,
)
from event_protocol.evidence_keys import KEY_LIFETIME, unseal_key
from event_protocol.names import DeviceId
from event_protocol.sealing import SealError, sealing_key_id
from tests.edge_agent.evidence.streams import START

SERVER = PrivateKey(b"sealing key of these tests 32 by")
HELD = {sealing_key_id(bytes(SERVER.public_key)): bytes(SERVER)}
END = START + timedelta(seconds=10)
MP4 = b"not really a film" * 9


def make_keys() -> DataKeys:
    return DataKeys(DeviceId("box-1"), lambda: bytes(SERVER.public_key))


def test_the_server_alone_opens_a_segment() -> None:
    current = make_keys().key_for("room", START, END)
    file = encrypt(MP4, "room", START, END, current)
    head = read_head(file[:HEAD_BYTES])
    assert (head.camera, head.begin, head.end) == ("room", START, END)
    assert current.key not in file
    assert current.key.hex().encode() not in file
    assert MP4[:17] not in file
    opened = unseal_key(head.key.sealed, HELD)
    assert (opened.device, opened.camera, opened.since) == ("box-1", "room", START)
    assert decrypt(file, bytes.fromhex(opened.key)) == MP4
    with pytest.raises(SealError):
        unseal_key(head.key.sealed, {})


def test_a_changed_byte_is_noticed_wherever_it_is() -> None:
    current = make_keys().key_for("room", START, END)
    file = encrypt(MP4, "room", START, END, current)
    for at in (0, 9, 40, len(file) // 2, len(file) - 1):
        changed = file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]
        with pytest.raises(UnreadableError):
            decrypt(changed, current.key)
    with pytest.raises(UnreadableError):
        decrypt(file, bytes(32))
    with pytest.raises(UnreadableError):
        decrypt(file[:-1], current.key)


@given(st.binary(max_size=100))
def test_any_bytes_are_refused(content: bytes) -> None:
    for file in (content, b"ODWSEG1\n" + content):
        with pytest.raises(UnreadableError):
            decrypt(file, bytes(32))


def test_a_key_serves_one_camera_for_some_minutes() -> None:
    keys = make_keys()
    first = keys.key_for("room", START, END)
    assert keys.key_for("room", END, END + timedelta(seconds=10)) is first
    assert keys.key_for("hall", START, END).key != first.key
    after = START + KEY_LIFETIME
    renewed = keys.key_for("room", after - timedelta(seconds=5), after + timedelta(seconds=5))
    assert renewed.key != first.key
    assert renewed.key_id != first.key_id
    earlier = keys.key_for("room", START, END)  # a clock that was set back
    assert earlier.key not in (first.key, renewed.key)


def test_the_same_content_never_looks_the_same() -> None:
    current = make_keys().key_for("room", START, END)
    assert encrypt(MP4, "room", START, END, current) != encrypt(MP4, "room", START, END, current)
