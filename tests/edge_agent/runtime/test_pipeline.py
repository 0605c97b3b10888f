"""The whole pipeline on the drawn room, whose truth is known, and on what may go wrong with it."""

import itertools
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from edge_agent.core.camera_state import LEAVE_FAULT_AFTER
from edge_agent.core.codes import CardRating
from edge_agent.core.desk_zones import Zone
from edge_agent.core.statements import Statement
from edge_agent.core.zone_evidence import ENTER_AFTER, LEAVE_AFTER
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision.frames import Frame
from edge_agent.vision.scene import EMPTY_S, ZONES, draw, truth_at
from edge_agent.vision.zone_observer import CalibrationError
from event_protocol.events import (
    CameraObserved,
    CameraState,
    PresenceObserved,
    PresenceState,
    ZoneRole,
)
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
DESK = DeskId("desk-1")
SEED = 1


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def frame(seconds: float, light: float = 1.0) -> Frame:
    image = np.clip(draw(SEED, seconds) * light, 0, 255).astype(np.uint8)
    return Frame(image, at(seconds))


def make_pipeline(**desks: tuple[Zone, ...]) -> DeskPipeline:
    numbers = itertools.count(1)
    of = {DeskId(name.replace("_", "-")): zones for name, zones in desks.items()} or {DESK: ZONES}
    return DeskPipeline("camera-1", of, lambda: UUID(int=next(numbers)))


def calibrated(**desks: tuple[Zone, ...]) -> DeskPipeline:
    pipeline = make_pipeline(**desks)
    pipeline.calibrate(frame(n / 4) for n in range(int(4 * EMPTY_S)))
    return pipeline


def play(
    pipeline: DeskPipeline, begin: float, end: float, step: float = 0.2, light: float = 1.0
) -> list[Statement | CardRating]:
    seconds = np.arange(begin, end, step)
    return [said for s in seconds for said in pipeline.observe(frame(round(float(s), 3), light))]


def presence(said: Iterable[Statement | CardRating], zone: str) -> list[tuple[float, str]]:
    found = [s.data for s in said if isinstance(s, Statement)]
    return [
        ((data.since - START).total_seconds(), data.state)
        for data in found
        if isinstance(data, PresenceObserved) and data.zone == zone
    ]


def camera_states(said: Iterable[Statement | CardRating]) -> list[str]:
    found = [s.data for s in said if isinstance(s, Statement)]
    return [data.state for data in found if isinstance(data, CameraObserved)]


def test_the_drawn_room_is_told_as_it_is() -> None:
    said = play(calibrated(), 0, 85, step=0.25)
    for zone in ZONES:
        told = presence(said, zone.name)
        for second in range(85):
            truth = truth_at(SEED, second + 0.5)[zone.name]
            near_change = any(
                truth_at(SEED, second + 0.5 + d)[zone.name] != truth for d in (-1, -0.5, 0.5, 1)
            )
            state = [state for since, state in told if since <= second + 0.5][-1]
            assert near_change or (state == PresenceState.OCCUPIED) is truth, (zone.name, second)
    assert camera_states(said) == [CameraState.OK]
    cards = [s for s in said if isinstance(s, CardRating)]
    assert [card.rating for card in cards] == [4, 2]
    assert len({card.session_id for card in cards} - {None}) == 2


def test_without_calibration_presence_is_unknown_until_somebody_was_seen_to_come_or_go() -> None:
    said = play(make_pipeline(), 0, 90, step=0.5)
    for zone in ZONES[:2]:
        told = presence(said, zone.name)
        assert told[0] == (0, PresenceState.UNKNOWN)
        for since, state in told[1:]:
            is_there = truth_at(SEED, since + 1.5)[zone.name]
            assert (state == PresenceState.OCCUPIED) is is_there, (zone.name, since)
        assert len(told) > 1


def test_calibrates_on_the_way_when_somebody_vouches_for_the_time() -> None:
    pipeline = make_pipeline()
    pipeline.calibrate_between(at(0), at(4))
    assert not pipeline.is_calibrated
    said = play(pipeline, 0, 22, step=0.5)
    assert pipeline.is_calibrated
    assert [state for _, state in presence(said, "citizen")] == ["unknown", "empty", "occupied"]


def test_a_calibration_in_the_dark_calibrates_nothing() -> None:
    pipeline = make_pipeline()
    pipeline.calibrate_between(at(0), at(3))
    play(pipeline, 0, 5, light=0.02)
    assert not pipeline.is_calibrated


@pytest.mark.parametrize(("grey", "fault"), [(5, CameraState.DARK), (90, CameraState.COVERED)])
def test_an_untrusted_picture_makes_everything_unknown_at_once(
    grey: int, fault: CameraState
) -> None:
    pipeline = calibrated()
    before = play(pipeline, 30, 35)
    blank = np.full((360, 640, 3), grey, np.uint8)
    during = [said for s in range(35, 40) for said in pipeline.observe(Frame(blank, at(s)))]
    after = play(pipeline, 40, 45)
    assert camera_states([*before, *during, *after]) == [CameraState.OK, fault, CameraState.OK]
    assert presence(during, "citizen") == [(35, PresenceState.UNKNOWN)]
    assert presence(after, "citizen") == [(40, PresenceState.OCCUPIED)]
    stays = {
        s.data.session_id
        for s in [*before, *during, *after]
        if isinstance(s, Statement)
        and isinstance(s.data, PresenceObserved)
        and s.data.zone == "citizen"
    }
    assert stays == {UUID(int=1)}


def test_no_presence_is_claimed_before_the_camera_is_trusted_again() -> None:
    assert min(ENTER_AFTER, LEAVE_AFTER) >= LEAVE_FAULT_AFTER


def test_a_lost_camera_is_stated_with_all_zones_since_its_last_frame() -> None:
    pipeline = calibrated()
    play(pipeline, 30, 35)
    said = pipeline.camera_lost(at(34.8), at(40))
    assert camera_states(said) == [CameraState.LOST]
    assert presence(said, "citizen") == [(34.8, PresenceState.UNKNOWN)]
    assert pipeline.camera_lost(at(34.8), at(41)) == []
    assert camera_states(play(pipeline, 42, 45)) == [CameraState.OK]


def test_a_restart_goes_on_with_the_same_stay_and_the_same_reference() -> None:
    before = calibrated()
    play(before, 30, 35)
    reference = before.export_reference()
    assert reference is not None
    after = make_pipeline()
    after.restore(json.loads(json.dumps(before.snapshot())))
    after.import_reference(reference)
    play(after, 38, 42)
    assert after.stay_at(DESK, at(42)) == before.stay_at(DESK, at(35)) == UUID(int=1)


@pytest.mark.parametrize("stored", [b"", b"not a picture"])
def test_a_damaged_reference_is_refused(stored: bytes) -> None:
    pipeline = make_pipeline()
    assert pipeline.export_reference() is None
    with pytest.raises(CalibrationError, match="damaged"):
        pipeline.import_reference(stored)


def test_one_camera_may_serve_two_desks_and_a_card_belongs_to_the_nearer() -> None:
    left = Zone("seat", ZoneRole.CITIZEN, ((0.02, 0.3), (0.25, 0.3), (0.25, 0.95), (0.02, 0.95)))
    pipeline = calibrated(desk_1=(left,), desk_2=ZONES)
    said = play(pipeline, 15, 30)
    assert [s.desk for s in said if isinstance(s, CardRating)] == ["desk-2"]
    assert pipeline.readings[DeskId("desk-1")]["seat"].changed == pytest.approx(0, abs=0.03)
    assert {s.desk for s in said if isinstance(s, Statement)} == {"desk-1", "desk-2"}


def test_no_code_is_looked_for_while_nobody_is_there() -> None:
    pipeline = calibrated()
    play(pipeline, 0, 5, step=0.1)
    looks_at_start = pipeline.times.runs.get("qr", 0)
    assert looks_at_start <= 15, "only until the zone is known to be empty"
    play(pipeline, 5, 8, step=0.1)
    assert pipeline.times.runs.get("qr", 0) == looks_at_start
    play(pipeline, 18, 20, step=0.1)
    assert pipeline.times.runs["qr"] > looks_at_start
    assert pipeline.times.milliseconds()["presence"] > 0


def test_a_camera_without_a_citizen_zone_reads_no_codes() -> None:
    pipeline = calibrated(desk_1=ZONES[1:])
    play(pipeline, 18, 24)
    assert "qr" not in pipeline.times.runs
