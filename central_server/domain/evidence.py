"""Pictures asked for about a flag: of which span, what can come of a request. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from central_server.domain.evidence_log import (
    EvidenceAsked,
    EvidenceEntry,
    EvidenceErased,
    EvidenceExpired,
    EvidenceReceived,
    EvidenceUnavailable,
)
from event_protocol.evidence import MEDIA_TYPE_OF, EvidenceKind, Span

MARGIN = timedelta(seconds=5)


class EvidenceState(StrEnum):
    """What has come of a request."""

    ASKED = "asked"
    RECEIVED = "received"
    UNAVAILABLE = "unavailable"
    EXPIRED = "expired"
    ERASED = "erased"


# A missing entry changes nothing: a second answer, or one after the request has expired.
TRANSITIONS: dict[EvidenceState | None, dict[type[EvidenceEntry], EvidenceState]] = {
    None: {EvidenceAsked: EvidenceState.ASKED},
    EvidenceState.ASKED: {
        EvidenceReceived: EvidenceState.RECEIVED,
        EvidenceUnavailable: EvidenceState.UNAVAILABLE,
        EvidenceExpired: EvidenceState.EXPIRED,
    },
    EvidenceState.RECEIVED: {EvidenceErased: EvidenceState.ERASED},
}


def next_state(state: EvidenceState | None, kind: type[EvidenceEntry]) -> EvidenceState | None:
    """The state after an entry of that kind; `None` if it is not its turn."""
    return TRANSITIONS.get(state, {}).get(kind)


def wanted_span(begin: datetime, end: datetime | None, now: datetime, limit: timedelta) -> Span:
    """The pictures of what lasted so long (`None`: it still does), 5 s more at both ends.

    At most `limit`, from its beginning; never beyond `now`, of which there are no pictures yet.
    """
    first = begin - MARGIN
    last = min((end or now) + MARGIN, now, first + limit)
    return Span(begin=first, end=max(first, last))


def missing_parts(span: Span, covered: Iterable[Span]) -> list[Span]:
    """What of the span nobody has pictures of, in order."""
    missing, reached = [], span.begin
    for part in sorted(covered, key=lambda one: one.begin):
        if part.begin > reached:
            missing.append(Span(begin=reached, end=min(part.begin, span.end)))
        reached = max(reached, part.end)
        if reached >= span.end:
            return missing
    return [*missing, Span(begin=reached, end=span.end)]


def is_kind(kind: EvidenceKind, media_type: str, head: bytes) -> bool:
    """Whether content that begins so (12 bytes will do) is of that kind, and called what it is.

    MP4 (ISO/IEC 14496-12) begins with an `ftyp` box, JPEG with SOI and a marker.
    """
    looks_right = {
        EvidenceKind.CLIP: head[4:8] == b"ftyp",
        EvidenceKind.SNAPSHOT: head[:3] == b"\xff\xd8\xff",
    }
    return media_type == MEDIA_TYPE_OF[kind] and looks_right[kind]
