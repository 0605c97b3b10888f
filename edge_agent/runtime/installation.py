"""What the wizard does to this box (`http.parts.Installation`)."""

from collections.abc import Sequence
from datetime import timedelta

import yaml
from pydantic import ValidationError

from edge_agent.core.desk_zones import ZonesError, parse_polygon, parse_zones
from edge_agent.delivery.health import disk_free_mb
from edge_agent.delivery.identity import IdentityError
from edge_agent.http.parts import CameraView, Check, DeskView, RefusedError
from edge_agent.runtime.agent import Agent, AgentError
from edge_agent.runtime.camera_worker import CameraWorker
from edge_agent.runtime.installed_cameras import save_camera
from edge_agent.runtime.setup_pin import is_pin
from edge_agent.runtime.sources import read_zones
from edge_agent.settings import CameraSettings, DeskSettings, SettingsError
from event_protocol.events import CameraState, PresenceState
from event_protocol.names import DeskId

MIN_FPS = 4.0  # under it, a card held up for a second may be missed
MIN_FREE_MB = 200
MAX_CLOCK_OFFSET = timedelta(seconds=5)


class AgentInstallation:
    """The wizard's hands. Thread-safe as far as `Agent` is."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    @property
    def device(self) -> str | None:
        """This box's name; `None` before pairing."""
        return self._agent.device

    def accepts_pin(self, pin: str) -> bool:
        """Whether that is the PIN printed at the first start."""
        return is_pin(self._agent.folder, pin)

    def pair(self, server_url: str, code: str) -> None:
        """Trade the code for a name; raises `RefusedError`."""
        try:
            self._agent.pair(server_url, code)
        except IdentityError as error:
            raise RefusedError(error.code, str(error)) from error
        except (AgentError, SettingsError) as error:
            raise RefusedError("not_started", str(error)) from error

    def list_cameras(self) -> tuple[CameraView, ...]:
        """All cameras, with what they see just now."""
        return tuple(
            _view(camera, self._agent.workers.get(camera.name))
            for camera in self._agent.list_cameras()
        )

    def save_camera(self, name: str, source: str, desks: tuple[str, ...]) -> None:
        """Add or change a camera and start it."""
        before = next((c for c in self._agent.list_cameras() if c.name == name), None)
        known = {} if before is None else {view.desk: view for view in before.desks}
        taken = {
            view.desk: other.name
            for other in self._agent.list_cameras()
            if other.name != name
            for view in other.desks
        }
        for desk in desks:
            if desk in taken:
                raise RefusedError("desk_taken", f"{desk}: {taken[DeskId(desk)]}")
        try:
            camera = CameraSettings(
                name=name,
                source=source,
                paced=before.paced if before else True,
                play_once=before.play_once if before else True,
                masks=before.masks if before else (),
                desks=tuple(known.get(DeskId(d)) or DeskSettings(desk=DeskId(d)) for d in desks),
            )
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            field = ".".join(str(step) for step in fault["loc"])
            raise RefusedError("camera_malformed", f"{field}: {fault['msg']}") from error
        self._keep(camera)

    def save_zones(self, camera: str, desk: str, zones_text: str) -> None:
        """Replace a desk's zones."""
        settings = self._find(camera)
        try:
            parse_zones(zones_text)
        except ZonesError as error:
            raise RefusedError("zones_malformed", str(error)) from error
        drawn = DeskSettings(desk=DeskId(desk), zones=yaml.safe_load(zones_text)["zones"])
        desks = tuple(drawn if view.desk == desk else view for view in settings.desks)
        self._keep(settings.model_copy(update={"desks": desks}))

    def save_masks(self, camera: str, masks: Sequence[object]) -> None:
        """Replace the areas that no clip of it may show; they hold for every clip from now on."""
        settings = self._find(camera)
        try:
            drawn = tuple(parse_polygon(f"mask {n}", mask) for n, mask in enumerate(masks, 1))
        except ZonesError as error:
            raise RefusedError("masks_malformed", str(error)) from error
        self._keep(settings.model_copy(update={"masks": drawn}))

    def take_picture(self, camera: str) -> bytes | None:
        """The newest picture as JPEG."""
        worker = self._agent.workers.get(camera)
        return None if worker is None else worker.take_picture()

    def calibrate(self, camera: str) -> None:
        """Take what is seen in the next seconds as the empty desk."""
        worker = self._agent.workers.get(camera)
        if worker is None or worker.take_picture() is None:
            raise RefusedError("no_picture", camera)
        worker.calibrate()

    def run_checks(self) -> tuple[Check, ...]:
        """All ticks of the last page."""
        checks = [Check("paired", self.device is not None, self.device or "")]
        for camera in self.list_cameras():
            checks += self._check_camera(camera)
        if not self._agent.workers:
            checks.append(Check("camera", is_ok=False))
        free_mb = disk_free_mb(self._agent.folder)
        return (
            *checks,
            *self._check_confirmer(),
            *self._check_link(),
            Check("disk", free_mb >= MIN_FREE_MB, f"{free_mb} MB"),
        )

    def _check_camera(self, camera: CameraView) -> list[Check]:
        worker = self._agent.workers.get(camera.name)
        if worker is None:
            return [Check("camera", is_ok=False, detail=camera.name)]
        measured = worker.measure()
        is_watching = camera.problem is None and measured.frame_age_ms is not None
        zones = [state for view in camera.desks for state in view.presence.values()]
        known = sum(state is not PresenceState.UNKNOWN for state in zones)
        return [
            Check("camera", is_watching, camera.problem or camera.name),
            Check("frame_rate", measured.fps >= MIN_FPS or worker.has_ended, f"{measured.fps:g}/s"),
            Check("picture", measured.state is CameraState.OK, measured.state),
            Check("zones", all(view.zones for view in camera.desks), camera.name),
            Check("calibrated", camera.is_calibrated, camera.name),
            Check("presence", 0 < known == len(zones), f"{known}/{len(zones)}"),
        ]

    def _check_confirmer(self) -> list[Check]:
        confirmer = self._agent.confirmer
        if confirmer is None:
            return []
        return [
            Check(
                "confirmer",
                confirmer.problem is None,
                confirmer.problem or confirmer.settings.layout,
            )
        ]

    def _check_link(self) -> list[Check]:
        uplink, outbox = self._agent.uplink, self._agent.outbox
        if uplink is None or outbox is None:
            return [Check("network", is_ok=False)]
        offset_ms = outbox.clock_offset_ms
        is_right = offset_ms is not None and (
            abs(timedelta(milliseconds=offset_ms)) <= MAX_CLOCK_OFFSET
        )
        return [
            Check("network", uplink.is_connected, str(outbox.depth)),
            Check("receipts", outbox.receipt_fault is None, outbox.receipt_fault or ""),
            Check("clock", is_right, "?" if offset_ms is None else f"{offset_ms} ms"),
        ]

    def _find(self, name: str) -> CameraSettings:
        for camera in self._agent.list_cameras():
            if camera.name == name:
                return camera
        raise RefusedError("no_camera", name)

    def _keep(self, camera: CameraSettings) -> None:
        try:
            save_camera(self._agent.folder, camera)
            self._agent.restart_camera(camera)
        except OSError as error:
            raise RefusedError("not_saved", error.strerror or "") from error
        except (AgentError, SettingsError) as error:
            raise RefusedError("not_started", str(error)) from error


def _view(camera: CameraSettings, worker: CameraWorker | None) -> CameraView:
    desks = []
    for settings in camera.desks:
        try:
            zones = read_zones(camera, settings)
        except (OSError, ZonesError):
            zones = ()
        seen = {} if worker is None else worker.presence.get(settings.desk, {})
        desks.append(DeskView(settings.desk, zones, dict(seen)))
    return CameraView(
        camera.name,
        camera.source,
        tuple(desks),
        None if worker is None else worker.state,
        worker is not None and worker.is_calibrated,
        None if worker is None else worker.problem,
        camera.masks,
    )
