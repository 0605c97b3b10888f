"""The daemon: cameras, outbox, uplink and pages of one box, from start to a clean stop."""

import fcntl
import platform
import ssl
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO
from uuid import UUID, uuid4

import structlog

from edge_agent.core.desk_zones import ZonesError
from edge_agent.core.statements import Statement
from edge_agent.delivery.health import HealthReporter
from edge_agent.delivery.identity import Identity
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.outbox_database import OutboxError
from edge_agent.delivery.renewal import CertificateRenewal
from edge_agent.delivery.tls import make_broker_context, make_trust
from edge_agent.delivery.uplink import Uplink, UplinkTiming
from edge_agent.runtime.camera_worker import CameraWorker
from edge_agent.runtime.confirmer import Confirmer
from edge_agent.runtime.desk_feedback import DeskFeedback, derive_form_key
from edge_agent.runtime.evidence_keeper import EvidenceKeeper
from edge_agent.runtime.heap import HeapTrimmer
from edge_agent.runtime.installed_cameras import read_cameras
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.runtime.sources import make_source, read_zones
from edge_agent.settings import CameraSettings, EdgeSettings
from edge_agent.vision.face_detector import DetectorError
from edge_agent.vision.frames import SourceError
from event_protocol.enrolment import Enrolment
from event_protocol.events import DeviceStarted
from event_protocol.messages import CameraTelemetry, Command, DeviceConfiguration
from event_protocol.names import DeskId, DeviceId

WAKE_EVERY_S = 0.5

log = structlog.get_logger(__name__)


class AgentError(Exception):
    """The agent can't start; the message says why and what to change."""


class Agent:
    """One box. Before pairing it only shows the wizard; `pair` brings the rest to life."""

    def __init__(self, settings: EdgeSettings, version: str, now: Callable[[], datetime]) -> None:
        self.settings = settings
        self.version = version
        self.now = now
        self.folder = settings.directory
        self._lock_file = _take_folder(self.folder)
        self.identity = Identity(self.folder)
        form_key = derive_form_key(self.identity.key.private_bytes_raw())
        self.feedback = DeskFeedback(form_key, self.find_session)
        self.workers: dict[str, CameraWorker] = {}
        self.outbox: Outbox | None = None
        self.uplink: Uplink | None = None
        self.evidence: EvidenceKeeper | None = None
        self._renewal: CertificateRenewal | None = None
        self.confirmer: Confirmer | None = None
        self._changing = threading.Lock()

    @property
    def device(self) -> DeviceId | None:
        """This box's name; `None` before pairing."""
        return None if self.outbox is None else self.outbox.tip.device

    def start(self) -> None:
        """Bring a paired box to life; an unpaired one waits for the wizard."""
        enrolment = self.identity.find_enrolment()
        if enrolment is None:
            log.warning("not_paired", help="open /setup, or run: edge-agent enrol")
        else:
            self._start_device(enrolment)

    def pair(self, server_url: str, code: str) -> None:
        """Trade the code for a name and start; raises `IdentityError` or `AgentError`."""
        with self._changing:
            enrolment = self.identity.enrol(server_url, code, self.version)
            self._stop_device()
            self._start_device(enrolment)

    def restart_camera(self, camera: CameraSettings) -> None:
        """Put the camera as it is now saved in the place of the running one."""
        with self._changing:
            running = self.workers.pop(camera.name, None)
            if running is not None:
                running.stop()
            if self.outbox is not None:
                self._start_camera(camera, self.outbox)

    def run(self, stopping: threading.Event) -> None:
        """Run until told to stop, then end everything cleanly."""
        heap = HeapTrimmer()
        try:
            # Looks up now and then: the system may hand a signal to another thread, and Python's
            # handler then runs only once this one wakes.
            while not stopping.wait(WAKE_EVERY_S):
                heap.trim_when_due()
        finally:
            self.stop()

    def stop(self) -> None:
        """End cameras, uplink and outbox in this order, so that nothing is said after the end."""
        with self._changing:
            self._stop_device()
        self._lock_file.close()

    def find_session(self, desk: DeskId, at: datetime) -> UUID | None:
        """The stay at the desk that feedback given now belongs to, if its camera can say."""
        for worker in list(self.workers.values()):
            if any(view.desk == desk for view in worker.settings.desks):
                return worker.stay_at(desk, at)
        return None

    def list_cameras(self) -> tuple[CameraSettings, ...]:
        """The cameras as saved by the wizard or set in the file."""
        return read_cameras(self.folder, self.settings.cameras)

    def measure_cameras(self) -> dict[str, CameraTelemetry]:
        """Each camera's measured health."""
        return {name: worker.measure() for name, worker in list(self.workers.items())}

    def _start_device(self, enrolment: Enrolment) -> None:
        cameras = self.list_cameras()
        device = DeviceId(enrolment.device)
        delivery = self.settings.delivery
        try:
            outbox = Outbox(
                self.folder,
                device,
                partial(self.identity.sign_head, device),
                self.now,
                timedelta(days=delivery.keep_receipted_days),
            )
            outbox.append([self._say_started(outbox, cameras)])
        except OutboxError as error:
            raise AgentError(f"the outbox can't be used: {error}") from error
        self.outbox = outbox
        self.feedback.configure(enrolment.configuration, outbox)
        health = HealthReporter(
            *(self.folder, outbox, self.measure_cameras, self.version, self.now),
            confirmer_problem=lambda: None if self.confirmer is None else self.confirmer.problem,
        )
        timing = UplinkTiming(delivery.window, delivery.resend_after_s, delivery.telemetry_every_s)
        trust, broker_tls = self._make_contexts(enrolment)
        self.evidence = self._start_evidence(device, trust)
        self.confirmer = self._start_confirmer()
        self.uplink = Uplink(
            enrolment, outbox, health, self._take_command, self.now, timing, broker_tls
        )
        self.uplink.start()
        self._renewal = CertificateRenewal(self.identity, trust, broker_tls, self.now)
        self._renewal.start()
        for camera in cameras:
            self._start_camera(camera, outbox)
        log.info("device_started", device=device, boot=outbox.tip.boot, last_run=outbox.last_run)

    def _make_contexts(self, enrolment: Enrolment) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """Whom HTTPS and MQTT believe."""
        try:
            broker_tls = make_broker_context(enrolment.broker, self.identity.tls_file)
            return make_trust(enrolment.authority), broker_tls
        except ssl.SSLError as error:
            raise AgentError(
                f"{self.identity.tls_file} or the stored authority can't be used ({error}); "
                "pair the box again"
            ) from error

    def _start_evidence(self, device: DeviceId, trust: ssl.SSLContext) -> EvidenceKeeper:
        try:
            evidence = EvidenceKeeper(
                self.folder,
                self.settings.evidence,
                self.identity,
                device,
                lambda: self.feedback.sealing_key,
                self.list_cameras,
                self.now,
                trust,
            )
        except (OSError, DetectorError) as error:
            raise AgentError(f"evidence: {error}") from error
        evidence.start()
        return evidence

    def _start_confirmer(self) -> Confirmer | None:
        if self.settings.confirmer.layout == "none":
            return None
        confirmer = Confirmer(self.settings.confirmer)
        confirmer.start()
        return confirmer

    def _say_started(self, outbox: Outbox, cameras: tuple[CameraSettings, ...]) -> Statement:
        data = DeviceStarted(
            agent_version=self.version,
            platform=platform.platform()[:200],
            last_run=outbox.last_run,
            desks=tuple(view.desk for camera in cameras for view in camera.desks),
            previous_epoch=outbox.previous_head,
        )
        return Statement(None, self.now(), data)

    def _start_camera(self, camera: CameraSettings, outbox: Outbox) -> None:
        try:
            desks = {view.desk: read_zones(camera, view) for view in camera.desks}
            make_source(camera, self.now)  # to see its faults
        except (OSError, ZonesError, SourceError) as error:
            raise AgentError(f"cameras.{camera.name}: {error}") from error
        known = {desk.desk for desk in self.feedback.list_desks()}
        for desk in desks.keys() - known:
            log.warning("desk_unknown_to_server", camera=camera.name, desk=desk)
        sink = None if self.evidence is None else self.evidence.recorder_for(camera)
        worker = CameraWorker(
            camera,
            DeskPipeline(camera.name, desks, uuid4),
            partial(make_source, camera, self.now, sink),
            self.feedback.seal_card,
            lambda: self.feedback.sealing_key,
            outbox,
            self.folder,
            self.now,
            self.confirmer,
        )
        self.workers[camera.name] = worker
        worker.start()

    def _take_command(self, command: Command) -> None:
        if isinstance(command, DeviceConfiguration):
            enrolment = self.identity.store_configuration(command)
            if self.outbox is not None:
                self.feedback.configure(enrolment.configuration, self.outbox)
        elif self.evidence is not None:
            self.evidence.take(command)

    def _stop_device(self) -> None:
        for worker in self.workers.values():
            worker.stop()
        self.workers.clear()
        if self.confirmer is not None:
            self.confirmer.stop()
            self.confirmer = None
        if self._renewal is not None:
            self._renewal.stop()
            self._renewal = None
        if self.uplink is not None:
            self.uplink.stop()
            self.uplink = None
        if self.evidence is not None:
            self.evidence.stop()
            self.evidence = None
        if self.outbox is not None:
            self.outbox.close()
            self.outbox = None


def _take_folder(folder: Path) -> IO[bytes]:
    """Only one agent may use a folder: two would give out the same numbers."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / "agent.lock").open("wb")
    except OSError as error:
        raise AgentError(f"directory: {folder} can't be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise AgentError(f"directory: another edge-agent is using {folder}") from error
    return lock
