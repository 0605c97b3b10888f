"""What can come of a request for pictures, of which span, and what content is what it is called."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from central_server.domain.evidence import (
    TRANSITIONS,
    EvidenceState,
    is_kind,
    missing_parts,
    next_state,
    wanted_span,
)
from central_server.domain.evidence_log import EvidenceEntry
from event_protocol.evidence import EvidenceKind, Span

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LIMIT = timedelta(minutes=30)


def seconds(count: float) -> datetime:
    return AT + timedelta(seconds=count)


def span(begin: float, end: float) -> Span:
    return Span(begin=seconds(begin), end=seconds(end))


@pytest.mark.parametrize("kind", get_args(EvidenceEntry), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", [None, *EvidenceState])
def test_only_the_tables_entries_change_a_state(
    state: EvidenceState | None, kind: type[EvidenceEntry]
) -> None:
    assert next_state(state, kind) == TRANSITIONS.get(state, {}).get(kind)


@pytest.mark.parametrize(
    ("end", "now", "last"),
    [
        (60, 1000, 65),  # over: five seconds more
        (60, 62, 62),  # just over: no pictures of the future
        (None, 90, 90),  # still going on
        (7200, 9000, 1795),  # half an hour from its beginning
    ],
)
def test_five_seconds_more_at_both_ends_within_limits(
    end: float | None, now: float, last: float
) -> None:
    ended = None if end is None else seconds(end)
    assert wanted_span(AT, ended, seconds(now), LIMIT) == span(-5, last)


def test_what_begins_in_the_future_by_a_wrong_clock_is_a_span_all_the_same() -> None:
    assert wanted_span(AT, None, seconds(-3600), LIMIT) == span(-5, -5)


@pytest.mark.parametrize(
    ("covered", "missing"),
    [
        ([], [(0, 60)]),
        ([(0, 60)], []),
        ([(-3, 70)], []),
        ([(10, 60)], [(0, 10)]),
        ([(0, 20), (30, 40)], [(20, 30), (40, 60)]),
        ([(30, 40), (0, 35)], [(40, 60)]),
        ([(70, 80)], [(0, 60)]),
    ],
)
def test_what_nobody_has_pictures_of(
    covered: list[tuple[float, float]], missing: list[tuple[float, float]]
) -> None:
    found = missing_parts(span(0, 60), [span(*part) for part in covered])
    assert found == [span(*part) for part in missing]


@pytest.mark.parametrize(
    ("kind", "media_type", "head", "fits"),
    [
        (EvidenceKind.CLIP, "video/mp4", b"\x00\x00\x00\x20ftypisom", True),
        (EvidenceKind.CLIP, "video/mp4", b"<html><script>", False),
        (EvidenceKind.CLIP, "text/html", b"\x00\x00\x00\x20ftypisom", False),
        (EvidenceKind.SNAPSHOT, "image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF", True),
        (EvidenceKind.SNAPSHOT, "image/jpeg", b"\x00\x00\x00\x20ftypisom", False),
        (EvidenceKind.SNAPSHOT, "image/jpeg", b"", False),
    ],
)
def test_content_is_what_it_is_called(
    kind: EvidenceKind, media_type: str, head: bytes, fits: bool
) -> None:
    assert is_kind(kind, media_type, head) is fits


def test_every_entry_has_a_name_of_its_own() -> None:
    names = {str(kind.model_fields["type"].default) for kind in get_args(EvidenceEntry)}
    assert len(names) == len(get_args(EvidenceEntry))
    assert all(name.startswith("evidence.") for name in names)
