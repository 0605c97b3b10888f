"""Reads damaged input of every kind that the agent reads; `python -m … FOLDER COUNT SEED [URL]`.

A program of its own, for a native parser that fails takes its process along. Says before each
attempt what it is about to read, and after each kind that it is done; whatever a reader raises but
its own refusal ends it. `URL`: of an RTSP camera on a bad line, which is read so many times.
"""

import json
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import yaml
from nacl.public import PrivateKey

from edge_agent.core.statements import Statement
from edge_agent.delivery.chain_head import FILE_NAME as HEAD_FILE
from edge_agent.delivery.files import write_whole
from edge_agent.delivery.identity import ENROLMENT_FILE, KEY_FILE, Identity, IdentityError
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.outbox_database import FILE_NAME as OUTBOX_FILE
from edge_agent.delivery.outbox_database import OutboxError
from edge_agent.evidence.clip import ClipError, Piece, make_clip
from edge_agent.evidence.data_keys import DataKeys
from edge_agent.evidence.orders import OrderBook
from edge_agent.evidence.ring import Ring, RingLimits
from edge_agent.evidence.segment_file import UnreadableError, decrypt, encrypt
from edge_agent.evidence.segments import mux
from edge_agent.runtime.installed_cameras import FILE_NAME as CAMERAS_FILE
from edge_agent.runtime.installed_cameras import read_cameras, save_camera
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.runtime.read_codes import read_images
from edge_agent.runtime.zones_file import read_zones_file
from edge_agent.settings import CameraSettings, DeskSettings, SettingsError, load_settings
from edge_agent.vision import scene
from edge_agent.vision.face_detector import DetectorError, load_face_detector
from edge_agent.vision.frames import Frame, SourceError
from edge_agent.vision.privacy import Privacy
from edge_agent.vision.sources import StreamSource
from edge_agent.vision.zone_observer import CalibrationError
from event_protocol.events import CameraObserved, CameraState
from event_protocol.evidence import EvidenceKind, Span
from event_protocol.messages import SendClip
from event_protocol.names import DeskId, DeviceId
from tests.edge_agent.damage import damage
from tests.edge_agent.evidence.streams import draw_stream
from tests.processes.edge_agent import make_enrolment

START = datetime(2030, 1, 1, tzinfo=UTC)
DEVICE, DESK = DeviceId("box-1"), DeskId("desk-1")
SEEN = Statement(DESK, START, CameraObserved(camera="a", state=CameraState.OK, since=START))
MOST_MEMORY = 3 * 2**30  # a header that claims more is refused, and is no reason to fall over
FRAMES_A_STREAM = 20

Reader = Callable[[Path], object]
Refusals = tuple[type[Exception], ...]


def now() -> datetime:
    return START


def make_pipeline() -> DeskPipeline:
    return DeskPipeline("camera", {DESK: scene.ZONES}, uuid4)


# --- one file each -------------------------------------------------------------------------------


def read_reference(path: Path) -> None:
    """And a picture by it."""
    pipeline = make_pipeline()
    pipeline.import_reference(path.read_bytes())
    pipeline.observe(Frame(scene.draw(1, 12), START))


def read_view(path: Path) -> None:
    """And a picture by it."""
    pipeline = make_pipeline()
    pipeline.import_view(path.read_bytes())
    pipeline.observe(Frame(scene.draw(1, 12), START))


def read_snapshot(path: Path) -> None:
    """And a picture after it."""
    pipeline = make_pipeline()
    pipeline.restore(json.loads(path.read_bytes()))
    pipeline.observe(Frame(scene.draw(1, 12), START))


def read_outbox(path: Path) -> None:
    """Open, go on, read; with or without the head file."""
    with Outbox(path.parent, DEVICE, lambda *_: "A" * 86 + "==", now) as outbox:
        outbox.append([SEEN], snapshots={"camera": b"{}"})
        outbox.read(1, outbox.tip.sequence)
        outbox.read_snapshot("camera")


def read_clip(path: Path) -> None:
    """Cut it."""
    span = Span(begin=START, end=START + timedelta(seconds=3))
    piece = Piece(path.read_bytes(), START, START + timedelta(seconds=5))
    make_clip([piece], span, Privacy([], None), 10**7)


def read_orders(path: Path) -> None:
    """As a start does."""
    ring = Ring(path.parent / "ring", RingLimits(10**9, timedelta(days=1), 0), write_whole)
    OrderBook(path.parent, ring, lambda _: "camera", write_whole)


def read_identity(path: Path) -> None:
    """As a start does."""
    Identity(path.parent).find_enrolment()


def samples(folder: Path) -> Iterator[tuple[str, bytes, str, Reader, Refusals]]:
    """Of each kind: its name, a sound file, what it is called, its reader, how that refuses."""
    card = scene.draw(1, next(v for v in range(20, 200) if _shows_card(v)))
    for ending in ("png", "jpg", "webp", "bmp", "tiff"):
        _, image = cv2.imencode(f".{ending}", card)
        yield ending, image.tobytes(), f"card.{ending}", lambda p: list(read_images([p])), ()
    zones = {z.name: {"role": z.role.value, "polygon": z.polygon} for z in scene.ZONES}
    text = json.dumps({"zones": zones}, indent=1).encode()
    yield "zones", text, "zones.json", read_zones_file, (ValueError,)
    cameras = [{"name": "a", "source": "scene:1", "desks": [{"desk": DESK}]}]
    settings = yaml.safe_dump({"cameras": cameras, "http": {"port": 8080}, "directory": "edge"})
    yield "settings", settings.encode(), "agent.yaml", load_settings, (SettingsError,)
    camera = CameraSettings(name="a", source="usb:0", desks=(DeskSettings(desk=DESK),))
    save_camera(folder, camera)
    saved = (folder / CAMERAS_FILE).read_bytes()
    refusals: Refusals = (SettingsError,)
    yield "cameras", saved, CAMERAS_FILE, lambda p: read_cameras(p.parent, ()), refusals

    pipeline = make_pipeline()
    pipeline.calibrate([Frame(scene.draw(1, s), START) for s in range(4)])
    pipeline.observe(Frame(scene.draw(1, 12), START))
    reference, view = pipeline.export_reference(), pipeline.export_view()
    assert reference is not None
    assert view is not None
    yield "reference", reference, "reference.png", read_reference, (CalibrationError,)
    yield "view", view, "view.png", read_view, (CalibrationError,)
    snapshot = json.dumps(pipeline.snapshot()).encode()
    yield "snapshot", snapshot, "snapshot.json", read_snapshot, (ValueError,)
    folders: Any = cv2  # its stubs leave `data` out
    cascade = Path(folders.data.haarcascades) / "haarcascade_smile.xml"
    yield "cascade", cascade.read_bytes(), "cascade.xml", load_face_detector, (DetectorError,)
    yield from _kept_samples(folder)


def _kept_samples(folder: Path) -> Iterator[tuple[str, bytes, str, Reader, Refusals]]:
    """What the agent keeps for itself."""
    sealing = bytes(PrivateKey(b"s" * 32).public_key)
    for codec in ("mjpeg", "libx265"):
        piece = draw_stream(codec, 4).pieces()[0]
        mp4 = mux(piece)
        yield codec, mp4, "piece.mp4", read_clip, (ClipError,)
    key = DataKeys(DEVICE, lambda: sealing).key_for("room", START, START + timedelta(seconds=4))
    segment = encrypt(mp4, "room", START, START + timedelta(seconds=4), key)
    refusals: Refusals = (UnreadableError,)
    yield "segment", segment, "a.segment", lambda p: decrypt(p.read_bytes(), key.key), refusals
    command = SendClip(
        request_id="request-1",
        evidence=EvidenceKind.CLIP,
        desk=DESK,
        begin=START,
        end=START,
        expires=START,
        max_bytes=1,
        server_url="http://127.0.0.1",
    )
    order = json.dumps({"command": command.model_dump(mode="json"), "is_answered": True})
    yield "order", order.encode(), "request-1.json", read_orders, ()

    with Outbox(folder, DEVICE, lambda *_: "A" * 86 + "==", now) as outbox:
        outbox.append(20 * [SEEN], snapshots={"camera": b"{}" * 500})
    database, head = (folder / OUTBOX_FILE).read_bytes(), (folder / HEAD_FILE).read_bytes()
    yield "outbox", database, OUTBOX_FILE, read_outbox, (OutboxError,)
    yield "head", head, HEAD_FILE, read_outbox, (OutboxError,)
    Identity(folder)
    enrolment = make_enrolment(1).model_dump_json().encode()
    secret = (folder / KEY_FILE).read_bytes()
    yield "key", secret, KEY_FILE, read_identity, (IdentityError,)
    yield "enrolment", enrolment, ENROLMENT_FILE, read_identity, (IdentityError,)


def _shows_card(second: int) -> bool:
    return bool(cv2.QRCodeDetector().detect(scene.draw(1, second))[0])


# --- streams -------------------------------------------------------------------------------------


def read_stream(url: str) -> None:
    """Some pictures of it, if it gives as many."""
    with suppress(SourceError):
        for number, frame in enumerate(StreamSource(url, now).frames()):
            frame.image.mean()
            if number == FRAMES_A_STREAM:
                return


def main(folder: Path, count: int, seed: str, url: str | None) -> None:
    """All kinds of files, or the stream."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    if url is not None:
        for number in range(count):
            print(f"stream {number}", flush=True)  # noqa: T201 - what this program is for
            read_stream(url)
        print("done stream", flush=True)  # noqa: T201 - likewise
        return
    for kind, content, name, read, refusals in samples(folder):
        for number, damaged in enumerate([content, *damage(content, kind + seed, count)]):
            print(f"{kind} {number}", flush=True)  # noqa: T201 - likewise
            place = folder / kind / str(number)
            place.mkdir(parents=True)
            (place / name).write_bytes(damaged)
            try:
                read(place / name)
            except refusals:
                assert number, f"{kind}: the sound file is refused"
        print(f"done {kind}", flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], next(iter(sys.argv[4:]), None))
