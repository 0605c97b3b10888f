"""Opening hours over weekdays, holidays, swapped days and midnight."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from central_server.domain.calendars import Calendar
from tests.central_server.domain.stories import RULES

OFFICE = RULES.calendar("default")


def at(text: str) -> datetime:
    """A local time at the desk."""
    return datetime.fromisoformat(f"{text}+07:00").astimezone(UTC)


def test_a_working_day_has_two_parts() -> None:
    parts = OFFICE.opening(at("2026-03-02T06:00"), at("2026-03-02T14:00"))
    assert parts == [
        (at("2026-03-02T07:00"), at("2026-03-02T11:30")),
        (at("2026-03-02T13:30"), at("2026-03-02T14:00")),
    ]


def test_seconds_skip_lunch_nights_and_weekends() -> None:
    friday_noon, monday = at("2026-03-06T11:00"), at("2026-03-09T07:30")
    assert OFFICE.open_seconds(friday_noon, monday) == (0.5 + 3.5 + 0.5) * 3600


def test_nothing_is_open_in_no_time() -> None:
    assert OFFICE.opening(at("2026-03-02T08:00"), at("2026-03-02T08:00")) == []


def test_tet_and_days_off_of_2026() -> None:
    for day in range(16, 21):
        assert OFFICE.day(date(2026, 2, day)) == ()
    assert OFFICE.day(date(2026, 8, 31)) == ()
    assert OFFICE.day(date(2026, 8, 23)) == ()


def test_a_swapped_saturday_is_worked() -> None:
    assert OFFICE.day(date(2026, 8, 22)) == (
        (at("2026-08-22T07:00"), at("2026-08-22T11:30")),
        (at("2026-08-22T13:30"), at("2026-08-22T17:00")),
    )
    assert OFFICE.day(date(2026, 8, 15)) == ()


def test_local_day_changes_at_local_midnight() -> None:
    assert OFFICE.local_day(datetime(2026, 3, 1, 16, 59, tzinfo=UTC)) == date(2026, 3, 1)
    assert OFFICE.local_day(datetime(2026, 3, 1, 17, 0, tzinfo=UTC)) == date(2026, 3, 2)


def test_hours_stand_in_order_whatever_the_file_says() -> None:
    afternoon, morning = (time(13), time(14)), (time(8), time(9))
    week = {"monday": [afternoon, morning]}
    calendar = Calendar(ZoneInfo("Asia/Ho_Chi_Minh"), week, frozenset(), {})
    assert [begin.hour for begin, _ in calendar.day(date(2026, 3, 2))] == [1, 6]
