"""What the wizard's forms say, and what stands in them: areas of the picture as rows of text.

A point is `x,y` in shares of the picture; what is no number stays as it is, to be named.
"""

import json

from starlette.datastructures import FormData, UploadFile

from edge_agent.core.desk_zones import Point
from edge_agent.http.parts import CameraView, DeskView
from event_protocol.events import ZoneRole

EMPTY_ROWS = 2  # places for further areas in the form without script

Polygon = list[list[float | str]]


def text_of(form: FormData, name: str) -> str:
    """A field without the blanks around it."""
    value = form.get(name, "")
    return "" if isinstance(value, UploadFile) else value.strip()


def zones_text(form: FormData) -> str:
    """The form's rows as the text of a zones file; empty rows are left out."""
    zones = {}
    names, roles = form.getlist("zone"), form.getlist("role")
    for name, role, points in zip(names, roles, form.getlist("points"), strict=False):
        if str(points).strip():
            zones[str(name).strip()] = {"role": str(role), "polygon": _read_points(str(points))}
    return json.dumps({"zones": zones})


def polygons_of(form: FormData) -> list[Polygon]:
    """The form's rows as polygons; empty rows are left out."""
    rows = (str(points) for points in form.getlist("points"))
    return [_read_points(points) for points in rows if points.strip()]


def zone_rows(view: DeskView | None) -> list[tuple[str, str, str]]:
    """Name, role and points of each zone, and some empty rows."""
    zones = () if view is None else view.zones
    rows = [(zone.name, str(zone.role), _write_points(zone.polygon)) for zone in zones]
    used = {name for name, _, _ in rows}
    fresh = [role for role in ZoneRole if role not in used][: EMPTY_ROWS if rows else None]
    return rows + [(str(role), str(role), "") for role in fresh]


def mask_rows(camera: CameraView | None) -> list[str]:
    """The points of each mask, and some empty rows."""
    masks = () if camera is None else camera.masks
    return [_write_points(mask) for mask in masks] + [""] * EMPTY_ROWS


def choose(
    cameras: tuple[CameraView, ...], camera: str, desk: str
) -> tuple[CameraView | None, DeskView | None]:
    """What was asked for, else the first desk without zones, else the first.

    Without a desk: the camera's first.
    """
    pairs = [(c, v) for c in cameras for v in c.desks]
    for c, v in pairs:
        if c.name == camera and desk in ("", v.desk):
            return c, v
    return next((pair for pair in pairs if not pair[1].zones), pairs[0] if pairs else (None, None))


def _read_points(text: str) -> Polygon:
    return [[_number(part) for part in pair.split(",")] for pair in text.split()]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _write_points(polygon: tuple[Point, ...]) -> str:
    return " ".join(f"{x:.4g},{y:.4g}" for x, y in polygon)
