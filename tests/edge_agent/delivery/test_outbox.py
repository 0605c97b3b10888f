"""What the outbox promises: one transaction, one chain, and only receipts empty it."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.core.statements import Statement
from edge_agent.delivery.outbox import CHECKPOINT_EVERY, Outbox
from edge_agent.delivery.outbox_database import OutboxError
from edge_agent.delivery.receipts import ReceiptOutcome
from event_protocol.codec import Accepted, decode_event
from event_protocol.events import (
    CameraObserved,
    CameraState,
    DeviceCheckpoint,
    EpochHead,
    FeedbackChannel,
    FeedbackSubmitted,
    LastRun,
)
from event_protocol.messages import Receipt
from event_protocol.names import NO_HASH, DeskId, DeviceId
from event_protocol.signing import checkpoint_statement, is_signed, sign
from tests.processes.full_disk import no_file_grows_beyond

DEVICE = DeviceId("box-1")
DESK = DeskId("desk-1")
START = datetime(2026, 3, 2, 1, 7, 13, 250_000, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


def sign_head(epoch: int, through: int, head: str) -> str:
    return sign(checkpoint_statement(DEVICE, epoch, through, head), KEY)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_outbox(tmp_path: Path, clock: Clock) -> Callable[[], Outbox]:
    """Opens the outbox of the test's folder, as a start of the agent does."""
    return lambda: Outbox(tmp_path, DEVICE, sign_head, clock)


@pytest.fixture
def outbox(open_outbox: Callable[[], Outbox]) -> Iterator[Outbox]:
    with open_outbox() as opened:
        yield opened


def seen(state: CameraState = CameraState.OK, at: datetime = START) -> Statement:
    return Statement(DESK, at, CameraObserved(camera="room", state=state, since=at))


def said(at: datetime = START) -> Statement:
    data = FeedbackSubmitted(channel=FeedbackChannel.KIOSK, digest="d" * 64)
    return Statement(DESK, at, data, sealed="k:c2VhbGVk")


def events_of(outbox: Outbox) -> list[Accepted]:
    """All kept events, each valid and each carrying the hash of the one before."""
    events: list[Accepted] = []
    for stored in outbox.read(1, outbox.tip.sequence):
        decoded = decode_event(DEVICE, stored.body)
        assert isinstance(decoded, Accepted), decoded
        assert decoded.position.sequence == stored.sequence
        if events:
            assert decoded.event.prevhash == events[-1].hash
            assert stored.sequence == events[-1].position.sequence + 1
        events.append(decoded)
    return events


def receipt(
    outbox: Outbox, through: int, at: datetime = START, hash_: str | None = None
) -> Receipt:
    known = {event.position.sequence: event.hash for event in events_of(outbox)}
    return Receipt(
        epoch=outbox.tip.epoch,
        through=through,
        hash=hash_ or known.get(through),
        server_time=at,
    )


def test_events_are_numbered_and_chained_from_one(outbox: Outbox) -> None:
    outbox.append([seen(), seen(CameraState.DARK)])
    outbox.append([seen()])
    events = events_of(outbox)
    assert [event.position.sequence for event in events] == [1, 2, 3]
    assert events[0].event.prevhash == NO_HASH
    assert {event.event.epoch for event in events} == {int(START.timestamp())}
    assert {event.event.boot for event in events} == {1}


def test_feedback_says_neither_its_minute_nor_an_ordered_id(outbox: Outbox) -> None:
    outbox.append([seen(), said()])
    camera, feedback = (event.event for event in events_of(outbox))
    assert camera.id.version == 7
    assert camera.time == START
    assert feedback.id.version == 4
    assert feedback.time == START.replace(minute=0, second=0, microsecond=0)


def test_a_feedback_id_is_stored_once_however_often_it_comes(outbox: Outbox) -> None:
    event_id = uuid4()
    stored = [outbox.append([said()], event_id=event_id) for _ in range(3)]
    assert stored == [[event_id], [], []]
    assert len(events_of(outbox)) == 1


def test_snapshots_are_stored_with_their_events_and_survive_a_kill(
    open_outbox: Callable[[], Outbox],
) -> None:
    outbox = open_outbox()
    outbox.append([seen()], snapshots={"room": b"one"})
    outbox.append([seen()], snapshots={"room": b"two"})
    outbox.close(is_clean=False)
    again = open_outbox()
    assert again.read_snapshot("room") == b"two"
    assert again.read_snapshot("hall") is None
    again.close()


def test_the_chain_continues_over_starts_which_know_how_the_last_run_ended(
    open_outbox: Callable[[], Outbox],
) -> None:
    ends = []
    for is_clean in (True, False, True):
        outbox = open_outbox()
        ends.append((outbox.last_run, outbox.tip.boot))
        outbox.append([seen()])
        assert len(events_of(outbox)) == len(ends)
        outbox.close(is_clean=is_clean)
    assert ends == [(LastRun.FIRST, 1), (LastRun.CLEAN, 2), (LastRun.KILLED, 3)]


def test_only_a_receipt_with_our_hash_counts(outbox: Outbox) -> None:
    outbox.append([seen()] * 5)
    forged = receipt(outbox, 3, hash_="f" * 64)
    assert outbox.apply_receipt(forged) is ReceiptOutcome.MISMATCH
    assert outbox.depth == 5
    ahead = receipt(outbox, 6, hash_="f" * 64)
    assert outbox.apply_receipt(ahead) is ReceiptOutcome.AHEAD
    other = receipt(outbox, 3).model_copy(update={"epoch": outbox.tip.epoch + 1})
    assert outbox.apply_receipt(other) is ReceiptOutcome.OTHER_EPOCH
    assert outbox.apply_receipt(receipt(outbox, 3)) is ReceiptOutcome.ADVANCED
    assert outbox.apply_receipt(receipt(outbox, 3)) is ReceiptOutcome.CONFIRMED
    assert outbox.depth == 2


def test_a_restored_server_gets_everything_again_but_a_late_receipt_changes_nothing(
    outbox: Outbox, clock: Clock
) -> None:
    outbox.append([seen()] * 5)
    outbox.apply_receipt(receipt(outbox, 4, at=START + timedelta(seconds=10)))
    late = receipt(outbox, 2, at=START + timedelta(seconds=5))
    assert outbox.apply_receipt(late) is ReceiptOutcome.STALE
    assert outbox.depth == 1
    restored = receipt(outbox, 2, at=START + timedelta(days=1))
    assert outbox.apply_receipt(restored) is ReceiptOutcome.RESTORED
    assert outbox.depth == 3
    from_nothing = receipt(outbox, 0, at=START + timedelta(days=2))
    assert outbox.apply_receipt(from_nothing) is ReceiptOutcome.RESTORED
    assert outbox.depth == 5


def test_receipted_events_stay_fourteen_days_and_the_newest_for_ever(
    outbox: Outbox, clock: Clock
) -> None:
    outbox.append([seen()] * 4)
    outbox.apply_receipt(receipt(outbox, 4))
    clock.at += timedelta(days=14)
    outbox.append([seen()])
    outbox.apply_receipt(receipt(outbox, 5, at=clock.at))
    assert len(events_of(outbox)) == 6  # with the checkpoint that two quiet weeks made due
    clock.at += timedelta(days=1)
    outbox.apply_receipt(receipt(outbox, 6, at=clock.at))
    assert [event.position.sequence for event in events_of(outbox)] == [5, 6]
    clock.at += timedelta(days=30)
    outbox.apply_receipt(receipt(outbox, 6, at=clock.at))
    assert [event.position.sequence for event in events_of(outbox)] == [6]


def test_unreceipted_events_stay_however_old(outbox: Outbox, clock: Clock) -> None:
    outbox.append([seen()] * 3)
    outbox.apply_receipt(receipt(outbox, 1))
    clock.at += timedelta(days=400)
    outbox.apply_receipt(receipt(outbox, 1, at=clock.at))
    assert [event.position.sequence for event in events_of(outbox)] == [2, 3]


def test_checkpoints_sign_the_head_by_count_and_by_time(outbox: Outbox, clock: Clock) -> None:
    for _ in range(100):
        outbox.append([seen()])
    clock.at += CHECKPOINT_EVERY
    outbox.append([seen()])
    events = events_of(outbox)
    checkpoints = [e for e in events if isinstance(e.event.data, DeviceCheckpoint)]
    assert [e.position.sequence for e in checkpoints] == [101, 103]
    public = KEY.public_key().public_bytes_raw()
    for checkpoint in checkpoints:
        data = checkpoint.event.data
        assert isinstance(data, DeviceCheckpoint)
        assert data.hash == checkpoint.event.prevhash
        statement = checkpoint_statement(DEVICE, outbox.tip.epoch, data.through, data.hash)
        assert is_signed(statement, data.signature, public)


def test_a_lost_database_opens_a_new_epoch_on_the_old_head(
    open_outbox: Callable[[], Outbox], tmp_path: Path
) -> None:
    outbox = open_outbox()
    outbox.append([seen()] * 3)
    old, head = outbox.tip, events_of(outbox)[-1].hash
    outbox.close()
    for part in tmp_path.glob("outbox.sqlite*"):
        part.unlink()
    new = open_outbox()
    assert new.tip.epoch == old.epoch + 1  # the clock has not moved on since
    assert new.previous_head == EpochHead(epoch=old.epoch, sequence=3, hash=head)
    assert (new.last_run, new.tip.boot) == (LastRun.KILLED, 2)
    new.append([seen()])
    assert new.previous_head is None
    (first,) = events_of(new)
    assert (first.position.sequence, first.event.prevhash) == (1, head)
    new.close()


@pytest.mark.parametrize("damage", ["noise", "cut", "empty"])
def test_a_broken_database_is_kept_and_a_new_epoch_begun(
    open_outbox: Callable[[], Outbox], tmp_path: Path, damage: str
) -> None:
    outbox = open_outbox()
    outbox.append([seen()] * 50)
    old = outbox.tip
    outbox.close()
    path = tmp_path / "outbox.sqlite"
    content = path.read_bytes()
    path.write_bytes(
        {"noise": b"\xa5" * 4096 + content[4096:], "cut": content[:9000], "empty": b""}[damage]
    )
    new = open_outbox()
    assert new.tip.epoch > old.epoch
    assert new.previous_head == EpochHead(epoch=old.epoch, sequence=50, hash=old.hash)
    assert len(list(tmp_path.glob("outbox.aside-*.sqlite"))) == (damage != "empty")
    new.close()


def test_an_old_copy_put_back_does_not_reuse_numbers(
    open_outbox: Callable[[], Outbox], tmp_path: Path
) -> None:
    outbox = open_outbox()
    outbox.append([seen()])
    outbox.close()
    copy = (tmp_path / "outbox.sqlite").read_bytes()
    outbox = open_outbox()
    outbox.append([seen()] * 2)
    old = outbox.tip
    outbox.close()
    (tmp_path / "outbox.sqlite").write_bytes(copy)
    new = open_outbox()
    assert new.previous_head == EpochHead(epoch=old.epoch, sequence=3, hash=old.hash)
    new.close()


def test_another_device_gets_an_outbox_of_its_own(tmp_path: Path, clock: Clock) -> None:
    with Outbox(tmp_path, DEVICE, sign_head, clock) as mine:
        mine.append([seen()])
    clock.at += timedelta(seconds=2)
    with Outbox(tmp_path, DeviceId("box-2"), sign_head, clock) as other:
        assert (other.depth, other.previous_head, other.last_run) == (0, None, LastRun.FIRST)


def test_a_full_disk_is_refused_visibly_and_recovers_by_itself(
    outbox: Outbox, tmp_path: Path
) -> None:
    outbox.append([seen()], snapshots={"room": b"before"})
    with no_file_grows_beyond((tmp_path / "outbox.sqlite-wal").stat().st_size):
        for _ in range(3):
            with pytest.raises(OutboxError):
                outbox.append([seen()] * 40, snapshots={"room": b"x" * 100_000})
    assert len(events_of(outbox)) == 1
    assert outbox.read_snapshot("room") == b"before"
    outbox.append([seen()] * 2, snapshots={"room": b"after"})
    assert len(events_of(outbox)) == 3
    assert outbox.read_snapshot("room") == b"after"


def test_a_locked_database_is_refused_visibly(outbox: Outbox, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "outbox.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutboxError, match="locked"):
        outbox.append([seen()])
    other.execute("ROLLBACK")
    other.close()
    outbox.append([seen()])
    assert len(events_of(outbox)) == 1
