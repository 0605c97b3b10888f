"""One model for each section of the settings; the fields' descriptions are their documentation."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from edge_agent.core.desk_zones import Point, Zone, parse_polygon, parse_zones
from event_protocol.names import CameraName, DeskName

ENV_PREFIX = "EDGE_"
SCENE_PREFIX, USB_PREFIX = "scene:", "usb:"
_SPAN = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


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
        description="Areas that no clip, snapshot or picture of an alarm may show: polygons of "
        "[x, y], as in zones.",
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
        return tuple(parse_polygon(f"mask {n}", mask) for n, mask in enumerate(masks, 1))

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


class ConfirmerSettings(Section):
    """A second opinion on presence, once for each stay: makes it surer, and decides nothing."""

    layout: Literal["none", "face", "yolox", "nanodet", "ssd"] = Field(
        default="none",
        description="What looks: nothing, OpenCV's finder of frontal faces, or an ONNX person "
        "detector as YOLOX, NanoDet-Plus or pytorch-ssd export it.",
    )
    model: Path | None = Field(default=None, description="The ONNX file, if the layout has one.")
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="The file's SHA-256; another file is not read.",
    )
    input_size: int | None = Field(
        default=None,
        ge=32,
        le=2048,
        description="Side of the model's square input in pixels; empty: 416, for ssd 300.",
    )
    person_class: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="The class that means a person; empty: 0 (COCO), for ssd 15 (VOC).",
    )
    budget_ms: float = Field(
        default=1000,
        gt=0,
        description="The time of a look; a model that takes longer is switched off.",
    )

    @model_validator(mode="after")
    def _model_with_its_hash(self) -> "ConfirmerSettings":
        has_model = self.layout not in ("none", "face")
        if has_model != (self.model is not None) or has_model != (self.sha256 is not None):
            raise ValueError(
                "`model` and `sha256` belong to yolox, nanodet and ssd, and only there"
            )
        return self


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
    confirmer: ConfirmerSettings = Field(
        default_factory=ConfirmerSettings, description="A second opinion on presence."
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
