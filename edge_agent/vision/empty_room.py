"""How the room looks when its zones are empty: one picture, and a few earlier looks of each zone.

A zone has several empty looks: by day and by lamp, with a chair moved and without. The picture
holds the present one of each; when a zone turns out to look as it once did, that look returns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from edge_agent.core.desk_zones import Zone
from edge_agent.vision.changes import Reference
from edge_agent.vision.frames import GreyPicture, Mask
from edge_agent.vision.gradient import Slopes
from edge_agent.vision.light import LightModel
from edge_agent.vision.windows import NOWHERE, Window, surround

BACKGROUND_SHARE = 0.25  # of the picture outside all zones is enough to tell the light by
MAX_LOOKS = 2  # besides the present one
SAME_LOOK = 0.02  # of a zone's pixels may differ
LEARN_SHARE = 0.28  # of what still differs, each time: daylight that wanders is followed
WANDER = (
    4.3  # grey levels each time, at most: what stands outside the zones is not taken in at once
)


@dataclass
class Place:
    """One zone in the picture, and its earlier looks, the latest first."""

    mask: Mask
    window: Window
    area: int
    looks: list[Reference] = field(default_factory=list)

    @classmethod
    def of(cls, zone: Zone, shape: tuple[int, ...]) -> "Place":
        """The zone's pixels; at least one, however thin the polygon."""
        height, width = shape
        corners = np.array([(x * (width - 1), y * (height - 1)) for x, y in zone.polygon])
        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
        inside = mask.view(np.bool_)
        return cls(inside, surround(inside) or NOWHERE, int(np.count_nonzero(inside)))


class EmptyRoom:
    """The picture to compare with; `places` are in the order of the zones."""

    def __init__(self, picture: GreyPicture, zones: Sequence[Zone]) -> None:
        self.places = [Place.of(zone, picture.shape) for zone in zones]
        self._zones = tuple(zones)
        self._outside = np.ones(picture.shape, np.bool_)  # all of it, before zones are drawn
        for place in self.places:
            self._outside &= ~place.mask
        is_enough = self._outside.mean() >= BACKGROUND_SHARE
        self.reference = Reference(picture)
        background = self._outside if is_enough else np.ones_like(self._outside)
        self.light = LightModel(picture, self.reference.gradient, background)

    def _use(self, picture: GreyPicture) -> None:
        self.reference = Reference(picture)
        self.light.follow(picture, self.reference.gradient)

    def recall(self, seen: GreyPicture, gradient: Slopes, changed: Mask) -> bool:
        """Whether a zone that changed turned out to look as it once did; that look is used now."""
        recalled = [
            (place, look)
            for place in self.places
            if place.looks and changed[place.mask].mean() >= SAME_LOOK
            if (look := self._find_look(place, seen, gradient)) is not None
        ]
        if recalled:
            picture = self.reference.picture.copy()
            for place, look in recalled:
                place.looks.remove(look)
                self._keep_look(place)
                inside = place.mask[place.window]
                picture[place.window][inside] = look.picture[inside]
            self._use(picture)
        return bool(recalled)

    def _find_look(self, place: Place, seen: GreyPicture, gradient: Slopes) -> Reference | None:
        window = place.window
        part = gradient.part(window)
        for look in place.looks:
            changed = look.differ(seen[window], part)
            if changed[place.mask[window]].mean() < SAME_LOOK:
                return look
        return None

    def _keep_look(self, place: Place) -> None:
        look = self.reference.picture[place.window].copy()
        place.looks.insert(0, Reference(look, self.reference.contrast))
        del place.looks[MAX_LOOKS:]

    def take(self, seen: GreyPicture, number: int) -> None:
        """Zone `number` looks like this when it is empty; how it looked before is kept."""
        place = self.places[number]
        self._keep_look(place)
        picture = self.reference.picture.copy()
        picture[place.mask] = seen[place.mask]
        self._use(picture)

    def follow(self, seen: GreyPicture, changed: Mask, empty: Sequence[int]) -> None:
        """Wander with the light, outside the zones and where zones are empty."""
        free = self._outside.copy()
        for number in empty:
            free |= self.places[number].mask
        for number, place in enumerate(self.places):
            if number not in empty:
                free &= ~place.mask
        free &= self._outside | ~changed
        step = np.clip(seen - self.reference.picture, -WANDER, WANDER) * LEARN_SHARE
        self._use(self.reference.picture + np.where(free, step, np.float32(0)))

    # --- over a restart --------------------------------------------------------------------------

    def to_layers(self) -> GreyPicture:
        """The picture, and below it the same with each zone's next look, and so on."""
        layers = [self.reference.picture]
        for number in range(max((len(place.looks) for place in self.places), default=0)):
            layer = self.reference.picture.copy()
            for place in self.places:
                if number < len(place.looks):
                    inside = place.mask[place.window]
                    layer[place.window][inside] = place.looks[number].picture[inside]
            layers.append(layer)
        return np.concatenate(layers)

    @classmethod
    def from_layers(cls, layers: Sequence[GreyPicture], zones: Sequence[Zone]) -> "EmptyRoom":
        """What `to_layers` gave, cut into pictures."""
        room = cls(layers[0], zones)
        for place in room.places:
            for layer in layers[1:]:
                look = Reference(layer[place.window].copy(), room.reference.contrast)
                place.looks.append(look)
        return room
