import itertools
from datetime import UTC, datetime, timedelta

import numpy as np

from edge_agent.vision.qr_reader import read_fast
from edge_agent.vision.scene import (
    EMPTY_S,
    FPS,
    HEIGHT,
    WIDTH,
    ZONES,
    SceneCamera,
    draw,
    truth_at,
)
from tests.edge_agent.vision.ring import Ring

START = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_same_seed_draws_the_same_room() -> None:
    assert np.array_equal(draw(7, 33.3), draw(7, 33.3))
    assert not np.array_equal(draw(7, 33.3), draw(8, 33.3))


def test_the_first_seconds_are_empty_in_every_scene() -> None:
    for seed in range(20):
        assert not any(any(truth_at(seed, t / 2).values()) for t in range(int(2 * EMPTY_S)))


def test_in_a_quarter_of_an_hour_everything_happens() -> None:
    truths = [truth_at(3, second) for second in range(900)]
    for zone in ZONES:
        comings = sum(b[zone.name] and not a[zone.name] for a, b in itertools.pairwise(truths))
        assert comings >= 2, zone.name
    assert any(t["citizen"] and not t["officer"] for t in truths), "the officer goes away once"
    assert any(t["citizen"] and t["waiting"] for t in truths), "somebody waits meanwhile"


def test_cards_that_are_held_up_can_be_read() -> None:
    texts = {code.text for second in range(140) for code in read_fast(draw(1, second))}
    assert {"onestop:rating:2", "onestop:rating:4", "onestop:rating:5"} <= texts


def test_the_camera_plays_at_its_pace_with_the_scene_s_own_time() -> None:
    frames = list(itertools.islice(SceneCamera(1, lambda: START).frames(), 5))
    steps = {b.captured_at - a.captured_at for a, b in itertools.pairwise(frames)}
    assert frames[0].captured_at == START
    assert min(steps) >= timedelta(seconds=1 / FPS)


def test_what_is_drawn_is_recorded() -> None:
    ring = Ring()
    frames = SceneCamera(1, lambda: START, ring).frames()
    assert len(list(itertools.islice(frames, 5))) == 5
    assert [(f.codec, f.width, f.height) for f in ring.formats] == [("mjpeg", WIDTH, HEIGHT)]
    assert len(ring.packets) == 3
