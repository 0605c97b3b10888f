"""Answers the server's requests for pictures, one after the other, in a thread of its own.

Nothing here writes a log line: at the unit nobody must see that something was asked for. What went
wrong is told to the server, in the report.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from nacl.public import PrivateKey

from edge_agent.evidence.clip import ClipError, Piece, Retoucher, make_clip, make_snapshot
from edge_agent.evidence.coverage import covered_parts, main_reason, missing_parts
from edge_agent.evidence.orders import Order, OrderBook
from edge_agent.evidence.ring import Entry, Ring
from edge_agent.evidence.segment_file import HEAD_BYTES, UnreadableError, decrypt, read_head
from edge_agent.evidence.upload import (
    EndedError,
    LaterError,
    UnknownRequestError,
    Uploader,
)
from event_protocol.canonical import sha256_hex
from event_protocol.evidence import (
    MAX_KEYS,
    MEDIA_TYPE_OF,
    Content,
    EvidenceKind,
    EvidenceReport,
    ReportStatus,
    SealedKey,
    Span,
    Unavailable,
)
from event_protocol.evidence_keys import take_back
from event_protocol.names import DeskId, DeviceId
from event_protocol.sealing import SealError

SETTLE_S = 2.0  # until the last piece of a span is asked about again
_KEYS_WITHIN_S = 120.0  # the server hands keys over at once; so late, the message was lost
FIRST_RETRY_S = 5.0
_LONGEST_RETRY_S = 300.0
_IDLE_S = 60.0


class Cameras(Protocol):
    """What must be known of this box's cameras."""

    def camera_of(self, desk: DeskId) -> str | None:
        """The one that sees that desk."""
        ...

    def is_settled(self, camera: str, at: datetime) -> bool:
        """Whether all that will ever be in the ring of the time before is there."""
        ...

    def make_retoucher(self, camera: str) -> Retoucher:
        """What hides what nobody may see in that camera's pictures; a new one for each clip."""
        ...


@dataclass(frozen=True, slots=True)
class _Found:
    """A segment of the span, and the key that it needs."""

    entry: Entry
    key: SealedKey


class EvidenceAnswers:
    """One worker; `start` and `stop` it. Call `wake` when an order has come."""

    def __init__(
        self,
        device: DeviceId,
        ring: Ring,
        orders: OrderBook,
        cameras: Cameras,
        uploader: Uploader,
        now: Callable[[], datetime],
        first_retry_s: float = FIRST_RETRY_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._device = device
        self._ring = ring
        self._orders = orders
        self._cameras = cameras
        self._uploader = uploader
        self._now = now
        self._first_retry_s = first_retry_s
        self._settle_s = settle_s
        self._boot_key = PrivateKey.generate()
        self._made: tuple[str, EvidenceReport, bytes] | None = None  # while it can't be sent
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End after the chunk or clip at hand; what is not answered is, after the next start."""
        self._stopping.set()
        self._uploader.stop()
        self._woken.set()
        self._thread.join(5)

    def wake(self) -> None:
        """Something new was ordered."""
        self._woken.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            waiting = self._orders.list_open()
            wait_s = waiting[0].due - time.monotonic() if waiting else _IDLE_S
            if wait_s > 0:
                self._woken.wait(min(wait_s, _IDLE_S))
                self._woken.clear()
                continue
            self._answer(waiting[0])

    def _answer(self, order: Order) -> None:
        try:
            self._try_to_answer(order)
        except EndedError:
            self._made = None
            self._orders.finish(order)
        except UnknownRequestError:
            self._made = None
            self._orders.forget(order)
        except LaterError as error:
            self._try_again(order, error.retry_after_s)
        except Exception:  # noqa: BLE001 - a line in the log would tell; the server sees it expire
            self._try_again(order)

    def _try_again(self, order: Order, at_least_s: float = 0) -> None:
        """5, 10, 20 … 300 s, each more or less by half, lest all boxes come back at once."""
        wait_s = min(self._first_retry_s * 2.0 ** min(order.attempts, 10), _LONGEST_RETRY_S)
        wait_s *= random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        self._orders.postpone(order, max(at_least_s, wait_s), attempts=order.attempts + 1)

    def _try_to_answer(self, order: Order) -> None:
        command = order.command
        camera = self._cameras.camera_of(command.desk)
        if self._now() > command.expires:
            self._orders.finish(order)
            return
        if camera is not None and not self._cameras.is_settled(camera, order.span.end):
            self._orders.postpone(order, self._settle_s)
            return
        report, content = self._prepare(order, camera)
        offset = self._uploader.report(command.server_url, report)
        if report.status is ReportStatus.NEEDS_KEYS:
            self._orders.postpone(order, _KEYS_WITHIN_S)
            return
        self._uploader.send(command.server_url, command.request_id, content, offset)
        self._made = None
        self._orders.finish(order)

    # --- what can be had -------------------------------------------------------------------------

    def _prepare(self, order: Order, camera: str | None) -> tuple[EvidenceReport, bytes]:
        """The report, and the content that it promises (empty if none)."""
        command = order.command
        blank = EvidenceReport(
            request_id=command.request_id,
            device=self._device,
            camera=camera,
            kind=command.evidence,
            status=ReportStatus.UNAVAILABLE,
            reason=Unavailable.UNKNOWN_CAMERA,
            held=command.hold,
        )
        if camera is None:
            return blank, b""
        found, gaps = self._find(camera, order.span)
        if found and order.boot_key != bytes(self._boot_key.public_key).hex():
            return self._ask_for_keys(blank, found), b""
        return self._make(order, blank, camera, found, gaps)

    def _find(self, camera: str, span: Span) -> tuple[list[_Found], list[Entry]]:
        """Segments of the span, and what is known of its parts without."""
        found, gaps = [], self._ring.list_gaps(camera, span)
        for entry in self._ring.list_segments(camera, span):
            try:
                found.append(_Found(entry, read_head(self._ring.read(entry, HEAD_BYTES)).key))
            except (OSError, UnreadableError):
                gaps.append(replace(entry, reason=Unavailable.UNREADABLE))
        return found, gaps

    def _ask_for_keys(self, blank: EvidenceReport, found: list[_Found]) -> EvidenceReport:
        keys = {one.key.key_id: one.key for one in found}
        return blank.model_copy(
            update={
                "status": ReportStatus.NEEDS_KEYS,
                "reason": None,
                "boot_key": bytes(self._boot_key.public_key).hex(),
                "sealed_keys": tuple(keys.values())[:MAX_KEYS],
            }
        )

    def _make(
        self,
        order: Order,
        blank: EvidenceReport,
        camera: str,
        found: list[_Found],
        gaps: list[Entry],
    ) -> tuple[EvidenceReport, bytes]:
        if self._made is not None and self._made[0] == order.command.request_id:
            report = self._made[1].model_copy(update={"held": order.command.hold})
            return report, self._made[2]
        shown: list[Entry] = []
        pieces = self._decrypt(order, found, shown, gaps)
        try:
            content = self._cut(order, camera, pieces)
        except ClipError:
            content = b""
        if not content:
            gaps += [replace(entry, reason=Unavailable.UNREADABLE) for entry in shown]
            reason = main_reason([order.span], gaps)
            return blank.model_copy(update={"reason": reason}), b""
        if len(content) > order.command.max_bytes:
            return blank.model_copy(update={"reason": Unavailable.TOO_LARGE}), b""
        covered = covered_parts(order.span, shown)
        missing = () if blank.kind is EvidenceKind.SNAPSHOT else missing_parts(order.span, covered)
        report = blank.model_copy(
            update={
                "status": ReportStatus.SENT,
                "reason": main_reason(missing, gaps),
                "covered": covered,
                "content": Content(
                    sha256=sha256_hex(content),
                    size=len(content),
                    media_type=MEDIA_TYPE_OF[blank.kind],
                ),
            }
        )
        self._made = (order.command.request_id, report, content)
        return report, content

    def _cut(self, order: Order, camera: str, pieces: Iterator[Piece]) -> bytes:
        retoucher = self._cameras.make_retoucher(camera)
        if order.command.evidence is EvidenceKind.SNAPSHOT:
            return make_snapshot(pieces, order.span, retoucher)
        return make_clip(pieces, order.span, retoucher, order.command.max_bytes)

    def _decrypt(
        self, order: Order, found: list[_Found], shown: list[Entry], gaps: list[Entry]
    ) -> Iterator[Piece]:
        """One after the other, so that one is in memory; notes what was shown and what can't be."""
        keys = self._open_keys(order)
        for entry, key in ((one.entry, keys.get(one.key.key_id)) for one in found):
            if key is None:
                gaps.append(replace(entry, reason=Unavailable.KEYS_LOST))
                continue
            try:
                mp4 = decrypt(self._ring.read(entry), key)
            except (OSError, UnreadableError):
                gaps.append(replace(entry, reason=Unavailable.UNREADABLE))
                continue
            shown.append(entry)
            yield Piece(mp4, entry.begin, entry.end)

    def _open_keys(self, order: Order) -> dict[str, bytes]:
        opened = {}
        for handed in order.keys:
            try:
                opened[handed.key_id] = take_back(handed.handed, bytes(self._boot_key))
            except SealError:
                continue  # not for us; its segments are told as lost
        return opened
