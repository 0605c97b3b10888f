from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from edge_agent.core.desk_zones import Zone
from edge_agent.core.zone_evidence import Learn
from edge_agent.vision.frames import GreyPicture, to_working_picture
from edge_agent.vision.scene import EMPTY_S, ZONES, draw, truth_at
from edge_agent.vision.zone_observer import CalibrationError, ZoneObserver
from event_protocol.events import ZoneRole

WHOLE = Zone("whole", ZoneRole.WAITING, ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
SLIVER = Zone("sliver", ZoneRole.WAITING, ((0.5, 0.5), (0.5001, 0.5), (0.5, 0.9)))


START = datetime(2030, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def changed(observer: ZoneObserver, picture: GreyPicture, seconds: float = 0) -> dict[Zone, float]:
    readings = observer.observe(picture, at(seconds))
    return {zone: reading.changed for zone, reading in readings.items()}


def room(at_s: float, light: float = 1.0, offset: float = 0.0) -> GreyPicture:
    image = np.clip(draw(1, at_s) * light + offset, 0, 255).astype(np.uint8)
    return to_working_picture(image)


def calibrated(*zones: Zone) -> ZoneObserver:
    observer = ZoneObserver(zones)
    observer.calibrate(room(second / 2) for second in range(int(2 * EMPTY_S)))
    return observer


def test_without_a_reference_it_is_compared_with_the_first_picture() -> None:
    observer = ZoneObserver(ZONES)
    assert not observer.is_calibrated
    assert observer.export_reference() is None
    first = observer.observe(room(3), at(3))
    then = observer.observe(room(40), at(40))
    assert all(not reading.is_calibrated for reading in (first | then).values())
    assert first[ZONES[0]].changed < 0.02
    assert (then[ZONES[0]].changed > 0.15, then[ZONES[0]].outline > 0.2) == (True, True)


def test_before_zones_are_drawn_it_looks_on_and_learns_nothing() -> None:
    observer = ZoneObserver(())
    assert observer.observe(room(3), at(3)) == {}
    assert not observer.learn({}, at(3))
    assert observer.observe(room(40), at(40)) == {}
    assert not observer.is_calibrated, "a look kept now would count for zones drawn later"
    assert observer.export_reference() is None


def test_a_picture_of_another_size_is_not_compared() -> None:
    observer = calibrated(WHOLE)
    assert observer.observe(room(0)[:-5], at(0)) == {}
    assert not observer.learn({WHOLE: Learn.AT_ONCE}, at(0)), "there is nothing to learn from"


@pytest.mark.parametrize(("light", "offset"), [(1, 0), (0.45, 0), (0.7, 25), (1.3, 0), (0.3, 40)])
@pytest.mark.parametrize("second", [3, 40, 70, 150])
def test_a_zone_is_full_where_somebody_is_in_any_light(
    second: float, light: float, offset: float
) -> None:
    readings = changed(calibrated(*ZONES, WHOLE), room(second, light, offset))
    present = truth_at(1, second)
    for zone in ZONES:
        reading = readings[zone]
        assert reading > 0.15 if present[zone.name] else reading < 0.02
    whole = readings[WHOLE]
    assert whole > 0.06 if any(present.values()) else whole < 0.02


def test_a_soft_shadow_is_nobody() -> None:
    shadow = np.ones((360, 640, 1), np.float32)
    ramp = np.linspace(1, 0.75, 60)[None, :, None]
    shadow[:, 200:260], shadow[:, 260:340], shadow[:, 340:400] = ramp, 0.75, ramp[:, ::-1]
    seen = to_working_picture((draw(1, 2) * shadow).astype(np.uint8))
    readings = changed(calibrated(*ZONES), seen)
    assert readings[ZONES[0]] == pytest.approx(0, abs=0.02)


def test_somebody_who_sits_still_for_an_hour_is_not_absorbed() -> None:
    observer, somebody = calibrated(*ZONES), room(40)
    first = changed(observer, somebody)
    for second in range(0, 3600, 20):
        last = changed(observer, somebody, second)
        observer.learn({ZONES[2]: Learn.SLOWLY}, at(second))
    assert last[ZONES[0]] == pytest.approx(first[ZONES[0]], abs=0.01)


def test_a_sliver_of_a_zone_has_a_pixel() -> None:
    assert changed(calibrated(SLIVER), room(1)) == {SLIVER: 0}


def test_a_stored_reference_does_as_well() -> None:
    observer = calibrated(*ZONES)
    stored = observer.export_reference()
    assert stored is not None
    successor = ZoneObserver(ZONES)
    successor.use_reference(stored)
    assert successor.is_calibrated
    assert successor.export_reference() is stored
    assert changed(successor, room(40)) == changed(observer, room(40))


def test_a_stored_reference_keeps_earlier_looks() -> None:
    observer, dark = calibrated(*ZONES), room(3)
    lit = dark.copy()
    lit[60:110, 95:135] = 20  # a cupboard before the citizens' place
    observer.observe(lit, at(0))
    assert observer.learn({ZONES[0]: Learn.AT_ONCE}, at(0))
    assert changed(observer, lit)[ZONES[0]] == 0
    stored = observer.export_reference()
    assert stored is not None
    assert stored.shape == (2 * dark.shape[0], dark.shape[1])
    successor = ZoneObserver(ZONES)
    successor.use_reference(stored)
    assert changed(successor, lit)[ZONES[0]] < 0.02
    assert changed(successor, dark)[ZONES[0]] < 0.02, "as it was before"


def test_a_stored_reference_of_another_size_is_none() -> None:
    successor = ZoneObserver(ZONES)
    successor.use_reference(np.zeros((77, 100), np.float32))
    assert not any(r.is_calibrated for r in successor.observe(room(3), at(3)).values())
    assert not successor.is_calibrated


def test_an_empty_zone_follows_the_light_and_an_occupied_one_does_not() -> None:
    observer = calibrated(*ZONES)
    citizen, officer, _ = ZONES
    wall = np.zeros_like(room(3))
    for step in range(60):
        wall[40:75, 170:220] = step / 4  # the sun creeps over the officer's wall
        observer.observe(room(3) + wall, at(5 * step))
        observer.learn({officer: Learn.SLOWLY}, at(5 * step))
    reference = observer.export_reference()
    assert reference is not None
    grown = reference - room(3)
    assert grown[50:60, 185:205].mean() > 8
    assert abs(float(grown[60:110, 95:135].mean())) < 2, "the citizens' place"
    assert citizen not in {zone for zone, share in changed(observer, room(3)).items() if share}


def test_what_moves_slightly_is_told_from_what_does_not() -> None:
    observer = calibrated(*ZONES)
    citizen = ZONES[0]
    observer.observe(room(40), at(0))
    frozen = observer.observe(room(40), at(1))[citizen]
    alive = observer.observe(room(41), at(2))[citizen]  # two pixels aside
    assert frozen.moving == 0
    assert 0.003 < alive.moving < 0.2


def test_pictures_that_can_not_make_a_reference_are_refused() -> None:
    with pytest.raises(CalibrationError, match="no picture"):
        ZoneObserver([WHOLE]).calibrate([])
    with pytest.raises(CalibrationError, match="differ in size"):
        ZoneObserver([WHOLE]).calibrate([room(0), room(1)[:-1]])


def test_somebody_passing_during_calibration_leaves_no_trace() -> None:
    observer = ZoneObserver(ZONES)
    observer.calibrate([*(room(n / 4) for n in range(20)), room(40), room(40.2)])
    assert max(changed(observer, room(4.9)).values()) < 0.02
