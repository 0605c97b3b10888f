"""Build and parse every MQTT topic; no topic string exists elsewhere."""

import re
from enum import StrEnum

from event_protocol.names import NAME_PATTERN, DeviceId

ROOT = "onestop/v1"


class Channel(StrEnum):
    """What a topic carries, and in which direction."""

    EVENTS = "events"  # edge -> server, one event a message
    STATUS = "status"  # edge -> server, retained, and the last will
    TELEMETRY = "telemetry"  # edge -> server, QoS 0
    RECEIPTS = "receipts"  # server -> edge, signed
    COMMANDS = "commands"  # server -> edge, signed


FROM_DEVICE = frozenset({Channel.EVENTS, Channel.STATUS, Channel.TELEMETRY})
TO_DEVICE = frozenset({Channel.RECEIPTS, Channel.COMMANDS})

_TOPIC = re.compile(rf"{ROOT}/(?P<device>[^/]+)/(?P<channel>[a-z]+)")
_NAME = re.compile(NAME_PATTERN)


def topic_of(device: DeviceId, channel: Channel) -> str:
    """The topic of one device's channel."""
    return f"{ROOT}/{device}/{channel}"


def topics_of_all(channel: Channel) -> str:
    """The subscription filter for that channel of every device."""
    return f"{ROOT}/+/{channel}"


def parse_topic(topic: str) -> tuple[DeviceId, Channel] | None:
    """Whose topic it is and what it carries; `None` if it is none of ours."""
    match = _TOPIC.fullmatch(topic)
    if match is None or not _NAME.fullmatch(match["device"]):
        return None
    try:
        return DeviceId(match["device"]), Channel(match["channel"])
    except ValueError:
        return None


def may_publish(device: DeviceId, topic: str) -> bool:
    """Whether a device may publish there: under its own name, upwards only (the broker's ACL)."""
    parsed = parse_topic(topic)
    return parsed is not None and parsed[0] == device and parsed[1] in FROM_DEVICE


def may_subscribe(device: DeviceId, topic: str) -> bool:
    """Whether a device may read there: its own name, downwards only, no wildcard."""
    parsed = parse_topic(topic)
    return parsed is not None and parsed[0] == device and parsed[1] in TO_DEVICE


def server_may_publish(topic: str) -> bool:
    """Whether the server may publish there: to a device, downwards only."""
    parsed = parse_topic(topic)
    return parsed is not None and parsed[1] in TO_DEVICE


def server_may_subscribe(topic: str) -> bool:
    """Whether the server may subscribe to that: one upward channel of all devices."""
    return any(topic == topics_of_all(channel) for channel in FROM_DEVICE)


def server_may_receive(topic: str) -> bool:
    """Whether what was published there may reach the server."""
    parsed = parse_topic(topic)
    return parsed is not None and parsed[1] in FROM_DEVICE
