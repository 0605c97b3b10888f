"""Grave flags reach people: real webhook, real mail; retries, escalation, several workers."""

import email
import email.policy
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from uuid import UUID, uuid4

import pytest
import structlog
from sqlmodel import col, select

from central_server.domain.server_log import Notified
from central_server.services import notifications
from central_server.services.context import ServerContext
from central_server.services.notifications import retry_after, run_due
from central_server.settings import NotifySettings
from central_server.storage import notifications as notification_store
from central_server.storage import schema, server_log
from central_server.storage.tables import FlagRow, NotificationRow
from central_server.storage.unit_of_work import Database
from event_protocol.names import floor_to_quarter
from tests.central_server.factories import START, Clock, make_context, register_device
from tests.processes.message_receivers import MailBox, Webhook

# apprise loads all its plug-ins on first use, and one of them still looks for an old module.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def context(database: Database, tmp_path: Path, clock: Clock) -> ServerContext:
    register_device(database)
    return make_context(database, tmp_path, clock)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as running:
        yield running


@pytest.fixture
def second_webhook() -> Iterator[Webhook]:
    with Webhook() as running:
        yield running


@pytest.fixture
def mail_box() -> Iterator[MailBox]:
    with MailBox().running() as running:
        yield running


def telling(context: ServerContext, *levels: tuple[str, ...]) -> ServerContext:
    """The same server with those targets configured."""
    settings = context.settings.model_copy(update={"notify": NotifySettings(targets=levels)})
    return replace(context, settings=settings)


def raise_flag(context: ServerContext, severity: str = "critical") -> str:
    """A complaint's flag as the projector leaves it."""
    flag = FlagRow(
        flag_id=str(uuid4()),
        rule="complaint",
        rules_hash="0" * 64,
        severity=severity,
        desk="desk-1",
        unit_id="unit-a",
        feedback_id=str(uuid4()),
        begin=START,
        facts={"reasons": ["asked_for_money"], "rating": 1},
        state="open",
        inspection_only=True,
    )
    with context.database.transaction() as db:
        db.add(flag)
        return flag.flag_id


def set_state(context: ServerContext, flag_id: str, state: str) -> None:
    with context.database.transaction() as db:
        db.get_one(FlagRow, flag_id).state = state


def rows(context: ServerContext) -> list[NotificationRow]:
    with context.database.transaction() as db:
        return list(db.exec(select(NotificationRow).order_by(col(NotificationRow.level))))


def notified(context: ServerContext) -> list[tuple[UUID, int]]:
    with context.database.reading() as db:
        entries = [logged.entry for logged in server_log.read_after(db, 0)]
    return [(e.flag_id, e.level) for e in entries if isinstance(e, Notified)]


def test_webhook_and_mail_get_unit_desk_category_and_link(
    context: ServerContext, webhook: Webhook, mail_box: MailBox
) -> None:
    flag_id = raise_flag(context)
    assert run_due(telling(context, (webhook.address, mail_box.address))) == 1
    (post,) = webhook.posts
    (raw,) = mail_box.letters
    letter = email.message_from_string(raw, policy=email.policy.default)
    body = letter.get_body()
    assert body is not None
    assert "Đơn vị A" in letter["Subject"]
    for text in (post["message"], body.get_content()):
        assert "Đơn vị A" in text
        assert "desk-1" in text
        assert "Gợi ý, đòi tiền" in text
        assert "Asked for money" in text
        assert f"http://127.0.0.1:8000/flags/{flag_id}" in text
    assert notified(context) == [(UUID(flag_id), 0)]
    assert rows(context)[0].sent_at == START


def test_it_is_told_once(context: ServerContext, webhook: Webhook, clock: Clock) -> None:
    raise_flag(context)
    server = telling(context, (webhook.address,))
    assert [run_due(server), run_due(server)] == [1, 0]
    clock.advance(24 * 3600)
    assert run_due(server) == 0
    assert len(webhook.posts) == 1


@pytest.mark.parametrize("severity", ["minor", "major"])
def test_what_is_not_grave_is_not_told(
    context: ServerContext, webhook: Webhook, severity: str
) -> None:
    raise_flag(context, severity)
    assert run_due(telling(context, (webhook.address,))) == 0


def test_one_failing_target_stops_no_other_and_is_tried_again_alone(
    context: ServerContext, webhook: Webhook, second_webhook: Webhook, clock: Clock
) -> None:
    webhook.status = 500
    flag_id = raise_flag(context)
    server = telling(
        context, (webhook.address, second_webhook.address, "nonsense://x", "json://127.0.0.1:1/")
    )
    run_due(server)
    assert len(second_webhook.posts) == 1
    (row,) = rows(context)
    assert row.sent_at is None
    assert row.last_error is not None
    assert row.last_error.startswith("not reached: ")
    assert len(row.delivered) == 1
    assert webhook.address not in row.last_error
    assert run_due(server) == 0, "not before its time"
    webhook.status = 200
    clock.advance(retry_after(1).total_seconds())
    run_due(server)
    assert (len(webhook.posts), len(second_webhook.posts)) == (1, 1)
    assert notified(context) == [(UUID(flag_id), 0)], "logged once, when somebody was first told"


def test_a_target_that_hangs_holds_nobody_up(
    context: ServerContext, webhook: Webhook, second_webhook: Webhook
) -> None:
    webhook.hold = Event()
    raise_flag(context)
    started = time.monotonic()
    run_due(telling(context, (webhook.address, second_webhook.address)), send_timeout_s=0.7)
    assert time.monotonic() - started < 3
    assert len(second_webhook.posts) == 1
    assert rows(context)[0].sent_at is None


def test_retries_back_off_to_a_quarter_of_an_hour() -> None:
    waits = [retry_after(attempts).total_seconds() for attempts in (1, 2, 3, 6, 7, 1000)]
    assert waits == [30, 60, 120, 900, 900, 900]


def test_the_next_level_is_told_if_nobody_acknowledges(
    context: ServerContext, webhook: Webhook, second_webhook: Webhook, clock: Clock
) -> None:
    flag_id = raise_flag(context)
    server = telling(context, (webhook.address,), (second_webhook.address,))
    run_due(server)
    clock.advance(29 * 60)
    assert run_due(server) == 0
    clock.advance(60)
    assert run_due(server) == 1
    assert (len(webhook.posts), len(second_webhook.posts)) == (1, 1)
    assert notified(context) == [(UUID(flag_id), 0), (UUID(flag_id), 1)]


def test_the_next_level_is_told_even_if_the_first_can_not_be_reached(
    context: ServerContext, webhook: Webhook, clock: Clock
) -> None:
    raise_flag(context)
    server = telling(context, ("json://127.0.0.1:1/",), (webhook.address,))
    run_due(server)
    clock.advance(30 * 60)
    run_due(server)
    assert len(webhook.posts) == 1


@pytest.mark.parametrize("how", ["acknowledged", "taken", "dismissed", "withdrawn"])
def test_whoever_knows_ends_the_escalation(
    context: ServerContext, webhook: Webhook, second_webhook: Webhook, clock: Clock, how: str
) -> None:
    flag_id = raise_flag(context)
    server = telling(context, (webhook.address,), (second_webhook.address,))
    run_due(server)
    if how == "acknowledged":
        with context.database.transaction() as db:
            notification_store.acknowledge(db, flag_id, "inspector", clock())
    else:
        set_state(context, flag_id, how)
    clock.advance(24 * 3600)
    assert run_due(server) == 0
    assert second_webhook.posts == []


def test_several_workers_tell_each_flag_once(
    any_database: Database, tmp_path: Path, clock: Clock, webhook: Webhook
) -> None:
    schema.migrate(any_database)
    register_device(any_database)
    context = make_context(any_database, tmp_path, clock)
    for _ in range(12):
        raise_flag(context)
    server = telling(context, (webhook.address,))
    with ThreadPoolExecutor(4) as pool:
        tried = list(pool.map(lambda _: run_due(server), range(4)))
    assert sum(tried) == len(webhook.posts) == 12


def test_a_claim_whose_worker_died_is_due_again(
    context: ServerContext, webhook: Webhook, clock: Clock
) -> None:
    raise_flag(context)
    server = telling(context, (webhook.address,))
    with context.database.transaction() as db:
        notification_store.add_missing(db, 1, clock(), timedelta(minutes=30))
        assert notification_store.claim_due(db, 1, clock(), timedelta(minutes=2)) is not None
    assert run_due(server) == 0
    clock.advance(120)
    assert run_due(server) == 1


def test_no_time_of_it_is_more_exact_than_a_quarter(
    context: ServerContext, clock: Clock, webhook: Webhook
) -> None:
    clock.advance(437)
    raise_flag(context)
    assert run_due(telling(context, (webhook.address,), (webhook.address,))) == 1
    with context.database.reading() as db:
        (told,) = [e for e in server_log.read_after(db, 0) if isinstance(e.entry, Notified)]
    times = [told.time, *(row.due_at for row in rows(context)), rows(context)[0].sent_at]
    assert [time for time in times if time is None or time != floor_to_quarter(time)] == []
    assert rows(context)[1].due_at - clock() > timedelta(minutes=30), "never sooner than said"


def test_without_targets_nobody_is_told_and_the_log_says_so_once(
    context: ServerContext, webhook: Webhook
) -> None:
    notifications._warn_nobody_is_told.cache_clear()
    raise_flag(context)
    with structlog.testing.capture_logs() as logs:
        assert [run_due(context), run_due(context)] == [0, 0]
    assert [entry["event"] for entry in logs] == [
        "notify.targets is empty: nobody is told of grave flags"
    ]
    assert rows(context)[0].sent_at is None
    assert run_due(telling(context, (webhook.address,))) == 1, "told once somebody can be"
