"""Where a desk's people stand or sit in the picture: named polygons with a role.

Coordinates are shares of the picture's width and height (0 to 1), so that they outlive a change of
resolution. Knows no file: it takes text and says in one line what is wrong with it.
"""

import math
import re
from collections.abc import Hashable
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
    return Zone(name, ZoneRole(zone["role"]), _parse_polygon(name, zone["polygon"]))


def _parse_polygon(name: str, polygon: object) -> tuple[Point, ...]:
    if not isinstance(polygon, list):
        raise ZonesError(f"zone {name}: the polygon must be a list of [x, y]")
    points = tuple(_parse_point(name, number, point) for number, point in enumerate(polygon, 1))
    if len(set(points)) < MIN_POINTS:
        raise ZonesError(f"zone {name}: {len(set(points))} different points, needs {MIN_POINTS}")
    if _area(points) < MIN_AREA:
        raise ZonesError(f"zone {name}: the polygon has next to no area")
    return points


def _parse_point(name: str, number: int, point: object) -> Point:
    if (
        not isinstance(point, list)
        or len(point) != 2
        or not all(type(value) in (int, float) for value in point)
    ):
        raise ZonesError(f"zone {name}: point {number} is not [x, y] with two numbers")
    x, y = (float(value) for value in point)
    if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1):
        raise ZonesError(
            f"zone {name}: point {number} [{x:g}, {y:g}] is outside the picture (0 to 1)"
        )
    return x, y


def _area(points: tuple[Point, ...]) -> float:
    """Shoelace formula."""
    following = points[1:] + points[:1]
    doubled = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, following, strict=True))
    return abs(doubled) / 2


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
