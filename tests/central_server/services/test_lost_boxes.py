"""A lost box: refused, its later words kept apart, its desks given to another."""

from datetime import timedelta
from pathlib import Path

import pytest

from central_server.domain.device_log import DeviceRevoked, Positions
from central_server.domain.errors import ConflictError, InvalidError, NotFoundError
from central_server.services import broker_accounts, enrolment, ingest, lost_boxes
from central_server.services.context import ServerContext
from central_server.storage import events, quarantine, registry, server_log
from central_server.storage.unit_of_work import Database
from event_protocol.enrolment import EnrolmentRequest
from tests.central_server.factories import (
    START,
    Clock,
    EdgeChain,
    make_context,
    register_device,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def context(database: Database, tmp_path: Path, clock: Clock) -> ServerContext:
    register_device(database, "device-a", desks=("desk-1", "desk-2"))
    register_device(database, "device-b", desks=("desk-3",))
    return make_context(database, tmp_path, clock)


def pair(context: ServerContext, device: str) -> None:
    code = enrolment.make_code(context, device)
    enrolment.enrol(context, EnrolmentRequest(code=code, public_key="cd" * 32, agent_version="1"))


def test_what_a_revoked_box_says_is_kept_apart_and_nobody_else_is_held_up(
    context: ServerContext, clock: Clock
) -> None:
    lost, other = EdgeChain("device-a"), EdgeChain("device-b")
    ingest.append(context, [*lost.many(3), *other.many(2)])
    clock.advance(3600)
    ingest.append(context, lost.many(2))
    assert lost_boxes.revoke(
        context, "device-a", reason="stolen", lost_since=START + timedelta(minutes=30)
    ) == (Positions(epoch=1, first=4, last=5),)
    receipts = ingest.append(context, [*lost.many(2), *other.many(1)])
    assert [(device, receipt.through) for device, receipt in receipts] == [("device-b", 3)]
    with context.database.reading() as db:
        refused = quarantine.list_of_device(db, "device-a", 10, with_incidents=True)
        assert {one.reason for one in refused} == {
            "the device was revoked at 2026-03-02T09:00:00.000Z"
        }
        assert len(refused) == 2
        assert [row.sequence for row in events.read_stream(db, "device-a", 1)] == [1, 2, 3, 4, 5]


def test_the_log_names_what_is_doubtful(context: ServerContext, clock: Clock) -> None:
    ingest.append(context, EdgeChain("device-a").many(3))
    lost_boxes.revoke(context, "device-a", reason="stolen", lost_since=START)
    with context.database.reading() as db:
        logged = [one.entry for one in server_log.read_after(db, 0)]
    assert [one for one in logged if isinstance(one, DeviceRevoked)] == [
        DeviceRevoked(
            device="device-a",
            by="command",
            reason="stolen",
            lost_since=START,
            doubtful=(Positions(epoch=1, first=1, last=3),),
        )
    ]


def test_its_account_and_its_codes_end(context: ServerContext) -> None:
    pair(context, "device-a")
    code = enrolment.make_code(context, "device-a")
    assert "device-a" in broker_accounts.device_hashes(context)
    lost_boxes.revoke(context, "device-a", reason="stolen")
    assert "device-a" not in broker_accounts.password_file(context).read_text()
    with pytest.raises(InvalidError):
        enrolment.enrol(
            context, EnrolmentRequest(code=code, public_key="cd" * 32, agent_version="1")
        )
    for device in ("device-a", "device-x"):
        with pytest.raises(NotFoundError):
            lost_boxes.revoke(context, device, reason="again")


def test_another_takes_its_desks(context: ServerContext) -> None:
    with pytest.raises(ConflictError):
        lost_boxes.replace(context, "device-a", "device-c")  # still let in
    lost_boxes.revoke(context, "device-a", reason="stolen")
    for name, error in (("device-b", ConflictError), ("No Name", InvalidError)):
        with pytest.raises(error):
            lost_boxes.replace(context, "device-a", name)
    code = lost_boxes.replace(context, "device-a", "device-c")
    answer = enrolment.enrol(
        context, EnrolmentRequest(code=code, public_key="ab" * 32, agent_version="1")
    )
    assert [desk.desk for desk in answer.configuration.desks] == ["desk-1", "desk-2"]
    with context.database.reading() as db:
        assert registry.list_desks_of_device(db, "device-a") == []
    with pytest.raises(NotFoundError):
        lost_boxes.replace(context, "device-x", "device-d")
