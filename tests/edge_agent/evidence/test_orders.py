"""What the server asks for is kept until it is answered, over restarts, and held as it says."""

from datetime import timedelta
from pathlib import Path

from event_protocol.evidence import ReportStatus
from tests.edge_agent.evidence.box import (
    PIECES,
    START,
    Box,
    answer_of,
    ask,
    at,
    hand_keys_to,
    now,
    span,
)
from tests.processes.ports import wait_until
from tests.processes.upload_server import UploadServer


def test_a_span_is_held_as_long_as_the_server_says(tmp_path: Path, server: UploadServer) -> None:
    box = Box(tmp_path, max_bytes=4 * len(PIECES[0][1]) + 4000)
    box.record(0, 3)
    held = ask(server, 5, 15, hold=True)
    report = answer_of(box, server, held)
    assert (report.status, report.held) == (ReportStatus.SENT, True)
    box.answers.stop()
    box.boot()
    box.record(3, 9)
    kept = [(e.begin - START).total_seconds() for e in box.ring.list_segments("room", span(0, 99))]
    assert kept == [0, 10, 70, 80]
    assert not box.orders.list_open()
    server.ended.add(held.request_id)  # it has all it wanted; the hold's end is heard all the same
    report = answer_of(box, server, held.model_copy(update={"hold": False}))
    box.answers.stop()
    assert report.held is False
    box.record(9, 12)
    kept = [(e.begin - START).total_seconds() for e in box.ring.list_segments("room", span(0, 999))]
    assert kept == [80, 90, 100, 110]
    assert not list((tmp_path / "orders").iterdir())


def test_what_is_still_being_recorded_is_waited_for(box: Box, server: UploadServer) -> None:
    box.settled_until = at(20)
    box.record(0, 2)
    command = ask(server, 5, 25)
    hand_keys_to(box, server, command)
    box.take(command)
    box.record(2, 3)
    assert server.asked == []
    box.settled_until = at(30)
    wait_until(lambda: not box.orders.list_open(), 20, "the clip")
    assert server.reports[-1].covered == (span(5, 25),)


def test_what_the_server_says_again_while_its_clip_is_made_is_made_once(
    box: Box, server: UploadServer
) -> None:
    box.record(0, 2)
    command = ask(server, 0, 15)
    cuts = 0

    def say_again() -> None:
        nonlocal cuts
        cuts += 1
        (order,) = box.orders.list_open()
        box.take(command.model_copy(update={"boot_key": order.boot_key, "keys": order.keys}))

    box.while_cutting = say_again
    report = answer_of(box, server, command)
    assert report.status is ReportStatus.SENT
    box.answers.stop()
    assert cuts == 1


def test_what_nobody_wants_any_more_is_forgotten(box: Box, server: UploadServer) -> None:
    box.record(0, 1)
    server.faults = [404]
    box.take(ask(server, 0, 9))
    wait_until(lambda: not box.orders.list_open(), 20, "forgotten")
    late = ask(server, 0, 9).model_copy(update={"expires": now() - timedelta(seconds=1)})
    box.take(late)
    wait_until(lambda: not box.orders.list_open(), 20, "given up")
    assert [method for method, _ in server.asked] == ["PUT"]
    assert not list((box.folder / "orders").iterdir())


def test_orders_of_another_version_are_left_to_the_server(box: Box, server: UploadServer) -> None:
    (box.folder / "orders" / "odd.json").write_text('{"command": {}, "later": 1}')
    box.answers.stop()
    box.boot()
    assert box.orders.list_open() == []
    box.record(0, 1)
    assert answer_of(box, server, ask(server, 0, 9)).status is ReportStatus.SENT


def test_nothing_of_a_recording_or_its_keys_is_readable_on_the_disk(
    box: Box, server: UploadServer
) -> None:
    box.record(0, 2)
    answer_of(box, server, ask(server, 0, 19, hold=True))
    key = box.keys.key_for("room", at(0), at(10)).key
    for path in box.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (b"ftyp", b"mdat", PIECES[0][1][100:140], key, key.hex().encode()):
                assert secret not in content, path


def test_a_command_that_ends_before_it_begins_is_answered(box: Box, server: UploadServer) -> None:
    box.record(0, 2)
    report = answer_of(box, server, ask(server, 15, 5))
    assert report.status is ReportStatus.SENT
