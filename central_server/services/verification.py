"""Reads both logs and names every record that is not what was written.

Found are altered, removed, inserted and reordered records: a device's chain by its hashes and by
the checkpoints that the device signed, the end of an epoch by what the next one says of it, the
server's own chain by its hashes. Who can rewrite a whole chain from some point to its end is found
only by the signatures beyond that point.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError
from sqlmodel import Session

from central_server.domain.server_log import DevicePaired
from central_server.services.filing import Incoming, file_message, previous_epoch
from central_server.services.log_projector import LOG_STREAM
from central_server.storage import events as event_store
from central_server.storage import registry, server_log, streams
from central_server.storage.events import StoredEvent
from central_server.storage.streams import Head
from central_server.storage.tables import ServerLogRow
from event_protocol.canonical import sha256_hex
from event_protocol.events import DeviceCheckpoint, EpochHead
from event_protocol.names import NO_HASH, DeviceId
from event_protocol.signing import checkpoint_statement, is_signed
from event_protocol.topics import Channel, topic_of

_CHECKPOINT = "onestop.device.checkpoint"
_PAIRED = DevicePaired.model_fields["type"].default
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
    keys = keys_by_device(db)
    for device in event_store.list_devices(db):
        tip = NO_HASH
        for epoch in event_store.list_epochs(db, device):
            head = streams.find_head(db, (device, epoch))
            chain = _Chain(device, epoch, head, keys.get(device, set()), tip)
            for row in event_store.read_stream(db, device, epoch):
                read()
                if row.sequence == 1:
                    chain.tip = _tip_before(db, row, tip)
                yield from chain.take(row)
            yield from chain.end()
            tip = chain.tip


def _tip_before(db: Session, first: StoredEvent, tip: str) -> str:
    """The hash that an epoch's first event must follow: `tip`, where the one before it ended.

    What the old epoch lost with its outbox was given up, and can't be compared.
    """
    said = _previous_epoch(first)
    if said is None:
        # A box that lost its disk knows of no epoch before, and says so.
        return NO_HASH if first.prevhash == NO_HASH else tip
    place = (first.device, said.epoch, said.sequence)
    there = event_store.find_hashes(db, [place]).get(place)
    if there is not None:
        return there
    before = streams.find_head(db, (first.device, said.epoch))
    lost = [] if before is None else before.given_up
    return said.hash if any(a <= said.sequence <= b for a, b in lost) else tip


def _previous_epoch(first: StoredEvent) -> EpochHead | None:
    """As it says; `None` if its bytes were altered beyond reading, which is named elsewhere."""
    try:
        return previous_epoch(first.type, first.body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _verify_server_log(db: Session, read: Read) -> Iterator[Deviation]:
    expected, tip = 1, NO_HASH
    for row in server_log.read_rows(db):
        read()
        if row.sequence > expected:
            yield Deviation("server", expected, f"missing, up to {row.sequence - 1}")
        elif row.prevhash != tip:
            yield Deviation("server", row.sequence, "does not follow the record before it")
        if sha256_hex(row.body) != row.hash:
            yield Deviation("server", row.sequence, "its bytes are not those that were hashed")
        if not _says_the_same(row):
            yield Deviation("server", row.sequence, "the row says other than its bytes")
        expected, tip = row.sequence + 1, row.hash
    projected = streams.find_head(db, LOG_STREAM)
    if projected is not None and projected.received_through >= expected:
        what = f"missing, up to {projected.received_through}"
        yield Deviation("server", expected, what)


def _says_the_same(row: ServerLogRow) -> bool:
    """Whether the columns of an entry's row are those of its bytes."""
    body = _mapping(row.body)
    data = body.get("data")
    kind = data.get("type") if isinstance(data, dict) else None
    said = (body.get("sequence"), body.get("id"), body.get("prevhash"), kind)
    return said == (row.sequence, row.entry_id, row.prevhash, row.type)


def _mapping(body: bytes) -> dict[str, Any]:
    """The JSON object in those bytes; empty if they were altered into something else."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def content_of_entry(row: ServerLogRow) -> Any:
    """What an entry's bytes say, whatever was done to them."""
    return _mapping(row.body).get("data")


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
        try:
            said = DeviceCheckpoint.model_validate(_mapping(row.body).get("data"))
        except ValidationError:
            self._hashes.clear()
            yield self._deviation(row.sequence, "the checkpoint can't be read")
            return
        through, digest, signature = said.through, said.hash, said.signature
        statement = checkpoint_statement(DeviceId(self._device), self._epoch, through, digest)
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


def keys_by_device(db: Session) -> dict[str, set[str]]:
    """Every public key that a device ever paired with: old checkpoints bear the old key's mark."""
    keys: dict[str, set[str]] = {}
    for device in registry.list_devices(db):
        if device.public_key is not None:
            keys.setdefault(device.device_id, set()).add(device.public_key)
    for row in server_log.read_rows(db):
        if row.type == _PAIRED:
            try:
                paired = DevicePaired.model_validate(content_of_entry(row))
            except ValidationError:
                continue  # altered: named when the server's log is read
            keys.setdefault(paired.device, set()).add(paired.public_key)
    return keys
