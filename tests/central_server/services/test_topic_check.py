"""The server's own check of every topic, whatever a broker lets through: who is believed where."""

from itertools import product
from pathlib import Path

import pytest

from central_server.services import device_links, ingest, lost_boxes
from central_server.services.context import ServerContext
from central_server.services.device_links import LinkNews
from central_server.services.filing import Incoming
from central_server.storage import events, registry
from central_server.storage.unit_of_work import Database
from event_protocol.examples import example_status, example_telemetry
from event_protocol.messages import encode_message
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, topic_of
from tests.central_server.factories import EdgeChain, make_context, register_device

OWN, OTHER, REVOKED, UNKNOWN = "device-a", "device-b", "device-r", "device-x"
DEVICES = (OWN, OTHER, REVOKED, UNKNOWN)
ODD_TOPICS = (
    "",
    "#",
    "onestop/v1/+/events",
    "onestop/v1/device-a/events/x",
    "onestop/v2/device-a/events",
)


@pytest.fixture
def context(database: Database, tmp_path: Path) -> ServerContext:
    for device in (OWN, OTHER, REVOKED):
        register_device(database, device, desks=())
    made = make_context(database, tmp_path)
    lost_boxes.revoke(made, REVOKED, reason="a test")
    return made


def is_filed(context: ServerContext, topic: str, sender: str) -> bool:
    """Whether the sender's first event is in the log after it came on that topic."""
    event = EdgeChain(sender).presence()
    ingest.append(context, [Incoming(topic, event.payload)])
    with context.database.reading() as db:
        return bool(events.find_hashes(db, [(sender, 1, 1)]))


@pytest.mark.parametrize(("device", "channel"), list(product(DEVICES, Channel)))
def test_an_event_is_filed_only_from_an_active_device_on_its_own_topic(
    context: ServerContext, device: str, channel: Channel
) -> None:
    topic = topic_of(DeviceId(device), channel)
    for sender in DEVICES:
        may_be = channel is Channel.EVENTS and sender == device and sender in (OWN, OTHER)
        assert is_filed(context, topic, sender) == may_be, sender


@pytest.mark.parametrize("topic", ODD_TOPICS)
def test_no_event_is_filed_from_elsewhere(context: ServerContext, topic: str) -> None:
    assert not any(is_filed(context, topic, sender) for sender in DEVICES)


@pytest.mark.parametrize("retained", [False, True])
@pytest.mark.parametrize("device", DEVICES)
def test_health_counts_only_of_active_devices(
    context: ServerContext, device: str, retained: bool
) -> None:
    for channel, message in (
        (Channel.STATUS, example_status()),
        (Channel.TELEMETRY, example_telemetry()),
    ):
        said = Incoming(topic_of(DeviceId(device), channel), encode_message(message))
        device_links.take(context, [LinkNews(said, retained)])
    with context.database.reading() as db:
        known = {row.device_id: row for row in registry.list_devices(db)}
    touched = {name for name, row in known.items() if row.telemetry or row.link is not None}
    assert touched == ({device} & {OWN, OTHER})
