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
    rows, columns = (
        slice(max(0, part.start - reach), min(size, part.stop + reach))
        for part, size in zip(window, shape, strict=True)
    )
    return rows, columns


def within(window: Window, wide: Window) -> Window:
    """The window's place in a wider one."""
    rows, columns = (
        slice(part.start - outer.start, part.stop - outer.start)
        for part, outer in zip(window, wide, strict=True)
    )
    return rows, columns


def shift(window: Window, outer: Window) -> Window:
    """The opposite of `within`: a window of the outer one's part, in the whole picture."""
    rows, columns = (
        slice(part.start + around.start, part.stop + around.start)
        for part, around in zip(window, outer, strict=True)
    )
    return rows, columns


def holds(outer: Window, window: Window) -> bool:
    """Whether all of the window lies in the outer one."""
    return all(
        around.start <= part.start and part.stop <= around.stop
        for part, around in zip(window, outer, strict=True)
    )


def unite(one: Window, other: Window) -> Window:
    """The least window that holds both."""
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return rows, columns


def intersect(one: Window, other: Window) -> Window | None:
    """What both share; `None` if that is nothing."""
    rows, columns = (
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None
