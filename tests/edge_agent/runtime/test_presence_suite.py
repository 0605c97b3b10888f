"""The agent's presence on the labelled suite, in short; `make bench` shows it beside others."""

from pathlib import Path

import pytest

from bench.presence import F1, STILL_F1, TNR, play, score
from bench.scoring import Told, state_at
from bench.suite import HELD_S, Clip, Variant, load_clip, variants
from edge_agent.core.zone_evidence import THING_AFTER
from event_protocol.events import PresenceState

# Of all variants at a frame a second, as key frames come; of these at twice that rate as well.
ALSO_FASTER = {"as recorded", "sun patch", "jitter", "started occupied", "side by side"}


@pytest.fixture(scope="module")
def clip(testdata: Path) -> Clip:
    return load_clip(testdata, 1)


def check(variant: Variant, told: dict[str, Told]) -> None:
    counted = score(variant, told)
    least = STILL_F1 if variant.seconds > HELD_S else F1
    assert counted.f1 >= least, (variant.name, told)
    assert counted.tnr >= TNR, (variant.name, told)
    assert counted.known >= 0.9, (variant.name, told)
    assert counted.boundary_error_s <= 0.6, (variant.name, told)


def test_every_variant_at_one_frame_a_second(clip: Clip) -> None:
    for variant in variants(clip):
        check(variant, play(variant))


def test_some_variants_at_two_frames_a_second(testdata: Path) -> None:
    for variant in variants(load_clip(testdata, 2)):
        if variant.name in ALSO_FASTER:
            check(variant, play(variant))


def test_who_was_there_at_the_start_is_unknown_first_and_never_inverted(clip: Clip) -> None:
    (variant,) = (v for v in variants(clip) if v.name == "started occupied")
    told = play(variant)["table"]
    assert told[0] == (0, PresenceState.UNKNOWN)
    counted = score(variant, {"table": told})
    assert (counted.missed, counted.false) == (0, 0)


def test_a_bag_that_is_left_is_cleared_in_time(clip: Clip) -> None:
    (variant,) = (v for v in variants(clip) if v.name == "bag")
    told = play(variant)["table"]
    cleared_s = clip.stays[-1][1] + THING_AFTER.total_seconds() + 2
    assert state_at(told, cleared_s) is PresenceState.EMPTY
    assert state_at(told, variant.seconds - 1) is PresenceState.EMPTY, "also when it was fetched"
