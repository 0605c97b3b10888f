"""All settings of the agent, one model for each section, validated whole before anything starts.

From `EDGE_…` environment variables (nested with `__`) over a YAML file given by `--config`.
Relative paths in the file are read from the file's own folder.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from edge_agent.core.desk_zones import MIN_POINTS, Point, Zone, ZonesError, parse_zones
from event_protocol.names import CameraName, DeskName

ENV_PREFIX = "EDGE_"
SCENE_PREFIX, USB_PREFIX = "scene:", "usb:"
_SPAN = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


class SettingsError(Exception):
    """The settings can't be used; each line of the message names a file's line and field."""


class Section(BaseModel):
    """Base of the sections: a misspelt setting is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DeskSettings(Section):
    """One desk in a camera's picture."""

    desk: DeskName = Field(description="The desk's name, as the server knows it.")
    zones_file: Path | None = Field(
        default=None, description="YAML or JSON file with the desk's zones."
    )
    zones: dict[str, Any] | None = Field(
        default=None,
        description="The zones themselves, in place of a file; neither: drawn in the wizard.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> "DeskSettings":
        if self.zones_file is not None and self.zones is not None:
            raise ValueError("give either `zones` or `zones_file`, not both")
        if self.zones is not None:
            self.read_zones()  # raises ZonesError, a ValueError
        return self

    def read_zones(self) -> tuple[Zone, ...]:
        """The desk's zones, none if they are not drawn yet; raises `ZonesError` or `OSError`."""
        if self.zones is not None:
            return parse_zones(yaml.safe_dump({"zones": self.zones}, sort_keys=False))
        if self.zones_file is not None:
            return parse_zones(self.zones_file.read_text(encoding="utf-8"))
        return ()


class CameraSettings(Section):
    """One camera and the desks that it shows."""

    name: CameraName = Field(description="The camera's name, unique on this box.")
    source: str = Field(
        min_length=1,
        description="rtsp://… address, video file, usb:NUMBER, or scene:SEED "
        "(a drawn room that brings its own zones).",
    )
    paced: bool = Field(default=True, description="Play a file at the speed of its recording.")
    play_once: bool = Field(
        default=True, description="A file: stop after its end; false: begin again."
    )
    empty: tuple[float, float] | None = Field(
        default=None,
        description="Seconds after the start in which every zone is empty, as 0-5; else the "
        "wizard or the agent itself calibrates.",
    )
    desks: tuple[DeskSettings, ...] = Field(
        min_length=1, description="The desks in this camera's picture."
    )
    masks: tuple[tuple[Point, ...], ...] = Field(
        default=(),
        description="Areas that no clip may show: polygons of [x, y], as in zones.",
    )

    @property
    def is_file(self) -> bool:
        """Whether the source is a recording, not a device, a stream or the drawn scene."""
        is_device = self.source.isdigit() or self.source.startswith(USB_PREFIX)
        return not (is_device or self.is_stream or self.is_scene)

    @property
    def is_stream(self) -> bool:
        """Whether the source is a camera of the network."""
        return "://" in self.source

    @property
    def is_scene(self) -> bool:
        """Whether the source is the built-in drawn room."""
        return self.source.startswith(SCENE_PREFIX)

    @field_validator("source", mode="before")
    @classmethod
    def _number_as_text(cls, value: object) -> object:
        return str(value) if type(value) is int else value  # `source: 0` is USB camera 0

    @field_validator("masks")
    @classmethod
    def _within_the_picture(cls, masks: tuple[tuple[Point, ...], ...]) -> object:
        for mask in masks:
            if len(mask) < MIN_POINTS or not all(0 <= x <= 1 and 0 <= y <= 1 for x, y in mask):
                raise ValueError(f"a mask has {MIN_POINTS} points or more, each from 0 to 1")
        return masks

    @field_validator("empty", mode="before")
    @classmethod
    def _parse_span(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        match = _SPAN.fullmatch(value.strip())
        if match is None or float(match[1]) >= float(match[2]):
            raise ValueError("must be START-END in seconds, as in 0-5")
        return float(match[1]), float(match[2])


class HttpSettings(Section):
    """Where kiosk, desk screen and wizard are served."""

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on; 0.0.0.0 lets the tablet on the LAN reach the kiosk.",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="Port of the agent's pages.")


class DeliverySettings(Section):
    """How events reach the server."""

    window: int = Field(
        default=500, ge=1, le=10_000, description="Events under way without a receipt, at most."
    )
    resend_after_s: float = Field(
        default=10, gt=0, description="Without a receipt for so long, events are sent again."
    )
    telemetry_every_s: float = Field(
        default=15, gt=0, description="How often the box reports its health."
    )
    keep_receipted_days: int = Field(
        default=14,
        ge=1,
        description="How long receipted events stay, for a server restored from a backup.",
    )


class EvidenceSettings(Section):
    """The ring of recordings from which the server may ask for clips."""

    enabled: bool = Field(
        default=True,
        description="Keep the cameras' recent pictures, encrypted so that only the server's word "
        "opens them.",
    )
    max_mb: int = Field(
        default=20_000,
        ge=10,
        description="The ring's size, all cameras together; the oldest are overwritten.",
    )
    keep_hours: float = Field(
        default=72, gt=0, description="How long pictures are kept, if there is room."
    )
    min_free_mb: int = Field(
        default=1000,
        ge=0,
        description="The ring shrinks before less than this is free for the events.",
    )
    max_clip_mb: int = Field(
        default=64,
        ge=1,
        description="The largest clip, which is made in memory; a longer one is less sharp.",
    )
    blur_faces: bool = Field(
        default=True, description="Make faces in clips and snapshots unknowable, where found."
    )
    face_detector: Path | None = Field(
        default=None,
        description="OpenCV cascade file that finds faces; none: the one that OpenCV brings.",
    )


class EdgeSettings(BaseSettings):
    """The edge agent's settings."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    directory: Path = Field(
        default=Path("var/edge"), description="Where key, outbox and wizard's answers live."
    )
    cameras: tuple[CameraSettings, ...] = Field(
        default=(), description="The cameras; those saved by the wizard go before these."
    )
    http: HttpSettings = Field(default_factory=HttpSettings, description="Pages.")
    delivery: DeliverySettings = Field(default_factory=DeliverySettings, description="Sending.")
    evidence: EvidenceSettings = Field(
        default_factory=EvidenceSettings, description="Recordings, and clips of them."
    )

    @field_validator("cameras")
    @classmethod
    def _unique_names(cls, cameras: tuple[CameraSettings, ...]) -> tuple[CameraSettings, ...]:
        refuse_repeated("camera", [camera.name for camera in cameras])
        refuse_repeated("desk", [desk.desk for camera in cameras for desk in camera.desks])
        return cameras

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file, whose content comes in as arguments."""
        return env_settings, init_settings


def refuse_repeated(kind: str, names: Sequence[str]) -> None:
    """Raise `ValueError` if a name stands there twice."""
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValueError(f"{kind} {name} is named twice")


def load_settings(file: Path | None) -> EdgeSettings:
    """The settings from file and environment; raises `SettingsError` that names each fault."""
    text, name = "", "environment"
    try:
        if file is not None:
            name = str(file)
            text = file.read_text(encoding="utf-8")
        document = yaml.safe_load(text) or {}
        if not isinstance(document, dict):
            raise SettingsError(f"{name}:1: must hold settings by name")
        settings = EdgeSettings(**{str(key): value for key, value in document.items()})
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: can't be read: {error}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{name}: {_yaml_fault(error)}") from error
    except ValidationError as error:
        raise SettingsError(_explain(error, text, name)) from error
    return _from_folder(settings, file.parent if file is not None else Path())


def _from_folder(settings: EdgeSettings, folder: Path) -> EdgeSettings:
    """Relative paths become the settings file's; each zones file is read once to see its faults."""
    cameras = []
    for camera in settings.cameras:
        desks = []
        for desk in camera.desks:
            if desk.zones_file is not None:
                path = folder / desk.zones_file
                desk = desk.model_copy(update={"zones_file": path})
                try:
                    desk.read_zones()
                except (OSError, UnicodeDecodeError, ZonesError) as error:
                    raise SettingsError(f"{path}: {error}") from error
            desks.append(desk)
        source = str(folder / camera.source) if camera.is_file else camera.source
        cameras.append(camera.model_copy(update={"desks": tuple(desks), "source": source}))
    update: dict[str, object] = {
        "cameras": tuple(cameras),
        "directory": folder / settings.directory,
    }
    if (detector := settings.evidence.face_detector) is not None:
        evidence = settings.evidence.model_copy(update={"face_detector": folder / detector})
        update["evidence"] = evidence
    return settings.model_copy(update=update)


def _yaml_fault(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]


def _explain(error: ValidationError, text: str, name: str) -> str:
    """One line for each fault, with where it came from: the file's line or the variable."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        steps = [str(step) for step in problem["loc"]]
        variable = ENV_PREFIX + "__".join(steps).upper()
        line = _line_of(text, problem["loc"])
        where = variable if variable in os.environ or line is None else f"{name}:{line}"
        lines.append(f"{where}: {'.'.join(steps)}: {problem['msg']}")
    return "\n".join(lines)


def _line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line on which the value at `path` stands, or the nearest thing above it that is there."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = None if node is None else node.start_mark.line + 1
    for step in path:
        key, node = _child(node, step)
        if node is None:
            return line
        line = (key or node).start_mark.line + 1
    return line


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None, None
