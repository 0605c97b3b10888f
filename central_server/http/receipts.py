"""A complaint's receipt: how far it is, and an anonymous conversation. No code is ever in a URL."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import OperationalError

from central_server.domain.errors import InvalidError
from central_server.http.public_pages import Fields, Page, PublicPage, pairs_of, text_of
from central_server.services import conversations
from central_server.services.complaint_receipts import ComplaintReceipt, find_receipt, may_exist
from central_server.services.rating_forms import ReplyForm, expiry_after
from central_server.services.signed_forms import new_nonce, read_form, write_form
from central_server.storage import places
from event_protocol.feedback import MAX_COMMENT_CHARACTERS
from event_protocol.receipt_codes import hint_of, read_code

router = APIRouter(include_in_schema=False)


@router.get("/receipt")
def ask_for_code(page: Page) -> HTMLResponse:
    """Where the code is typed or pasted."""
    return page.show("receipt", code="", error=None)


@router.post("/receipt")
def look_up(page: Page, fields: Fields) -> HTMLResponse:
    """The state of the complaint; with a `message`, that is added to the conversation first."""
    typed = text_of(fields, "code")
    code, receipt = read_code(typed), None
    if code is not None and may_exist(page.context, code):
        if not page.parts.look_ups.allows(hint_of(code), page.context.now()):
            return page.show("again", 429, reason="receipt.wait", fields=pairs_of(fields))
        receipt = find_receipt(page.context, code)
    if code is None or receipt is None:
        return page.show("receipt", 404, code=typed, error="receipt.not_found")
    if not text_of(fields, "message") and "reply" not in fields:
        return _show_receipt(page, receipt, code)
    try:
        form = read_form(
            ReplyForm, text_of(fields, "form"), page.context.keys.pepper, page.context.now()
        )
        if form.feedback_id != receipt.feedback_id:
            raise InvalidError("feedback.form_forged")
        conversations.reply(page.context, form, text_of(fields, "message"))
    except InvalidError as error:
        words = text_of(fields, "message")
        return _show_receipt(page, receipt, code, status=400, error=error, words=words)
    except OperationalError:
        return page.show("again", 503, reason="public.not_saved", fields=pairs_of(fields))
    return _show_receipt(page, receipt, code)


def _show_receipt(
    page: PublicPage,
    receipt: ComplaintReceipt,
    code: str,
    *,
    status: int = 200,
    error: InvalidError | None = None,
    words: str = "",
) -> HTMLResponse:
    form = ReplyForm(
        nonce=new_nonce(),
        expires_at=expiry_after(page.context.now()),
        feedback_id=receipt.feedback_id,
    )
    with page.context.database.reading() as db:
        messages = conversations.messages_of(db, receipt.feedback_id, page.context)
        place = places.find_unit_place(db, receipt.unit_id)
    return page.show(
        "receipt_state",
        status,
        receipt=receipt,
        unit_name="" if place is None else place.unit_name,
        messages=messages,
        code=code,
        form=write_form(form, page.context.keys.pepper),
        error=error,
        words=words,
        limit=MAX_COMMENT_CHARACTERS,
        fields=(("code", code),),
    )
