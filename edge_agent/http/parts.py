"""What the pages need from the rest of the agent; `runtime` provides it, tests may too."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from edge_agent.core.desk_zones import Point, Zone
from edge_agent.core.feedback import GivenFeedback
from event_protocol.events import CameraState, PresenceState
from event_protocol.messages import DeskConfiguration
from event_protocol.names import DeskId


class NotSavedError(Exception):
    """Feedback could not be written to the disk; the citizen must be told."""


class RefusedError(Exception):
    """What the installer asked for can't be done; `code` is a message key below `setup.error.`."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Desks(Protocol):
    """The desks of this box and the way of feedback into its outbox. Called by several threads."""

    @property
    def public_url(self) -> str:
        """The citizens' pages as phones see them."""
        ...

    @property
    def form_key(self) -> bytes:
        """Secret of this box that signs forms; the same after a restart."""
        ...

    def list_desks(self) -> tuple[DeskConfiguration, ...]:
        """All desks that the server gave to this box; none before pairing."""
        ...

    def current_session(self, desk: DeskId, at: datetime) -> UUID | None:
        """The stay that feedback given now belongs to, if the camera can say."""
        ...

    def server_time(self, at: datetime) -> datetime:
        """`at` by the server's clock, which is the one that judges a code's age."""
        ...

    def submit(self, given: GivenFeedback) -> bool:
        """Seal and store a first tap; `False` if its id is known. Raises `NotSavedError`."""
        ...

    def amend(self, amended: GivenFeedback, event_id: UUID) -> bool:
        """Seal and store a first tap's new content, likewise."""
        ...


@dataclass(frozen=True, slots=True)
class DeskView:
    """One desk in a camera's picture."""

    desk: str
    zones: tuple[Zone, ...] = ()
    presence: dict[str, PresenceState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CameraView:
    """One camera as the wizard shows it; `problem` says in words why it gives no pictures."""

    name: str
    source: str
    desks: tuple[DeskView, ...]
    state: CameraState | None
    is_calibrated: bool
    problem: str | None = None
    masks: tuple[tuple[Point, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One tick of the last page: `name` is a message key, `detail` a figure or a word.

    A failed one says what to do: the texts at `setup.check.{name}.ok` and `.mend`.
    """

    name: str
    is_ok: bool
    detail: str = ""


class Installation(Protocol):
    """What the wizard does to this box. Called by several threads."""

    @property
    def device(self) -> str | None:
        """This box's name; `None` before pairing."""
        ...

    def accepts_pin(self, pin: str) -> bool:
        """Whether that is the PIN printed at the first start; slow on purpose."""
        ...

    def pair(self, server_url: str, code: str) -> None:
        """Trade the code for a name; raises `RefusedError`."""
        ...

    def list_cameras(self) -> tuple[CameraView, ...]:
        """All cameras, with what they see just now."""
        ...

    def save_camera(self, name: str, source: str, desks: tuple[str, ...]) -> None:
        """Add or change a camera and start it; raises `RefusedError`."""
        ...

    def save_zones(self, camera: str, desk: str, zones_text: str) -> None:
        """Replace a desk's zones (YAML or JSON text); raises `RefusedError`."""
        ...

    def save_masks(self, camera: str, masks: Sequence[object]) -> None:
        """Replace the areas that no clip may show, lists of [x, y]; raises `RefusedError`."""
        ...

    def take_picture(self, camera: str) -> bytes | None:
        """The newest picture as JPEG; `None` if there is none."""
        ...

    def calibrate(self, camera: str) -> None:
        """Take what is seen in the next seconds as the empty desk; raises `RefusedError`."""
        ...

    def run_checks(self) -> tuple[Check, ...]:
        """All ticks of the last page, measured now."""
        ...
