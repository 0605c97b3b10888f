"""`python -m tests.faults.storm_boxes FILE PORT`: hundreds of boxes with full outboxes.

As light as they can be: one loop, MQTT 3.1.1 by hand. But events have the outbox's own form and
chain, and the agent's own window says which go next. FILE holds what pairing would have told them
(JSON). Ends when each box has the server's signed receipt for all that it holds.
"""

import asyncio
import json
import random
import struct
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

from edge_agent.delivery.chaining import ChainTip, chain
from edge_agent.delivery.send_window import SendWindow
from event_protocol.messages import RECEIPT, decode_signed
from event_protocol.names import NO_HASH, DeskId, DeviceId
from event_protocol.topics import Channel, topic_of
from tests.faults.boxes import say_days

WINDOW, RESEND_AFTER_S, AT_ONCE = 500, 10.0, 100  # as the agent's
KEEPALIVE_S = 60
CONNECT_WITHIN_S = 10.0
LONGEST_PAUSE_S = 8.0  # before the next try; by chance, as the agent's
_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _PING = 0x10, 0x20, 0x32, 0x40, 0x82, 0xC0


def fill_outbox(device: str, seed: str, events: int, begin: datetime, key: bytes) -> list[bytes]:
    """So many events of that box as they would be published, in order."""
    told = say_days(DeskId(f"desk-{device}"), f"{seed}/{device}", begin, key)
    tip = ChainTip(DeviceId(device), 1, 1, 0, NO_HASH)
    bodies = []
    for said in islice(told, events):
        tip, (event,) = chain(tip, [said.statement], clock_offset_ms=0, event_id=said.event_id)
        bodies.append(event.body)
    return bodies


class StormBox:
    """One box: connects, publishes under its window, comes back whenever it is thrown out."""

    def __init__(self, device: str, password: str, bodies: list[bytes], server_key: bytes) -> None:
        self.device, self._password, self._bodies = DeviceId(device), password, bodies
        self._server_key = server_key
        self._window = SendWindow(WINDOW, RESEND_AFTER_S, random.SystemRandom().random)
        self._receipted = self._packet = 0

    async def deliver(self, port: int) -> None:
        """Until all has its receipt."""
        while self._receipted < len(self._bodies):
            await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_S))  # noqa: S311 - a pause
            try:
                await self._connect(port)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                continue

    async def _connect(self, port: int) -> None:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                writer.write(self._hello())
                kind = await _read_kind(reader)
                await _read_content(reader)
            if kind & 0xF0 != _CONNACK:
                raise ConnectionRefusedError
            topic = topic_of(self.device, Channel.RECEIPTS)
            writer.write(_packet(_SUBSCRIBE, b"\0\1" + _text(topic) + b"\1"))
            self._window.rewind()
            while self._receipted < len(self._bodies):
                await self._publish(writer)
                await self._listen(reader, writer)
        finally:
            writer.close()

    async def _publish(self, writer: asyncio.StreamWriter) -> None:
        topic = _text(topic_of(self.device, Channel.EVENTS))
        while span := self._window.take_span(
            self._receipted, len(self._bodies), time.monotonic(), AT_ONCE
        ):
            for body in self._bodies[span[0] - 1 : span[1]]:
                self._packet = self._packet % 65_535 + 1
                writer.write(_packet(_PUBLISH, topic + struct.pack("!H", self._packet) + body))
            await writer.drain()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(1):
                kind = await _read_kind(reader)
        except TimeoutError:
            writer.write(_packet(_PING, b""))
            return
        content = await _read_content(reader)
        if kind & 0xF0 != _PUBLISH & 0xF0:
            return
        start = 2 + int.from_bytes(content[:2])
        if kind & 0x06:
            writer.write(_packet(_PUBACK, content[start : start + 2]))
            start += 2
        receipt = decode_signed(self.device, RECEIPT, content[start:], self._server_key)
        if receipt is not None and receipt.through > self._receipted:
            self._receipted = receipt.through
            self._window.note_progress(time.monotonic())
        if receipt is not None and receipt.resend is not None:
            self._window.request(receipt.resend, len(self._bodies))

    def _hello(self) -> bytes:
        name = _text(self.device)
        head = _text("MQTT") + bytes([4, 0xC0]) + struct.pack("!H", KEEPALIVE_S)
        return _packet(_CONNECT, head + name + name + _text(self._password))


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("!H", len(raw)) + raw


def _packet(kind: int, content: bytes) -> bytes:
    size, length = len(content), bytearray()
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (0x80 if size else 0))
        if not size:
            return bytes([kind]) + bytes(length) + content


async def _read_kind(reader: asyncio.StreamReader) -> int:
    return (await reader.readexactly(1))[0]


async def _read_content(reader: asyncio.StreamReader) -> bytes:
    """The rest of a packet; one that is broken off raises `IncompleteReadError`."""
    size = shift = 0
    while True:
        digit = (await reader.readexactly(1))[0]
        size |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            return await reader.readexactly(size)


async def _deliver_all(boxes: Iterator[StormBox], port: int) -> None:
    await asyncio.gather(*(box.deliver(port) for box in boxes))


def main() -> None:
    """Exit code 0 once all has its receipt."""
    told = json.loads(Path(sys.argv[1]).read_text())
    begin, key = datetime.fromisoformat(told["begin"]), bytes.fromhex(told["sealing_key"])
    server_key = bytes.fromhex(told["signing_key"])
    boxes = [
        StormBox(
            device,
            told["password"],
            fill_outbox(device, told["seed"], told["events"], begin, key),
            server_key,
        )
        for device in told["devices"]
    ]
    Path(sys.argv[1]).with_suffix(".ready").touch()
    while not Path(sys.argv[1]).with_suffix(".go").exists():
        time.sleep(0.1)
    asyncio.run(_deliver_all(iter(boxes), int(sys.argv[2])))


if __name__ == "__main__":
    main()
