"""The socket between paho and the network: every byte, in order, in few calls."""

import select
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from central_server.mqtt.buffered_socket import READ_AHEAD_BYTES, BufferedSocket
from tests.processes.certificates import make_certificate

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
    much = bytes(range(256)) * (40 * READ_AHEAD_BYTES // 256)
    ours.hold()
    ours.send(much)
    ours.flush()
    assert 0 < ours.unsent < len(much)
    with pytest.raises(BlockingIOError):
        ours.send(b"too early")

    came = bytearray()
    while len(came) < len(much):
        came += theirs.recv(READ_AHEAD_BYTES)
        ours.flush()
    assert bytes(came) == much
    assert ours.unsent == 0


def test_a_broken_link_is_told_by_the_next_call(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    ours.hold()
    ours.send(b"nobody hears it")
    ours.flush()

    assert ours.unsent == 0
    for call in (lambda: ours.send(b"more"), lambda: ours.recv(1)):
        with pytest.raises(OSError, match="Broken pipe"):
            call()


def test_closing_sends_what_is_held(pair: Pair) -> None:
    ours, theirs = pair
    ours.hold()
    ours.send(b"goodbye")
    ours.close()

    assert theirs.recv(100) == b"goodbye"
    assert theirs.recv(100) == b""


@pytest.fixture
def tls_pair(tmp_path: Path) -> Iterator[tuple[BufferedSocket, ssl.SSLSocket]]:
    make_certificate(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    client = ssl.create_default_context(cafile=str(tmp_path / "certificate"))
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(server.wrap_socket, theirs, server_side=True)
        asking = client.wrap_socket(ours, server_hostname="localhost")
        answered = answering.result(10)
    asking.setblocking(False)
    answered.settimeout(10)
    with asking, answered:
        yield BufferedSocket(asking), answered


def test_it_speaks_tls(tls_pair: tuple[BufferedSocket, ssl.SSLSocket]) -> None:
    ours, theirs = tls_pair
    with pytest.raises(ssl.SSLWantReadError):
        ours.recv(1)
    theirs.sendall(b"abcdef")
    select.select([ours], [], [], 10)
    assert ours.recv(2) == b"ab"
    assert ours.pending() == 4
    assert ours.recv(10) == b"cdef"

    much = bytes(range(256)) * (40 * READ_AHEAD_BYTES // 256)
    ours.hold()
    ours.send(much)
    ours.flush()
    assert ours.unsent
    ours.hold()
    ours.send(b"and more")  # TLS wants the same bytes again, and takes more of them
    came = bytearray()
    while len(came) < len(much) + len(b"and more"):
        came += theirs.recv(READ_AHEAD_BYTES)
        ours.flush()
    assert bytes(came) == much + b"and more"
