"""Which parts of a span there are pictures of, and why not of the others. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from edge_agent.evidence.ring import Entry
from event_protocol.evidence import Span, Unavailable

# Shorter than this between two segments is the time between two pictures.
_JOIN_WITHIN = timedelta(seconds=1)
_MOST_PARTS = 256  # as many as a report may name


def covered_parts(span: Span, pieces: Iterable[Entry]) -> tuple[Span, ...]:
    """What of the span the pieces show, in order; the pauses between are longer than a second.

    A recording that broke off more often than a report can name is told short of its last parts.
    """
    parts: list[Span] = []
    for piece in sorted(pieces):
        part = Span(begin=max(piece.begin, span.begin), end=min(piece.end, span.end))
        if parts and part.begin - parts[-1].end <= _JOIN_WITHIN:
            end = max(parts[-1].end, part.end)
            parts[-1] = Span(begin=parts[-1].begin, end=end)
        else:
            parts.append(part)
    return tuple(parts[:_MOST_PARTS])


def missing_parts(span: Span, covered: Iterable[Span]) -> list[Span]:
    """What of the span is not covered, pauses of up to a second left aside."""
    missing = []
    reached = span.begin
    for part in covered:
        if part.begin - reached > _JOIN_WITHIN:
            missing.append(Span(begin=reached, end=part.begin))
        reached = max(reached, part.end)
    if span.end - reached > _JOIN_WITHIN:
        missing.append(Span(begin=reached, end=span.end))
    return missing


def main_reason(missing: Iterable[Span], known: Iterable[Entry]) -> Unavailable | None:
    """Why most of what is missing is missing; `None` if nothing is.

    `known` are spans with their reasons; of what nobody knows the agent was not running.
    """
    lost: defaultdict[Unavailable, timedelta] = defaultdict(timedelta)
    known = list(known)
    for part in missing:
        unknown = part.end - part.begin
        for gap in known:
            overlap = min(gap.end, part.end) - max(gap.begin, part.begin)
            if gap.reason is not None and overlap > timedelta(0):
                lost[gap.reason] += overlap
                unknown -= overlap
        lost[Unavailable.NOT_COVERED] += max(unknown, timedelta(0))
    return max(lost, key=lambda reason: lost[reason]) if lost else None
