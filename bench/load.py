"""What the rates are measured with: real events of simulated desks, encoded beforehand.

They are put into the broker's queue before the clock starts, so neither the publisher nor its share
of the processor is measured, only how fast the far side takes them.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from central_server.clock import read_clock
from central_server.simulation.fleet import DeviceChain, SimulatedDevice
from central_server.simulation.habits import HONEST
from central_server.simulation.visits import Span
from event_protocol.names import DeskId, DeviceId
from event_protocol.topics import Channel, topic_of

SEED = 1
# So long ago, no further: the server takes times that lie months back for a wrong clock's, and
# derives little from them.
DAYS_AGO = 30
LONGEST_PUBLISH_S = 120


def bench_desk(number: int) -> tuple[DeviceId, DeskId]:
    """Device and desk of that number."""
    return DeviceId(f"bench-box-{number}"), DeskId(f"bench-desk-{number}")


def first_day() -> datetime:
    """When the load begins."""
    today = read_clock().replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=DAYS_AGO)


def opening_of(_desk: DeskId, day: date) -> Sequence[Span]:
    """Open on each day of the week: the bench wants events, not weekends."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    hour = timedelta(hours=1)
    return (
        Span(begin, begin + 4.5 * hour),
        Span(begin + 6.5 * hour, begin + 10 * hour),
    )


def make_load(devices: int, events: int, sealing_public: bytes) -> list[tuple[str, bytes]]:
    """Topic and payload of `events` events, the devices taking turns as they would."""
    chains, begin = [], first_day()
    for number in range(devices):
        device, desk = bench_desk(number)
        chain = DeviceChain(SimulatedDevice(device, ((desk, HONEST),)), SEED, begin, sealing_public)
        made = (
            (topic_of(device, Channel.EVENTS), event.payload)
            for day in range(10_000)
            for event in chain.make_day((begin + timedelta(days=day)).date(), opening_of)
        )
        chains.append(list(islice(made, -(-events // devices))))
    return [message for turn in zip(*chains, strict=True) for message in turn][:events]


def write_load(load: Sequence[tuple[str, bytes]], file: Path) -> None:
    """One message a line; payloads are JSON and hold no line end."""
    with file.open("wb") as out:
        out.writelines(topic.encode() + b"\t" + payload + b"\n" for topic, payload in load)


def publish_in_other_process(
    file: Path, port: int, user: str, password: str, per_second: float = 0
) -> "subprocess.Popen[bytes]":
    """Start to publish that file's messages; ends when the broker has acknowledged all of them."""
    arguments = [sys.executable, "-m", "bench.load", file, port, user, password, per_second]
    return subprocess.Popen([str(argument) for argument in arguments])  # noqa: S603 - ourselves


def _publish(file: Path, port: int, user: str, password: str, per_second: float) -> None:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    client.username_pw_set(user, password)
    client.max_inflight_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    pace = Pace(per_second)
    last = None
    for line in file.read_bytes().splitlines():
        topic, _, payload = line.partition(b"\t")
        pace.wait()
        last = client.publish(topic.decode(), payload, qos=1)
    if last is not None:
        last.wait_for_publish(LONGEST_PUBLISH_S)
    client.disconnect()
    client.loop_stop()


class Pace:
    """Spreads messages evenly over time; 0 a second: as fast as possible."""

    def __init__(self, per_second: float) -> None:
        self._step_s = 1 / per_second if per_second else 0.0
        self._due = time.monotonic()

    def wait(self) -> None:
        """Return when the next message is due; lateness is made up, never dropped."""
        self._due += self._step_s
        left = self._due - time.monotonic()
        if left > 0:
            time.sleep(left)


if __name__ == "__main__":
    _file, _port, _user, _password, _rate = sys.argv[1:]
    _publish(Path(_file), int(_port), _user, _password, float(_rate))
