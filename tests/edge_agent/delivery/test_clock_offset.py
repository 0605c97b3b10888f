"""Receipts are late, never early."""

from datetime import UTC, datetime, timedelta

from edge_agent.delivery.clock_offset import READINGS, ClockOffset

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_receipt_that_waited_at_the_broker_does_not_move_the_clock() -> None:
    offset = ClockOffset()
    assert offset.learn(NOW + timedelta(milliseconds=480), NOW) == 480
    assert offset.learn(NOW - timedelta(hours=1), NOW) == 480


def test_a_clock_that_was_set_is_learnt_anew() -> None:
    offset = ClockOffset()
    offset.learn(NOW + timedelta(hours=1), NOW)
    for _ in range(READINGS):
        learnt = offset.learn(NOW - timedelta(milliseconds=20), NOW)
    assert learnt == -20
