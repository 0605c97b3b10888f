"""What lives and what is sent again and again; see also `test_camera_trust_on_clips.py`."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from edge_agent.vision.liveness import Liveness
from edge_agent.vision.view import View

START = datetime(2030, 1, 1, tzinfo=UTC)
ROOM = np.random.default_rng(3).integers(40, 200, (9, 16)).repeat(20, 0).repeat(20, 1)


def frozen_after(liveness: Liveness, changes: Iterable[float]) -> int | None:
    """The look, one a second, at which it is known; `changes`: grey levels, half of all pixels."""
    picture = ROOM.astype(np.float32)
    for second, change in enumerate(changes):
        dice = np.random.default_rng(second)
        # By patches that the coarse picture keeps.
        where = dice.integers(0, 2, (45, 80)).repeat(4, 0).repeat(4, 1)
        picture = picture + change * where * (1 if second % 2 else -1)
        view = View(np.rint(picture).astype(np.uint8))
        liveness.observe(view, START + timedelta(seconds=second))
        if liveness.is_frozen:
            return second
    return None


def test_a_freeze_that_was_looked_at_a_second_late_is_known_no_later() -> None:
    """A calm camera is looked at every other second, until a picture is too much like the last."""
    liveness = Liveness()
    lively = [ROOM + np.random.default_rng(second).integers(-9, 9, ROOM.shape) for second in (0, 1)]
    for second in (0, 2, 3, 4, 5, 6):
        picture = lively[0] if second == 0 else lively[1]
        liveness.observe(View(picture.astype(np.uint8)), START + timedelta(seconds=second))
        assert liveness.is_frozen == (second == 6)


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ([0] * 9, 5),
        ([9, 9, 9, 0, 0, 0, 0, 0, 0], 7),
        ([2] * 20, None),
    ],
    ids=["still", "after it lived", "a live one's noise"],
)
def test_a_picture_that_does_not_change_is_known(changes: list[float], after: int | None) -> None:
    assert frozen_after(Liveness(), changes) == after
