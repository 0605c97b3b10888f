"""`edge-agent doctor`: tries each part the agent needs, says what is wrong and how to mend it."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
from cryptography import x509

from edge_agent.core.desk_zones import ZonesError
from edge_agent.delivery.health import disk_free_mb
from edge_agent.delivery.identity import Identity, IdentityError
from edge_agent.delivery.tls import make_trust
from edge_agent.evidence.ring import survey
from edge_agent.runtime.evidence_keeper import ring_folder
from edge_agent.runtime.installed_cameras import read_cameras
from edge_agent.runtime.sources import make_source, read_zones
from edge_agent.settings import (
    CameraSettings,
    ConfirmerSettings,
    EdgeSettings,
    EvidenceSettings,
    SettingsError,
)
from edge_agent.vision.camera import Camera
from edge_agent.vision.detector_process import DetectorProcess
from edge_agent.vision.face_detector import DetectorError
from edge_agent.vision.frames import Frame, SourceError
from event_protocol.enrolment import Enrolment

MIN_FREE_MB = 200
MEGABYTE = 1024 * 1024
NETWORK_TIMEOUT_S = 5
FIRST_FRAME_WITHIN_S = 20
MAX_CLOCK_OFFSET = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """One part: what was found, and if it is wrong, what to do."""

    part: str
    is_ok: bool
    found: str
    mend: str = ""

    def __str__(self) -> str:
        line = f"{'ok  ' if self.is_ok else 'FAIL'}  {self.part}: {self.found}"
        return line if self.is_ok else f"{line}\n      -> {self.mend}"


def examine(settings: EdgeSettings, now: Callable[[], datetime]) -> Iterator[Finding]:
    """All findings, each as soon as it is known."""
    folder = settings.directory
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield _examine_disk(folder)
        identity = Identity(folder)
        enrolment, certificate = identity.find_enrolment(), identity.find_certificate()
        cameras = read_cameras(folder, settings.cameras)
    except OSError as error:
        yield Finding(
            "disk", False, f"{folder}: {error.strerror}", "let the agent's user write there"
        )
        return
    except (IdentityError, SettingsError) as error:
        yield Finding(
            "stored files", False, str(error), "remove the file, then pair or set up again"
        )
        return
    yield Finding("key", True, f"readable by its owner only, in {folder}")
    if enrolment is None:
        yield Finding("pairing", False, "not paired", "run: edge-agent enrol --server URL")
    else:
        yield Finding("pairing", True, f"paired as {enrolment.device}")
        if certificate is not None:
            yield _examine_certificate(certificate, now)
        yield _examine_broker(enrolment)
        yield from _examine_server(enrolment, now)
    if not cameras:
        yield Finding("camera", False, "none is set", "add one under cameras: or in /setup")
    for camera in cameras:
        yield _examine_camera(camera, now)
    yield _examine_recordings(folder, settings.evidence)
    yield _examine_confirmer(settings.confirmer)


def _examine_disk(folder: Path) -> Finding:
    free_mb = disk_free_mb(folder)
    found = f"{free_mb} MB free in {folder}"
    return Finding("disk", free_mb >= MIN_FREE_MB, found, f"free at least {MIN_FREE_MB} MB")


def _examine_recordings(folder: Path, limits: EvidenceSettings) -> Finding:
    """How full the ring is; of what was asked for it tells nothing."""
    if not limits.enabled:
        return Finding("recordings", True, "switched off by evidence.enabled")
    free_mb = disk_free_mb(folder)
    try:
        kept = survey(ring_folder(folder))
    except OSError as error:
        mend = "let the agent's user read and write there"
        return Finding("recordings", False, f"{error.filename}: {error.strerror}", mend)
    size_mb = sum(one.size for one in kept.values()) / MEGABYTE
    hours = [f"{name} {one.lasts / timedelta(hours=1):.1f} h" for name, one in sorted(kept.items())]
    found = (
        f"{', '.join(hours) or 'none yet'}; {size_mb:.0f} of at most {limits.max_mb} MB, "
        f"for {limits.keep_hours:g} h; {free_mb} MB free, {limits.min_free_mb} left to the events"
    )
    mend = "free more: until then the oldest go early, and in the end nothing is recorded"
    return Finding("recordings", free_mb > limits.min_free_mb, found, mend)


def _examine_certificate(certificate: x509.Certificate, now: Callable[[], datetime]) -> Finding:
    end = certificate.not_valid_after_utc
    mend = "the agent renews it by itself: see in its log why that failed"
    return Finding("certificate", now() < end, f"valid until {end:%Y-%m-%d}", mend)


def _examine_broker(enrolment: Enrolment) -> Finding:
    broker = enrolment.broker
    where = f"{broker.host}:{broker.port}"
    try:
        with socket.create_connection((broker.host, broker.port), NETWORK_TIMEOUT_S):
            return Finding("broker", True, f"{where} takes connections")
    except OSError as error:
        return Finding(
            "broker",
            False,
            f"{where}: {error.strerror or error}",
            "check cable and firewall; nothing is lost meanwhile, the box keeps its events",
        )


def _examine_server(enrolment: Enrolment, now: Callable[[], datetime]) -> Iterator[Finding]:
    url = enrolment.configuration.public_url
    try:
        answer = httpx.head(url, timeout=NETWORK_TIMEOUT_S, verify=make_trust(enrolment.authority))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        yield Finding("server", False, f"{url}: {error}", "check cable, name service and firewall")
        return
    yield Finding("server", True, f"{url} answers")
    try:
        offset = parsedate_to_datetime(answer.headers["date"]) - now()
    except (KeyError, ValueError):
        return  # a server that tells no time: its receipts will
    seconds = offset.total_seconds()
    yield Finding(
        "clock",
        abs(offset) <= MAX_CLOCK_OFFSET,
        f"{seconds:+.0f} s from the server's",
        "switch on time synchronisation (timedatectl set-ntp true)",
    )


def _examine_confirmer(settings: ConfirmerSettings) -> Finding:
    if settings.layout == "none":
        return Finding("confirmer", True, "none is set; presence goes by its own evidence")
    try:
        with DetectorProcess(settings) as detector:
            look_ms = detector.try_out()
    except DetectorError as error:
        mend = "correct confirmer: in the settings; without it presence goes on all the same"
        return Finding("confirmer", False, f"{settings.layout}: {error}", mend)
    return Finding("confirmer", True, f"{settings.layout}: a look takes {look_ms:.0f} ms")


def _examine_camera(settings: CameraSettings, now: Callable[[], datetime]) -> Finding:
    part = f"camera {settings.name}"
    try:
        missing = [view.desk for view in settings.desks if not read_zones(settings, view)]
        camera = Camera(make_source(settings, now), now)
    except (OSError, ZonesError, SourceError) as error:
        return Finding(part, False, str(error), "correct the setting that is named")
    news = camera.next(FIRST_FRAME_WITHIN_S)
    camera.close()
    if not isinstance(news, Frame):
        reason = getattr(news, "reason", None) or getattr(news, "error", None) or "no picture"
        return Finding(part, False, str(reason), "check power, cable, address and password")
    if missing:
        found = f"gives pictures; no zones for {', '.join(missing)}"
        return Finding(part, False, found, "draw them in /setup/zones")
    height, width = news.image.shape[:2]
    return Finding(part, True, f"gives pictures of {width} by {height}")
