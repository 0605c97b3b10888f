import time

import pytest

from edge_agent.vision.stage_times import StageTimes


def test_mean_time_of_each_stage_is_counted_also_when_it_fails() -> None:
    times = StageTimes()
    for _ in range(2):
        with times.measure("qr"):
            time.sleep(0.01)
    with pytest.raises(ZeroDivisionError), times.measure("decode"):
        raise ZeroDivisionError
    assert times.runs == {"qr": 2, "decode": 1}
    assert times.milliseconds()["qr"] >= 9
