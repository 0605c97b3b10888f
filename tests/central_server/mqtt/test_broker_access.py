"""Every topic by every account, published, subscribed to and left as a will, at both brokers.

What may be is `event_protocol.topics`' rule; the server's own check has its matrix in
tests/central_server/services/test_topic_check.py.
"""

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import orjson
import pytest

from central_server.mqtt import dynamic_security
from central_server.mqtt.broker import EmbeddedBroker
from central_server.mqtt.broker_tls import make_broker_context
from central_server.mqtt.mosquitto_accounts import MosquittoAccounts
from central_server.services import broker_accounts, enrolment, lost_boxes
from central_server.services.authority import make_authority
from central_server.services.background import Repeating
from central_server.services.context import ServerContext
from central_server.serving import ACCOUNTS_EVERY_S
from central_server.storage import schema
from central_server.storage.private_files import write_private
from central_server.storage.unit_of_work import Database
from event_protocol.certificates import make_certificate_request, make_key, write_key
from event_protocol.enrolment import EnrolmentRequest
from event_protocol.names import DeviceId
from event_protocol.topics import (
    Channel,
    may_publish,
    may_subscribe,
    server_may_publish,
    server_may_receive,
    server_may_subscribe,
    topic_of,
    topics_of_all,
)
from tests.central_server.factories import Clock, make_context, register_device
from tests.central_server.mqtt.peer import Peer
from tests.processes.ports import free_port, wait_until
from tests.processes.secured_mosquitto import SecuredMosquitto

pytestmark = pytest.mark.processes

BOX, OTHER, REVOKED, SERVER = "device-a", "device-b", "device-r", "central-server"
TOPICS = [topic_of(DeviceId(device), of) for device in (BOX, OTHER, REVOKED) for of in Channel]
ODD = ["onestop/v1/device-a", "onestop/v2/device-a/events", "other"]
WILD = [
    *(topics_of_all(channel) for channel in Channel),
    *("#", "onestop/#", f"onestop/v1/{BOX}/#", f"+/v1/{BOX}/receipts", "$SYS/#", "$CONTROL/#"),
    *(dynamic_security.CONTROL_TOPIC, dynamic_security.ANSWER_TOPIC),
]
QUIET_S = 0.4  # long enough for a message that should not come
ONE_MINUTE_S = 60  # the limit for a revoked device, in the requirements


MAY = {
    "publish": (may_publish, server_may_publish),
    "subscribe": (may_subscribe, server_may_subscribe),
    "receive": (may_subscribe, server_may_receive),
}


def allowed(name: str, action: str, topics: Iterable[str]) -> set[str]:
    for_device, for_server = MAY[action]
    if name == SERVER:
        return {topic for topic in topics if for_server(topic)}
    return {topic for topic in topics if for_device(DeviceId(name), topic)}


@dataclass
class Access:
    """A running broker, and by what each account gets in."""

    context: ServerContext
    port: int
    passwords: dict[str, str]
    tls: dict[str, ssl.SSLContext]  # empty: the broker speaks none
    broker: SecuredMosquitto | None = None
    first_accounts: str = ""

    def join(self, name: str, *, will: str | None = None) -> Peer:
        return Peer(self.port, name, self.passwords[name], tls=self.tls.get(name), will=will)

    @contextmanager
    def joined(self, *names: str) -> Iterator[dict[str, Peer]]:
        with ExitStack() as stack:
            yield {name: stack.enter_context(self.join(name)) for name in names}

    def pair(self, name: str) -> None:
        register_device(self.context.database, name, desks=())
        self.pair_again(name)

    def pair_again(self, name: str) -> None:
        key = make_key()
        request = EnrolmentRequest(
            code=enrolment.make_code(self.context, name),
            public_key="cd" * 32,
            agent_version="1",
            certificate_request=make_certificate_request(key, name),
        )
        answer = enrolment.enrol(self.context, request)
        self.passwords[name] = answer.broker.password
        if answer.broker.tls:
            assert answer.certificate is not None
            own = self.context.settings.directory / f"{name}.pem"
            write_private(own, (write_key(key) + answer.certificate).encode())
            self.tls[name] = ssl.create_default_context(cadata=answer.broker.authority)
            self.tls[name].load_cert_chain(own)


def make_access(folder: Path, **broker: object) -> Access:
    database = Database(f"sqlite:///{folder / 'server.sqlite'}")
    schema.migrate(database)
    now = datetime.now(UTC)  # noqa: TID251 - real TLS goes by the machine's clock
    context = make_context(database, folder, Clock(now), broker=broker)
    passwords = {SERVER: broker_accounts.own_password(context)}
    tls = make_broker_context(context)
    return Access(context, int(str(broker["port"])), passwords, {SERVER: tls} if tls else {})


def fill(access: Access) -> Access:
    for name in (BOX, OTHER, REVOKED):
        access.pair(name)
    lost_boxes.revoke(access.context, REVOKED, reason="a test")
    return access


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    port = free_port()
    access = fill(make_access(tmp_path_factory.mktemp("embedded"), port=port))
    accounts = broker_accounts.write_password_file(access.context)
    broker = EmbeddedBroker("127.0.0.1", port, accounts, SERVER)
    broker.start()
    yield access
    broker.stop()
    access.context.database.close()


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """Its accounts come by the server's own words, all of them after it started."""
    folder = tmp_path_factory.mktemp("server")
    broker = SecuredMosquitto(tmp_path_factory.mktemp("mosquitto"))
    make_access(folder, port=broker.port).context.database.close()  # the command wants a schema
    broker.prepare(folder)
    access = make_access(folder, port=broker.port, tls=True, dynamic_security=True)
    access.broker = broker
    access.first_accounts = (broker.folder / "dynamic-security.json").read_text()
    with broker:
        accounts = MosquittoAccounts(access.context, make_broker_context(access.context))
        accounts.start()
        rounds = Repeating("accounts", ACCOUNTS_EVERY_S, accounts.run).start()
        fill(access)
        wait_until(lambda: is_let_in(access, OTHER), 20, "the broker knows the devices")
        yield access
        rounds.stop()
        accounts.stop()
    access.context.database.close()


def is_let_in(access: Access, name: str) -> bool:
    with access.join(name) as peer:
        return peer.is_accepted


@pytest.fixture(params=["embedded", "mosquitto"])
def access(request: pytest.FixtureRequest) -> Access:
    running: Access = request.getfixturevalue(request.param)
    return running


def listen(name: str, peer: Peer) -> None:
    for topic in allowed(name, "subscribe", [*TOPICS, *WILD]):
        assert peer.subscribe(topic)


def drain(peers: Iterable[Peer]) -> list[tuple[str, bytes]]:
    time.sleep(QUIET_S)
    return [peer.received.get() for peer in peers for _ in range(peer.received.qsize())]


@pytest.mark.parametrize("name", [SERVER, BOX, OTHER])
def test_what_is_published_is_heard_on_allowed_topics_only(access: Access, name: str) -> None:
    with access.joined(SERVER, BOX, OTHER) as peers:
        for listener, peer in peers.items():
            listen(listener, peer)
        drain(peers.values())
        for topic in [*TOPICS, *ODD]:
            for kind in ("once", "retained"):
                peers[name].publish(topic, f"{name} {kind}".encode(), retain=kind == "retained")
        heard = drain(peers.values())
        for listener, peer in peers.items():
            listen(listener, peer)
        kept = {topic for topic, payload in drain(peers.values()) if name in payload.decode()}
    audible = {topic for listener in peers for topic in allowed(listener, "receive", TOPICS)}
    expected = allowed(name, "publish", [*TOPICS, *ODD]) & audible
    assert kept == expected
    for kind in ("once", "retained"):
        assert {topic for topic, payload in heard if payload == f"{name} {kind}".encode()} == (
            expected
        )


@pytest.mark.parametrize("name", [SERVER, BOX, OTHER])
def test_no_subscription_brings_what_is_not_ones_own(access: Access, name: str) -> None:
    filters = [*TOPICS, *ODD, *WILD]
    with access.joined(SERVER, BOX, OTHER) as peers:
        granted = {one for one in filters if peers[name].subscribe(one)}
        drain(peers.values())
        for publisher, peer in peers.items():
            for topic in allowed(publisher, "publish", TOPICS):
                peer.publish(topic, b"for its reader")
        heard = {topic for topic, _ in drain([peers[name]])}
    mosquittos_own = {dynamic_security.ANSWER_TOPIC} if access.tls and name == SERVER else set()
    assert granted == allowed(name, "subscribe", filters) | mosquittos_own
    published = {topic for publisher in peers for topic in allowed(publisher, "publish", TOPICS)}
    assert heard == allowed(name, "receive", published)


@pytest.mark.parametrize("name", [SERVER, BOX, OTHER])
def test_a_will_is_sent_on_allowed_topics_only(access: Access, name: str) -> None:
    others = {SERVER, BOX, OTHER} - {name}
    with access.joined(*others) as peers:
        for listener, peer in peers.items():
            listen(listener, peer)
        drain(peers.values())
        for topic in [*TOPICS, *ODD]:
            with access.join(name, will=topic) as actor:
                if actor.is_accepted:  # Mosquitto accepts a foreign will, and then sends none
                    actor.drop()
                    wait_until(partial(getattr, actor, "is_gone"), 10, "cut")
        heard = {topic for topic, payload in drain(peers.values()) if payload == b"will"}
    audible = {topic for listener in peers for topic in allowed(listener, "receive", TOPICS)}
    assert heard == allowed(name, "publish", TOPICS) & audible


@pytest.mark.parametrize(
    ("name", "password_of", "certificate_of"),
    [
        (REVOKED, REVOKED, REVOKED),
        ("nobody", BOX, BOX),
        (BOX, OTHER, BOX),
        (None, BOX, BOX),
    ],
    ids=["revoked", "unknown", "by another's password", "anonymous"],
)
def test_strangers_are_not_let_in(
    access: Access, name: str | None, password_of: str, certificate_of: str
) -> None:
    password, tls = access.passwords[password_of], access.tls.get(certificate_of)
    with Peer(access.port, name, password, tls=tls) as peer:
        assert not peer.is_accepted


def test_a_device_cant_take_anothers_session(access: Access) -> None:
    with access.join(BOX) as box:
        for taken in (BOX, SERVER):
            password, tls = access.passwords[OTHER], access.tls.get(OTHER)
            with Peer(access.port, OTHER, password, client_id=taken, tls=tls) as thief:
                assert not thief.is_accepted
        assert box.is_accepted


@pytest.mark.parametrize("trusted", [None, "a certificate of another authority"])
def test_the_right_password_without_our_certificate_is_not_enough(
    mosquitto: Access, tmp_path: Path, trusted: str | None
) -> None:
    own = broker_accounts.broker_authority(mosquitto.context)
    tls = ssl.create_default_context(cadata=own)
    if trusted is not None:
        foreign = make_authority(tmp_path, mosquitto.context.now())
        made = foreign.make_client(BOX, mosquitto.context.now())
        write_private(tmp_path / "foreign.pem", (made.key + made.chain).encode())
        tls.load_cert_chain(tmp_path / "foreign.pem")
    with Peer(mosquitto.port, BOX, mosquitto.passwords[BOX], tls=tls) as peer:
        assert not peer.is_accepted


def test_a_device_cant_make_accounts(mosquitto: Access) -> None:
    orders = dynamic_security.creation(DeviceId("made-by-a-box"), "secret", "$7$101$eA==$eA==")
    with mosquitto.join(BOX) as box:
        box.publish(dynamic_security.CONTROL_TOPIC, orjson.dumps({"commands": orders}))
        time.sleep(QUIET_S)
    tls = mosquitto.tls[BOX]
    with Peer(mosquitto.port, "made-by-a-box", "secret", tls=tls) as peer:
        assert not peer.is_accepted


def test_a_revoked_device_is_cut_off_within_a_minute(access: Access) -> None:
    access.pair("device-lost")
    wait_until(lambda: is_let_in(access, "device-lost"), 20, "the new device is let in")
    with access.join("device-lost") as lost, access.join(OTHER) as other:
        began = time.monotonic()
        lost_boxes.revoke(access.context, "device-lost", reason="left in a train")
        wait_until(lambda: lost.is_gone, ONE_MINUTE_S, "cut off")
        assert lost.gone_at is not None
        assert lost.gone_at - began < ONE_MINUTE_S
        assert not is_let_in(access, "device-lost")
        assert not other.is_gone


def test_a_broker_that_lost_its_accounts_gets_them_again(mosquitto: Access) -> None:
    broker = mosquitto.broker
    assert broker is not None
    broker.kill()
    for kept in ("dynamic-security.json", "mosquitto.db"):
        (broker.folder / kept).unlink(missing_ok=True)
    # What was copied there at first, before any device was paired.
    (broker.folder / "dynamic-security.json").write_text(mosquitto.first_accounts)
    broker.start()
    wait_until(lambda: is_let_in(mosquitto, BOX), 30, "the box is let in again")
    assert not is_let_in(mosquitto, REVOKED)


def test_who_pairs_again_throws_the_former_box_out(access: Access) -> None:
    access.pair("device-twice")
    wait_until(lambda: is_let_in(access, "device-twice"), 20, "the first is let in")
    with access.join("device-twice") as first:
        former = access.passwords["device-twice"]
        access.pair_again("device-twice")
        wait_until(lambda: first.is_gone, ONE_MINUTE_S, "the former is cut off")
        wait_until(lambda: is_let_in(access, "device-twice"), 20, "the next is let in")
    tls = access.tls.get("device-twice")
    with Peer(access.port, "device-twice", former, tls=tls) as late:
        assert not late.is_accepted
