"""What a box records, and how it answers requests for it: joins ring, recorders and answers."""

import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from edge_agent.core.packets import PacketSink
from edge_agent.delivery.files import write_whole
from edge_agent.delivery.identity import Identity, IdentityError, require_private_way
from edge_agent.evidence.answering import EvidenceAnswers
from edge_agent.evidence.clip import Retoucher
from edge_agent.evidence.data_keys import DataKeys
from edge_agent.evidence.orders import OrderBook
from edge_agent.evidence.recorder import CameraRecorder, SegmentWriter
from edge_agent.evidence.ring import Ring, RingLimits
from edge_agent.evidence.upload import Uploader
from edge_agent.settings import CameraSettings, EvidenceSettings, SettingsError
from edge_agent.vision.face_detector import FaceDetector, load_face_detector
from edge_agent.vision.privacy import Privacy
from event_protocol.messages import SendClip
from event_protocol.names import DeskId, DeviceId

FOLDER = "evidence"
_MEGABYTE = 1024 * 1024

log = structlog.get_logger(__name__)


class EvidenceKeeper:
    """Of a paired box. `list_cameras` and `sealing_key` are asked anew each time.

    Raises `OSError` if the folder can't be used, and `DetectorError`. Without `settings.enabled`
    nothing is recorded, and requests are answered so.
    """

    def __init__(
        self,
        folder: Path,
        settings: EvidenceSettings,
        identity: Identity,
        device: DeviceId,
        sealing_key: Callable[[], bytes],
        list_cameras: Callable[[], tuple[CameraSettings, ...]],
        now: Callable[[], datetime],
        trust: ssl.SSLContext,
    ) -> None:
        self._settings = settings
        self._list_cameras = list_cameras
        self._now = now
        self._recorders: dict[str, CameraRecorder] = {}
        self._face_detector: FaceDetector | None = None
        if settings.blur_faces:
            self._face_detector = load_face_detector(settings.face_detector)
            if self._face_detector is None:
                log.warning("faces_not_blurred", reason="OpenCV brings no face detector")
        ring = Ring(ring_folder(folder), _limits(settings), write_whole)
        self._writer = SegmentWriter(ring, DataKeys(device, sealing_key), now, self._note_time)
        self._orders = OrderBook(folder / FOLDER / "orders", ring, self.camera_of, write_whole)
        uploader = Uploader(device, identity.key, now, _is_private, trust)
        self._answers = EvidenceAnswers(
            device, ring, self._orders, self, uploader, now, settings.max_clip_mb * _MEGABYTE
        )

    def start(self) -> None:
        """Begin to write and to answer."""
        self._writer.start()
        self._answers.start()

    def stop(self) -> None:
        """Write what the cameras still gave, and end; call it after they were stopped."""
        self._answers.stop()
        for recorder in self._recorders.values():
            recorder.end()
        self._note_time()
        self._writer.stop()

    def take(self, command: SendClip) -> None:
        """The server asks for pictures; returns at once. For any thread."""
        self._orders.take(command)
        self._answers.wake()

    def recorder_for(self, camera: CameraSettings) -> PacketSink | None:
        """What keeps that camera's packets; the same one when the camera is started again.

        `None` if nothing is to be recorded.
        """
        if not self._settings.enabled:
            return None
        if camera.name not in self._recorders:
            self._recorders[camera.name] = CameraRecorder(camera.name, self._writer, self._now)
        return self._recorders[camera.name]

    # --- what answers ask of the cameras ---------------------------------------------------------

    def camera_of(self, desk: DeskId) -> str | None:
        """The camera that sees that desk."""
        for camera in self._cameras():
            if any(view.desk == desk for view in camera.desks):
                return camera.name
        return None

    def settle(self, camera: str, at: datetime) -> bool:
        """Whether the ring holds all that there will be of the time before; else soon it will."""
        recorder = self._recorders.get(camera)
        if recorder is None:
            return True
        return recorder.settle(at) and self._writer.is_done_with(camera)

    def make_retoucher(self, camera: str) -> Retoucher:
        """The camera's masks as they are set now, and a look-out for faces."""
        masks = next((c.masks for c in self._list_cameras() if c.name == camera), ())
        return Privacy(masks, self._face_detector)

    def _cameras(self) -> tuple[CameraSettings, ...]:
        """None while the wizard's file is broken: that must not end the network's thread."""
        try:
            return self._list_cameras()
        except SettingsError:
            return ()

    def _note_time(self) -> None:
        for recorder in list(self._recorders.values()):
            recorder.note_time()


def ring_folder(folder: Path) -> Path:
    """Where the recordings of the box of that folder lie."""
    return folder / FOLDER / "ring"


def _limits(settings: EvidenceSettings) -> RingLimits:
    return RingLimits(
        settings.max_mb * _MEGABYTE,
        timedelta(hours=settings.keep_hours),
        settings.min_free_mb * _MEGABYTE,
    )


def _is_private(server_url: str) -> bool:
    try:
        require_private_way(server_url)
    except IdentityError:
        return False
    return True
