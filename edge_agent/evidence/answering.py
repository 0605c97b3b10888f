"""Answers the server's requests for pictures, one after the other, in a thread of its own.

Nothing here writes a log line: at the unit nobody must see that something was asked for. What went
wrong is told to the server, in the report.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from nacl.public import PrivateKey

from edge_agent.evidence.clip import ClipError, Retoucher, make_clip, make_snapshot
from edge_agent.evidence.material import Material
from edge_agent.evidence.orders import Order, OrderBook
from edge_agent.evidence.ring import Ring
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
    Unavailable,
)
from event_protocol.evidence_keys import take_back
from event_protocol.names import DeskId, DeviceId
from event_protocol.sealing import SealError

# Until the last piece of a span is asked about again: it ends with the camera's next key frame.
SETTLE_S = 0.5
_KEYS_WITHIN_S = 120.0  # the server hands keys over at once; so late, the message was lost
FIRST_RETRY_S = 5.0
_LONGEST_RETRY_S = 300.0
_IDLE_S = 60.0


class Cameras(Protocol):
    """What must be known of this box's cameras."""

    def camera_of(self, desk: DeskId) -> str | None:
        """The one that sees that desk."""
        ...

    def settle(self, camera: str, at: datetime) -> bool:
        """Whether all that will ever be in the ring of the time before is there.

        If not, see to it that it soon is.
        """
        ...

    def make_retoucher(self, camera: str) -> Retoucher:
        """What hides what nobody may see in that camera's pictures; a new one for each clip."""
        ...


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
        max_clip_bytes: int,
        first_retry_s: float = FIRST_RETRY_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._device = device
        self._ring = ring
        self._orders = orders
        self._cameras = cameras
        self._uploader = uploader
        self._now = now
        self._max_clip_bytes = max_clip_bytes
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
        if camera is not None and not self._cameras.settle(camera, order.span.end):
            ahead_s = (order.span.end - self._now()).total_seconds()
            self._orders.postpone(order, max(self._settle_s, ahead_s))
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
        if self._made is not None and self._made[0] == command.request_id:
            return self._made[1].model_copy(update={"held": command.hold}), self._made[2]
        material = Material(self._ring, camera, order.span)
        if material.sealed_keys and order.boot_key != self._public_key:
            return self._ask_for_keys(blank, material), b""
        return self._make(order, blank, camera, material)

    @property
    def _public_key(self) -> str:
        return bytes(self._boot_key.public_key).hex()

    def _ask_for_keys(self, blank: EvidenceReport, material: Material) -> EvidenceReport:
        return blank.model_copy(
            update={
                "status": ReportStatus.NEEDS_KEYS,
                "reason": None,
                "boot_key": self._public_key,
                "sealed_keys": material.sealed_keys[:MAX_KEYS],
            }
        )

    def _make(
        self, order: Order, blank: EvidenceReport, camera: str, material: Material
    ) -> tuple[EvidenceReport, bytes]:
        try:
            content = self._cut(order, camera, material)
        except ClipError:
            return blank.model_copy(update={"reason": material.lose_all()}), b""
        if len(content) > order.command.max_bytes:
            return blank.model_copy(update={"reason": Unavailable.TOO_LARGE}), b""
        is_clip = blank.kind is EvidenceKind.CLIP
        report = blank.model_copy(
            update={
                "status": ReportStatus.SENT,
                "reason": material.reason_for_missing() if is_clip else None,
                "covered": material.covered(),
                "content": Content(
                    sha256=sha256_hex(content),
                    size=len(content),
                    media_type=MEDIA_TYPE_OF[blank.kind],
                ),
            }
        )
        self._made = (order.command.request_id, report, content)
        return report, content

    def _cut(self, order: Order, camera: str, material: Material) -> bytes:
        """Raises `ClipError` if there is nothing to show."""
        pieces = material.pieces(self._open_keys(order))
        retoucher = self._cameras.make_retoucher(camera)
        if order.command.evidence is EvidenceKind.SNAPSHOT:
            return make_snapshot(pieces, order.span, retoucher)
        max_bytes = min(order.command.max_bytes, self._max_clip_bytes)
        return make_clip(pieces, order.span, retoucher, max_bytes)

    def _open_keys(self, order: Order) -> dict[str, bytes]:
        """By their ids; what was not meant for this boot is told as lost."""
        opened = {}
        for handed in order.keys:
            with contextlib.suppress(SealError):
                opened[handed.key_id] = take_back(handed.handed, bytes(self._boot_key))
        return opened
