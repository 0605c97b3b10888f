"""Where a desk's people stand or sit in the picture: named polygons with a role.

Coordinates are shares of the picture's width and height (0 to 1), so that they outlive a change of
resolution. Knows no file: it takes text and says in one line what is wrong with it.
"""

import math
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from event_protocol.events import ZoneRole
from event_protocol.names import NAME_PATTERN

Point = tuple[float, float]

MIN_POINTS = 3
MIN_AREA = 1e-4  # of the picture; at 256 × 144 working pixels fewer than four would be left
_ROLES = ", ".join(ZoneRole)


class ZonesError(ValueError):
    """The text does not describe zones; the message names the zone and what is wrong."""


@dataclass(frozen=True, slots=True)
class Zone:
    """One polygon of the picture, and whom it is for."""

    name: str
    role: ZoneRole
    polygon: tuple[Point, ...]

    def centre(self) -> Point:
        """Mean of the corners; good enough to tell which zone is nearer."""
        count = len(self.polygon)
        return sum(x for x, _ in self.polygon) / count, sum(y for _, y in self.polygon) / count

    def holds(self, point: Point) -> bool:
        """Whether the point lies inside: a ray from it to the right leaves an odd number of times.

        The crossing-number test; on the border itself either answer is possible.
        """
        x, y = point
        is_inside = False
        for (x0, y0), (x1, y1) in _edges(self.polygon):
            if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                is_inside = not is_inside
        return is_inside


def parse_zones(text: str) -> tuple[Zone, ...]:
    """Zones of a YAML or JSON text, in its order; raises `ZonesError`."""
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except yaml.YAMLError as error:
        raise ZonesError(f"neither YAML nor JSON: {_one_line(error)}") from None
    except RecursionError:
        raise ZonesError("neither YAML nor JSON: nested too deep") from None
    if not isinstance(document, dict) or "zones" not in document:
        raise ZonesError("there is no `zones:` at the top")
    unknown = [key for key in document if key != "zones"]
    if unknown:
        raise ZonesError(f"unknown entry {unknown[0]!r} beside `zones:`")
    zones = document["zones"]
    if not isinstance(zones, dict) or not zones:
        raise ZonesError("`zones:` must hold at least one zone by its name")
    return tuple(_parse_zone(name, zone) for name, zone in zones.items())


def _parse_zone(name: object, zone: object) -> Zone:
    if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
        raise ZonesError(f"zone {name!r}: a name is made of a-z, 0-9, - and _, at most 64 of them")
    if not isinstance(zone, dict):
        raise ZonesError(f"zone {name}: needs `role:` and `polygon:`")
    for key in ("role", "polygon"):
        if key not in zone:
            raise ZonesError(f"zone {name}: `{key}:` is missing")
    unknown = [key for key in zone if key not in ("role", "polygon")]
    if unknown:
        raise ZonesError(f"zone {name}: unknown entry {unknown[0]!r}")
    if zone["role"] not in tuple(ZoneRole):
        raise ZonesError(f"zone {name}: role {zone['role']!r} is none of {_ROLES}")
    return Zone(name, ZoneRole(zone["role"]), parse_polygon(f"zone {name}", zone["polygon"]))


def parse_polygon(what: str, polygon: object) -> tuple[Point, ...]:
    """The corners of an area of the picture; raises `ZonesError` that begins with `what`."""
    if not isinstance(polygon, list | tuple):
        raise ZonesError(f"{what}: the polygon must be a list of [x, y]")
    points = tuple(_parse_point(what, number, point) for number, point in enumerate(polygon, 1))
    if len(set(points)) < MIN_POINTS:
        raise ZonesError(f"{what}: {len(set(points))} different points, needs {MIN_POINTS}")
    if _area(points) < MIN_AREA:
        raise ZonesError(f"{what}: the polygon has next to no area")
    return points


def _parse_point(what: str, number: int, point: object) -> Point:
    if (
        not isinstance(point, list | tuple)
        or len(point) != 2
        or not all(type(value) in (int, float) for value in point)
    ):
        raise ZonesError(f"{what}: point {number} is not [x, y] with two numbers")
    x, y = (float(value) for value in point)
    if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1):
        raise ZonesError(f"{what}: point {number} [{x:g}, {y:g}] is outside the picture (0 to 1)")
    return x, y


def _area(points: tuple[Point, ...]) -> float:
    """Shoelace formula."""
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in _edges(points))) / 2


def _edges(points: tuple[Point, ...]) -> Iterator[tuple[Point, Point]]:
    return zip(points, points[1:] + points[:1], strict=True)


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]


class _StrictLoader(yaml.SafeLoader):
    """Refuses a name given twice, where plain YAML would silently keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "the same name stands there twice", node.start_mark
            )
        return mapping
