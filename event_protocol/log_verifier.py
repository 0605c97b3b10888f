"""Reads the records of a log in order and names each that is not what was written.

Found are altered, removed, inserted and reordered records: each chain by its hashes, a device's
also by the checkpoints it signed, an epoch's end by what the next one says of it, the server's log
and the end of each epoch by the daily signed heads. Who can rewrite a chain from some point to its
end is found by the signatures beyond that point: if need be, of a head that was kept elsewhere.

Remembers a few values for each device and epoch, and nothing for each record.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import orjson

from event_protocol.canonical import sha256_hex
from event_protocol.device_chains import (
    ANOTHER_CONTENT,
    MISPLACED,
    NOT_FOLLOWING,
    OTHER_BYTES,
    Deviation,
    DeviceChains,
)
from event_protocol.log_records import LogRecord, ServerEntry, StreamBegins
from event_protocol.names import NO_HASH
from event_protocol.server_heads import KeyHandover, SignedHead

SERVER = "server"
FORGED_HEAD = "the signed head is not what was signed"
UNKNOWN_KEY = "the head is signed with a key that no trusted one vouches for"


class LogVerifier:
    """Takes records as `log_records` orders them; what is wrong comes back, at the latest at `end`.

    `trusted`: public keys of the server (hex) that are known from elsewhere; `heads`: copies of
    signed heads that were kept elsewhere.
    """

    def __init__(self, trusted: Collection[str], heads: Iterable[SignedHead] = ()) -> None:
        self._trusted = set(trusted)
        self._vouched_for: dict[str, set[str]] = {}  # by keys that are not yet trusted themselves
        self._signed_with: dict[str, int] = {}  # such keys, and the first entry they signed
        self._heads = sorted(heads, key=lambda head: head.through)
        self._expected, self._tip = 1, NO_HASH
        self._devices = DeviceChains()
        self._cuts: dict[int, list[Any]] = {}  # by entry: dropped events that nothing signs yet

    def take(self, record: LogRecord) -> Iterator[Deviation]:
        """What is wrong with this record, or shows by it of those before."""
        if isinstance(record, ServerEntry):
            yield from self._take_entry(record)
        elif isinstance(record, StreamBegins):
            yield from self._devices.begin(record)
        else:
            yield from self._devices.take(record)

    def end(self) -> Iterator[Deviation]:
        """What is missing at the ends, and which signatures nobody can vouch for."""
        yield from self._devices.end()
        for head in self._heads:
            yield Deviation(SERVER, self._expected, f"missing, up to {head.through}")
        for key, sequence in self._signed_with.items():
            if key not in self._trusted:
                yield Deviation(SERVER, sequence, UNKNOWN_KEY)

    def trusts(self, key: str) -> bool:
        """Whether that key of the server is trusted, or vouched for by one that is."""
        return key in self._trusted

    def _take_entry(self, entry: ServerEntry) -> Iterator[Deviation]:
        content = read_mapping(entry.body.encode())
        if entry.sequence < self._expected or self._devices.have_begun:
            yield _deviation(entry, MISPLACED)
            return
        if entry.sequence > self._expected:
            missing = f"missing, up to {entry.sequence - 1}"
            yield Deviation(SERVER, self._expected, missing)
        elif content.get("prevhash") != self._tip:
            yield _deviation(entry, NOT_FOLLOWING)
        if sha256_hex(entry.body.encode()) != entry.hash:
            yield _deviation(entry, OTHER_BYTES)
        elif content.get("sequence") != entry.sequence:
            yield _deviation(entry, ANOTHER_CONTENT)
        yield from self._compare_heads(entry)
        data = content.get("data")
        if isinstance(data, dict):
            yield from self._heed(entry, data)
        self._expected, self._tip = entry.sequence + 1, entry.hash

    def _compare_heads(self, entry: ServerEntry) -> Iterator[Deviation]:
        """Against the copies that were kept elsewhere."""
        while self._heads and self._heads[0].through <= entry.sequence:
            head = self._heads.pop(0)
            self._note_key(head.key, head.through)
            if not head.is_genuine:
                yield Deviation(SERVER, head.through, FORGED_HEAD)
            elif head.through == entry.sequence and head.hash != entry.hash:
                yield _deviation(entry, f"is not what the head of {head.time.date()} signed")

    def _heed(self, entry: ServerEntry, data: dict[str, Any]) -> Iterator[Deviation]:
        """What an entry says of the log itself, or of what devices' logs must be like."""
        try:
            match data.get("type"):
                case "device.paired":
                    self._devices.add_key(str(data["device"]), bytes.fromhex(data["public_key"]))
                case "gap.given_up":
                    stream = str(data["device"]), int(data["epoch"])
                    self._devices.add_gap(stream, int(data["first"]), int(data["last"]))
                case "streams.anchored":
                    for device, epoch, through, digest in data["heads"]:
                        self._devices.add_head((device, epoch), through, digest)
                case "log.anchored":
                    yield from self._check_head(entry, SignedHead.model_validate(data["head"]))
                case "streams.cut":
                    self._cuts[entry.sequence] = list(data["spans"])
                case "events.dropped":
                    yield from self._take_cuts(entry, data)
                case "keys.rotated":
                    yield from self._take_over(entry, data.get("signing"))
        except (KeyError, TypeError, ValueError):
            yield _deviation(entry, "can't be read")

    def _check_head(self, entry: ServerEntry, head: SignedHead) -> Iterator[Deviation]:
        """A head in the log signs the entry before its own."""
        self._note_key(head.key, entry.sequence)
        if not head.is_genuine:
            yield _deviation(entry, FORGED_HEAD)
        elif (head.through, head.hash) != (self._expected - 1, self._tip):
            yield Deviation(
                SERVER, head.through, f"is not what the head at {entry.sequence} signed"
            )

    def _take_cuts(self, entry: ServerEntry, data: dict[str, Any]) -> Iterator[Deviation]:
        """A signed head stands for events that were dropped, in so many entries right before it.

        Who wrote such entries at another place, or signed nothing, has dropped no event rightly.
        """
        refused = list(self._check_head(entry, SignedHead.model_validate(data["head"])))
        yield from refused
        first = entry.sequence - int(data["streams"])
        signed = [one for at, spans in self._cuts.items() if at >= first for one in spans]
        self._cuts.clear()
        if refused:
            return
        for device, epoch, _, through, digest, _ in signed:
            self._devices.add_cut((device, epoch), through, digest)

    def _note_key(self, key: str, sequence: int) -> None:
        if key not in self._trusted:
            self._signed_with.setdefault(key, sequence)

    def _take_over(self, entry: ServerEntry, signing: object) -> Iterator[Deviation]:
        if signing is None:
            return
        handover = KeyHandover.model_validate(signing)
        if not handover.is_genuine:
            yield _deviation(entry, "the new key is not vouched for")
            return
        self._vouched_for.setdefault(handover.old, set()).add(handover.new)
        self._vouched_for.setdefault(handover.new, set()).add(handover.old)
        waiting = list(self._trusted)
        while waiting:
            for key in self._vouched_for.pop(waiting.pop(), set()) - self._trusted:
                self._trusted.add(key)
                waiting.append(key)


def read_mapping(body: bytes) -> dict[str, Any]:
    """The JSON object in those bytes; empty if they were altered into something else."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _deviation(entry: ServerEntry, what: str) -> Deviation:
    return Deviation(SERVER, entry.sequence, what)
