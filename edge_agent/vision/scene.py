"""The built-in camera: a drawn one-stop room for demonstrations and tests, no file needed.

What happens is fixed by the seed and can be asked for (`truth_at`), so that the pipeline can be
scored on it. The first seconds are empty: they calibrate the zones.
"""

import math
import random
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache

import cv2
import numpy as np
import segno

from edge_agent.core.codes import RATING_PREFIX
from edge_agent.core.desk_zones import Zone
from edge_agent.core.packets import PacketSink
from edge_agent.vision.frames import Demand, Frame, Image
from edge_agent.vision.packet_tap import PacketTap
from event_protocol.events import ZoneRole

WIDTH, HEIGHT, FPS = 640, 360, 10
EMPTY_S = 5.0
ACT_S = 600.0  # the script is written act by act; everybody has left at the end of one
WALK_S = 1.5
CARD_AFTER_S, CARD_FOR_S = 4.0, 3.0
NOISE = 3.0  # grey levels, as of a cheap sensor in room light


def _rectangle(name: str, role: ZoneRole, x0: int, y0: int, x1: int, y1: int) -> Zone:
    corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    return Zone(name, role, tuple((x / WIDTH, y / HEIGHT) for x, y in corners))


ZONES = (
    _rectangle("citizen", ZoneRole.CITIZEN, 225, 110, 355, 350),
    _rectangle("officer", ZoneRole.OFFICER, 430, 40, 570, 190),
    _rectangle("waiting", ZoneRole.WAITING, 30, 120, 150, 340),
)
# Where somebody stands, and where from they come (both: middle of the feet), by zone.
_PLACES = {
    "citizen": ((290, 345), (290, 640)),
    "officer": ((500, 290), (760, 290)),
    "waiting": ((90, 335), (-90, 335)),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody in a zone, in seconds of the scene; `rating` is that of a card held up."""

    zone: str
    begin_s: float
    end_s: float
    coat: tuple[int, int, int]
    rating: int | None = None


class SceneCamera:
    """Frames of the drawn room at `FPS`, paced by the clock and without end."""

    is_recording = False
    keeps_all = False

    def __init__(
        self, seed: int, now: Callable[[], datetime], sink: PacketSink | None = None
    ) -> None:
        self._seed = seed
        self._now = now
        self._tap = PacketTap(sink)
        self.demand = Demand.ALL_FRAMES

    def frames(self) -> Iterator[Frame]:
        """Plays from the beginning of the scene; those of full seconds are its key frames."""
        return self._tap.record(self._play())

    def _play(self) -> Generator[Frame]:
        began, start = time.monotonic(), self._now()
        number = 0
        while True:
            at_s = number / FPS
            time.sleep(max(0.0, began + at_s - time.monotonic()))
            yield Frame(draw(self._seed, at_s), start + timedelta(seconds=at_s))
            # A machine that can't keep up skips frames rather than fall behind the clock.
            number = max(number + 1, math.floor((time.monotonic() - began) * FPS))
            if self.demand is not Demand.ALL_FRAMES:
                number = math.ceil(number / FPS) * FPS


def truth_at(seed: int, at_s: float) -> dict[str, bool]:
    """For each zone whether somebody is there."""
    present = {visit.zone for visit in _visits(seed, at_s) if visit.begin_s <= at_s < visit.end_s}
    return {zone.name: zone.name in present for zone in ZONES}


def draw(seed: int, at_s: float) -> Image:
    """The room at that second; the same for the same seed and second."""
    picture = _room().copy()
    for visit in _visits(seed, at_s):
        _draw_person(picture, visit, at_s)
        if visit.zone == "officer":
            _draw_desk(picture)
    light = 1 + 0.08 * math.sin(2 * math.pi * at_s / 90) - (0.2 if at_s % 240 > 180 else 0.0)
    generator = np.random.default_rng((seed, round(at_s * 1000)))
    noise = np.roll(_noise(), generator.integers(0, HEIGHT * WIDTH, 1)[0])
    return np.asarray(np.clip(picture * light + noise, 0, 255), dtype=np.uint8)


def _visits(seed: int, at_s: float) -> tuple[Visit, ...]:
    """Everybody of the act, those behind first."""
    return _write_act(seed, int(at_s // ACT_S))


@lru_cache(maxsize=8)
def _write_act(seed: int, act: int) -> tuple[Visit, ...]:
    """Citizens one by one, some of whom wait first; an officer who goes away once."""
    dice = random.Random(f"{seed}:{act}")  # noqa: S311 - a play, no secret
    start, end = act * ACT_S, (act + 1) * ACT_S - 2 * WALK_S
    visits: list[Visit] = []

    def enter(zone: str, begin_s: float, end_s: float, rating: int | None = None) -> None:
        coat = (dice.randint(20, 110), dice.randint(20, 110), dice.randint(20, 110))
        visits.append(Visit(zone, begin_s, end_s, coat, rating))

    comes = start + EMPTY_S + dice.uniform(3, 6)
    goes = start + ACT_S * dice.uniform(0.4, 0.6)
    enter("officer", comes, goes)
    enter("officer", goes + dice.uniform(30, 60), end)
    waits_from: float | None = None
    at = comes + dice.uniform(3, 10)
    while True:
        leaves = at + dice.uniform(20, 70)
        if leaves > end:
            break
        if waits_from is not None:
            enter("waiting", waits_from, at - 2 * WALK_S)
        enter("citizen", at, leaves, dice.choice((None, None, 5, 4, 2)))
        # The next one may come, and wait, while this one is served.
        next_at = leaves + 2 * WALK_S + dice.uniform(3, 20)
        waits_from = leaves - dice.uniform(5, 15) if dice.random() < 0.4 else None
        at = next_at
    order = {"officer": 0, "waiting": 1, "citizen": 2}
    return tuple(sorted(visits, key=lambda visit: order[visit.zone]))


@cache
def _room() -> Image:
    """The empty room: wall, floor, window, notice board, door, desk and chair."""
    room = np.full((HEIGHT, WIDTH, 3), (188, 196, 200), np.uint8)
    for y in range(HEIGHT):  # lamps on the ceiling
        room[y] = np.clip(room[y] * (1.1 - 0.35 * y / HEIGHT), 0, 255)
    cv2.rectangle(room, (0, 235), (WIDTH, HEIGHT), (96, 112, 130), -1)
    for x in range(-200, WIDTH + 200, 60):  # tiles
        cv2.line(room, (x, HEIGHT), (WIDTH // 2 + (x - WIDTH // 2) // 2, 235), (80, 96, 112), 1)
    cv2.rectangle(room, (20, 25), (130, 100), (235, 225, 205), -1)
    cv2.rectangle(room, (20, 25), (130, 100), (90, 90, 90), 3)
    cv2.line(room, (75, 25), (75, 100), (90, 90, 90), 2)
    cv2.rectangle(room, (200, 20), (330, 90), (60, 90, 140), -1)
    for left in (210, 252, 294):
        cv2.rectangle(room, (left, 30), (left + 30, 78), (240, 240, 235), -1)
    cv2.rectangle(room, (600, 60), (638, 260), (70, 80, 95), -1)
    cv2.rectangle(room, (60, 230), (125, 245), (120, 60, 40), -1)
    for x in (65, 120):
        cv2.line(room, (x, 245), (x, 300), (60, 60, 60), 3)
    _draw_desk(room)
    return room


def _draw_desk(picture: Image) -> None:
    cv2.rectangle(picture, (380, 190), (600, 300), (45, 75, 110), -1)
    cv2.rectangle(picture, (370, 180), (610, 196), (70, 105, 145), -1)
    cv2.rectangle(picture, (540, 140), (590, 180), (40, 40, 40), -1)  # screen


def _draw_person(picture: Image, visit: Visit, at_s: float) -> None:
    """From walking in to having walked out; nobody keeps quite still."""
    away = max((visit.begin_s - at_s) / WALK_S, (at_s - visit.end_s) / WALK_S, -1.0) + 0.5
    if away >= 1.5:
        return
    place, door = _PLACES[visit.zone]
    step = min(1.0, max(0.0, away))
    x = round(place[0] + (door[0] - place[0]) * step + 2 * math.sin(at_s * 1.3 + visit.begin_s))
    y = round(place[1] + (door[1] - place[1]) * step)
    skin, hair = (125, 160, 205), (30, 30, 35)
    cv2.ellipse(picture, (x, y - 90), (38, 80), 0, 0, 360, visit.coat, -1)
    cv2.line(picture, (x, y - 150), (x, y - 60), tuple(c // 2 for c in visit.coat), 3)
    cv2.circle(picture, (x, y - 185), 24, skin, -1)
    cv2.ellipse(picture, (x, y - 195), (25, 18), 0, 180, 360, hair, -1)
    shown_for = at_s - visit.begin_s - CARD_AFTER_S
    if visit.rating is not None and 0 <= shown_for < CARD_FOR_S:
        card = _card(visit.rating)
        picture[y - 150 : y - 150 + card.shape[0], x - 50 : x - 50 + card.shape[1]] = card


@cache
def _card(rating: int) -> Image:
    """A rating card, four pixels a module."""
    code = segno.make(f"{RATING_PREFIX}{rating}", micro=False, error="m")
    modules = np.pad(np.array([list(row) for row in code.matrix], np.uint8), 2)
    grey = cv2.resize(255 - 235 * modules, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)


@cache
def _noise() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    generator = np.random.default_rng(1)
    return generator.normal(0, NOISE, (HEIGHT, WIDTH, 1)).astype(np.float32)
