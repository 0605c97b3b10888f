"""Open pages follow flags without reload: server-sent events, fed from the feed of changes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from central_server.domain.permissions import Permission
from central_server.http.dependencies import CurrentVisit, Visit, login_token
from central_server.http.filters import FlagQuery, Flags
from central_server.services import feed_places, logins
from central_server.storage import flag_lists, unit_lists
from web.pages import render

router = APIRouter(prefix="/flags", include_in_schema=False)

POLL_S = 0.25  # an event is to be seen within a second
_ALIVE_EVERY = 40  # polls: proxies cut lines that are silent for longer; log-outs are noticed
_CHANGES_AT_ONCE = 200
_LONGEST_PLACE = 100


@dataclass(frozen=True, slots=True)
class _Changes:
    through: int
    messages: list[str]


@router.get("/stream")
async def stream(
    request: Request,
    visit: CurrentVisit,
    flags: Flags,
    after: Annotated[str, Query(max_length=_LONGEST_PLACE)] = "",
    last_event_id: Annotated[str, Header(max_length=_LONGEST_PLACE)] = "",
) -> StreamingResponse:
    """Rows of the list as they change; `gone` names one that the filters no longer hold."""
    flags.scope(visit)  # who may see no flag finds no stream
    token = login_token(request)
    place = last_event_id or after
    number = feed_places.read_place(place, visit.context.keys.pepper) if place else 0
    messages = _follow(visit, flags, token, number)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(messages, media_type="text/event-stream", headers=headers)


async def _follow(visit: Visit, flags: FlagQuery, token: str, after: int) -> AsyncIterator[str]:
    """Until the browser leaves, or the log-in ends or no longer sees the same."""
    yield "retry: 2000\n\n"
    polls = 0
    while True:
        changes = await run_in_threadpool(_read_changes, visit, flags, after)
        after = changes.through
        for message in changes.messages:
            yield message
        polls += 1
        if polls % _ALIVE_EVERY == 0:
            if await run_in_threadpool(_has_ended, visit, token):
                yield "event: ended\ndata:\n\n"
                return
            yield _message("alive", "", _place(visit, after))
        await asyncio.sleep(POLL_S)


def _has_ended(visit: Visit, token: str) -> bool:
    login = logins.find_login(visit.context, token, is_use=False)
    return login is None or login.viewer != visit.viewer  # another role or unit: another scope


def _place(visit: Visit, number: int) -> str:
    return feed_places.write_place(number, visit.context.keys.pepper)


def _read_changes(visit: Visit, flags: FlagQuery, after: int) -> _Changes:
    scope = flags.scope(visit)
    with visit.context.database.reading() as db:
        through, changed = flag_lists.changed_after(db, scope, after, _CHANGES_AT_ONCE)
        if not changed:
            return _Changes(through, [])
        listed, gone = flag_lists.pick_flags(db, scope, flags.filter(), changed)
        names = unit_lists.names(db, scope.units)
    rows = [
        render(
            "flags/_row.html",
            visit.language,
            flag=flag,
            names=names,
            now=visit.context.now(),
            csrf_token=visit.csrf_token,
            may_decide=visit.viewer.may(Permission.DECIDE_FLAGS),
            inspection=scope.inspection,
        )
        for flag in listed
    ]
    place = _place(visit, through)
    messages = [_message("flag", row, place) for row in rows]
    return _Changes(through, messages + [_message("gone", flag, place) for flag in gone])


def _message(event: str, data: str, place: str) -> str:
    lines = "\n".join(f"data: {line}" for line in data.splitlines() or [""])
    return f"id: {place}\nevent: {event}\n{lines}\n\n"
