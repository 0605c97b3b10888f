import numpy as np
import pytest

from edge_agent.core.desk_zones import Zone
from edge_agent.vision.frames import GreyPicture, to_working_picture
from edge_agent.vision.scene import EMPTY_S, ZONES, draw, truth_at
from edge_agent.vision.zone_observer import CalibrationError, ZoneObserver, fit_light
from event_protocol.events import ZoneRole

WHOLE = Zone("whole", ZoneRole.WAITING, ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
SLIVER = Zone("sliver", ZoneRole.WAITING, ((0.5, 0.5), (0.5001, 0.5), (0.5, 0.9)))


def room(at_s: float, light: float = 1.0, offset: float = 0.0) -> GreyPicture:
    image = np.clip(draw(1, at_s) * light + offset, 0, 255).astype(np.uint8)
    return to_working_picture(image)


def calibrated(*zones: Zone) -> ZoneObserver:
    observer = ZoneObserver(zones)
    observer.calibrate(room(second / 2) for second in range(int(2 * EMPTY_S)))
    return observer


def test_without_a_reference_nothing_is_known() -> None:
    assert ZoneObserver([WHOLE]).observe(room(0)) == {WHOLE: None}


def test_a_picture_of_another_size_is_not_compared() -> None:
    observer = calibrated(WHOLE)
    assert observer.observe(room(0)[:-5]) == {WHOLE: None}


@pytest.mark.parametrize(("light", "offset"), [(1, 0), (0.45, 0), (0.7, 25), (1.3, 0), (0.3, 40)])
@pytest.mark.parametrize("second", [3, 40, 70, 150])
def test_a_zone_is_full_where_somebody_is_in_any_light(
    second: float, light: float, offset: float
) -> None:
    readings = calibrated(*ZONES, WHOLE).observe(room(second, light, offset))
    present = truth_at(1, second)
    for zone in ZONES:
        reading = readings[zone]
        assert reading is not None
        assert reading > 0.15 if present[zone.name] else reading < 0.02
    whole = readings[WHOLE]
    assert whole is not None
    assert whole > 0.06 if any(present.values()) else whole < 0.02


def test_a_soft_shadow_is_nobody() -> None:
    shadow = np.ones((360, 640, 1), np.float32)
    ramp = np.linspace(1, 0.75, 60)[None, :, None]
    shadow[:, 200:260], shadow[:, 260:340], shadow[:, 340:400] = ramp, 0.75, ramp[:, ::-1]
    seen = to_working_picture((draw(1, 2) * shadow).astype(np.uint8))
    readings = calibrated(*ZONES).observe(seen)
    assert readings[ZONES[0]] == pytest.approx(0, abs=0.02)


def test_somebody_who_sits_still_for_an_hour_is_not_absorbed() -> None:
    observer, somebody = calibrated(*ZONES), room(40)
    first = observer.observe(somebody)
    for _ in range(200):
        last = observer.observe(somebody)
    assert last == first


def test_a_sliver_of_a_zone_has_a_pixel() -> None:
    assert calibrated(SLIVER).observe(room(1)) == {SLIVER: 0}


def test_a_stored_reference_does_as_well() -> None:
    observer = calibrated(*ZONES)
    assert observer.reference is not None
    successor = ZoneObserver(ZONES)
    successor.use_reference(observer.reference)
    assert successor.observe(room(40)) == observer.observe(room(40))


def test_pictures_that_can_not_make_a_reference_are_refused() -> None:
    with pytest.raises(CalibrationError, match="no picture"):
        ZoneObserver([WHOLE]).calibrate([])
    with pytest.raises(CalibrationError, match="differ in size"):
        ZoneObserver([WHOLE]).calibrate([room(0), room(1)[:-1]])


def test_somebody_passing_during_calibration_leaves_no_trace() -> None:
    observer = ZoneObserver(ZONES)
    observer.calibrate([*(room(n / 4) for n in range(20)), room(40), room(40.2)])
    readings = observer.observe(room(4.9))
    assert all(reading is not None and reading < 0.02 for reading in readings.values())


def test_light_is_fitted_past_a_third_of_changed_pixels() -> None:
    generator = np.random.default_rng(1)
    reference = generator.uniform(20, 200, 3000).astype(np.float32)
    picture = (0.6 * reference + 12).astype(np.float32)
    picture[:1000] = 30
    gain, offset = fit_light(reference, picture)
    assert gain == pytest.approx(0.6, abs=0.01)
    assert offset == pytest.approx(12, abs=1)


def test_without_contrast_only_the_offset_is_told() -> None:
    flat = np.full(100, 90, np.float32)
    gain, offset = fit_light(flat, flat + 30)
    assert gain == 1
    assert offset == pytest.approx(30)


def test_an_overexposed_picture_is_fitted_all_the_same() -> None:
    reference = np.linspace(100, 200, 100, dtype=np.float32)
    gain, offset = fit_light(reference, np.full(100, 255, np.float32))
    assert gain * 150 + offset == pytest.approx(255, abs=1)
