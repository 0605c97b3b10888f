"""Receipts: a code of 120 bits, stored only as a slow hash, opens the state and a conversation."""

from collections.abc import Iterable
from secrets import token_bytes
from uuid import UUID

import pytest
from sqlmodel import select

from central_server.domain.errors import InvalidError, NotFoundError
from central_server.domain.permissions import Role, UnitId, UnitScope, UserId, Viewer
from central_server.domain.server_log import FlagDismissed, FlagTaken
from central_server.services import conversations, projector
from central_server.services.complaint_receipts import ReceiptState, may_exist, state_of
from central_server.services.context import ServerContext
from central_server.storage import server_log
from central_server.storage.tables import FeedbackRow, FlagRow, ServerLogRow, UsedTokenRow
from event_protocol.receipt_codes import hash_code, write_code
from tests.central_server.factories import Clock
from tests.central_server.http.citizen import Citizen, code_on, hidden, words_of

INSPECTOR = Viewer(UserId("inspector-1"), Role.INSPECTOR, UnitId("province"))
IN_SCOPE = UnitScope(frozenset({UnitId("unit-a")}))
ELSEWHERE = UnitScope(frozenset({UnitId("unit-b")}))


@pytest.fixture
def code(citizen: Citizen) -> str:
    """The receipt of a complaint just made."""
    found = code_on(citizen.tap(1))
    assert found is not None
    return found


def complaint(context: ServerContext) -> FeedbackRow:
    with context.database.reading() as db:
        return db.exec(select(FeedbackRow)).one()


def decide(context: ServerContext, entry: type[FlagTaken] | type[FlagDismissed]) -> None:
    """An inspector takes or dismisses the complaint's flag, as the log has it."""
    with context.database.transaction() as db:
        flag_id = UUID(db.exec(select(FlagRow)).one().flag_id)
        fields = {"flag_id": flag_id, "by": "inspector-1"}
        more = {"reason": "lời nội bộ"} if entry is FlagDismissed else {}
        server_log.append(db, entry.model_validate(fields | more), at=context.now())
        projector.project_server_log(db, context)


def test_only_a_slow_hash_of_the_code_is_stored(
    citizen: Citizen, context: ServerContext, code: str
) -> None:
    assert complaint(context).receipt_hash == hash_code(code, context.keys.pepper)
    with context.database.reading() as db:
        kept = [*db.exec(select(ServerLogRow)), *db.exec(select(UsedTokenRow))]
    everything = " ".join(str(row.model_dump()) for row in kept)
    for text in (code, code.replace("-", "")):
        assert text not in everything


def test_the_code_opens_the_complaint_however_it_is_typed(citizen: Citizen, code: str) -> None:
    for typed in (code, code.lower(), code.replace("-", " "), f"  {code} "):
        page = citizen.post("/receipt", {"code": typed})
        assert page.status_code == 200
        assert "Xã Đô Lương" in words_of(page)


def test_the_code_is_asked_for_by_form_and_never_in_an_address(citizen: Citizen) -> None:
    page = citizen.get("/receipt?code=ABCD-ABCD-ABCD-ABCD-ABCD-ABCD")
    assert 'value=""' in page.text
    assert 'method="post"' in page.text


@pytest.mark.parametrize("typed", ["", "ABCD", "A" * 24, "<script>", "x" * 5000])
def test_a_wrong_code_opens_nothing_and_says_so(citizen: Citizen, code: str, typed: str) -> None:
    page = citizen.post("/receipt", {"code": typed})
    assert page.status_code == 404
    assert "Không có phản ánh nào mang mã này" in words_of(page)
    assert "<script>" not in page.text


def test_a_kiosk_s_code_hashed_without_the_pepper_is_found_too(
    citizen: Citizen, context: ServerContext, code: str
) -> None:
    with context.database.transaction() as db:
        db.exec(select(FeedbackRow)).one().receipt_hash = hash_code(code)
    assert citizen.post("/receipt", {"code": code}).status_code == 200


def test_who_guesses_gets_no_slow_hash_and_shuts_nobody_out(
    citizen: Citizen, context: ServerContext, code: str
) -> None:
    assert may_exist(context, code)
    for _ in range(100):
        guess = write_code(token_bytes(15))
        assert not may_exist(context, guess)
        assert citizen.post("/receipt", {"code": guess}).status_code == 404
    assert citizen.post("/receipt", {"code": code}).status_code == 200


def test_one_receipt_asked_for_again_and_again_waits_and_others_do_not(
    citizen: Citizen, clock: Clock, code: str
) -> None:
    other = code_on(citizen.tap(2))
    assert other is not None
    statuses = [citizen.post("/receipt", {"code": code}).status_code for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    refused = citizen.post("/receipt", {"code": code, "message": "Tôi có giấy hẹn."})
    assert refused.status_code == 429
    assert hidden(refused)["message"] == "Tôi có giấy hẹn.", "nothing typed is lost"
    assert "tra cứu quá nhiều lần" in words_of(refused)
    assert citizen.post("/receipt", {"code": other}).status_code == 200
    clock.advance(10)
    assert citizen.post("/receipt", {"code": code}).status_code == 200


def test_the_state_follows_the_inspection_team(
    citizen: Citizen, context: ServerContext, code: str
) -> None:
    def state() -> str:
        return words_of(citizen.post("/receipt", {"code": code}))

    assert "đang chờ người xử lý" in state()
    decide(context, FlagTaken)
    assert "đã nhận xử lý" in state()
    decide(context, FlagDismissed)
    assert "đã xem xét và kết thúc" in state()
    assert "lời nội bộ" not in state()
    assert "inspector-1" not in state()


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ([], ReceiptState.RECEIVED),
        (["open"], ReceiptState.RECEIVED),
        (["withdrawn"], ReceiptState.RECEIVED),
        (["taken", "dismissed"], ReceiptState.TAKEN),
        (["dismissed", "withdrawn"], ReceiptState.CLOSED),
    ],
)
def test_one_state_for_all_flags(flags: Iterable[str], state: ReceiptState) -> None:
    assert state_of(flags) is state


def test_both_sides_talk_without_names(citizen: Citizen, context: ServerContext, code: str) -> None:
    page = citizen.post("/receipt", {"code": code})
    said = citizen.post("/receipt", {**hidden(page), "message": "Tôi có giấy hẹn.", "reply": "1"})
    assert "Tôi có giấy hẹn." in said.text
    feedback_id = complaint(context).feedback_id
    conversations.answer(context, INSPECTOR, IN_SCOPE, feedback_id, "Xin gửi <b>số</b> giấy hẹn.")
    page = citizen.post("/receipt", {"code": code})
    assert "Xin gửi &lt;b&gt;số&lt;/b&gt; giấy hẹn." in page.text
    assert "inspector-1" not in page.text
    with context.database.reading() as db:
        turns = conversations.messages_of(db, feedback_id, context)
        stored = " ".join(str(row.model_dump()) for row in db.exec(select(ServerLogRow)))
    assert [(turn.by, turn.words) for turn in turns] == [
        (None, "Tôi có giấy hẹn."),
        ("inspector-1", "Xin gửi <b>số</b> giấy hẹn."),
    ]
    assert "giấy hẹn" not in stored


def test_a_message_posted_twice_is_written_once(
    citizen: Citizen, context: ServerContext, code: str
) -> None:
    fields = {**hidden(citizen.post("/receipt", {"code": code})), "message": "Một lần."}
    for _ in range(2):
        assert citizen.post("/receipt", fields).status_code == 200
    with context.database.reading() as db:
        assert len(conversations.messages_of(db, complaint(context).feedback_id, context)) == 1


@pytest.mark.parametrize("message", ["", "   ", "a" * 4001])
def test_a_message_that_can_not_be_taken_is_handed_back(
    citizen: Citizen, context: ServerContext, code: str, message: str
) -> None:
    form = hidden(citizen.post("/receipt", {"code": code}))
    answer = citizen.post("/receipt", {**form, "message": message, "reply": "1"})
    assert answer.status_code == 400
    assert message in answer.text


def test_a_reply_form_of_another_receipt_writes_nothing(
    citizen: Citizen, context: ServerContext, code: str
) -> None:
    other = code_on(citizen.tap(2))
    assert other is not None
    form = hidden(citizen.post("/receipt", {"code": other}))
    answer = citizen.post("/receipt", {**form, "code": code, "message": "x"})
    assert answer.status_code == 400


def test_an_inspector_answers_within_the_scope_only(
    citizen: Citizen, context: ServerContext, code: str
) -> None:
    feedback_id = complaint(context).feedback_id
    with pytest.raises(NotFoundError):
        conversations.answer(context, INSPECTOR, ELSEWHERE, feedback_id, "x")
    with pytest.raises(InvalidError):
        conversations.answer(context, INSPECTOR, IN_SCOPE, feedback_id, " ")


def test_nobody_can_be_answered_who_holds_no_receipt(
    citizen: Citizen, context: ServerContext
) -> None:
    citizen.tap(5)
    with pytest.raises(NotFoundError):
        conversations.answer(context, INSPECTOR, IN_SCOPE, complaint(context).feedback_id, "x")
