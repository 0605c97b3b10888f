"""One agent's evidence without its cameras, and a server that asks it for pictures."""

import io
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey

from edge_agent.delivery.files import write_whole
from edge_agent.evidence.answering import EvidenceAnswers
from edge_agent.evidence.clip import Retoucher
from edge_agent.evidence.data_keys import DataKeys
from edge_agent.evidence.orders import OrderBook
from edge_agent.evidence.ring import Ring, RingLimits
from edge_agent.evidence.segment_file import encrypt
from edge_agent.evidence.segments import mux
from edge_agent.evidence.upload import Uploader
from edge_agent.vision.privacy import Privacy
from event_protocol.evidence import (
    EvidenceKind,
    EvidenceReport,
    Span,
)
from event_protocol.messages import HandedKey, SendClip
from event_protocol.names import DeskId, DeviceId
from event_protocol.sealing import sealing_key_id
from tests.edge_agent.evidence.streams import draw_stream
from tests.processes.ports import wait_until
from tests.processes.upload_server import UploadServer

DEVICE = DeviceId("box-1")
DESK = DeskId("desk-1")
KEY = Ed25519PrivateKey.generate()
TRUST = ssl.create_default_context()  # not asked for on loopback without TLS
SERVER = PrivateKey.generate()
HELD = {sealing_key_id(bytes(SERVER.public_key)): bytes(SERVER)}


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a real server under test shares the machine's clock


START = now().replace(microsecond=0) - timedelta(hours=1)
PIECES = [(p.begin, mux(p)) for p in draw_stream("mjpeg", 10).pieces()]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Box:
    """One agent's evidence, without cameras: its ring is filled by hand."""

    def __init__(self, folder: Path, max_bytes: int = 10**9) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.settled_until = at(10**5)
        self.while_cutting: Callable[[], None] = lambda: None
        self.boot()

    def boot(self, chunk_bytes: int = 2**18) -> None:
        """Everything anew from the disk, and impatient."""
        limits = RingLimits(self.max_bytes, timedelta(days=1), 0)
        self.ring = Ring(self.folder / "ring", limits, write_whole)
        self.keys = DataKeys(DEVICE, lambda: bytes(SERVER.public_key))
        self.orders = OrderBook(self.folder / "orders", self.ring, self.camera_of, write_whole)
        uploader = Uploader(DEVICE, KEY, now, lambda _: True, TRUST, chunk_bytes)
        self.answers = EvidenceAnswers(
            DEVICE,
            self.ring,
            self.orders,
            self,
            uploader,
            now,
            max_clip_bytes=10**7,
            first_retry_s=0.05,
            settle_s=0.02,
        )
        self.answers.start()

    def record(self, first: int, last: int, camera: str = "room") -> None:
        """Ten seconds each, all with the same picture."""
        for number in range(first, last):
            begin, end = at(10 * number), at(10 * number + 10)
            key = self.keys.key_for(camera, begin, end)
            self.ring.add(camera, begin, end, encrypt(PIECES[0][1], camera, begin, end, key))

    def take(self, command: SendClip) -> None:
        self.orders.take(command)
        self.answers.wake()

    def camera_of(self, desk: DeskId) -> str | None:
        return {DESK: "room"}.get(desk)

    def settle(self, camera: str, when: datetime) -> bool:
        return camera == "room" and self.settled_until > when

    def make_retoucher(self, _camera: str) -> Retoucher:
        self.while_cutting()
        return Privacy([], None)


def ask(
    server: UploadServer,
    first_s: float,
    last_s: float,
    *,
    kind: EvidenceKind = EvidenceKind.CLIP,
    desk: DeskId = DESK,
    max_bytes: int = 10**7,
    hold: bool = False,
) -> SendClip:
    return SendClip(
        request_id="request-1",
        evidence=kind,
        desk=desk,
        begin=at(first_s),
        end=at(last_s),
        expires=at(10**5),
        max_bytes=max_bytes,
        server_url=server.url,
        hold=hold,
    )


def hand_keys_to(box: Box, server: UploadServer, command: SendClip) -> None:
    """As the server does: the command again, with the keys that the report asked for."""

    def hand(report: EvidenceReport, keys: tuple[HandedKey, ...]) -> None:
        box.take(command.model_copy(update={"boot_key": report.boot_key, "keys": keys}))

    server.on_keys_wanted = hand


def answer_of(box: Box, server: UploadServer, command: SendClip) -> EvidenceReport:
    """Order it and see it through; returns the last report."""
    hand_keys_to(box, server, command)
    box.take(command)
    wait_until(lambda: not box.orders.list_open(), 20, "an answer")
    return server.reports[-1]


def content_of(server: UploadServer, report: EvidenceReport) -> bytes:
    assert report.content is not None
    assert server.is_whole()
    content = bytes(server.received[report.content.sha256])
    assert len(content) == report.content.size
    return content


def last_second(clip: bytes) -> float:
    with av.open(io.BytesIO(clip), "r") as container:
        return [frame.time or 0.0 for frame in container.decode(video=0)][-1]


def span(first_s: float, last_s: float) -> Span:
    return Span(begin=at(first_s), end=at(last_s))
