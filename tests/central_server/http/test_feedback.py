"""Rating by phone and from home: one tap counts, once, whatever the network and the token do."""

import secrets
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event
from sqlmodel import select

from central_server.domain.server_log import FeedbackReceived
from central_server.services.context import ServerContext
from central_server.storage.tables import FlagRow, UsedTokenRow
from central_server.storage.unit_of_work import Database
from event_protocol.names import DeskId, floor_to_quarter
from event_protocol.sealing import unseal
from event_protocol.tokens import RatingToken, make_token
from tests.central_server.factories import Clock
from tests.central_server.http.citizen import (
    TOKEN_KEY,
    Citizen,
    code_on,
    content,
    entries,
    feedback_rows,
    hidden,
    words_of,
)


def token(clock: Clock, session_id: UUID | None = None, *, key: bytes = TOKEN_KEY) -> str:
    """What the desk screen's code says now; it holds for two minutes."""
    expires_at = clock() + timedelta(minutes=2)
    nonce = secrets.randbits(64)
    return make_token(RatingToken(DeskId("desk-1"), session_id, expires_at, nonce), key)


# --- the first tap ----------------------------------------------------------------------------


def test_one_tap_is_saved_and_projected_at_once(citizen: Citizen, context: ServerContext) -> None:
    thanks = citizen.tap(5)
    assert thanks.status_code == 200
    assert "Đã lưu đánh giá: Rất hài lòng." in words_of(thanks)
    (row,) = feedback_rows(context)
    assert (row.rating, row.desk, row.unit_id, row.channel) == (5, "desk-1", "unit-a", "phone")
    assert row.is_complaint is False
    assert code_on(thanks) is None


def test_a_low_rating_is_a_flag_as_soon_as_the_citizen_reads_saved(
    citizen: Citizen, context: ServerContext
) -> None:
    thanks = citizen.tap(1)
    with context.database.transaction() as db:
        (flag,) = db.exec(select(FlagRow))
        assert (flag.rule, flag.desk, flag.inspection_only) == ("complaint", "desk-1", True)
    assert code_on(thanks) is not None


def test_the_log_keeps_the_quarter_of_an_hour_and_the_words_sealed(
    citizen: Citizen, context: ServerContext, clock: Clock
) -> None:
    clock.advance(437)
    citizen.add(citizen.tap(2), {"comment": "Lời-rất-riêng", "reason": "asked_for_money"})
    for logged in entries(context):
        assert logged.time == floor_to_quarter(clock())
        assert logged.sealed is not None
        assert "Lời" not in logged.sealed
    assert content(context).at == clock()
    with context.database.transaction() as db:
        marks = db.exec(select(UsedTokenRow)).all()
    assert all(mark.expires_at == floor_to_quarter(mark.expires_at) for mark in marks)


def test_a_form_posted_twice_counts_once(citizen: Citizen, context: ServerContext) -> None:
    fields = {**hidden(citizen.get("/r/desk-1")), "rating": "1"}
    first, second = citizen.post("/r/desk-1", fields), citizen.post("/r/desk-1", fields)
    assert first.status_code == second.status_code == 200
    assert code_on(first) == code_on(second)
    assert len(entries(context)) == len(feedback_rows(context)) == 1


def test_a_form_posted_again_with_another_face_says_what_counted(
    citizen: Citizen, context: ServerContext
) -> None:
    form = hidden(citizen.get("/r/desk-1"))
    citizen.post("/r/desk-1", {**form, "rating": "5"})
    again = citizen.post("/r/desk-1", {**form, "rating": "1"})
    assert "Rất hài lòng." in words_of(again)
    assert [row.rating for row in feedback_rows(context)] == [5]


@pytest.mark.parametrize("forged", ["", "forged", "e30.AAAA", "á" * 40])
def test_a_forged_form_counts_nothing_and_says_so(
    citizen: Citizen, context: ServerContext, forged: str
) -> None:
    answer = citizen.post("/r/desk-1", {"form": forged, "rating": "5"})
    assert answer.status_code == 400
    assert "không còn hợp lệ" in words_of(answer)
    assert entries(context) == []
    retry = citizen.post("/r/desk-1", {**hidden(answer), "rating": "5"})
    assert retry.status_code == 200, "the page that says so can be used at once"


def test_a_form_of_another_desk_counts_nothing(citizen: Citizen, context: ServerContext) -> None:
    form = hidden(citizen.get("/r/desk-2"))
    assert citizen.post("/r/desk-1", {**form, "rating": "5"}).status_code == 400
    assert entries(context) == []


def test_a_details_form_is_no_rating_form(citizen: Citizen) -> None:
    details = hidden(citizen.tap(5))
    assert citizen.post("/r/desk-1", {**details, "rating": "5"}).status_code == 400


@pytest.mark.parametrize("rating", ["", "0", "6", "five", "5.0", "٥"])
def test_a_sixth_face_is_refused(citizen: Citizen, context: ServerContext, rating: str) -> None:
    answer = citizen.post("/r/desk-1", {**hidden(citizen.get("/r/desk-1")), "rating": rating})
    assert answer.status_code == 400
    assert "năm mức" in words_of(answer)
    assert entries(context) == []


def test_a_form_older_than_a_day_is_told_to_choose_again(
    citizen: Citizen, context: ServerContext, clock: Clock
) -> None:
    form = hidden(citizen.get("/r/desk-1"))
    clock.advance(24 * 3600)
    answer = citizen.post("/r/desk-1", {**form, "rating": "5"})
    assert answer.status_code == 400
    assert "quá lâu" in words_of(answer)
    assert entries(context) == []


# --- the desk screen's code -------------------------------------------------------------------


def test_a_scanned_code_binds_the_rating_to_its_visit(
    citizen: Citizen, context: ServerContext, clock: Clock
) -> None:
    session_id = uuid4()
    citizen.tap(4, f"/r/desk-1?t={token(clock, session_id)}")
    assert content(context).session_id == session_id


def test_a_code_scanned_in_time_binds_though_the_tap_comes_late(
    citizen: Citizen, context: ServerContext, clock: Clock
) -> None:
    session_id = uuid4()
    form = hidden(citizen.get(f"/r/desk-1?t={token(clock, session_id)}"))
    clock.advance(600)
    citizen.post("/r/desk-1", {**form, "rating": "4"})
    assert content(context).session_id == session_id


def test_an_expired_code_is_said_and_the_rating_taken_unbound(
    citizen: Citizen, context: ServerContext, clock: Clock
) -> None:
    scanned = token(clock, uuid4())
    clock.advance(121)
    assert "hết hạn" in words_of(citizen.get(f"/r/desk-1?t={scanned}"))
    assert citizen.tap(4, f"/r/desk-1?t={scanned}").status_code == 200
    assert content(context).session_id is None


@pytest.mark.parametrize("kind", ["other key", "junk", "empty", "cut"])
def test_a_forged_code_is_said_and_the_rating_taken_unbound(
    citizen: Citizen, context: ServerContext, clock: Clock, kind: str
) -> None:
    good = token(clock, uuid4())
    scanned = {
        "other key": token(clock, uuid4(), key=b"x" * 32),
        "junk": "<script>",
        "empty": "",
        "cut": good[:-4],
    }[kind]
    path = f"/r/desk-1?{urlencode({'t': scanned})}"
    assert "không do màn hình" in words_of(citizen.get(path))
    assert citizen.tap(4, path).status_code == 200
    assert content(context).session_id is None


def test_a_code_binds_once_and_later_ratings_count_unbound(
    citizen: Citizen, context: ServerContext, clock: Clock
) -> None:
    path = f"/r/desk-1?t={token(clock, uuid4())}"
    open_since_before = hidden(citizen.get(path))
    citizen.tap(4, path)
    assert "đã được dùng" in words_of(citizen.get(path))
    late = citizen.post("/r/desk-1", {**open_since_before, "rating": "2"})
    assert "đã được dùng" in words_of(late)
    sessions = []
    for logged in entries(context):
        assert isinstance(logged.entry, FeedbackReceived)
        assert logged.sealed is not None
        opened = unseal(logged.sealed, logged.entry.digest, context.keys.sealing)
        sessions.append(opened.session_id is not None)
    assert sessions == [True, False]


# --- floods and failures ----------------------------------------------------------------------


def test_a_flood_at_one_desk_is_slowed_and_loses_nothing(
    citizen: Citizen, context: ServerContext, clock: Clock
) -> None:
    fields = {**hidden(citizen.get("/r/desk-1")), "rating": "5"}
    codes = [citizen.post("/r/desk-1", fields).status_code for _ in range(62)]
    assert codes == [200] * 60 + [429] * 2
    assert citizen.tap(5, "/r/desk-2").status_code == 200, "other desks are not held up"
    waiting = citizen.tap(3)
    assert "chờ một phút" in words_of(waiting)
    clock.advance(60)
    assert citizen.post("/r/desk-1", hidden(waiting)).status_code == 200
    assert [row.rating for row in feedback_rows(context)].count(3) == 1


def test_a_locked_database_is_told_and_one_tap_tries_again(
    context: ServerContext, citizen: Citizen
) -> None:
    engine = context.database.engine
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=50"))
    engine.dispose()
    fields = {**hidden(citizen.get("/r/desk-1")), "rating": "2"}
    other_process = Database(str(engine.url))
    with other_process.transaction():
        answer = citizen.post("/r/desk-1", fields)
    other_process.close()
    assert answer.status_code == 503
    assert "Chưa lưu được" in words_of(answer)
    assert entries(context) == []
    assert citizen.post("/r/desk-1", hidden(answer)).status_code == 200
    assert len(feedback_rows(context)) == 1


def test_a_full_disk_is_told_and_nothing_is_half_written(
    context: ServerContext, citizen: Citizen
) -> None:
    first = citizen.tap(2)
    engine = context.database.engine
    limits = {"pages": 1}  # SQLite raises the limit to what is in use: not one page more
    event.listen(
        engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count={limits['pages']}")
    )
    engine.dispose()
    words = secrets.token_hex(1900)
    before = len(entries(context))
    statuses = [
        citizen.add(first, {"rating": "2", "comment": f"{words}{n}"}).status_code for n in range(30)
    ]
    assert statuses[-1] == 503
    assert len(entries(context)) == before + statuses.count(200)
    limits["pages"] = 1_000_000
    engine.dispose()
    answer = citizen.add(first, {"rating": "2", "comment": "Đĩa đã có chỗ"})
    assert answer.status_code == 200
    assert feedback_rows(context)[0].comment == "Đĩa đã có chỗ"
