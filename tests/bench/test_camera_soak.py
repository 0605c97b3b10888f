"""The soak's verdict: a level that is held is flat, one that creeps is not."""

import math
from collections.abc import Sequence

import pytest

from bench.camera_soak import DISTURB_S, MINUTES, SAMPLE_S, WARM_UP_S, is_flat

SECONDS = [SAMPLE_S * number for number in range(1, int(60 * MINUTES / SAMPLE_S) + 1)]
PICTURE_MB = 640 * 360 * 1.5 / 2**20


def warm_up(at_s: float) -> float:
    """Caches and heaps fill up: 100 MB, and a sawtooth of segments that come and go."""
    return 200 + 100 * min(1.0, at_s / WARM_UP_S) + 3 * math.sin(at_s)


def reconnect(at_s: float) -> float:
    """What half of eight cameras hold after they came back, and then give back."""
    return 19.2 * min(1.0, at_s % DISTURB_S / 50) if at_s % DISTURB_S < 52 else 0.0


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([warm_up(s) for s in SECONDS], True),
        ([warm_up(s) + reconnect(s) for s in SECONDS], True),
        ([warm_up(s) + reconnect(s) + 1.05 * s / 60 for s in SECONDS], False),
        ([warm_up(s) + 4 * PICTURE_MB * (s // DISTURB_S) for s in SECONDS], False),
        ([warm_up(s) + 0.1 * PICTURE_MB * s for s in SECONDS], False),
    ],
    ids=[
        "held",
        "held between reconnects",
        "a megabyte a minute",
        "a picture left by each camera that dies",
        "a picture left every ten seconds",
    ],
)
def test_a_level_is_judged_once_it_is_warm(samples: Sequence[float], expected: bool) -> None:
    assert is_flat(samples) is expected
