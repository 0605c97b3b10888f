"""What one picture says of one zone; all that the pure part knows of pictures."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that stands apart in a zone: its share of the zone, and its width by its height."""

    share: float
    breadth: float


@dataclass(frozen=True, slots=True)
class ZoneReading:
    """Shares are of the zone's pixels, 0 to 1.

    `changed` differs from the empty reference (from the first picture, while `is_calibrated` is
    false). `moving` differs from a picture of some seconds ago by more than light and noise.
    `outline` tells in which of the two pictures what differs stands out from its surroundings: from
    -1 (the reference: something is gone) to 1 (now: something is there).
    `is_hidden`: somebody who belongs to another zone reaches into this one or stands before it.
    `figures`: the largest first.
    """

    changed: float
    moving: float = 0.0
    outline: float = 0.0
    is_calibrated: bool = True
    is_hidden: bool = False
    figures: tuple[Figure, ...] = ()
