"""Reads both logs and names every record that is not what was written.

Found are altered, removed, inserted and reordered records: a device's chain by its hashes and by
the checkpoints that the device signed, the server's own chain by its hashes. Who can rewrite a
whole chain from some point to its end is found only by the signatures beyond that point.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson
from sqlmodel import Session

from central_server.domain.server_log import DevicePaired
from central_server.services.filing import Incoming, file_message
from central_server.storage import events as event_store
from central_server.storage import registry, server_log, streams
from central_server.storage.events import StoredEvent
from central_server.storage.streams import Head
from event_protocol.canonical import sha256_hex
from event_protocol.names import NO_HASH, DeviceId
from event_protocol.signing import checkpoint_statement, is_signed
from event_protocol.topics import Channel, topic_of

_CHECKPOINT = "onestop.device.checkpoint"
# What the row says beside its bytes, and the bytes say too.
_COPIED = ("device", "epoch", "sequence", "event_id", "type", "desk", "time", "prevhash")

Read = Callable[[], object]  # called for each record read, for a progress bar


@dataclass(frozen=True, slots=True)
class Deviation:
    """One record that is not what was written, and how that shows."""

    log: str  # `server`, or a device and its epoch
    sequence: int
    what: str

    def __str__(self) -> str:
        return f"{self.log} #{self.sequence}: {self.what}"


def count_records(db: Session) -> int:
    """How many `verify` reads."""
    return event_store.count(db) + server_log.count(db)


def verify(db: Session, read: Read = lambda: None) -> Iterator[Deviation]:
    """Every deviation, in the order of each log: the server's, then each device's epochs."""
    yield from _verify_server_log(db, read)
    keys = _keys_by_device(db)
    for device in event_store.list_devices(db):
        tip = NO_HASH  # an epoch goes on where the one before it ended
        for epoch in event_store.list_epochs(db, device):
            head = streams.find_head(db, (device, epoch))
            chain = _Chain(device, epoch, head, keys.get(device, set()), tip)
            for row in event_store.read_stream(db, device, epoch):
                read()
                yield from chain.take(row)
            yield from chain.end()
            tip = chain.tip


def _verify_server_log(db: Session, read: Read) -> Iterator[Deviation]:
    expected, tip = 1, NO_HASH
    for row in server_log.read_rows(db):
        read()
        body = orjson.loads(row.body)
        if row.sequence > expected:
            yield Deviation("server", expected, f"missing, up to {row.sequence - 1}")
        elif row.prevhash != tip:
            yield Deviation("server", row.sequence, "does not follow the record before it")
        if sha256_hex(row.body) != row.hash:
            yield Deviation("server", row.sequence, "its bytes are not those that were hashed")
        said = (
            body.get("sequence"),
            body.get("id"),
            body.get("prevhash"),
            body["data"].get("type"),
        )
        if said != (row.sequence, row.entry_id, row.prevhash, row.type):
            yield Deviation("server", row.sequence, "the row says other than its bytes")
        expected, tip = row.sequence + 1, row.hash


class _Chain:
    """One epoch of one device, taken row by row."""

    def __init__(
        self, device: str, epoch: int, head: Head | None, keys: set[str], tip: str
    ) -> None:
        self._device, self._epoch, self._head, self._keys = device, epoch, head, keys
        self._hashes: dict[int, str] = {}  # since the last checkpoint: what the next one may name
        self._expected = 1
        self.tip = tip

    def take(self, row: StoredEvent) -> Iterator[Deviation]:
        """What is wrong with this row, and with the way from the one before."""
        is_next = row.sequence == self._expected
        if not is_next:
            yield from self._missing(self._expected, row.sequence - 1)
        elif row.prevhash is not None and row.prevhash != self.tip and row.type is not None:
            yield self._deviation(row.sequence, "does not follow the record before it")
        if sha256_hex(row.body) != row.hash:
            yield self._deviation(row.sequence, "its bytes are not those that were hashed")
        elif _differs(row):
            yield self._deviation(row.sequence, "the row says other than its bytes")
        if row.type == _CHECKPOINT:
            yield from self._check(row)
        self._hashes[row.sequence] = row.hash
        self._expected, self.tip = row.sequence + 1, row.hash

    def end(self) -> Iterator[Deviation]:
        """What was receipted and is not there any more."""
        if self._head is not None and self._head.received_through >= self._expected:
            yield from self._missing(self._expected, self._head.received_through)

    def _missing(self, first: int, last: int) -> Iterator[Deviation]:
        """Positions that never came are a gap, known as such; those that were receipted are not."""
        receipted = 0 if self._head is None else self._head.received_through
        if first <= receipted:
            yield self._deviation(first, f"missing, up to {min(last, receipted)}")

    def _check(self, row: StoredEvent) -> Iterator[Deviation]:
        data = orjson.loads(row.body).get("data", {})
        through, digest = data.get("through"), data.get("hash")
        statement = checkpoint_statement(DeviceId(self._device), self._epoch, through, digest)
        signature = data.get("signature")
        if not any(is_signed(statement, signature, bytes.fromhex(key)) for key in self._keys):
            yield self._deviation(row.sequence, "the checkpoint is not signed by the device")
        elif self._hashes.get(through, digest) != digest:
            yield self._deviation(through, f"is not what the checkpoint at {row.sequence} signed")
        self._hashes.clear()

    def _deviation(self, sequence: int, what: str) -> Deviation:
        return Deviation(f"{self._device}/{self._epoch}", sequence, what)


def _differs(row: StoredEvent) -> bool:
    """Whether the columns that were copied out of the bytes still say the same.

    A row without a type was occupied by bad content: only its bytes speak.
    """
    again = file_message(
        Incoming(topic_of(DeviceId(row.device), Channel.EVENTS), row.body), row.received_at
    )
    if not isinstance(again, StoredEvent):
        return True
    if row.type is None:
        return again[:3] != row[:3] or (again.type is not None and row.event_id is not None)
    return any(getattr(again, name) != getattr(row, name) for name in _COPIED)


def _keys_by_device(db: Session) -> dict[str, set[str]]:
    """Every public key that a device ever paired with: old checkpoints bear the old key's mark."""
    keys: dict[str, set[str]] = {}
    for device in registry.list_devices(db):
        if device.public_key is not None:
            keys.setdefault(device.device_id, set()).add(device.public_key)
    for logged in server_log.read_after(db, 0):
        if isinstance(logged.entry, DevicePaired):
            keys.setdefault(logged.entry.device, set()).add(logged.entry.public_key)
    return keys
