"""The short form of `bench/tamper.py`: every tampering and every harmless change on three clips.

Of a fourth, an empty car park that shows next to nothing, what was hardest to tell.
"""

from pathlib import Path

import pytest

from bench.harmless_pictures import HARMLESS
from bench.tamper import (
    CALIBRATED_S,
    CLEAR_S,
    DUE_S,
    Score,
    Way,
    harmless,
    is_named,
    play,
    run,
    tampered,
)
from bench.tamper_pictures import BEGIN_S, TAMPERS, Clip, load_clips

CLIPS = ("desk_one_by_one_a", "asl_book", "classroom")
CALIBRATED = Way("1 fps", 1, CALIBRATED_S)


@pytest.fixture(scope="module")
def score(testdata: Path) -> Score:
    """At one picture a second, as of a camera of which key frames are decoded only."""
    (figure,) = load_clips(testdata, ["asl_book"], 2)
    score = Score()
    for clip in load_clips(testdata, CLIPS, 1):
        score.add(run(clip, figure, [CALIBRATED])[0])
    return score


def test_tampering_is_told_in_time_and_by_its_name(score: Score) -> None:
    missed = [(o.clip, o.name, o.told, o.after_s) for o in score.outcomes if not is_named(o)]
    assert score.share(lambda outcome: outcome.is_detected) >= 95, missed
    assert score.share(is_named) >= 90, missed


def test_light_noise_people_and_carts_are_no_tampering(score: Score) -> None:
    assert not score.false_alarms


def test_an_alarm_clears_by_itself(score: Score) -> None:
    lasting = [o for o in score.outcomes if o.is_detected and (o.cleared_s or 99) > CLEAR_S]
    assert len(lasting) <= 1, lasting


@pytest.fixture(scope="module")
def car_park(testdata: Path) -> Clip:
    (clip,) = load_clips(testdata, ["cars_no_people"], 1)
    return clip


@pytest.mark.parametrize("name", ["hand over 60%, right", "defocused by 3 px", "rolled by 4°"])
def test_tampering_is_told_of_bare_asphalt(car_park: Clip, name: str) -> None:
    (tamper,) = (one for one in TAMPERS if one.name == name)
    (watch,) = play(car_park, tampered(car_park, tamper), [CALIBRATED])
    at_s, alarm = watch.alarms[0]
    assert alarm.state is tamper.state
    assert BEGIN_S <= at_s <= BEGIN_S + DUE_S


def test_infrared_light_on_bare_asphalt_is_no_tampering(car_park: Clip) -> None:
    (watch,) = play(car_park, harmless(car_park, HARMLESS["infrared switch"]), [CALIBRATED])
    assert not watch.alarms
