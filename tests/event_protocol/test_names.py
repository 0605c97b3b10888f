"""Names and times on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from event_protocol.names import (
    DeviceName,
    Share,
    UtcTime,
    floor_to_quarter,
    format_time,
    shortest_number,
    to_milliseconds,
)

HANOI = timezone(timedelta(hours=7))
instants = st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 2))  # noqa: DTZ001 hypothesis wants naive limits


@pytest.mark.parametrize("name", ["a", "desk-box-01", "a_b", "0", "a" * 64])
def test_names(name: str) -> None:
    assert TypeAdapter(DeviceName).validate_python(name) == name


@pytest.mark.parametrize(
    "name", ["", "A", "-a", "a-", "a b", "a/b", "a+", "#", "a.b", "quầy", "a" * 65, "a\n"]
)
def test_what_would_break_a_topic_or_a_file_name_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(DeviceName).validate_python(name)


def test_times_are_written_in_one_way() -> None:
    at = datetime(2026, 1, 5, 8, 30, 0, 123_999, tzinfo=HANOI)
    assert format_time(at) == "2026-01-05T01:30:00.123Z"
    assert to_milliseconds(at) == datetime(2026, 1, 5, 1, 30, 0, 123_000, tzinfo=UTC)


@given(instants)
def test_a_written_time_reads_back_to_the_millisecond(at: datetime) -> None:
    read = TypeAdapter(UtcTime).validate_python(format_time(at))
    assert read == to_milliseconds(at)
    assert read.tzinfo is UTC


def test_a_time_without_an_offset_is_no_time() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(UtcTime).validate_python("2026-01-05T01:30:00")


@given(instants)
def test_a_quarter_begins_at_most_fifteen_minutes_before(at: datetime) -> None:
    quarter = floor_to_quarter(at)
    assert timedelta(0) <= at - quarter < timedelta(minutes=15)
    assert (quarter.minute % 15, quarter.second, quarter.microsecond) == (0, 0, 0)


def test_whole_shares_are_written_as_integers() -> None:
    assert (shortest_number(1.0), shortest_number(0.5)) == (1, 0.5)
    assert TypeAdapter(Share).dump_json(1.0) == b"1"
    assert TypeAdapter(Share).dump_json(0.25) == b"0.25"


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_share_lies_between_none_and_all(share: float) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Share).validate_python(share)
