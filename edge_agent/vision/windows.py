"""Rectangles of a picture, so that work is done only where there is something to see."""

import cv2
import numpy as np

from edge_agent.vision.frames import Mask

Window = tuple[slice, slice]
"""Rows and columns."""

NOWHERE: Window = slice(0, 0), slice(0, 0)


def surround(mask: Mask) -> Window | None:
    """The least window that holds all of it; `None` if there is nothing."""
    x, y, across, down = cv2.boundingRect(mask.view(np.uint8))
    return (slice(y, y + down), slice(x, x + across)) if across else None


def widen(window: Window, reach: int, shape: tuple[int, ...]) -> Window:
    """With what lies so near, as far as there is more of the picture."""
    (rows, columns), (height, width) = window, shape
    return (
        slice(max(0, rows.start - reach), min(height, rows.stop + reach)),
        slice(max(0, columns.start - reach), min(width, columns.stop + reach)),
    )


def within(window: Window, outer: Window) -> Window:
    """The window's place in a wider one."""
    return _move(window, -outer[0].start, -outer[1].start)


def shift(window: Window, outer: Window) -> Window:
    """The opposite of `within`: the place in the picture of a window of the outer one."""
    return _move(window, outer[0].start, outer[1].start)


def holds(outer: Window, window: Window) -> bool:
    """Whether all of the window lies in the outer one."""
    (down, across), (rows, columns) = outer, window
    return bool(
        down.start <= rows.start
        and rows.stop <= down.stop
        and across.start <= columns.start
        and columns.stop <= across.stop
    )


def unite(one: Window, other: Window) -> Window:
    """The least window that holds both."""
    (rows, columns), (down, across) = one, other
    return (
        slice(min(rows.start, down.start), max(rows.stop, down.stop)),
        slice(min(columns.start, across.start), max(columns.stop, across.stop)),
    )


def intersect(one: Window, other: Window) -> Window | None:
    """What both share; `None` if that is nothing."""
    (rows, columns), (down, across) = one, other
    top, bottom = max(rows.start, down.start), min(rows.stop, down.stop)
    left, right = max(columns.start, across.start), min(columns.stop, across.stop)
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


def _move(window: Window, down: int, across: int) -> Window:
    rows, columns = window
    return (
        slice(rows.start + down, rows.stop + down),
        slice(columns.start + across, columns.stop + across),
    )
