"""What devices say of themselves beside events: births, last wills, telemetry."""

from collections.abc import Iterable
from dataclasses import dataclass

from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.storage import registry
from central_server.storage.streams import Stream
from event_protocol.messages import DeviceStatus, Link, Telemetry, decode_message
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, parse_topic


@dataclass(frozen=True, slots=True)
class LinkNews:
    """A status or telemetry message; `retained` ones may be old and say nothing of now."""

    message: Incoming
    retained: bool


def take(context: ServerContext, news: Iterable[LinkNews]) -> list[Stream]:
    """Stores them; returns the streams of devices that just came online.

    What is malformed or from an unknown device is dropped: these messages carry no duty to answer.
    """
    now = context.now()
    readable = [one for item in news if (one := _read(item)) is not None]
    if not readable:
        return []
    came_online: list[Stream] = []
    with context.database.transaction() as db:
        known = registry.find_active_devices(db, {device for device, _, _ in readable})
        heard: set[str] = set()
        for device, content, retained in readable:
            if device not in known:
                continue
            # A will is the broker's word, not the device's.
            is_own_word = not (isinstance(content, DeviceStatus) and content.status is Link.OFFLINE)
            if is_own_word and not retained:
                heard.add(device)
            if isinstance(content, Telemetry):
                registry.mark_telemetry(db, device, content.model_dump(mode="json"), now)
            elif registry.mark_link(db, device, content) and is_own_word:
                came_online.append((device, content.epoch))
        registry.mark_heard(db, heard, now)
    return came_online


def _read(item: LinkNews) -> tuple[DeviceId, DeviceStatus | Telemetry, bool] | None:
    parsed = parse_topic(item.message.topic)
    if parsed is None:
        return None
    device, channel = parsed
    model: type[DeviceStatus] | type[Telemetry] = (
        DeviceStatus if channel is Channel.STATUS else Telemetry
    )
    content = decode_message(model, item.message.payload)
    return None if content is None else (device, content, item.retained)
