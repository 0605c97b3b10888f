"""One camera's work: picture -> trust -> zones -> presence, and codes while somebody may be there.

Serves one desk or several that the same camera sees. Called by one thread only.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import cv2
import numpy as np

from edge_agent.core.camera_state import CameraTracker, Judgement
from edge_agent.core.codes import CardRating, CodeReader
from edge_agent.core.confirmation import Box, find_confirmed
from edge_agent.core.desk_zones import Zone
from edge_agent.core.presence import PresenceTracker
from edge_agent.core.statements import Statement
from edge_agent.core.zone_reading import ZoneReading
from edge_agent.vision.camera_trust import CameraTrust
from edge_agent.vision.frames import (
    Demand,
    Frame,
    GreyImage,
    GreyPicture,
    to_fine,
    to_working_picture,
)
from edge_agent.vision.qr_reader import Code, read_fast
from edge_agent.vision.stage_times import StageTimes
from edge_agent.vision.view import View
from edge_agent.vision.zone_observer import CalibrationError, ZoneObserver
from event_protocol.events import CameraState, ZoneRole
from event_protocol.names import DeskId

# A card is held up for a second or more; six looks a second see it twice and cost a third of
# looking at every frame.
READ_CODES_EVERY = timedelta(milliseconds=150)


class DeskPipeline:
    """Turns the frames of one camera into statements about its desks."""

    def __init__(
        self,
        camera: str,
        desks: Mapping[DeskId, tuple[Zone, ...]],
        new_id: Callable[[], UUID],
        times: StageTimes | None = None,
    ) -> None:
        self.times = times or StageTimes()
        self.readings: dict[DeskId, dict[str, ZoneReading]] = {}
        self.new_looks = 0  # how often a zone was found to look otherwise when it is empty
        self._desks = dict(desks)
        self._camera = CameraTracker(camera, tuple(desks))
        self._trust = CameraTrust()
        self._observer = ZoneObserver(tuple({z: None for zones in desks.values() for z in zones}))
        self._presence = {d: PresenceTracker(d, zones, new_id) for d, zones in desks.items()}
        self._codes = {desk: CodeReader(desk) for desk in desks}
        self._codes_read_at: datetime | None = None
        self._calibration: _CalibrationSpan | None = None

    def observe(self, frame: Frame) -> list[Statement | CardRating]:
        """What there is to say after this frame; usually nothing."""
        before, frame.before = frame.before, None
        said = [] if before is None else self._observe_one(before)
        return said + self._observe_one(frame)

    def _observe_one(self, frame: Frame) -> list[Statement | CardRating]:
        at = frame.captured_at
        with self.times.measure("trust"):
            judged = self._trust.judge(View.of(frame), lambda: frame.image, at)
        with self.times.measure("presence"):
            picture = to_working_picture(frame.fine)
            said: list[Statement | CardRating] = [*self._watch_camera(judged, at)]
            if self._camera.is_trusted and self._calibration is not None:
                self._collect(self._calibration, frame)
            if not self._camera.is_in_doubt:  # until it is known what there is
                self.readings = self._read_zones(picture, judged.state, at)
                for desk, presence in self._presence.items():
                    said += presence.observe(self.readings[desk], at)
                self._learn(at)
        if self._camera.is_trusted and self._wants_codes(at):
            self._codes_read_at = at
            with self.times.measure("qr"):
                codes = read_fast(frame.grey)
            said += filter(None, (self._take_code(code, at) for code in codes))
        return said

    def camera_lost(self, since: datetime, at: datetime) -> list[Statement]:
        """No frame has come since then; `at` is when this became clear.

        Call it again now and then while it lasts, so that presence is stated every five minutes.
        """
        self.readings = {}
        said = self._camera.observe(Judgement(CameraState.LOST, since=since), at)
        for presence in self._presence.values():
            said += presence.lose_sight(since, at)
        return said

    def demand_after(self, at: datetime) -> Demand:
        """What the next frames are needed for, after the one of `at`.

        Key frames will do while nothing changes and no citizen is there: when a change began is
        seen better in more, a code must be seen twice while it is held up, and an empty reference
        is the median of many. Fewer will do where nobody keeps so still that each look counts.
        """
        is_quiet = (
            self.is_camera_good
            and self._calibration is None
            and not any(presence.is_changing for presence in self._presence.values())
            and not any(self._may_have_citizen(desk) for desk in self._desks)
        )
        if not is_quiet:
            return Demand.ALL_FRAMES
        can_miss_a_look = all(presence.can_miss_a_look(at) for presence in self._presence.values())
        return Demand.CHANGES if can_miss_a_look else Demand.KEY_FRAMES

    # --- a second opinion ------------------------------------------------------------------------

    @property
    def wants_look(self) -> bool:
        """Somebody is there, in a stay of which the confirmer was shown no picture yet."""
        return self.is_camera_good and any(p.wants_look for p in self._presence.values())

    def note_look(self) -> None:
        """The confirmer is shown the picture just observed."""
        for presence in self._presence.values():
            presence.note_look()

    def confirm(self, boxes: Iterable[Box], at: datetime) -> None:
        """Where it saw somebody in the picture of that time; said with the next picture."""
        confirmed = find_confirmed({z for zones in self._desks.values() for z in zones}, boxes)
        for desk, zones in self._desks.items():
            for zone in confirmed.intersection(zones):
                self._presence[desk].confirm(zone.name, at)

    # --- what others ask -------------------------------------------------------------------------

    @property
    def is_camera_good(self) -> bool:
        """Whether the last picture showed what it should, so that it may stand as evidence."""
        return self._camera.is_trusted and not self._camera.is_in_doubt

    def settled_until(self, at: datetime) -> datetime:
        """No change that is still to be stated will be about a time before this."""
        pending = [presence.settled_until(at) for presence in self._presence.values()]
        still_since = self._trust.still_since or at
        return min([self._camera.pending_since or at, still_since, *pending])

    def stay_at(self, desk: DeskId, at: datetime) -> UUID | None:
        """The session that feedback given at the desk now belongs to, if it is one only."""
        return self._presence[desk].stay_at(at)

    # --- calibration -----------------------------------------------------------------------------

    @property
    def is_calibrated(self) -> bool:
        """Whether there is an empty reference, so that presence can be known at all."""
        return self._observer.is_calibrated

    def calibrate(self, frames: Iterable[Frame]) -> None:
        """Take these frames as showing every zone empty; raises `CalibrationError`."""
        self._calibrate_with([frame.fine for frame in frames])

    def calibrate_between(self, start: datetime, end: datetime) -> None:
        """Somebody vouches that every zone is empty then: calibrate when that time has passed."""
        self._calibration = _CalibrationSpan(start, end)
        self._trust.memory.forget()  # the camera may have been turned on purpose

    def export_reference(self) -> bytes | None:
        """The empty reference as a PNG, to be kept over a restart."""
        reference = self._observer.export_reference()
        if reference is None:
            return None
        _, png = cv2.imencode(".png", np.rint(np.clip(reference, 0, 255)).astype(np.uint8))
        return png.tobytes()

    def import_reference(self, png: bytes) -> None:
        """Go on with an earlier reference; raises `CalibrationError` if it is none."""
        self._observer.use_reference(_read_png(png).astype(np.float32))

    def export_view(self) -> bytes | None:
        """What the camera is meant to show, as a PNG to be kept over a restart."""
        memory = self._trust.memory
        if memory.view is None or not memory.is_settled:
            return None
        _, png = cv2.imencode(".png", memory.view.fine)
        return png.tobytes()

    def import_view(self, png: bytes) -> None:
        """Go on with an earlier view; raises `CalibrationError` if it is none."""
        self._trust.memory.calibrate([to_fine(_read_png(png))])

    # --- what a restart must know ----------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """JSON values to be stored in the same transaction as what `observe` said."""
        return {desk: presence.snapshot() for desk, presence in self._presence.items()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot, before the first frame; raises `ValueError` if it is none."""
        for desk, presence in self._presence.items():
            presence.restore(snapshot.get(desk, {}))

    # --- one frame: the camera -------------------------------------------------------------------

    def _watch_camera(self, judged: Judgement, at: datetime) -> list[Statement]:
        """What there is to say of the camera; a fault takes the zones along since it began."""
        told = self._camera.observe(judged, at)
        said = list(told)
        if told and not self._camera.is_trusted and self._camera.since is not None:
            for presence in self._presence.values():
                said += presence.lose_sight(self._camera.since, at)
        return said

    # --- one frame: the zones ---------------------------------------------------------------------

    def _read_zones(
        self, picture: GreyPicture, judged: CameraState, at: datetime
    ) -> dict[DeskId, dict[str, ZoneReading]]:
        """Good frames count as evidence from the first one after a fault.

        No state can come of them before the camera is trusted again: `ENTER_AFTER` and
        `LEAVE_AFTER` are not shorter than `LEAVE_FAULT_AFTER`.
        """
        if judged is not CameraState.OK:
            return {desk: {} for desk in self._desks}
        readings = self._observer.observe(picture, at)
        return {
            desk: {zone.name: readings[zone] for zone in zones if zone in readings}
            for desk, zones in self._desks.items()
        }

    def _learn(self, at: datetime) -> None:
        """What the tracker made of the picture teaches the observer how empty zones look."""
        lessons = {
            zone: self._presence[desk].lesson(zone.name)
            for desk, zones in self._desks.items()
            for zone in zones
            if zone.name in self.readings[desk]
        }
        self.new_looks += self._observer.learn(lessons, at)

    def _collect(self, span: "_CalibrationSpan", frame: Frame) -> None:
        span.take(frame)
        if frame.captured_at >= span.end:
            self._calibration = None
            if span.pictures:  # else the camera showed nothing then, and all stays unknown
                self._calibrate_with(span.pictures)

    def _calibrate_with(self, pictures: Sequence[GreyImage]) -> None:
        self._observer.calibrate(to_working_picture(picture) for picture in pictures)
        self._trust.memory.calibrate(pictures)

    def _wants_codes(self, at: datetime) -> bool:
        if self._codes_read_at is not None and abs(at - self._codes_read_at) < READ_CODES_EVERY:
            return False
        return any(self._may_have_citizen(desk) for desk in self._desks)

    def _may_have_citizen(self, desk: DeskId) -> bool:
        return any(
            zone.role is ZoneRole.CITIZEN and self._presence[desk].may_be_occupied(zone.name)
            for zone in self._desks[desk]
        )

    def _take_code(self, code: Code, at: datetime) -> Statement | CardRating | None:
        """A code belongs to the citizen zone whose centre is nearest to it."""

        def distance(place: tuple[DeskId, Zone]) -> float:
            return math.dist(place[1].centre(), (code.x, code.y))

        desk, zone = min(
            (
                (desk, zone)
                for desk, zones in self._desks.items()
                for zone in zones
                if zone.role is ZoneRole.CITIZEN
            ),
            key=distance,
        )
        stay = self._presence[desk].stay_at(at, zone.name)
        return self._codes[desk].observe(code.text, at, stay)


class _CalibrationSpan:
    """Pictures of a span of time, thinned out so that a long one does not fill the memory."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self.pictures: list[GreyImage] = []
        self._next_at = start

    def take(self, frame: Frame) -> None:
        at = frame.captured_at
        if self._next_at <= at < self.end:
            self.pictures.append(frame.fine)
            self._next_at = at + (self.end - self.start) / 50


def _read_png(png: bytes) -> GreyImage:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE) if png else None
    if picture is None:
        raise CalibrationError("the stored empty reference is damaged")
    return np.asarray(picture, dtype=np.uint8)
