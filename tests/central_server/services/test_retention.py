"""What citizens said goes by its age or on request; figures, flags and chains stay."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from central_server.domain.custody_log import FeedbackErased
from central_server.domain.errors import ConflictError, NotFoundError
from central_server.domain.permissions import FlagScope, UnitId, UserId, everywhere
from central_server.services import feedback, flags, rebuild, retention, verification
from central_server.services.context import ServerContext
from central_server.settings import RetentionPeriod
from central_server.storage import server_log
from central_server.storage.places import Place
from central_server.storage.tables import EventRow, FeedbackRow, FlagRow, ServerLogRow
from central_server.storage.unit_of_work import Database
from event_protocol.events import FeedbackChannel
from event_protocol.server_heads import public_hex
from tests.central_server.factories import Clock
from tests.central_server.services.desk_days import busy_morning, deliver, derived, make_server
from tests.central_server.services.proof_world import pair


@pytest.fixture
def server(any_database: Database, tmp_path: Path) -> ServerContext:
    """A morning with ratings, complaints, and one that was taken back."""
    context = make_server(any_database, tmp_path)
    key = pair(context, "device-a", "desk-1")
    deliver(context, busy_morning(context, key).said)
    return context


def rows(server: ServerContext) -> list[FeedbackRow]:
    with server.database.reading() as db:
        return list(db.exec(select(FeedbackRow).order_by(FeedbackRow.feedback_id)))


def sealed(server: ServerContext) -> int:
    """How many ciphertexts are left in both logs."""
    with server.database.reading() as db:
        kept = [*db.exec(select(EventRow.sealed)), *db.exec(select(ServerLogRow.sealed))]
    return sum(one is not None for one in kept)


def figures(server: ServerContext) -> list[object]:
    """All that scorecards and flags are made of."""
    names = ("feedback_id", "desk", "unit_id", "quarter_at", "rating", "reasons", "survey")
    more = ("match", "weight", "is_complaint")
    said: list[object] = [[getattr(row, name) for name in (*names, *more)] for row in rows(server)]
    with server.database.reading() as db:
        found = db.exec(select(FlagRow).order_by(FlagRow.flag_id)).all()
    return [*said, *((row.flag_id, row.severity, row.state, row.facts) for row in found)]


def deviations(server: ServerContext) -> list[str]:
    with server.database.reading() as db:
        trusted = [public_hex(server.keys.signing)]
        return [str(one) for one in verification.verify(db, trusted)]


def close_flags(server: ServerContext) -> None:
    scope = FlagScope(everywhere([UnitId("unit-a")]), inspection=True)
    with server.database.reading() as db:
        open_flags = db.exec(select(FlagRow.flag_id).where(FlagRow.state == "open")).all()
    for flag in open_flags:
        flags.dismiss(server, scope, flag, UserId("an"), "xong")


def wait(server: ServerContext, days: float) -> None:
    assert isinstance(server.now, Clock)
    server.now.at += timedelta(days=days)


def test_ratings_go_first_and_complaints_when_their_flags_are_closed(
    server: ServerContext,
) -> None:
    before = figures(server)
    complaints = sum(row.is_complaint for row in rows(server))
    assert retention.run_due(server) == 0
    wait(server, 31)
    assert retention.run_due(server) == len(rows(server)) - complaints
    assert all((row.unreadable is None) == row.is_complaint for row in rows(server))
    wait(server, 730)
    assert retention.run_due(server) == 0  # nobody has decided yet
    close_flags(server)
    closed = figures(server)
    assert retention.run_due(server) == complaints
    assert sealed(server) == 0
    assert figures(server) == closed
    assert before[0] == closed[0]
    for row in rows(server):
        assert (row.comment, row.contact, row.session_id, row.exact_at) == (None,) * 4
        assert row.receipt_hash is None
    assert deviations(server) == []
    whole = derived(server)
    rebuild.rebuild(server)
    assert derived(server) == whole
    assert retention.run_due(server) == 0


def test_each_time_has_its_own_rule(server: ServerContext) -> None:
    """A shorter time that was decided later does not touch what was given before."""
    periods = (
        RetentionPeriod(since=date(2000, 1, 1), ratings_days=400),
        RetentionPeriod(since=date(2026, 3, 3), ratings_days=1),
    )
    settings = server.settings.model_copy(update={"retention": periods})
    strict = ServerContext(settings, server.database, server.keys, server.now)
    wait(strict, 100)
    assert retention.run_due(strict) == 0
    wait(strict, 301)
    assert retention.run_due(strict) > 0


def test_what_somebody_asks_for_is_erased_at_once(server: ServerContext) -> None:
    place = Place(unit_id="unit-a", unit_name="Đơn vị A", desk="desk-1")
    form = feedback.offer(server, place, FeedbackChannel.PHONE)
    saved = feedback.submit(server, form, 1)
    assert saved.code is not None
    assert retention.erase(server, saved.code, by="an", reason="theo yêu cầu") == saved.feedback_id
    [row] = [row for row in rows(server) if row.feedback_id == saved.feedback_id]
    assert (row.rating, row.receipt_hash) == (1, None)
    with server.database.reading() as db:
        *_, last = server_log.read_after(db, 0)
        entries = db.exec(select(ServerLogRow).where(ServerLogRow.sealed.is_not(None))).all()  # type: ignore[union-attr]  # SQLModel's columns
    assert isinstance(last.entry, FeedbackErased)
    assert (last.entry.by, last.entry.reason) == ("an", "theo yêu cầu")
    assert entries == []
    assert deviations(server) == []
    with pytest.raises(ConflictError):
        retention.erase(server, saved.feedback_id, by="an", reason="lần nữa")
    for unknown in (saved.code, "00000000-0000-4000-8000-000000000000", "x"):
        with pytest.raises(NotFoundError):
            retention.erase(server, unknown, by="an", reason="x")


def test_what_a_box_brings_again_goes_again(server: ServerContext) -> None:
    """A restored server: the erasure is on record, and the event comes with its ciphertext."""
    with server.database.reading() as db:
        kept = {
            (row.device, row.epoch, row.sequence): row.sealed
            for row in db.exec(select(EventRow)).all()
            if row.sealed is not None
        }
    wait(server, 31)
    assert retention.run_due(server) > 0
    gone = figures(server)
    with server.database.transaction() as db:
        for place, ciphertext in kept.items():
            db.get_one(EventRow, place).sealed = ciphertext
    rebuild.rebuild(server)
    assert any(row.comment is None and row.unreadable is None for row in rows(server))
    before = sealed(server)
    retention.run_due(server)
    assert sealed(server) < before
    assert figures(server) == gone
