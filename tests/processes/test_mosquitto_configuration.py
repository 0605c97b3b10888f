"""configs/mosquitto/ on a real broker: TLS, passwords, and each device under its own name only."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from event_protocol.names import DeviceId
from event_protocol.topics import Channel, may_publish, may_subscribe, topic_of
from tests.processes.certificates import make_certificate
from tests.processes.mosquitto import DAEMON
from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.program import Program

BOX, OTHER, SERVER = DeviceId("desk-box-01"), DeviceId("desk-box-02"), "central-server"
PASSWORD = "only-for-this-test"
TOPICS = [topic_of(device, channel) for device in (BOX, OTHER) for channel in Channel]


@pytest.fixture(scope="module")
def broker(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, int]]:
    """The committed configuration, with this machine's places in the stead of the container's."""
    folder, configs = tmp_path_factory.mktemp("mosquitto"), repository / "configs" / "mosquitto"
    make_certificate(folder)
    (folder / "passwords").touch(mode=0o600)
    for name in (BOX, OTHER, SERVER):
        subprocess.run(["mosquitto_passwd", "-b", folder / "passwords", name, PASSWORD], check=True)
    port = free_port()
    text = (configs / "mosquitto.conf").read_text()
    for theirs, ours in {
        "listener 8883": f"listener {port} localhost",
        "/run/secrets/mosquitto_passwords": str(folder / "passwords"),
        "/run/secrets/broker_ca": str(folder / "certificate"),
        "/run/secrets/broker_certificate": str(folder / "certificate"),
        "/run/secrets/broker_key": str(folder / "key"),
        "/mosquitto/config/acl.conf": str(configs / "acl.conf"),
        "/mosquitto/data/": f"{folder}/",
    }.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    # Started as root it would otherwise change to a user who can't read the folder.
    (folder / "mosquitto.conf").write_text(text + "user root\n")
    assert DAEMON is not None, "mosquitto is not installed (apt install mosquitto)"
    with Program([DAEMON, "-c", folder / "mosquitto.conf"], folder / "log").start() as program:
        wait_until(lambda: is_listening(port) or not program.is_running, 10, "Mosquitto listens")
        assert program.is_running, program.output
        yield folder / "certificate", port


class Peer:
    """A connected client that remembers the topics it heard; paho's thread writes, tests wait."""

    def __init__(self, broker: tuple[Path, int], name: str) -> None:
        certificate, port = broker
        self.heard: set[str] = set()
        self.subscribed = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
        self.client.username_pw_set(name, PASSWORD)
        self.client.tls_set(str(certificate))
        self.client.on_message = lambda _c, _u, message: self.heard.add(message.topic)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.connect("localhost", port)
        self.client.loop_start()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        # Without these two nothing holds the client, and it closes its sockets itself.
        self.client.on_message = self.client.on_subscribe = None

    def listen(self, topics: list[str]) -> None:
        self.client.subscribe([(topic, 1) for topic in topics])
        assert self.subscribed.wait(10)

    def publish(self, topics: list[str]) -> None:
        for topic in topics:
            self.client.publish(topic, b"x", qos=1).wait_for_publish(10)


@pytest.mark.processes
def test_a_device_is_heard_on_its_own_upward_topics_only(broker: tuple[Path, int]) -> None:
    with Peer(broker, SERVER) as server, Peer(broker, BOX) as box:
        server.listen(["onestop/v1/#"])
        box.publish([*TOPICS, topic_of(BOX, Channel.EVENTS)])
        allowed = {topic for topic in TOPICS if may_publish(BOX, topic)}
        wait_until(lambda: server.heard >= allowed, 10, "the server hears the box")
        assert server.heard == allowed


@pytest.mark.processes
def test_a_device_hears_its_own_downward_topics_only(broker: tuple[Path, int]) -> None:
    with Peer(broker, SERVER) as server, Peer(broker, BOX) as box:
        box.listen(["#", *TOPICS])
        # The box's own comes last: when it is heard, the others would have been.
        own_last = sorted(TOPICS, key=lambda topic: may_subscribe(BOX, topic))
        server.publish(own_last)
        allowed = {topic for topic in TOPICS if may_subscribe(BOX, topic)}
        wait_until(lambda: box.heard >= allowed, 10, "the box hears the server")
        assert box.heard == allowed
