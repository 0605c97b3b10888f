"""The agent's pages, served for real, on a real outbox, without camera or broker."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from edge_agent.delivery.outbox import Outbox
from edge_agent.http.app import make_app
from edge_agent.http.parts import CameraView, Check, DeskView, RefusedError
from edge_agent.runtime.desk_feedback import DeskFeedback
from edge_agent.runtime.web_server import WebServer, open_port
from event_protocol.codec import Accepted, decode_event
from event_protocol.events import CameraState
from event_protocol.feedback import FeedbackContent
from event_protocol.names import DeskId
from event_protocol.sealing import sealing_key_id, unseal
from tests.processes.edge_agent import DEVICE, SEALING_KEY, make_enrolment

SESSION = UUID("018f0000-0000-7000-8000-000000000001")
PIN = "12345678"
DESK = DeskId("desk-1")


@dataclass
class Installation:
    """A box as the wizard sees it; remembers what it was asked."""

    device: str | None = None
    cameras: tuple[CameraView, ...] = ()
    asked: list[tuple[str, ...]] = field(default_factory=list)
    refuse: RefusedError | None = None

    def accepts_pin(self, pin: str) -> bool:
        return pin == PIN

    def pair(self, server_url: str, code: str) -> None:
        self._take("pair", server_url, code)
        self.device = str(DEVICE)

    def list_cameras(self) -> tuple[CameraView, ...]:
        return self.cameras

    def save_camera(self, name: str, source: str, desks: tuple[str, ...]) -> None:
        self._take("camera", name, source, *desks)
        views = tuple(DeskView(desk) for desk in desks)
        self.cameras = (CameraView(name, source, views, CameraState.OK, is_calibrated=False),)

    def save_zones(self, camera: str, desk: str, zones_text: str) -> None:
        self._take("zones", camera, desk, zones_text)

    def save_masks(self, camera: str, masks: Sequence[object]) -> None:
        self._take("masks", camera, json.dumps(masks))

    def take_picture(self, camera: str) -> bytes | None:
        return b"\xff\xd8picture" if camera == "room" else None

    def calibrate(self, camera: str) -> None:
        self._take("calibrate", camera)

    def run_checks(self) -> tuple[Check, ...]:
        return (Check("paired", is_ok=True, detail="box-1"), Check("disk", is_ok=False))

    def _take(self, *words: str) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.asked.append(words)


class Box:
    """The application with its clock, its outbox and what the server would read in it."""

    def __init__(self, folder: Path) -> None:
        self.at = datetime(2026, 3, 2, 1, 7, tzinfo=UTC)
        self.outbox = Outbox(folder, DEVICE, lambda *_: "A" * 86 + "==", self.now)
        self.session: UUID | None = SESSION
        self.feedback = DeskFeedback(b"form key", lambda _desk, _at: self.session)
        self.feedback.configure(make_enrolment(1).configuration, self.outbox)
        self.installation = Installation()
        app = make_app(self.feedback, self.installation, b"session key", self.now)
        self.pages = WebServer(app, open_port("127.0.0.1", 0))
        self.pages.start()
        self.client = httpx.Client(base_url=self.pages.url)

    def now(self) -> datetime:
        return self.at

    def pass_time(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def events(self) -> list[Accepted]:
        stored = self.outbox.read(1, self.outbox.tip.sequence)
        decoded = [decode_event(DEVICE, event.body) for event in stored]
        assert all(isinstance(event, Accepted) for event in decoded)
        return [event for event in decoded if isinstance(event, Accepted)]

    def contents(self) -> list[FeedbackContent]:
        """What the holder of the server's private key reads."""
        keys = {sealing_key_id(bytes(SEALING_KEY.public_key)): bytes(SEALING_KEY)}
        contents = []
        for event in self.events():
            fields = event.event.model_dump()
            contents.append(unseal(fields["sealed"], fields["data"]["digest"], keys))
        return contents


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    running = Box(tmp_path)
    yield running
    running.client.close()
    running.pages.stop()
    running.outbox.close()
