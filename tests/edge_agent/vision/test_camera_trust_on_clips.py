"""The short form of `bench/tamper.py`: every tampering and every harmless change on three clips."""

from pathlib import Path

import pytest

from bench.tamper import CALIBRATED_S, CLEAR_S, Score, Way, is_named, run
from bench.tamper_pictures import load_clips

CLIPS = ("desk_one_by_one_a", "asl_book", "classroom")


@pytest.fixture(scope="module")
def score(testdata: Path) -> Score:
    """At one picture a second, as of a camera of which key frames are decoded only."""
    (figure,) = load_clips(testdata, ["asl_book"], 2)
    score = Score()
    for clip in load_clips(testdata, CLIPS, 1):
        score.add(run(clip, figure, [Way("1 fps", 1, CALIBRATED_S)])[0])
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
