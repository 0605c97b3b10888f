"""The chains of devices, read newest epoch first, held against what is known of them beforehand.

Before a device's first record the caller has said: its keys, the gaps that were given up, and how
far each epoch stood when the server's log was last anchored.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from event_protocol.canonical import sha256_hex
from event_protocol.codec import Accepted, decode_event
from event_protocol.events import DeviceCheckpoint, DeviceStarted, EpochHead
from event_protocol.log_records import DeviceRecord, StreamBegins
from event_protocol.names import NO_HASH, DeviceId
from event_protocol.signing import checkpoint_statement, is_signed

OTHER_BYTES = "its bytes are not those that were hashed"
ANOTHER_CONTENT = "the record says other than its bytes"
NOT_FOLLOWING = "does not follow the record before it"
MISPLACED = "is not in its place"
# A checkpoint signs what directly precedes it; one that reaches back further is only compared with
# so many.
_RECENT = 1000

Stream = tuple[str, int]  # device, epoch
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Deviation:
    """One record that is not what was written, and how that shows."""

    log: str  # `server`, a device and its epoch, or `export`: there `sequence` is the line
    sequence: int
    what: str

    def __str__(self) -> str:
        return f"{self.log} #{self.sequence}: {self.what}"


class _Claim(NamedTuple):
    """How an epoch begins: behind that hash; `said`: where it says that the one before ended."""

    epoch: int
    prevhash: str
    said: EpochHead | None

    @property
    def end(self) -> Span | None:
        """Epoch and number of that end."""
        return None if self.said is None else (self.said.epoch, self.said.sequence)


@dataclass(slots=True)
class _Known:
    """What is known of an epoch before its records come."""

    given_up: list[Span] = field(default_factory=list)
    anchored: tuple[int, str] | None = None
    cut: tuple[int, str] | None = None  # the last of those dropped behind a signed checkpoint


class DeviceChains:
    """All devices' epochs in turn; records of one epoch come together, in the order of numbers."""

    def __init__(self) -> None:
        self._keys: dict[str, set[bytes]] = {}
        self._known: dict[Stream, _Known] = {}
        self._claims: list[_Claim] = []  # of the device in hand, not yet compared
        self._chain: _Chain | None = None

    @property
    def have_begun(self) -> bool:
        """Whether a first epoch was opened: what had to be known beforehand is known."""
        return self._chain is not None

    def add_key(self, device: str, public_key: bytes) -> None:
        """One of the keys that the device has paired with."""
        self._keys.setdefault(device, set()).add(public_key)

    def add_gap(self, stream: Stream, first: int, last: int) -> None:
        """Positions that never came."""
        self._known.setdefault(stream, _Known()).given_up.append((first, last))

    def add_head(self, stream: Stream, through: int, digest: str) -> None:
        """The epoch's record with that number had that hash; the latest said counts."""
        self._known.setdefault(stream, _Known()).anchored = (through, digest)

    def add_cut(self, stream: Stream, through: int, digest: str) -> None:
        """All up to that record, which had that hash, were dropped rightly; the latest counts."""
        self._known.setdefault(stream, _Known()).cut = (through, digest)

    def begin(self, stream: StreamBegins) -> Iterator[Deviation]:
        """An epoch's records follow."""
        yield from self._leave(stream.device)
        if self._chain is not None and not _is_behind(stream, self._chain.stream):
            yield Deviation(f"{stream.device}/{stream.epoch}", 1, "the epoch is not in its place")
        key = (stream.device, stream.epoch)
        known, keys = self._known.pop(key, _Known()), self._keys.get(stream.device, set())
        self._chain = _Chain(stream, known, keys)

    def take(self, record: DeviceRecord) -> Iterator[Deviation]:
        """What is wrong with this record, and with the way from the one before."""
        chain = self._chain
        if chain is None or (record.device, record.epoch) != chain.stream:
            place = f"{record.device}/{record.epoch}"
            yield Deviation(place, record.sequence, MISPLACED)
            return
        yield from chain.take(record)
        yield from self._settle_named(record)

    def end(self) -> Iterator[Deviation]:
        """After the last record: what was known to be there and never came."""
        yield from self._leave(None)
        for (device, epoch), known in sorted(self._known.items()):
            if known.anchored is not None:
                chain = _Chain(StreamBegins(device=device, epoch=epoch, receipted=0), known, set())
                yield from chain.end()

    def _leave(self, next_device: str | None) -> Iterator[Deviation]:
        """The epoch in hand has ended; if its device has too, nothing older will come."""
        chain = self._chain
        if chain is None:
            return
        yield from chain.end()
        yield from self._settle_ends(chain)
        if chain.opening is not None:
            self._claims.append(chain.opening)
        device = chain.stream[0]
        if next_device != device:
            for claim in self._claims:
                if not self._is_lost(device, claim):
                    yield _unfounded(device, claim)
            self._claims.clear()

    def _settle_named(self, record: DeviceRecord) -> Iterator[Deviation]:
        place = (record.epoch, record.sequence)
        for claim in [one for one in self._claims if one.end == place]:
            self._claims.remove(claim)
            if claim.prevhash != record.hash:
                yield _unfounded(record.device, claim)

    def _settle_ends(self, chain: "_Chain") -> Iterator[Deviation]:
        """Later epochs that follow this one's end, or say of it what it does not hold any more."""
        device, epoch = chain.stream
        waiting = [one for one in self._claims if one.said is None or one.said.epoch == epoch]
        for claim in waiting:
            self._claims.remove(claim)
            follows = chain.tip == claim.prevhash if claim.said is None else chain.excuses(claim)
            if not follows:
                yield _unfounded(device, claim)

    def _is_lost(self, device: str, claim: _Claim) -> bool:
        """Whether the old epoch is one of which nothing ever came."""
        said = claim.said
        known = None if said is None else self._known.get((device, said.epoch))
        if said is None or known is None:
            return False
        return claim.prevhash == said.hash and _is_within(said.sequence, known.given_up)


class _Chain:
    """One epoch of one device, taken record by record."""

    def __init__(self, begins: StreamBegins, known: _Known, keys: set[bytes]) -> None:
        self.stream = begins.device, begins.epoch
        self.tip = NO_HASH
        self.opening: _Claim | None = None
        self._known, self._keys, self._receipted = known, keys, begins.receipted
        self._expected = 1
        self._recent: deque[tuple[int, str]] = deque(maxlen=_RECENT)
        if known.cut is not None:
            self._recent.append(known.cut)
            self._expected, self.tip = known.cut[0] + 1, known.cut[1]
            if known.anchored == known.cut or (known.anchored or known.cut)[0] < known.cut[0]:
                known.anchored = None  # an epoch that was left behind is anchored only once

    def take(self, record: DeviceRecord) -> Iterator[Deviation]:
        """One record at its place, with all that can be told of it."""
        if record.sequence < self._expected:
            yield self._deviation(record.sequence, MISPLACED)
            return
        is_next = record.sequence == self._expected
        if not is_next:
            yield from self._missing(self._expected, record.sequence - 1)
        body, device = record.body.encode(), DeviceId(record.device)
        decoded = decode_event(device, body)
        read = decoded if isinstance(decoded, Accepted) else None
        if read is not None and record.sequence == 1:
            self.opening = _claim_of(read)
        elif read is not None and is_next and read.event.prevhash != self.tip:
            yield self._deviation(record.sequence, NOT_FOLLOWING)
        position = getattr(decoded, "position", None)
        if sha256_hex(body) != record.hash:
            yield self._deviation(record.sequence, OTHER_BYTES)
        elif position is None or (position.epoch, position.sequence) != (
            record.epoch,
            record.sequence,
        ):
            yield self._deviation(record.sequence, ANOTHER_CONTENT)
        if read is not None and isinstance(read.event.data, DeviceCheckpoint):
            yield from self._check(record.sequence, read.event.data)
        if self._known.anchored == (record.sequence, record.hash):
            self._known.anchored = None
        self._recent.append((record.sequence, record.hash))
        self._expected, self.tip = record.sequence + 1, record.hash

    def end(self) -> Iterator[Deviation]:
        """What was receipted or anchored and is not there any more."""
        anchored = self._known.anchored
        through = max(self._receipted, anchored[0] if anchored else 0)
        if through >= self._expected:
            yield from self._missing(self._expected, through)
        elif anchored is not None:
            yield self._deviation(anchored[0], "is not what the server's log anchored")

    def excuses(self, claim: _Claim) -> bool:
        """Whether what a later epoch names as this one's end is known to have been lost, or was
        dropped and the checkpoint says no other.
        """
        said, cut = claim.said, self._known.cut
        if said is None or claim.prevhash != said.hash:
            return False
        if cut is not None and said.sequence <= cut[0]:
            return said.sequence < cut[0] or said.hash == cut[1]
        return _is_within(said.sequence, self._known.given_up)

    def _missing(self, first: int, last: int) -> Iterator[Deviation]:
        """Positions that never came are a gap, known as such; others were taken away.

        A gap that is still waited for lies behind everything that was receipted or anchored.
        """
        anchored = self._known.anchored
        if first <= self._receipted:
            yield self._deviation(first, f"missing, up to {min(last, self._receipted)}")
            first = self._receipted + 1
        if anchored is not None and first <= min(last, anchored[0]):
            for begin, end in _without((first, min(last, anchored[0])), self._known.given_up):
                yield self._deviation(begin, f"missing, up to {end}")

    def _check(self, sequence: int, said: DeviceCheckpoint) -> Iterator[Deviation]:
        device, epoch = self.stream
        statement = checkpoint_statement(DeviceId(device), epoch, said.through, said.hash)
        if not any(is_signed(statement, said.signature, key) for key in self._keys):
            yield self._deviation(sequence, "the checkpoint is not signed by the device")
        elif dict(self._recent).get(said.through, said.hash) != said.hash:
            yield self._deviation(said.through, f"is not what the checkpoint at {sequence} signed")

    def _deviation(self, sequence: int, what: str) -> Deviation:
        device, epoch = self.stream
        return Deviation(f"{device}/{epoch}", sequence, what)


def _claim_of(first: Accepted) -> _Claim | None:
    """What an epoch's first event says of the one before; `None`: that it knows of none.

    A box that lost its disk, or never had another, begins anew.
    """
    event = first.event
    said = event.data.previous_epoch if isinstance(event.data, DeviceStarted) else None
    if said is None and event.prevhash == NO_HASH:
        return None
    return _Claim(event.epoch, event.prevhash, said)


def _unfounded(device: str, claim: _Claim) -> Deviation:
    return Deviation(f"{device}/{claim.epoch}", 1, NOT_FOLLOWING)


def _is_behind(stream: StreamBegins, former: Stream) -> bool:
    device, epoch = former
    return stream.device > device or (stream.device == device and stream.epoch < epoch)


def _is_within(sequence: int, spans: Iterable[Span]) -> bool:
    return any(first <= sequence <= last for first, last in spans)


def _without(span: Span, spans: Iterable[Span]) -> Iterator[Span]:
    """What of `span` none of the others covers."""
    begin, end = span
    for first, last in sorted(spans):
        if last < begin:
            continue
        if first > end:
            break
        if first > begin:
            yield begin, first - 1
        begin = last + 1
    if begin <= end:
        yield begin, end
