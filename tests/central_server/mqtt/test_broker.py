"""Both brokers, really running: passwords, own topics only, one connection for each client id, size
limit, death and rebirth.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from central_server.mqtt.broker import BrokerFailedError, EmbeddedBroker, free_port
from central_server.services import broker_accounts
from tests.central_server.mqtt.peer import Peer
from tests.processes.mosquitto import Mosquitto
from tests.processes.ports import is_listening, wait_until

pytestmark = pytest.mark.processes

PASSWORDS = {"central-server": "server-secret", "device-a": "secret-a", "device-b": "secret-b"}
QUIET_S = 0.5  # long enough for a message that should not come
RECEIPTS, STATUS = "onestop/v1/device-a/receipts", "onestop/v1/device-a/status"


class Running(Protocol):
    """What the tests need of a broker."""

    port: int


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    broker = make_embedded(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Mosquitto]:
    acl = repository / "configs" / "mosquitto" / "acl.conf"
    folder = tmp_path_factory.mktemp("mosquitto")
    settings = f"acl_file {acl}\nmessage_size_limit 262144\nlog_type all"
    with Mosquitto(folder, {}, settings=settings) as broker:
        # The server's own file instead of one that mosquitto_passwd made.
        write_passwords(folder / "passwords")
        os.kill(broker.pid, signal.SIGHUP)
        yield broker


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request: pytest.FixtureRequest) -> Running:
    running: Running = request.getfixturevalue(request.param)
    return running


def write_passwords(path: Path) -> Path:
    lines = [f"{name}:{broker_accounts.hash_password(p)}\n" for name, p in PASSWORDS.items()]
    path.write_text("".join(lines))
    return path


def make_embedded(folder: Path) -> EmbeddedBroker:
    passwords = write_passwords(folder / "passwords")
    return EmbeddedBroker("127.0.0.1", free_port("127.0.0.1"), passwords, "central-server")


def join(
    broker: Running,
    name: str,
    password: str | None = None,
    *,
    client_id: str | None = None,
    clean: bool = True,
    will: str | None = None,
    last_word: bytes = b"will",
    acknowledges: bool = True,
) -> Peer:
    password = password or PASSWORDS[name]
    return Peer(
        broker.port,
        name,
        password,
        client_id=client_id,
        clean=clean,
        will=will,
        last_word=last_word,
        acknowledges=acknowledges,
    )


@pytest.mark.parametrize(
    ("name", "password"),
    [("device-a", "secret-b"), ("nobody", "secret-a"), ("device-a", "x" * 5000)],
)
def test_a_wrong_name_or_password_is_refused(broker: Running, name: str, password: str) -> None:
    with join(broker, name, password) as peer:
        assert not peer.is_accepted


def test_a_device_writes_and_reads_under_its_own_name_only(broker: Running) -> None:
    with (
        join(broker, "central-server") as server,
        join(broker, "device-a") as device,
        join(broker, "device-b") as other,
    ):
        for channel in ("events", "status", "telemetry"):
            assert server.subscribe(f"onestop/v1/+/{channel}")
        assert device.subscribe("onestop/v1/device-a/receipts")
        for foreign in ("onestop/v1/device-a/receipts", "onestop/v1/+/receipts", "#"):
            other.subscribe(foreign)  # Mosquitto grants, and then delivers nothing
        other.publish("onestop/v1/device-a/events", b"forged")
        other.publish("onestop/v1/device-b/receipts", b"forged")
        device.publish("onestop/v1/device-a/events", b"own")
        assert server.next() == ("onestop/v1/device-a/events", b"own")
        server.publish("onestop/v1/device-a/receipts", b"receipt")
        assert device.next() == ("onestop/v1/device-a/receipts", b"receipt")
        assert server.next(QUIET_S) is None
        assert other.next(QUIET_S) is None


def test_what_comes_while_the_server_is_away_waits_for_it(broker: Running) -> None:
    with join(broker, "central-server", client_id="central-server-waits", clean=False) as server:
        assert server.subscribe("onestop/v1/+/events")
    with join(broker, "device-a") as device:
        for number in range(20):
            device.publish("onestop/v1/device-a/events", str(number).encode())
        with join(
            broker, "central-server", client_id="central-server-waits", clean=False
        ) as server:
            received = [server.next() for _ in range(20)]
    assert sorted(int(message[1]) for message in received if message) == list(range(20))


def test_who_joins_in_a_stream_hears_nothing_twice(broker: Running) -> None:
    """What comes while it is let in waits for it, and is sent once."""
    joined = partial(join, broker, "central-server", client_id="joins-in-a-stream", clean=False)
    with joined() as server:
        assert server.subscribe("onestop/v1/+/events")
    heard = []
    with join(broker, "device-a") as device:
        for stretch in range(6):
            for number in range(50):
                device.publish("onestop/v1/device-a/events", f"{stretch}-{number}".encode())
            with joined() as server:
                heard.append([payload for _, payload in iter(partial(server.next, QUIET_S), None)])
    assert [len(set(payloads)) for payloads in heard] == [len(payloads) for payloads in heard]
    assert len(set().union(*heard)) == 300


def test_what_was_not_acknowledged_comes_again(broker: Running) -> None:
    joined = partial(join, broker, "central-server", client_id="goes-silently", clean=False)
    with join(broker, "device-a") as device:
        with joined(acknowledges=False) as server:
            assert server.subscribe("onestop/v1/+/events")
            for number in range(5):
                device.publish("onestop/v1/device-a/events", str(number).encode())
            sent = [server.next() for _ in range(5)]
            server.drop()
        with joined() as server:
            device.publish("onestop/v1/device-a/events", b"5")
            assert [server.next() for _ in range(5)] == sent
            assert server.next() == ("onestop/v1/device-a/events", b"5")
            assert server.next(QUIET_S) is None
        with joined() as server:
            assert server.next(QUIET_S) is None


def test_ten_megabytes_cut_the_sender_off(broker: Running) -> None:
    with join(broker, "central-server") as server, join(broker, "device-a") as device:
        assert server.subscribe("onestop/v1/+/events")
        device.publish("onestop/v1/device-a/events", b"x" * 10_000_000)
        wait_until(lambda: device.is_gone, 10, "cut off")
        assert server.next(QUIET_S) is None
    with join(broker, "device-b") as other:
        assert other.is_accepted


def test_a_will_on_anothers_topic_is_not_sent(broker: Running) -> None:
    with join(broker, "central-server") as server:
        assert server.subscribe("onestop/v1/+/status")
        with join(broker, "device-b", will="onestop/v1/device-a/status") as forger:
            if forger.is_accepted:  # Mosquitto accepts, and then does not send it
                forger.drop()
        assert server.next(QUIET_S) is None
        with join(broker, "device-a", will="onestop/v1/device-a/status") as device:
            device.drop()
            assert server.next() == ("onestop/v1/device-a/status", b"will")


def test_another_account_cannot_take_over_a_session(embedded: EmbeddedBroker) -> None:
    with join(embedded, "device-a", clean=False) as device:
        assert device.subscribe("onestop/v1/device-a/receipts")
    with join(embedded, "device-b", client_id="device-a", clean=False) as thief:
        assert not thief.is_accepted
    with join(embedded, "device-a", clean=False) as device:
        assert device.is_accepted


def test_who_comes_last_is_served(broker: Running) -> None:
    """Each of a row of connections throws the one before it out, and gets what is sent."""
    with ExitStack() as stack:
        server = stack.enter_context(join(broker, "central-server"))
        former = None
        for number in range(4):
            box = stack.enter_context(join(broker, "device-a", clean=False))
            assert box.is_accepted
            assert box.subscribe(RECEIPTS)
            if former is not None:
                wait_until(partial(getattr, former, "is_gone"), 10, "thrown out")
            time.sleep(QUIET_S)  # whatever the end of the former one still does
            server.publish(RECEIPTS, str(number).encode())
            # What the former had not acknowledged yet comes again.
            heard = iter(partial(box.next, 5), None)
            assert (RECEIPTS, str(number).encode()) in heard
            former = box


def test_who_is_thrown_out_leaves_its_own_will(broker: Running) -> None:
    with join(broker, "central-server") as server:
        assert server.subscribe("onestop/v1/+/status")
        with (
            join(broker, "device-a", clean=False, will=STATUS, last_word=b"first") as first,
            join(broker, "device-a", clean=False, will=STATUS, last_word=b"second") as second,
        ):
            wait_until(lambda: first.is_gone, 10, "thrown out")
            if isinstance(broker, EmbeddedBroker):
                assert server.next() == (STATUS, b"first")
            else:  # the session goes on
                assert server.next(QUIET_S) is None
            second.drop()
            assert server.next() == (STATUS, b"second")


@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize("name", ["device-a", "device-b", "nobody"])
def test_who_is_refused_disturbs_nobody(broker: Running, name: str, clean: bool) -> None:
    """The box keeps its connection, its session, its subscriptions and its will."""
    with (
        join(broker, "central-server") as server,
        join(broker, "device-a", clean=False, will=STATUS) as box,
    ):
        assert server.subscribe("onestop/v1/+/status")
        assert box.subscribe(RECEIPTS)
        with Peer(
            broker.port,
            name,
            "a guess",
            client_id="device-a",
            clean=clean,
            will=STATUS,
            last_word=b"forged",
        ) as stranger:
            assert not stranger.is_accepted
        time.sleep(QUIET_S)
        assert not box.is_gone
        server.publish(RECEIPTS, b"receipt")
        assert box.next(5) == (RECEIPTS, b"receipt")
        box.drop()
        assert server.next(5) == (STATUS, b"will")


def test_a_clean_session_begins_with_nothing(broker: Running) -> None:
    """It ends the one before it, and nothing of that waits for whoever comes next."""
    with join(broker, "central-server") as server:
        with join(broker, "device-a", clean=False) as box:
            assert box.subscribe(RECEIPTS)
            with join(broker, "device-a", clean=True):
                wait_until(lambda: box.is_gone, 10, "thrown out")
        server.publish(RECEIPTS, b"for nobody")
        with join(broker, "device-a", clean=False) as box:
            assert box.next(QUIET_S) is None
            assert box.subscribe(RECEIPTS)
            server.publish(RECEIPTS, b"receipt")
            assert box.next(5) == (RECEIPTS, b"receipt")


def test_who_comes_back_is_sent_what_is_its_own_only(broker: Running) -> None:
    with join(broker, "central-server") as server, join(broker, "device-b") as other:
        assert server.subscribe("onestop/v1/+/status")
        other.publish("onestop/v1/device-b/status", b"kept", retain=True)
        assert server.next() == ("onestop/v1/device-b/status", b"kept")
        for _ in range(2):
            with join(broker, "device-a", clean=False) as box:
                assert box.subscribe(RECEIPTS)
                assert box.next(QUIET_S) is None


def test_a_new_password_counts_without_a_restart(tmp_path: Path) -> None:
    broker = make_embedded(tmp_path)
    broker.start()
    try:
        hashed = broker_accounts.hash_password("brand new")
        (tmp_path / "passwords").write_text(f"device-new:{hashed}\n")
        with join(broker, "device-new", "brand new") as peer:
            assert peer.is_accepted
        with join(broker, "device-a") as peer:
            assert not peer.is_accepted
    finally:
        broker.stop()
    assert not is_listening(broker.port)


def test_a_killed_broker_is_started_again(tmp_path: Path) -> None:
    broker = make_embedded(tmp_path)
    broker.start()
    try:
        first = broker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: broker.pid != first and is_listening(broker.port), 15, "rebirth")
        with join(broker, "device-a") as peer:
            assert peer.is_accepted
    finally:
        broker.stop()


def test_the_broker_dies_with_a_killed_parent(tmp_path: Path) -> None:
    passwords, port = write_passwords(tmp_path / "passwords"), free_port("127.0.0.1")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from central_server.mqtt.broker import EmbeddedBroker\n"
        f"EmbeddedBroker('127.0.0.1', {port}, Path({str(passwords)!r}), 'central-server').start()\n"
        "print('up', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.kill()
    wait_until(lambda: not is_listening(port), 10, "the orphaned broker ends")


def test_a_port_in_use_is_named(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    second = EmbeddedBroker(
        "127.0.0.1", embedded.port, write_passwords(tmp_path / "passwords"), "central-server"
    )
    with pytest.raises(BrokerFailedError, match=f"can't listen on 127.0.0.1:{embedded.port}"):
        second.start()
