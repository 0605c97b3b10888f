"""The socket between paho and the network: every byte, in order, in few calls."""

import socket
from collections.abc import Iterator

import pytest

from central_server.mqtt.buffered_socket import READ_AT_ONCE, BufferedSocket

Pair = tuple[BufferedSocket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(10)
    with ours, theirs:
        yield BufferedSocket(ours), theirs


def test_it_reads_ahead_and_says_so(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"abcdef")

    assert ours.recv(1) == b"a"
    assert ours.pending() == 5
    assert ours.recv(2) == b"bc"
    assert ours.recv(100) == b"def"
    assert ours.pending() == 0


def test_it_waits_for_nothing_and_sees_the_end(pair: Pair) -> None:
    ours, theirs = pair
    with pytest.raises(BlockingIOError):
        ours.recv(1)
    theirs.sendall(b"last")
    theirs.close()

    assert ours.recv(10) == b"last"
    assert ours.recv(10) == b""


def test_what_is_held_goes_in_one_piece(pair: Pair) -> None:
    ours, theirs = pair
    ours.hold()
    assert [ours.send(b"one "), ours.send(bytearray(b"two"))] == [4, 3]
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
    ours.flush()

    assert theirs.recv(100) == b"one two"
    assert ours.send(b"three") == 5
    assert theirs.recv(100) == b"three"


def test_what_the_network_does_not_take_waits_its_turn(pair: Pair) -> None:
    ours, theirs = pair
    much = bytes(range(256)) * (40 * READ_AT_ONCE // 256)
    ours.hold()
    ours.send(much)
    ours.flush()
    assert 0 < ours.unsent < len(much)
    with pytest.raises(BlockingIOError):
        ours.send(b"too early")

    came = bytearray()
    while len(came) < len(much):
        came += theirs.recv(READ_AT_ONCE)
        ours.flush()
    assert bytes(came) == much
    assert ours.unsent == 0


def test_a_broken_link_is_seen_by_reading(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    ours.hold()
    ours.send(b"nobody hears it")
    ours.flush()

    assert ours.unsent == 0
    with pytest.raises(OSError, match="Broken pipe"):
        ours.send(b"more")
    assert ours.recv(1) == b""


def test_closing_sends_what_is_held(pair: Pair) -> None:
    ours, theirs = pair
    ours.hold()
    ours.send(b"goodbye")
    ours.close()

    assert theirs.recv(100) == b"goodbye"
    assert theirs.recv(100) == b""
