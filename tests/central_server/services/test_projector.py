"""The projector on a real database: the result depends on the logs alone."""

import shutil
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from central_server.domain.server_log import (
    Entry,
    FlagDismissed,
    FlagReleased,
    FlagTaken,
    GapGivenUp,
)
from central_server.services import ingest, projector, rebuild, rule_sets
from central_server.services.context import ServerContext
from central_server.services.filing import Filed, file_message
from central_server.storage import projection, registry, server_log
from central_server.storage.streams import Stream
from central_server.storage.tables import (
    DeskRow,
    FeedbackRow,
    FlagFeedRow,
    FlagRow,
    SessionRow,
    StreamRow,
)
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import register_device
from tests.central_server.services.desk_days import (
    EMPTY,
    OCCUPIED,
    OFFICER,
    UNKNOWN,
    DeskChain,
    busy_morning,
    deliver,
    deliver_shuffled,
    derived,
    make_server,
    minute,
)


@pytest.fixture
def server(any_database: Database, tmp_path: Path) -> ServerContext:
    context = make_server(any_database, tmp_path)
    register_device(any_database)
    rule_sets.activate(context)
    return context


def flags_of(context: ServerContext) -> dict[str, FlagRow]:
    """By rule; the tests below raise each rule once at most."""
    with context.database.reading() as db:
        return {flag.rule: flag for flag in db.exec(select(FlagRow))}


def feedback_of(context: ServerContext, feedback_id: UUID) -> FeedbackRow:
    with context.database.reading() as db:
        return db.get_one(FeedbackRow, str(feedback_id))


def test_what_waited_for_the_database_is_projected_too(server: ServerContext) -> None:
    """It was received long before it could be stored; so was the earlier half of a stream."""
    messages = busy_morning(server).said
    middle = len(messages) // 2
    hours_ago = [server.now() - timedelta(hours=hours) for hours in (1, 5)]
    grown: set[Stream] = set()
    for batch, at in zip((messages[:middle], messages[middle:]), hours_ago, strict=True):
        filed = [Filed(one, file_message(one, at)) for one in batch]
        grown |= {(name, one.epoch) for name, one in ingest.append_filed(server, filed)}
    projector.project_devices(server, grown)
    with server.database.reading() as db:
        assert not projection.list_behind(db)
        assert len(list(db.exec(select(SessionRow)))) > 0


def test_a_busy_morning(server: ServerContext) -> None:
    deliver(server, busy_morning(server).said)
    with server.database.reading() as db:
        sessions = list(db.exec(select(SessionRow).order_by(col(SessionRow.arrived_at))))
        feedback = list(db.exec(select(FeedbackRow).order_by(col(FeedbackRow.quarter_at))))
        flags = sorted((flag.rule, flag.state) for flag in db.exec(select(FlagRow)))
    assert [one.state for one in sessions] == ["ended"] * 4
    assert [one.wait_s for one in sessions] == [0, 2100, 0, 0]
    assert sessions[3].unobserved_s == 480
    assert [one.match for one in feedback] == ["matched"] * 4
    assert flags == [
        ("camera_tampered", "open"),
        ("complaint", "open"),
        ("complaint", "open"),
        ("complaint", "withdrawn"),  # taken back within the two minutes
        ("long_wait", "open"),
        ("officer_absent", "open"),
    ]
    before = derived(server)
    rebuild.rebuild(server)
    assert derived(server) == before


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(seed=st.integers(0, 2**32), batch=st.integers(1, 40))
def test_any_order_repeats_and_batches_give_equal_bytes(
    seed: int, batch: int, migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("order")
    shutil.copy(migrated_file, folder / "a.sqlite")
    database = Database(f"sqlite:///{folder / 'a.sqlite'}")
    context = make_server(database, folder)
    key = register_device(database)
    rule_sets.activate(context)
    messages = busy_morning(context, key).said
    database.close()
    results = []
    for name, in_order in (("in_order", True), ("shuffled", False)):
        shutil.copy(folder / "a.sqlite", folder / f"{name}.sqlite")
        copy = Database(f"sqlite:///{folder / name}.sqlite")
        other = make_server(copy, folder)
        if in_order:
            deliver(other, messages)
        else:
            deliver_shuffled(other, messages, seed, batch)
        results.append(derived(other))
        rebuild.rebuild(other)
        results.append(derived(other))
        copy.close()
    assert all(result == results[0] for result in results)


def test_a_plain_rating_keeps_no_time_and_no_session(server: ServerContext) -> None:
    chain = DeskChain(server).empty_desk()
    visit = UUID(int=7)
    chain.zone(5, OCCUPIED, session=visit)
    first = chain.rate(6, 5)
    deliver(server, chain.said)
    pending = feedback_of(server, first)
    assert (pending.match, pending.exact_at) == ("pending", minute(6))
    chain.said.clear()
    deliver(server, chain.zone(9, EMPTY).said)
    matched = feedback_of(server, first)
    assert (matched.match, matched.exact_at, matched.session_id) == ("matched", None, None)
    assert (matched.rating, matched.weight) == (5, 0.8)


def test_a_complaint_keeps_its_session(server: ServerContext) -> None:
    chain = DeskChain(server).empty_desk()
    visit = UUID(int=7)
    chain.zone(5, OCCUPIED, session=visit)
    told = chain.rate(6, 1, session_id=visit, reasons=("violence",))
    deliver(server, chain.said)
    row, flag = feedback_of(server, told), flags_of(server)["complaint"]
    assert (row.match, row.session_id, row.exact_at) == ("matched", str(visit), None)
    assert (flag.severity, flag.session_id, flag.inspection_only) == ("critical", str(visit), True)
    assert flag.begin == minute(0)  # the quarter of an hour alone


def test_no_text_of_a_citizen_holds_up_the_desk(server: ServerContext) -> None:
    """PostgreSQL refuses U+0000; anybody may show a code that holds one."""
    chain, visit = DeskChain(server).empty_desk(), UUID(int=7)
    chain.zone(5, OCCUPIED, session=visit).slip(6, "H48\x00-0012")
    told = chain.rate(6, 1, comment="chậm\x00", contact="\x00")
    deliver(server, chain.zone(9, EMPTY).said)
    with server.database.reading() as db:
        session = db.get_one(SessionRow, str(visit))
    assert (session.slip, session.ended_at) == ("H48-0012", minute(9))
    assert feedback_of(server, told).comment == "chậm"


def test_what_cannot_be_opened_is_a_row_with_its_reason(server: ServerContext) -> None:
    chain = DeskChain(server).empty_desk()
    told = chain.rate(6, 1)
    sealed = chain.said[-1]
    broken = type(sealed)(sealed.topic, sealed.payload.replace(b'"sealed":"', b'"sealed":"x'))
    deliver(server, [*chain.said[:-1], broken])
    row = feedback_of(server, told)
    assert row.unreadable == "sealed to a key that this server does not hold"
    assert (row.rating, row.match, row.is_complaint) == (None, "unmatched", False)


def test_feedback_waits_for_a_session_that_ends_elsewhere_than_it_seemed(
    server: ServerContext,
) -> None:
    chain = DeskChain(server).empty_desk().zone(5, OCCUPIED, session=UUID(int=7))
    chain.zone(10, UNKNOWN)
    told = chain.rate(20, 4)
    deliver(server, chain.zone(25, UNKNOWN, since=10).said)
    assert feedback_of(server, told).match == "matched"  # as far as was known
    chain.said.clear()
    deliver(server, chain.zone(30, EMPTY).said)
    assert feedback_of(server, told).match == "unmatched"  # it was last seen ten minutes before


def test_a_late_event_withdraws_what_it_disproves(server: ServerContext) -> None:
    chain = DeskChain(server).empty_desk().zone(20, EMPTY, OFFICER)
    chain.zone(21, OCCUPIED, session=UUID(int=1))
    missing = chain.zone(22, OCCUPIED, OFFICER).said.pop()
    late = chain.sequence
    for at in (25, 30, 45, 60):
        chain.zone(at, EMPTY, OFFICER, since=20)
        chain.zone(at, OCCUPIED, session=UUID(int=1), since=21)
    deliver(server, chain.said)
    with server.database.transaction() as db:
        gap = GapGivenUp(device="device-a", epoch=1, first=late, last=late)
        server_log.append(db, gap, at=server.now())
        projector.project_server_log(db, server)
    raised = flags_of(server)
    assert set(raised) == {"sequence_gap", "officer_absent"}
    deliver(server, [missing])
    after = flags_of(server)
    assert after["sequence_gap"].state == "withdrawn"
    assert after["sequence_gap"].facts == raised["sequence_gap"].facts
    before = derived(server)
    rebuild.rebuild(server)
    assert derived(server) == before


def test_decisions_outlive_projection_and_rebuild(server: ServerContext) -> None:
    chain = DeskChain(server).empty_desk().kept_waiting(20, 57, UUID(int=1))
    deliver(server, chain.said[:-1])
    flag_id = UUID(flags_of(server)["long_wait"].flag_id)
    decide: dict[str, Entry] = {
        "taken": FlagTaken(flag_id=flag_id, by="inspector"),
        "dismissed": FlagDismissed(flag_id=flag_id, by="inspector", reason="a drill"),
        "open": FlagReleased(flag_id=flag_id, by="inspector"),
    }
    for state in ("taken", "dismissed", "open", "taken"):
        with server.database.transaction() as db:
            server_log.append(db, decide[state], at=server.now())
            projector.project_server_log(db, server)
        assert flags_of(server)["long_wait"].state == state
    deliver(server, chain.said[-1:])
    flag = flags_of(server)["long_wait"]
    assert (flag.state, flag.end) == ("taken", minute(57))
    before = derived(server)
    rebuild.rebuild(server)
    assert derived(server) == before


def test_rules_apply_from_the_time_of_their_activation(
    server: ServerContext, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    text = server.settings.rules_file.read_text(encoding="utf-8")
    rules.write_text(text.replace("threshold_s: 1800", "threshold_s: 60"), encoding="utf-8")
    chain = DeskChain(server).empty_desk().kept_waiting(20, 30, UUID(int=1)).zone(35, EMPTY)
    chain.kept_waiting(400, 412, UUID(int=2)).zone(415, EMPTY)
    deliver(server, chain.said)
    assert "long_wait" not in flags_of(server)
    changed = server.settings.model_copy(update={"rules_file": rules})
    other = ServerContext(changed, server.database, server.keys, lambda: minute(395))
    activated = rule_sets.activate(other)
    rule_sets.activate(other)
    with other.database.transaction() as db:
        projector.project_server_log(db, other)
    projector.project_behind(other)
    with other.database.reading() as db:
        flags = [(f.rule, f.begin, f.rules_hash) for f in db.exec(select(FlagRow))]
    assert flags == [("long_wait", minute(400), activated.hash)]
    before = derived(other)
    assert [row[0] for row in before["rule_set"]].count(activated.hash) == 1
    rebuild.rebuild(other)
    assert derived(other) == before


def test_another_registry_is_another_result(server: ServerContext) -> None:
    chain = DeskChain(server, desk="desk-new").empty_desk().visit(5, 9, UUID(int=1))
    deliver(server, chain.said)
    assert derived(server)["service_session"] == []
    with server.database.transaction() as db:
        desk = DeskRow(
            desk_id="desk-new",
            unit_id="unit-a",
            name="New",
            device_id="device-a",
            token_key="ab" * 32,
        )
        registry.save(db, [desk])
    chain.said.clear()
    deliver(server, chain.zone(15, EMPTY, since=9).said)
    assert len(derived(server)["service_session"]) == 1


def test_another_device_cannot_take_a_session_over(server: ServerContext) -> None:
    register_device(server.database, "device-b", ("desk-2",))
    own, other = DeskChain(server), DeskChain(server, "device-b", "desk-2")
    deliver(server, own.empty_desk().visit(5, 9, UUID(int=1)).said)
    deliver(server, other.empty_desk().visit(6, 8, UUID(int=1)).said)
    with server.database.reading() as db:
        (session,) = db.exec(select(SessionRow))
    assert (session.device, session.desk) == ("device-a", "desk-1")


def test_open_pages_learn_of_each_change_once(server: ServerContext) -> None:
    chain = DeskChain(server).empty_desk().kept_waiting(20, 57, UUID(int=1))
    deliver(server, chain.said)
    deliver(server, chain.said)
    rebuild.rebuild(server)
    with server.database.reading() as db:
        fed = [row.flag_id for row in db.exec(select(FlagFeedRow))]
    assert len(fed) == len(set(fed)) == 2


def test_what_a_crash_left_is_projected_later(server: ServerContext) -> None:
    ingest.append(server, DeskChain(server).empty_desk().visit(5, 9, UUID(int=1)).said)
    projector.project_behind(server)
    with server.database.reading() as db:
        assert db.get_one(StreamRow, ("device-a", 1)).projected_through == 4
    assert len(derived(server)["service_session"]) == 1
