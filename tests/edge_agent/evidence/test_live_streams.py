"""Live cameras of every codec are recorded, and clips are cut of them; all at once."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from nacl.public import PrivateKey

from edge_agent.delivery.files import write_whole
from edge_agent.evidence.clip import make_clip
from edge_agent.evidence.data_keys import DataKeys
from edge_agent.evidence.material import Material
from edge_agent.evidence.recorder import CameraRecorder, SegmentWriter
from edge_agent.evidence.ring import Ring, RingLimits
from edge_agent.vision import scene
from edge_agent.vision.camera import Camera
from edge_agent.vision.frames import Demand, Frame, Image
from edge_agent.vision.privacy import Privacy
from edge_agent.vision.sources import StreamSource
from event_protocol.evidence import Span
from event_protocol.evidence_keys import unseal_key
from event_protocol.names import DeviceId
from event_protocol.sealing import sealing_key_id
from tests.edge_agent.films import make_film
from tests.processes.fault_camera import FaultCamera
from tests.processes.ports import wait_until
from tests.processes.rtsp_server import RtspServer

pytestmark = pytest.mark.processes

FPS, WATCHED_S = 10, 5
SERVER = PrivateKey.generate()
KEYS = {sealing_key_id(bytes(SERVER.public_key)): bytes(SERVER)}


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - the cameras play in real time


def picture(number: int) -> Image:
    """A room in which a lamp goes on and off, a second each."""
    image = scene.draw(1, 2).copy()
    image[:100, :100] = 255 * (number // FPS % 2)
    return image


def record(folder: Path, url: str) -> tuple[bytes, float]:
    """Some seconds of that camera through ring and keys; the clip, and how long it was watched."""
    ring = Ring(folder, RingLimits(10**9, timedelta(days=1), 0), write_whole)
    keys = DataKeys(DeviceId("box-1"), lambda: bytes(SERVER.public_key))
    writer = SegmentWriter(ring, keys, now)
    recorder = CameraRecorder("room", writer, now)
    writer.start()
    camera = Camera(StreamSource(url, now, sink=recorder), now)
    camera.ask_for(Demand.KEY_FRAMES)
    wait_until(lambda: isinstance(camera.next(0.5), Frame), 60, "a frame")
    until = time.monotonic() + WATCHED_S
    wait_until(lambda: bool(camera.next(0.5)) and time.monotonic() > until, 60, "frames")
    camera.close()
    recorder.end()
    writer.stop()
    (entry,) = ring.list_segments("room", Span(begin=now() - timedelta(hours=1), end=now()))
    span = Span(begin=entry.begin, end=entry.end)
    material = Material(ring, "room", span)
    opened = {
        key.key_id: bytes.fromhex(unseal_key(key.sealed, KEYS).key) for key in material.sealed_keys
    }
    clip = make_clip(material.pieces(opened), span, Privacy([], None), 10**8)
    return clip, (entry.end - entry.begin).total_seconds()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, float]]:
    """What was recorded of each camera."""
    folder = tmp_path_factory.mktemp("live")
    pictures = [picture(number) for number in range(30 * FPS)]
    hevc = make_film(folder / "hevc.ts", pictures, FPS, FPS, "hevc")
    h264 = make_film(folder / "h264.ts", pictures, FPS, FPS)
    with (
        RtspServer(folder, h264, hevc=hevc) as server,
        FaultCamera(pictures, FPS) as http,
        ThreadPoolExecutor() as pool,
    ):
        urls = {"h264": server.url, "hevc": server.url_of("hevc"), "mjpeg": http.url}
        running = {
            codec: pool.submit(record, folder / f"ring-{codec}", url) for codec, url in urls.items()
        }
        return {codec: made.result() for codec, made in running.items()}


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_a_clip_shows_in_real_time_what_the_camera_showed(
    clips: dict[str, tuple[bytes, float]], codec: str
) -> None:
    clip, watched_s = clips[codec]
    with av.open(io.BytesIO(clip), "r") as container:
        assert container.streams.video[0].codec_context.name == "h264"
        shown = [(f.time or 0.0, f.to_ndarray(format="gray")) for f in container.decode(video=0)]
    assert shown[-1][0] == pytest.approx(watched_s, abs=0.3)
    assert len(shown) == pytest.approx(watched_s * FPS, rel=0.2)
    lamp = [(at, image[20:80, 20:80].mean() > 128) for at, image in shown]
    switched = [at for (_, was_on), (at, is_on) in pairwise(lamp) if is_on != was_on]
    assert len(switched) >= 4
    # The middle one: on a busy machine a picture may come, and so be dated, late.
    assert np.median(np.diff(switched)) == pytest.approx(1, abs=0.2)
