"""What the ring holds of one camera's span: pieces to be shown, and why the rest can't be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edge_agent.evidence.clip import Piece
from edge_agent.evidence.coverage import covered_parts, main_reason, missing_parts
from edge_agent.evidence.ring import Entry, Ring
from edge_agent.evidence.segment_file import HEAD_BYTES, UnreadableError, decrypt, read_head
from event_protocol.evidence import SealedKey, Span, Unavailable


@dataclass(frozen=True, slots=True)
class _Found:
    """A segment of the span, and the key that it needs."""

    entry: Entry
    key: SealedKey


class Material:
    """For one answer. Segments that can't be read, or not any more, become gaps."""

    def __init__(self, ring: Ring, camera: str, span: Span) -> None:
        self._ring = ring
        self._span = span
        self._gaps = ring.list_gaps(camera, span)
        self._found: list[_Found] = []
        self._shown: list[Entry] = []
        for entry in ring.list_segments(camera, span):
            try:
                key = read_head(ring.read(entry, HEAD_BYTES)).key
            except (OSError, UnreadableError):
                self._lose(entry, Unavailable.UNREADABLE)
            else:
                self._found.append(_Found(entry, key))

    @property
    def sealed_keys(self) -> tuple[SealedKey, ...]:
        """All that its segments need, each once."""
        return tuple({one.key.key_id: one.key for one in self._found}.values())

    def pieces(self, keys: Mapping[str, bytes]) -> Iterator[Piece]:
        """Decrypted one after the other, so that one is in memory; `keys` by their ids."""
        for one in self._found:
            key = keys.get(one.key.key_id)
            if key is None:
                self._lose(one.entry, Unavailable.KEYS_LOST)
                continue
            try:
                mp4 = decrypt(self._ring.read(one.entry), key)
            except (OSError, UnreadableError):
                self._lose(one.entry, Unavailable.UNREADABLE)
                continue
            self._shown.append(one.entry)
            yield Piece(mp4, one.entry.begin, one.entry.end)

    def lose_all(self) -> Unavailable:
        """Nothing can be made of the pieces that were shown; why there is nothing at all."""
        while self._shown:
            self._lose(self._shown.pop(), Unavailable.UNREADABLE)
        return main_reason([self._span], self._gaps) or Unavailable.NOT_COVERED

    def covered(self) -> tuple[Span, ...]:
        """The parts that the pieces given so far show."""
        return covered_parts(self._span, self._shown)

    def reason_for_missing(self) -> Unavailable | None:
        """Why most of the rest is missing; `None` if nothing is."""
        return main_reason(missing_parts(self._span, self.covered()), self._gaps)

    def _lose(self, entry: Entry, reason: Unavailable) -> None:
        self._gaps.append(replace(entry, reason=reason))
