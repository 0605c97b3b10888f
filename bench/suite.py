"""A labelled suite for presence: the desk clip and what is made of it by code.

Each `Variant` yields frames, and says which zones there are and when somebody is in them. The
clip's labels are by eye (see the test data's README); what is drawn into it is known exactly.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import cv2
import numpy as np

from bench.suite_pictures import CHANGES, HEIGHT, WIDTH, Change, add_noise
from edge_agent.core.desk_zones import Zone
from edge_agent.vision.frames import Image, Mask
from event_protocol.events import ZoneRole

CLIP = "video/desk_one_by_one_a.mp4"
EMPTY_S = (0.0, 5.0)
HELD_S = 600.0
SIDE_STEP = 150  # pixels between two people side by side

Interval = tuple[float, float]
Timed = tuple[float, Image]


@dataclass(frozen=True)
class Clip:
    """The desk clip at one rate, and its labels in seconds."""

    frames: tuple[Timed, ...]
    fps: float
    seconds: float
    zone: Zone
    stays: tuple[Interval, ...]

    @cached_property
    def empty(self) -> Image:
        """The room without anybody: the median of its first seconds."""
        span = [image for at_s, image in self.frames if at_s < EMPTY_S[1]]
        return np.asarray(np.median(np.stack(span), axis=0), dtype=np.uint8)

    def at(self, at_s: float) -> Image:
        """The frame of that second."""
        return self.frames[min(len(self.frames) - 1, round(at_s * self.fps))][1]


@dataclass(frozen=True, slots=True)
class Variant:
    """One clip to be scored. `empty_s` is `None` where nobody vouches for an empty span."""

    name: str
    zones: tuple[Zone, ...]
    truth: Mapping[str, tuple[Interval, ...]]
    seconds: float
    empty_s: Interval | None
    frames: Callable[[], Iterator[Timed]]


def load_clip(testdata: Path, fps: float) -> Clip:
    """Decode the desk clip, at 640 × 360, with as many of its ten frames a second as wanted."""
    clips = json.loads((testdata / "ground_truth.json").read_text())["clips"]
    (label,) = [clip for clip in clips if clip["file"] == CLIP]
    kept: list[Timed] = []
    with av.open(str(testdata / CLIP)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            at_s = number / label["fps"]
            if at_s >= len(kept) / fps - 1e-6:
                image = picture.to_ndarray(format="bgr24", width=WIDTH, height=HEIGHT)
                kept.append((at_s, np.asarray(image, dtype=np.uint8)))
    polygon = label["zones"]["customer"]["polygon_px"]
    corners = tuple((x / label["width"], y / label["height"]) for x, y in polygon)
    stays = tuple((float(begin), float(end)) for begin, end in label["customer_in_zone"])
    zone = Zone("table", ZoneRole.CITIZEN, corners)
    return Clip(tuple(kept), fps, float(label["seconds"]), zone, stays)


def variants(clip: Clip) -> Iterator[Variant]:
    """All of them; frames are made only when they are asked for."""
    for name, change in CHANGES.items():
        yield _changed(clip, name, change)
    yield _variant(clip, "compressed", lambda: _compress(clip.frames, clip.fps))
    yield _started_occupied(clip)
    yield _variant(clip, "nobody vouches", lambda: iter(clip.frames), empty_s=None)
    yield _bag(clip)
    yield _moved_chair(clip)
    yield _still_person(clip)
    yield _side_by_side(clip)


# --- the same stays in other pictures ------------------------------------------------------------


def _changed(clip: Clip, name: str, change: Change) -> Variant:
    def frames() -> Iterator[Timed]:
        dice = np.random.default_rng(1)
        for at_s, image in clip.frames:
            yield at_s, change(image, at_s, dice)

    return _variant(clip, name, frames)


def _variant(
    clip: Clip,
    name: str,
    frames: Callable[[], Iterator[Timed]],
    empty_s: Interval | None = EMPTY_S,
) -> Variant:
    return Variant(name, (clip.zone,), {clip.zone.name: clip.stays}, clip.seconds, empty_s, frames)


def _compress(frames: Iterable[Timed], fps: float) -> Iterator[Timed]:
    """As a cheap recorder sends it: H.264 so coarse that its blocks show and breathe."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(fps), 1 / Fraction(fps)
    encoder.options = {"crf": "43", "tune": "zerolatency", "preset": "veryfast", "g": "4"}
    decoder = av.CodecContext.create("h264", "r")
    for at_s, image in frames:
        for packet in encoder.encode(av.VideoFrame.from_ndarray(image, format="bgr24")):
            for picture in decoder.decode(packet):
                yield at_s, np.asarray(picture.to_ndarray(format="bgr24"), dtype=np.uint8)


# --- other stays ---------------------------------------------------------------------------------


def _started_occupied(clip: Clip) -> Variant:
    """The agent starts while somebody is there and nobody vouches for anything."""
    cut_s = 10.0

    def frames() -> Iterator[Timed]:
        return ((at_s - cut_s, image) for at_s, image in clip.frames if at_s >= cut_s)

    stays = tuple((max(0.0, begin - cut_s), end - cut_s) for begin, end in clip.stays)
    truth = {clip.zone.name: stays}
    seconds = clip.seconds - cut_s
    return Variant("started occupied", (clip.zone,), truth, seconds, None, frames)


def _bag(clip: Clip) -> Variant:
    """The first one leaves a bag, which is fetched long after the last one has gone."""
    idle_s, fetched_s = 140.0, 120.0

    def frames() -> Iterator[Timed]:
        dice = np.random.default_rng(1)
        for at_s, image in _with_idle_end(clip, idle_s):
            has_bag = 14 <= at_s < clip.seconds + fetched_s
            yield at_s, add_noise(_draw_bag(image) if has_bag else image, 2, dice)

    truth = {clip.zone.name: clip.stays}
    return Variant("bag", (clip.zone,), truth, clip.seconds + idle_s, EMPTY_S, frames)


def _draw_bag(image: Image) -> Image:
    """Beside the table, a tenth of the zone."""
    drawn = image.copy()
    cv2.rectangle(drawn, (410, 250), (462, 322), (40, 60, 150), -1)
    cv2.rectangle(drawn, (410, 250), (462, 322), (20, 30, 80), 3)
    cv2.line(drawn, (412, 275), (460, 275), (90, 120, 210), 3)
    cv2.ellipse(drawn, (436, 250), (14, 12), 0, 180, 360, (20, 30, 80), 4)
    return drawn


def _moved_chair(clip: Clip) -> Variant:
    """Somebody moves a chair into the zone from outside the zone's picture, and it stays."""

    def frames() -> Iterator[Timed]:
        dice = np.random.default_rng(2)
        for at_s, image in _with_idle_end(clip, 20):
            drawn = image if at_s < 45.4 else _draw_chair(image)
            yield at_s, add_noise(drawn, 2, dice)

    truth = {clip.zone.name: clip.stays}
    return Variant("moved chair", (clip.zone,), truth, clip.seconds + 20, EMPTY_S, frames)


def _draw_chair(image: Image) -> Image:
    drawn = image.copy()
    cv2.rectangle(drawn, (318, 180), (378, 250), (30, 30, 35), -1)
    cv2.rectangle(drawn, (324, 186), (372, 244), (60, 60, 70), 3)
    for x in (322, 374):
        cv2.line(drawn, (x, 250), (x, 318), (20, 20, 20), 5)
    return drawn


def _with_idle_end(clip: Clip, idle_s: float) -> Iterator[Timed]:
    """The clip, and then the empty room for a while."""
    yield from clip.frames
    empty = [image for at_s, image in clip.frames if at_s < EMPTY_S[1]]
    for number in range(round(idle_s * clip.fps)):
        yield clip.seconds + number / clip.fps, empty[number % len(empty)]


def _still_person(clip: Clip) -> Variant:
    """Somebody stands for ten minutes and fidgets by two pixels every eight to forty seconds."""
    begin_s, end_s = 8.0, 8.0 + HELD_S
    empty, person = clip.empty, clip.at(30.0)
    mask = _person_mask(person, empty)

    def frames() -> Iterator[Timed]:
        dice = np.random.default_rng(3)
        shift, moves_at = 0, begin_s + 8
        for number in range(round((end_s + 12) * clip.fps)):
            at_s = number / clip.fps
            picture = empty
            if begin_s <= at_s < end_s:
                if at_s >= moves_at:
                    shift, moves_at = 2 - shift, at_s + dice.uniform(8, 40)
                picture = _paste(empty, person, mask, shift)
            yield at_s, add_noise(picture, 2, dice)

    truth = {clip.zone.name: ((begin_s, end_s),)}
    return Variant("still for 10 min", (clip.zone,), truth, end_s + 12, EMPTY_S, frames)


def _side_by_side(clip: Clip) -> Variant:
    """Two desks' people beside each other in zones that overlap; the second comes 8 s later."""
    later_s, empty = 8.0, clip.empty
    corners = tuple((x - SIDE_STEP / WIDTH, y) for x, y in clip.zone.polygon)
    beside = Zone("beside", ZoneRole.OFFICER, corners)
    seen = {"table": clip.stays, "beside": tuple((b + later_s, e + later_s) for b, e in clip.stays)}

    def frames() -> Iterator[Timed]:
        for at_s, image in clip.frames:
            other = clip.at(at_s - later_s) if at_s >= later_s else empty
            if not any(begin <= at_s < end for begin, end in seen["beside"]):
                other = empty  # who walks off to the right would cross the other zone
            yield at_s, _paste(image, other, _person_mask(other, empty), -SIDE_STEP)

    return Variant("side by side", (clip.zone, beside), seen, clip.seconds, EMPTY_S, frames)


def _person_mask(image: Image, empty: Image) -> Mask:
    """The largest thing that is not in the empty room; the camera's own change of light is not."""
    difference = cv2.absdiff(image, empty).max(axis=2)
    solid = cv2.morphologyEx(
        (difference > 45).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)
    )
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
    largest = labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA]) if len(stats) > 1 else labels > 0
    wide = cv2.dilate(largest.astype(np.uint8), np.ones((7, 7), np.uint8))
    return np.asarray(wide.astype(np.bool_))


def _paste(onto: Image, image: Image, mask: Mask, dx: int) -> Image:
    """What the mask shows of the image, moved sideways."""
    pasted, moved = onto.copy(), np.roll(mask, dx, axis=1)
    pasted[moved] = np.roll(image, dx, axis=1)[moved]
    return pasted
