"""From an event's publication to its flag on an inspector's open page, under a steady load.

A thousand events a second of simulated desks go through Mosquitto; among them a box reports a
complaint three times a second, each at another desk. The clock stops when the open page's stream
(server-sent events) brings the row with that desk's name.
"""

import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any, Self
from uuid import uuid4

import httpx
import yaml
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench.load import make_load, publish_in_other_process, write_load
from bench.report import Figure
from bench.server import PROBE, SERVER_USER, UNIT, make_context, probe_desk
from central_server.domain.permissions import Role
from central_server.services import accounts
from central_server.services.context import ServerContext
from event_protocol.codec import encode_event, hash_event
from event_protocol.events import (
    SOURCE_PREFIX,
    FeedbackChannel,
    FeedbackSubmitted,
    FeedbackSubmittedEvent,
)
from event_protocol.feedback import FeedbackContent, content_digest, make_salt
from event_protocol.names import NO_HASH, floor_to_quarter
from event_protocol.sealing import seal
from event_protocol.topics import Channel, topic_of
from tests.processes.mosquitto import Mosquitto
from tests.processes.ports import free_port, wait_until
from tests.processes.program import Program

PER_SECOND = 1000
SECONDS = 25
WARM_UP_S = 4
PROBES = 50
PROBE_EVERY_S = 0.33
DEVICES = 20
LATE_S = 20.0
PASSWORD = "measured under load"  # noqa: S105 - of a throw-away server
_DESK = re.compile(r"probe-\d+")


def measure(folder: Path) -> list[Figure]:
    """Median and 95th percentile of the probes, in seconds."""
    users = {SERVER_USER: SERVER_USER}
    settings = "max_inflight_messages 4000"
    with Mosquitto(folder / "broker", users, settings=settings) as broker:
        context = make_context(
            folder / "server", folder / "server", broker.port, DEVICES, probes=PROBES
        )
        accounts.create_user(
            context, user_id="lead", password=PASSWORD, role=Role.LEAD_INSPECTOR, unit_id=UNIT
        )
        load = folder / "load"
        write_load(make_load(DEVICES, PER_SECOND * SECONDS, context.keys.sealing_public), load)
        with _serve(folder, context) as url, _OpenPage(url) as page:
            publisher = publish_in_other_process(
                load, broker.port, SERVER_USER, SERVER_USER, PER_SECOND
            )
            time.sleep(WARM_UP_S)
            sent = _send_probes(context, broker.port)
            wait_until(lambda: page.seen.keys() >= sent.keys(), LATE_S, "all flags seen")
            publisher.wait(SECONDS)
    waits = [page.seen[desk] - at for desk, at in sent.items()]
    cuts = quantiles(waits, n=20)
    note = f"{PROBES} complaints among {PER_SECOND} events/s"
    return [
        Figure("event to visible flag, p50", cuts[9], "s", note=note),
        Figure("event to visible flag, p95", cuts[18], "s", 1.0, is_limit=True, note=note),
    ]


@contextmanager
def _serve(folder: Path, context: ServerContext) -> Iterator[str]:
    """The real server in a process of its own, on the prepared database."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    web = context.settings.web.model_copy(update={"port": port, "public_url": url})
    broker = context.settings.broker.model_dump() | {"password": SERVER_USER}
    settings = context.settings.model_copy(update={"web": web})
    content = settings.model_dump(mode="json", exclude_none=True) | {"broker": broker}
    file = folder / "server.yaml"
    file.write_text(yaml.safe_dump(_without_none(content)))
    command = [sys.executable, "-m", "central_server", "serve", "--config", str(file)]
    with Program(command, folder / "server.log") as server:
        wait_until(lambda: _is_ready(url) or not server.is_running, 60, "the server is ready")
        yield url


def _without_none(content: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in content.items()
        if value is not None
    }


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


class _OpenPage:
    """An inspector's open list of flags; `seen` says when each probe's desk appeared on it."""

    def __init__(self, url: str) -> None:
        self.seen: dict[str, float] = {}
        self._browser = httpx.Client(base_url=url, timeout=60)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._is_closing = False

    def __enter__(self) -> Self:
        answer = self._browser.post("/api/v1/session", json={"user": "lead", "password": PASSWORD})
        answer.raise_for_status()
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closing = True
        self._reader.join(LATE_S)
        self._browser.close()

    def _read(self) -> None:
        with self._browser.stream("GET", "/flags/stream") as answer:
            for line in answer.iter_lines():
                if self._is_closing:
                    return
                found = _DESK.search(line)
                if found is not None:
                    self.seen.setdefault(found[0], time.monotonic())


def _send_probes(context: ServerContext, port: int) -> dict[str, float]:
    """When each probe left, by desk."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    client.username_pw_set(SERVER_USER, SERVER_USER)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent, head = {}, NO_HASH
    for number in range(PROBES):
        payload = _make_complaint(context, number, head)
        head = hash_event(payload)
        sent[probe_desk(number)] = time.monotonic()
        client.publish(topic_of(PROBE, Channel.EVENTS), payload, qos=1)
        time.sleep(PROBE_EVERY_S)
    client.disconnect()
    client.loop_stop()
    return {str(desk): at for desk, at in sent.items()}


def _make_complaint(context: ServerContext, number: int, head: str) -> bytes:
    now = context.now()
    content = FeedbackContent(salt=make_salt(), at=now, rating=1)
    event = FeedbackSubmittedEvent(
        id=uuid4(),
        source=SOURCE_PREFIX + PROBE,
        subject=probe_desk(number),
        time=floor_to_quarter(now),
        sequence=number + 1,
        epoch=1,
        boot=1,
        prevhash=head,
        data=FeedbackSubmitted(channel=FeedbackChannel.KIOSK, digest=content_digest(content)),
        sealed=seal(content, context.keys.sealing_public),
    )
    return encode_event(event)
