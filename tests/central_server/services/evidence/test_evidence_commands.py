"""What the server does about pictures by itself: repeats, asks, gives up, erases; never twice."""

from datetime import timedelta
from pathlib import Path

import pytest

from central_server.domain.errors import NotLoggedInError
from central_server.domain.permissions import FlagScope, UnitId, everywhere
from central_server.services import (
    device_requests,
    evidence,
    evidence_pages,
    evidence_uploads,
    lost_boxes,
)
from central_server.services.context import ServerContext
from central_server.services.evidence_commands import EvidenceCommands
from central_server.storage.evidence_tables import EvidenceRequestRow
from central_server.storage.tables import DeviceRow, FlagRow, SessionRow
from central_server.storage.unit_of_work import Database
from event_protocol.canonical import sha256_hex
from event_protocol.evidence import (
    EvidenceKind,
    ReportStatus,
    SealedKey,
    Unavailable,
    make_request,
)
from event_protocol.evidence_keys import DataKey, seal_key
from event_protocol.messages import SendClip
from event_protocol.names import DeviceId
from tests.central_server.evidence_box import Box, make_clip
from tests.central_server.factories import Clock, make_context
from tests.factories import NOW, add_province, make_id

SCOPE = everywhere([UnitId("commune-a")])
FLAG = make_id("wait-commune-a")
CLIP = make_clip()
DEVICE = "device-commune-a"


class Server:
    """A server's round of commands, with what it sent since it was last looked at."""

    def __init__(self, context: ServerContext, clock: Clock) -> None:
        self.context, self._clock = context, clock
        self._sent: list[tuple[DeviceId, SendClip]] = []
        self.is_linked = True
        self.restart()

    def restart(self) -> None:
        self._commands = EvidenceCommands(
            self.context,
            lambda device, command: self._sent.append((device, command)),
            lambda: self.is_linked,
        )

    def after(self, seconds: float) -> list[SendClip]:
        """What is sent so many seconds later."""
        self._clock.advance(seconds)
        self._sent.clear()
        self._commands.run()
        assert {device for device, _ in self._sent} <= {DEVICE}
        return [command for _, command in self._sent]

    def ask(self) -> EvidenceRequestRow:
        scope = FlagScope(SCOPE, inspection=True)
        return evidence.ask(
            self.context, scope, FLAG, EvidenceKind.CLIP, by="an", reason="chờ quá lâu"
        )

    def link(self, link: str, boot: int) -> None:
        with self.context.database.transaction() as db:
            device = db.get_one(DeviceRow, DEVICE)
            device.link, device.link_boot = link, boot
            db.add(device)

    def hold(self, row: EvidenceRequestRow, *, held: bool) -> None:
        evidence.set_hold(
            self.context, SCOPE, row.request_id, by="an", reason="khiếu nại", held=held
        )

    def receive(self, box: Box, row: EvidenceRequestRow) -> None:
        payload = box.sign(box.report(row, CLIP, held=row.held))
        caller = box.caller(0)
        if evidence_uploads.take_report(self.context, caller, row.request_id, payload) == 0:
            evidence_uploads.take_chunk(self.context, caller, row.request_id, CLIP)

    def phase(self, row: EvidenceRequestRow) -> str:
        return evidence_pages.read_request(self.context, SCOPE, row.request_id, "an").phase


def make_server(database: Database, folder: Path, **settings: object) -> Server:
    with database.transaction() as db:
        add_province(db)
    clock = Clock(NOW)
    chosen = {"reserve_mb": 0, "device_url": "https://onestop.example", **settings}
    return Server(make_context(database, folder, clock, evidence=chosen), clock)


@pytest.fixture
def server(database: Database, tmp_path: Path) -> Server:
    return make_server(database, tmp_path)


@pytest.fixture
def box(server: Server) -> Box:
    return Box(server.context, DEVICE)


def test_a_command_says_what_is_wanted_and_is_repeated_ever_more_seldom(server: Server) -> None:
    assert server.after(0) == []
    row = server.ask()
    [command] = server.after(1)
    assert command == SendClip(
        request_id=row.request_id,
        desk="desk-commune-a",
        begin=row.begin,
        end=row.end,
        expires=NOW + timedelta(hours=72),
        max_bytes=200_000_000,
        server_url="https://onestop.example",
    )
    sent = [bool(server.after(30)) for _ in range(8)]
    assert sent == [False, True, False, False, False, True, False, False]  # after 1 and 2 minutes
    server.restart()
    assert server.after(1) == [command]


def test_a_box_that_comes_back_is_told_at_once(server: Server) -> None:
    server.link("offline", 1)
    server.ask()
    assert len(server.after(1)) == 1  # the broker keeps it, if it keeps anything
    assert server.after(3600) == []
    server.link("online", 2)
    assert len(server.after(1)) == 1
    assert server.after(1) == []


def test_while_the_broker_is_away_nothing_counts_as_sent(server: Server) -> None:
    server.is_linked = False
    server.ask()
    assert server.after(1) == []
    server.is_linked = True
    assert len(server.after(1)) == 1


def test_a_box_at_work_is_left_alone_and_an_answered_request_rests(
    server: Server, box: Box
) -> None:
    row = server.ask()
    server.after(1)
    payload = box.sign(box.report(row, CLIP))
    evidence_uploads.take_report(server.context, box.caller(), row.request_id, payload)
    assert server.after(59) == []
    assert len(server.after(61)) == 1  # nothing has come since
    server.receive(box, row)
    assert server.after(7200) == []


def test_keys_go_back_with_the_next_command_at_once(server: Server, box: Box) -> None:
    row = server.ask()
    server.after(1)
    key = DataKey(device=DeviceId(DEVICE), camera="ceiling", since=row.begin, key="0f" * 32)
    sealed = seal_key(key, server.context.keys.sealing_public)
    needs = box.report(
        row,
        status=ReportStatus.NEEDS_KEYS,
        boot_key="ab" * 32,
        sealed_keys=(SealedKey(key_id="k1", sealed=sealed),),
    )
    evidence_uploads.take_report(server.context, box.caller(), row.request_id, box.sign(needs))
    [command] = server.after(1)
    assert (command.boot_key, [one.key_id for one in command.keys]) == ("ab" * 32, ["k1"])


def test_a_hold_is_told_until_the_box_confirms_it(server: Server, box: Box) -> None:
    row = server.ask()
    server.receive(box, row)
    server.hold(row, held=True)
    for _ in range(2):
        assert [command.hold for command in server.after(61)] == [True]
    row.held = True
    payload = box.sign(box.report(row, CLIP, held=True))
    evidence_uploads.take_report(server.context, box.caller(), row.request_id, payload)
    assert server.after(7200) == []
    server.hold(row, held=False)
    assert [command.hold for command in server.after(1)] == [False]


def test_a_request_ends_when_its_time_is_over(server: Server, box: Box) -> None:
    row = server.ask()
    payload = box.sign(box.report(row, CLIP))
    evidence_uploads.take_report(server.context, box.caller(), row.request_id, payload)
    files = evidence.files_of(server.context)
    files.append(row.request_id, sha256_hex(CLIP), 0, CLIP[:1000])
    server.after(72 * 3600 - 1)
    assert server.phase(row) == "under_way"
    assert server.after(1) == []
    assert server.phase(row) == "expired"
    assert files.offset_of(row.request_id, sha256_hex(CLIP)) == 0


def test_a_lost_box_is_asked_for_nothing_and_gets_no_key(server: Server, box: Box) -> None:
    row = server.ask()
    assert len(server.after(1)) == 1
    lost_boxes.revoke(server.context, DEVICE, reason="stolen")
    assert server.after(1) == []
    assert server.phase(row) == "expired"
    headers = make_request(DeviceId(DEVICE), "HEAD", "/x", NOW).headers(box.key)
    with pytest.raises(NotLoggedInError):
        device_requests.authenticate(server.context, "HEAD", "/x", headers, b"")


def test_pictures_are_erased_after_their_time_but_never_what_is_held(
    server: Server, box: Box
) -> None:
    kept = server.ask()
    server.receive(box, kept)
    erased = server.ask()
    server.receive(box, erased)  # the same file
    server.hold(kept, held=True)
    files, sha256 = evidence.files_of(server.context), sha256_hex(CLIP)
    server.after(90 * 86_400)
    assert server.phase(erased) == "received"
    server.after(1)
    assert (server.phase(erased), server.phase(kept)) == ("erased", "received")
    assert files.has(sha256)
    server.hold(kept, held=False)
    server.after(1)
    assert server.phase(kept) == "erased"
    assert not files.has(sha256)


def test_configured_flags_are_asked_about_once_and_after_the_stay(
    any_database: Database, tmp_path: Path
) -> None:
    server = make_server(
        any_database, tmp_path, automatic=["long_wait", "sequence_gap", "complaint"]
    )
    context = server.context
    with context.database.transaction() as db:
        for unit in ("commune-a", "commune-b", "commune-c"):  # nobody knows of which stay
            complaint = db.get_one(FlagRow, make_id(f"complaint-{unit}"))
            complaint.session_id = None
            db.add(complaint)
        for unit in ("commune-b", "commune-c"):  # still there
            stay = db.get_one(SessionRow, make_id(f"session-{unit}"))
            stay.ended_at = None
            db.add(stay)
    [command] = server.after(0)
    assert command.desk == "desk-commune-a"
    assert server.after(1) == []
    box = Box(context, DEVICE)
    row = EvidenceRequestRow(
        **command.model_dump(include={"request_id", "begin", "end"}), kind="clip"
    )
    refusal = box.sign(box.report(row, reason=Unavailable.OVERWRITTEN))
    evidence_uploads.take_report(context, box.caller(), command.request_id, refusal)
    assert server.after(7200) == []


def test_history_is_not_asked_for(database: Database, tmp_path: Path) -> None:
    server = make_server(database, tmp_path, automatic=["long_wait"])
    assert server.after(72 * 3600) == []
