"""Buckets: one for each key, refilled with time, and forgotten once they are full again."""

from datetime import UTC, datetime, timedelta

from central_server.http.throttle import ROOM, Throttle

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_burst_then_so_many_a_minute() -> None:
    throttle = Throttle(burst=3, per_minute=6)
    assert [throttle.allows("a", NOW) for _ in range(4)] == [True, True, True, False]
    assert [throttle.allows("a", later(9)), throttle.allows("a", later(10))] == [False, True]
    assert [throttle.allows("a", later(3600)) for _ in range(4)] == [True, True, True, False]


def test_one_key_does_not_spend_for_another() -> None:
    throttle = Throttle(burst=1, per_minute=1)
    assert [throttle.allows(key, NOW) for key in ("a", "a", "b")] == [True, False, True]


def test_a_clock_that_steps_back_gives_nothing() -> None:
    throttle = Throttle(burst=1, per_minute=60)
    assert throttle.allows("a", NOW)
    assert not throttle.allows("a", later(-100))


def test_full_buckets_are_forgotten_and_empty_ones_are_not() -> None:
    throttle = Throttle(burst=1, per_minute=1)
    for number in range(ROOM - 1):
        throttle.allows(number, NOW)
    throttle.allows("late", later(59))
    assert throttle.allows("one more", later(61))
    assert len(throttle) == 2
    assert not throttle.allows("late", later(61))
