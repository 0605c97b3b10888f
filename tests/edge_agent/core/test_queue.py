"""Scripts of a waiting zone: (begin, end, presence, figures) in; (since, band, confidence) out."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from edge_agent.core.desk_zones import Zone
from edge_agent.core.presence import PresenceTracker
from edge_agent.core.queue import (
    CERTAIN_APART,
    CERTAIN_BROAD,
    CERTAIN_HARDLY,
    CERTAIN_ONE,
    QueueTracker,
)
from edge_agent.core.zone_evidence import DOUBTFUL
from edge_agent.core.zone_reading import Figure, ZoneReading
from event_protocol.events import PresenceState, QueueBand, QueueObserved, ZoneRole
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
DESK = DeskId("desk-1")
ZONE = Zone("bench", ZoneRole.WAITING, ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
OCCUPIED, EMPTY, UNKNOWN = PresenceState.OCCUPIED, PresenceState.EMPTY, PresenceState.UNKNOWN
NOBODY, ONE, SEVERAL = QueueBand.NONE, QueueBand.ONE, QueueBand.SEVERAL

ALONE = (Figure(0.3, 0.5),)
APART = (Figure(0.3, 0.5), Figure(0.2, 0.6))
TOGETHER = (Figure(0.5, 1.1),)
WITH_BAG = (Figure(0.3, 0.5), Figure(0.03, 1.0))
Part = tuple[int, int, PresenceState, tuple[Figure, ...] | None]


def play(*parts: Part) -> list[tuple[float, QueueBand, float]]:
    tracker, told = QueueTracker(DESK, ZONE), []
    for begin, end, presence, figures in parts:
        for second in range(begin, end):
            changed = sum(figure.share for figure in figures or ())
            reading = None if figures is None else ZoneReading(changed, figures=figures)
            for said in tracker.observe(reading, presence, START + timedelta(seconds=second)):
                assert isinstance(said.data, QueueObserved)
                since = (said.data.since - START).total_seconds()
                told.append((since, said.data.band, said.data.confidence))
    return told


def test_the_band_follows_the_figures() -> None:
    told = play(
        (0, 10, EMPTY, ()),
        (10, 20, OCCUPIED, ALONE),
        (20, 30, OCCUPIED, APART),
        (30, 40, OCCUPIED, TOGETHER),
        (40, 50, OCCUPIED, WITH_BAG),
        (50, 60, EMPTY, ()),
    )
    assert told == [
        (0, NOBODY, 1),
        (10, ONE, CERTAIN_ONE),
        (20, SEVERAL, CERTAIN_APART),
        (40, ONE, CERTAIN_ONE),
        (50, NOBODY, 1),
    ]


def test_two_in_one_figure_are_less_certain() -> None:
    assert play((0, 5, OCCUPIED, TOGETHER)) == [(0, SEVERAL, CERTAIN_BROAD)]


def test_who_passes_behind_is_no_queue() -> None:
    told = play((0, 9, OCCUPIED, ALONE), (9, 11, OCCUPIED, APART), (11, 30, OCCUPIED, ALONE))
    assert told == [(0, ONE, CERTAIN_ONE)]


def test_nothing_is_said_of_what_is_not_known_and_all_anew_afterwards() -> None:
    told = play((0, 5, OCCUPIED, ALONE), (5, 9, UNKNOWN, None), (9, 12, OCCUPIED, ALONE))
    assert told == [(0, ONE, CERTAIN_ONE), (9, ONE, CERTAIN_ONE)]
    assert play((0, 60, UNKNOWN, ALONE)) == []


def test_a_remnant_makes_an_empty_bench_less_certain() -> None:
    assert play((0, 5, EMPTY, (Figure(0.03, 1.0),))) == [(0, NOBODY, 0.75)]


def test_a_band_is_no_surer_than_its_picture_allows() -> None:
    """Hidden or not vouched for, or with nobody who stands out."""

    def first(reading: ZoneReading, presence: PresenceState) -> tuple[QueueBand, float]:
        (said,) = QueueTracker(DESK, ZONE).observe(reading, presence, START)
        assert isinstance(said.data, QueueObserved)
        return said.data.band, said.data.confidence

    assert first(ZoneReading(0, is_hidden=True), EMPTY) == (NOBODY, DOUBTFUL)
    assert first(ZoneReading(0, is_calibrated=False), EMPTY) == (NOBODY, DOUBTFUL)
    assert first(ZoneReading(0.5, is_hidden=True, figures=APART), OCCUPIED) == (SEVERAL, DOUBTFUL)
    assert first(ZoneReading(0.05, figures=(Figure(0.05, 1.0),)), OCCUPIED) == (ONE, CERTAIN_HARDLY)


def test_only_waiting_zones_have_queues() -> None:
    seat = Zone("seat", ZoneRole.CITIZEN, ZONE.polygon)
    tracker = PresenceTracker(DESK, (seat, ZONE), uuid4)
    said = []
    for second in range(5):
        at = START + timedelta(seconds=second)
        said += tracker.observe({"seat": ZoneReading(0), "bench": ZoneReading(0)}, at)
    queues = [statement.data for statement in said if isinstance(statement.data, QueueObserved)]
    assert [(queue.zone, queue.band) for queue in queues] == [("bench", NOBODY)]
