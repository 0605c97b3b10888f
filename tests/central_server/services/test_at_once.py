"""What two people do at the same instant counts once, on every database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TypeVar

import pytest

from central_server.domain.errors import ConflictError, InvalidError
from central_server.domain.permissions import FlagScope, UnitId, UserId, everywhere
from central_server.domain.server_log import (
    DevicePaired,
    FeedbackReceived,
    FlagTaken,
    IncidentRecorded,
)
from central_server.services import enrolment, feedback, flags, ingest, rule_sets
from central_server.services.context import ServerContext
from central_server.storage import server_log, streams
from central_server.storage.places import Place
from central_server.storage.unit_of_work import Database
from event_protocol.enrolment import EnrolmentRequest
from event_protocol.events import FeedbackChannel
from tests.central_server.factories import (
    START,
    Clock,
    EdgeChain,
    make_context,
    register_device,
)
from tests.factories import NOW, add_province, make_id

T = TypeVar("T")
_AT_ONCE = 4


@pytest.fixture
def context(any_database: Database, tmp_path: Path) -> ServerContext:
    """A province on each kind of database."""
    made = make_context(any_database, tmp_path, Clock(NOW))
    rule_sets.activate(made)
    with any_database.transaction() as db:
        add_province(db)
    return made


def at_once(do: Callable[[int], T]) -> list[T]:
    """The results of some threads that begin together."""
    barrier = Barrier(_AT_ONCE)

    def begin(number: int) -> T:
        barrier.wait(10)
        return do(number)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(begin, range(_AT_ONCE)))


def logged(context: ServerContext, kind: type) -> int:
    with context.database.reading() as db:
        return sum(isinstance(one.entry, kind) for one in server_log.read_after(db, 0))


def test_one_inspector_takes_a_flag(context: ServerContext) -> None:
    scope = FlagScope(everywhere([UnitId("commune-a")]), inspection=True)

    def take(number: int) -> bool:
        try:
            flags.take(context, scope, make_id("wait-commune-a"), UserId(f"inspector-{number}"))
        except ConflictError:
            return False
        return True

    assert sorted(at_once(take)) == [False] * (_AT_ONCE - 1) + [True]
    assert logged(context, FlagTaken) == 1


def test_a_pairing_code_pairs_one_box(context: ServerContext) -> None:
    code = enrolment.make_code(context, "device-commune-a")

    def enrol(number: int) -> bool:
        request = EnrolmentRequest(code=code, public_key=f"{number:064x}", agent_version="1")
        try:
            enrolment.enrol(context, request)
        except InvalidError:
            return False
        return True

    assert sorted(at_once(enrol)) == [False] * (_AT_ONCE - 1) + [True]
    assert logged(context, DevicePaired) == 1


def test_a_form_posted_twice_at_once_counts_once(context: ServerContext) -> None:
    place = Place("commune-a", "", "desk-commune-a")
    form = feedback.offer(context, place, FeedbackChannel.PHONE)
    saved = at_once(lambda number: feedback.submit(context, form, 1))
    assert len({one.feedback_id for one in saved}) == 1
    assert len({one.code for one in saved}) == 1
    assert logged(context, FeedbackReceived) == 1


def test_an_incident_waits_for_the_log_without_holding_a_stream(
    postgresql_database: Database, tmp_path: Path
) -> None:
    """As projecting does it: first the log, then the streams."""
    register_device(postgresql_database)
    context = make_context(postgresql_database, tmp_path, Clock(START))
    chain = EdgeChain()
    ingest.append(context, [chain.presence()])
    forged = EdgeChain().presence()
    with ThreadPoolExecutor(1) as pool:
        with context.database.transaction() as db:
            server_log.lock(db)
            appending = pool.submit(ingest.append, context, [forged, chain.presence()])
            with pytest.raises(TimeoutError):
                appending.result(0.5)
            streams.open_heads(db, [("device-a", 1)])
        [(_, receipt)] = appending.result(10)
    assert receipt.through == 2
    assert logged(context, IncidentRecorded) == 1
