"""What a picture says of each zone, against how the zone looks when it is empty.

Each picture is brought into the reference's light and place first. The reference never takes in
what was not judged to be empty, so that somebody who sits still is not absorbed; the judgement is
`core`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import cv2
import numpy as np

from edge_agent.core.desk_zones import Zone
from edge_agent.core.zone_evidence import Learn
from edge_agent.core.zone_reading import ZoneReading
from edge_agent.vision.empty_room import EmptyRoom, Place
from edge_agent.vision.figures import FigureSorter
from edge_agent.vision.frames import GreyPicture, Mask
from edge_agent.vision.gradient import LocalGradient, Slopes
from edge_agent.vision.micro_motion import MicroMotion
from edge_agent.vision.windows import intersect, surround, widen, within

MAX_REFERENCE_PICTURES = 50  # the median of more is no better and costs memory
FOLLOW_EVERY = timedelta(seconds=10)
NEAR = np.ones((5, 5), np.uint8)  # a shadow on the floor is not the motion of what stands there
HIDDEN_SHARE = 0.04  # by somebody who belongs elsewhere: enough to hide that a zone is empty


class CalibrationError(ValueError):
    """These pictures can't be an empty reference; the message says why."""


class ZoneObserver:
    """Compares pictures with the empty reference, zone by zone."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = tuple(zones)
        self._calibrated: set[Zone] = set()
        self._stored: GreyPicture | None = None
        self._room: EmptyRoom | None = None
        self._motion: MicroMotion
        self._sorter: FigureSorter
        self._seen: GreyPicture | None = None
        self._changed: Mask | None = None
        self._followed_at: datetime | None = None

    @property
    def is_calibrated(self) -> bool:
        """Whether it is known of every zone how it looks when it is empty."""
        if self._stored is not None:
            return True
        return bool(self._zones) and len(self._calibrated) == len(self._zones)

    def calibrate(self, pictures: Iterable[GreyPicture]) -> None:
        """Take the median of pictures in which every zone is empty as the reference."""
        spread = [np.rint(picture).astype(np.uint8) for picture in pictures]
        spread = spread[:: max(1, -(-len(spread) // MAX_REFERENCE_PICTURES))]
        if not spread:
            raise CalibrationError("no picture to calibrate with")
        if len({picture.shape for picture in spread}) > 1:
            raise CalibrationError("the pictures differ in size")
        picture = np.median(np.stack(spread), axis=0, overwrite_input=True).astype(np.float32)
        self._begin(EmptyRoom(picture, self._zones))
        self._calibrated = set(self._zones)

    def export_reference(self) -> GreyPicture | None:
        """What to keep over a restart; `None` before every zone is calibrated."""
        if self._stored is not None:
            return self._stored
        if self._room is None or not self.is_calibrated:
            return None
        return self._room.to_layers()

    def use_reference(self, stored: GreyPicture) -> None:
        """Go on with what was exported; how it is to be cut the first picture's size will tell."""
        self._stored = stored

    def observe(self, picture: GreyPicture, at: datetime) -> dict[Zone, ZoneReading]:
        """What there is to say of each zone; nothing if the reference is of another size."""
        room = self._room or self._open(picture)
        if picture.shape != room.reference.picture.shape:
            self._seen = None
            return {}
        seen = room.light.bring_back(picture, room.light.fit(picture))
        gradient = LocalGradient(seen)
        changed = room.reference.differ(seen, gradient)
        moving = self._motion.observe(seen, gradient, at, room.reference.contrast)
        if room.recall(seen, gradient, changed):
            changed = room.reference.differ(seen, gradient)
        self._seen, self._changed = seen, changed
        return self._read(room, moving, changed, gradient)

    def learn(self, lessons: Mapping[Zone, Learn], at: datetime) -> bool:
        """Take in what the picture just observed teaches; whether a zone got another look."""
        room, seen, changed = self._room, self._seen, self._changed
        if room is None or seen is None or changed is None:
            return False
        taken = [zone for zone, lesson in lessons.items() if lesson is Learn.AT_ONCE]
        for zone in taken:
            room.take(seen, self._zones.index(zone))
        self._calibrated.update(taken)
        confirmed = {zone for zone, lesson in lessons.items() if lesson is Learn.CONFIRMED}
        self._calibrated |= confirmed
        if self._followed_at is None or abs(at - self._followed_at) >= FOLLOW_EVERY:
            self._followed_at = at
            empty = [n for n, z in enumerate(self._zones) if lessons.get(z) is Learn.SLOWLY]
            room.follow(seen, changed, empty)
        return bool(taken or confirmed)

    def _open(self, picture: GreyPicture) -> EmptyRoom:
        """The stored room, or as long as there is none the first picture."""
        room, stored = EmptyRoom(picture, self._zones), self._stored
        self._stored = None
        if stored is not None and stored.shape[1] == picture.shape[1]:
            count, rest = divmod(stored.shape[0], picture.shape[0])
            if count and not rest:
                room = EmptyRoom.from_layers(np.split(stored, count), self._zones)
                self._calibrated = set(self._zones)
        self._begin(room)
        return room

    def _begin(self, room: EmptyRoom) -> None:
        self._room = room
        self._sorter = FigureSorter([place.mask for place in room.places])
        self._motion = MicroMotion(room.light.sample)

    def _read(
        self, room: EmptyRoom, moving: Mask, changed: Mask, gradient: Slopes
    ) -> dict[Zone, ZoneReading]:
        readings = {}
        stirring = _Stirring(moving, changed)
        fillings = self._sorter.sort(changed)
        for zone, place, filling in zip(self._zones, room.places, fillings, strict=True):
            is_calibrated = zone in self._calibrated
            outline = 0.0
            if filling.own > 0:
                own = changed[place.window] & place.mask[place.window]
                outline = room.reference.outline(own, gradient, place.window)
            readings[zone] = ZoneReading(
                changed=filling.own,
                moving=stirring.count(place, only_near=is_calibrated) / place.area,
                outline=outline,
                is_calibrated=is_calibrated,
                is_hidden=filling.foreign >= HIDDEN_SHARE,
                figures=filling.figures,
            )
        return readings


class _Stirring:
    """What moves in a picture, and how near it is to what changed."""

    def __init__(self, moving: Mask, changed: Mask) -> None:
        self._moving, self._changed = moving, changed
        self._window = surround(moving)

    def count(self, place: Place, *, only_near: bool) -> int:
        """Pixels of the place that move."""
        part = None if self._window is None else intersect(place.window, self._window)
        if part is None:
            return 0
        stirred = self._moving[part] & place.mask[part]
        if only_near:
            around = widen(part, NEAR.shape[0] // 2, self._changed.shape)
            near = cv2.dilate(self._changed[around].view(np.uint8), NEAR).view(np.bool_)
            stirred &= near[within(part, around)]
        return int(np.count_nonzero(stirred))
