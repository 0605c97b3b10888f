"""A box's evidence as it is joined: which cameras are recorded, who answers, what is hidden."""

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edge_agent.core.packets import Packet
from edge_agent.delivery.identity import Identity
from edge_agent.runtime.evidence_keeper import EvidenceKeeper
from edge_agent.settings import CameraSettings, DeskSettings, EvidenceSettings
from edge_agent.vision.face_detector import DetectorError
from event_protocol.evidence import EvidenceReport, ReportStatus, Unavailable
from event_protocol.messages import HandedKey, SendClip
from event_protocol.names import DeskId
from event_protocol.sealing import sealing_key_id
from tests.edge_agent.evidence.streams import draw_stream
from tests.processes.edge_agent import DESK, DEVICE, SEALING_KEY
from tests.processes.ports import wait_until
from tests.processes.upload_server import UploadServer

MASKS = (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),)


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a real server under test shares the machine's clock


def camera(source: str, desk: DeskId = DESK) -> CameraSettings:
    view = DeskSettings(desk=desk)
    return CameraSettings(name=f"camera-{desk}", source=source, desks=(view,), masks=MASKS)


NETWORK = camera("rtsp://192.0.2.1/desk")
USB = camera("usb:0", DeskId("desk-2"))


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return Identity(tmp_path)


@pytest.fixture
def server(identity: Identity) -> Iterator[UploadServer]:
    keys = {sealing_key_id(bytes(SEALING_KEY.public_key)): bytes(SEALING_KEY)}
    with UploadServer(identity.public_key, keys) as running:
        yield running


def make_keeper(folder: Path, identity: Identity, **settings: object) -> EvidenceKeeper:
    return EvidenceKeeper(
        folder,
        EvidenceSettings.model_validate({"min_free_mb": 0, "blur_faces": False, **settings}),
        identity,
        DEVICE,
        lambda: bytes(SEALING_KEY.public_key),
        lambda: (NETWORK, USB),
        now,
        ssl.create_default_context(),
    )


def ask(server: UploadServer, begin: datetime, end: datetime, desk: DeskId = DESK) -> SendClip:
    return SendClip(
        request_id="request-1",
        desk=desk,
        begin=begin,
        end=end,
        expires=end + timedelta(days=1),
        max_bytes=10**7,
        server_url=server.url,
    )


def test_a_camera_is_recorded_and_its_clip_sent(
    tmp_path: Path, identity: Identity, server: UploadServer
) -> None:
    keeper = make_keeper(tmp_path, identity)
    keeper.start()
    begin = now() - timedelta(seconds=12)
    stream = draw_stream("mjpeg", 10)
    sink = keeper.recorder_for(NETWORK)
    assert sink is not None
    assert keeper.recorder_for(NETWORK) is sink
    sink.begin(stream.form)
    for packet in stream.packets:
        at = begin + (packet.captured_at - stream.packets[0].captured_at)
        sink.take(Packet(packet.data, packet.pts, packet.dts, packet.is_key, at))
    sink.end()
    command = ask(server, begin, begin + timedelta(seconds=9))

    def hand(report: EvidenceReport, keys: tuple[HandedKey, ...]) -> None:
        keeper.take(command.model_copy(update={"boot_key": report.boot_key, "keys": keys}))

    server.on_keys_wanted = hand
    keeper.take(command)
    wait_until(server.is_whole, 20, "the clip")
    keeper.stop()
    report = server.last(ReportStatus.SENT)
    assert report is not None
    assert (report.camera, report.reason) == (NETWORK.name, None)
    assert not any(thread.name in ("evidence", "segments") for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("desk", "reason"),
    [(USB.desks[0].desk, Unavailable.NOT_COVERED), (DeskId("desk-9"), Unavailable.UNKNOWN_CAMERA)],
)
def test_what_is_not_recorded_is_said(
    tmp_path: Path, identity: Identity, server: UploadServer, desk: DeskId, reason: Unavailable
) -> None:
    keeper = make_keeper(tmp_path, identity)
    keeper.start()
    keeper.take(ask(server, now() - timedelta(seconds=60), now(), desk))
    wait_until(lambda: server.last(ReportStatus.UNAVAILABLE), 20, "the answer")
    keeper.stop()
    assert server.reports[-1].reason is reason


@pytest.mark.parametrize("source", ["rtsp://192.0.2.1/desk", "usb:0", "scene:1", "desk.mp4"])
def test_every_kind_of_camera_is_recorded(tmp_path: Path, identity: Identity, source: str) -> None:
    assert make_keeper(tmp_path, identity).recorder_for(camera(source)) is not None


def test_a_box_may_be_told_to_record_nothing(tmp_path: Path, identity: Identity) -> None:
    assert make_keeper(tmp_path, identity, enabled=False).recorder_for(NETWORK) is None


def test_masks_are_the_cameras_own(tmp_path: Path, identity: Identity) -> None:
    keeper = make_keeper(tmp_path, identity)
    image = np.full((20, 20, 3), 200, np.uint8)
    for name, brightness in ((NETWORK.name, 0), ("another", 200)):
        ((shown, _),) = keeper.make_retoucher(name).hide([(image, now())])
        assert shown.min() == shown.max() == brightness


def test_a_detector_that_is_none_stops_the_start(tmp_path: Path, identity: Identity) -> None:
    with pytest.raises(DetectorError, match=r"none\.xml"):
        make_keeper(tmp_path, identity, blur_faces=True, face_detector=tmp_path / "none.xml")
