"""Entries of the server's own log as what they derive, and rules files as entries."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlmodel import select

from central_server.domain.server_log import (
    Entry,
    FeedbackCompleted,
    FeedbackReceived,
    FlagTaken,
    IncidentRecorded,
    NotificationAcknowledged,
)
from central_server.domain.yaml_lines import WrongFileError
from central_server.services import projector, rebuild, rule_sets
from central_server.services.context import ServerContext
from central_server.storage import feedback_entries, server_log
from central_server.storage.tables import FeedbackRow, FlagRow, NotificationRow
from central_server.storage.unit_of_work import Database
from event_protocol.events import FeedbackChannel
from event_protocol.feedback import FeedbackContent, content_digest, make_salt
from event_protocol.sealing import seal
from tests.central_server.factories import register_device
from tests.central_server.services.desk_days import (
    EMPTY,
    OCCUPIED,
    DeskChain,
    deliver,
    derived,
    make_server,
    minute,
)


@pytest.fixture
def server(database: Database, tmp_path: Path) -> ServerContext:
    context = make_server(database, tmp_path)
    register_device(database)
    return context


def log(context: ServerContext, entry: Entry) -> None:
    with context.database.transaction() as db:
        server_log.append(db, entry, at=context.now())
        projector.project_server_log(db, context)


def phone(
    context: ServerContext, at: float, rating: int | None, desk: str | None = "desk-1"
) -> FeedbackRow:
    """A rating by phone, as the public pages log it."""
    content = FeedbackContent(salt=make_salt(), at=minute(at), rating=rating)
    entry = FeedbackReceived(
        feedback_id=uuid4(),
        channel=FeedbackChannel.PHONE if desk else FeedbackChannel.HOME,
        desk=desk,
        unit_id="unit-a",
        digest=content_digest(content),
    )
    return _file(context, entry, content, at)


def complete(context: ServerContext, feedback_id: str, at: float, rating: int) -> FeedbackRow:
    content = FeedbackContent(salt=make_salt(), at=minute(at), rating=rating)
    entry = FeedbackCompleted(feedback_id=UUID(feedback_id), digest=content_digest(content))
    return _file(context, entry, content, at)


def _file(
    context: ServerContext,
    entry: FeedbackReceived | FeedbackCompleted,
    content: FeedbackContent,
    at: float,
) -> FeedbackRow:
    name, sealed = str(entry.feedback_id), seal(content, context.keys.sealing_public)
    with context.database.transaction() as db:
        feedback_entries.append(db, name, entry, at=minute(at), sealed=sealed)
        projector.project_server_log(db, context)
        return db.get_one(FeedbackRow, name)


def flags_of(context: ServerContext) -> list[FlagRow]:
    with context.database.reading() as db:
        return list(db.exec(select(FlagRow)))


def rebuilds_alike(context: ServerContext) -> bool:
    before = derived(context)
    rebuild.rebuild(context)
    return derived(context) == before


def test_a_phone_rating_meets_its_session_whichever_comes_later(server: ServerContext) -> None:
    chain = DeskChain(server).empty_desk().zone(5, OCCUPIED, session=UUID(int=1))
    early = phone(server, 6, 5)
    assert (early.match, early.exact_at) == ("pending", minute(6))
    deliver(server, chain.zone(20, EMPTY).said)
    late = phone(server, 7, 4)
    with server.database.reading() as db:
        assert db.get_one(FeedbackRow, early.feedback_id).match == "matched"
    assert (late.match, late.weight) == ("matched", 0.8)
    assert rebuilds_alike(server)


def test_from_home_and_at_an_unwatched_desk_there_is_no_session(server: ServerContext) -> None:
    assert phone(server, 5, 4, desk=None).match == "unmatched"
    assert phone(server, 5, 4, desk="no-such-desk").match == "unmatched"


def test_a_phone_complaint_is_a_flag_at_once_and_can_be_taken_back(server: ServerContext) -> None:
    row = phone(server, 6, 1)
    (flag,) = flags_of(server)
    assert (flag.rule, flag.state, flag.feedback_id) == ("complaint", "open", row.feedback_id)
    assert complete(server, row.feedback_id, 6, 5).rating == 5
    (flag,) = flags_of(server)
    assert flag.state == "withdrawn"
    assert rebuilds_alike(server)


def test_erased_content_is_said_to_be_gone(server: ServerContext) -> None:
    row = phone(server, 6, 5)
    with server.database.transaction() as db:
        (entry,) = feedback_entries.list_entries(db, row.feedback_id)
        db.connection().exec_driver_sql(
            "UPDATE server_log SET sealed = NULL WHERE sequence = ?", (entry.sequence,)
        )
    rebuild.rebuild(server)
    with server.database.reading() as db:
        again = db.get_one(FeedbackRow, row.feedback_id)
    assert (again.rating, again.unreadable) == (None, "the sealed content was erased")


def test_an_incident_is_a_critical_flag_for_the_inspection_side(server: ServerContext) -> None:
    incident = IncidentRecorded(
        device="device-a", epoch=1, sequence=4, kind="other_bytes", sha256="a" * 64
    )
    log(server, incident)
    log(server, incident)
    (flag,) = flags_of(server)
    assert (flag.rule, flag.severity, flag.inspection_only) == ("broken_chain", "critical", True)
    assert (flag.unit_id, flag.facts["kind"]) == ("unit-a", "other_bytes")
    assert rebuilds_alike(server)


def test_an_incident_of_an_unknown_device_has_no_unit(server: ServerContext) -> None:
    log(
        server,
        IncidentRecorded(device="gone", epoch=1, sequence=4, kind="other_bytes", sha256="a" * 64),
    )
    assert flags_of(server)[0].unit_id == ""


@pytest.mark.parametrize("entry", [FlagTaken, NotificationAcknowledged])
def test_whoever_takes_or_acknowledges_stops_the_escalation(
    server: ServerContext, entry: type[FlagTaken] | type[NotificationAcknowledged]
) -> None:
    phone(server, 6, 1)
    (flag,) = flags_of(server)
    with server.database.transaction() as db:
        db.add(NotificationRow(flag_id=flag.flag_id, level=0, due_at=minute(6)))
    log(server, entry(flag_id=UUID(flag.flag_id), by="inspector"))
    with server.database.reading() as db:
        (told,) = db.exec(select(NotificationRow))
    assert told.acknowledged_by == "inspector"


def test_a_decision_on_a_flag_that_is_not_there_changes_nothing(server: ServerContext) -> None:
    log(server, FlagTaken(flag_id=uuid4(), by="inspector"))
    assert flags_of(server) == []


def test_the_first_rules_judge_all_that_was_before(server: ServerContext) -> None:
    rule_sets.activate(server)
    rule_sets.activate(server)
    with server.database.transaction() as db:
        projector.project_server_log(db, server)
    ((_, effective_from, _),) = derived(server)["rule_set"]
    assert effective_from == rule_sets.BEGINNING


def test_a_rules_file_that_is_not_there_is_named(server: ServerContext, tmp_path: Path) -> None:
    missing = server.settings.model_copy(update={"rules_file": tmp_path / "none.yaml"})
    context = ServerContext(missing, server.database, server.keys, server.now)
    with pytest.raises(WrongFileError, match=r"none.yaml: can't be read"):
        rule_sets.activate(context)
