"""One command each way: everything is destroyed, and comes back; devices bring the rest."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey

from central_server.domain.custody_log import ServerRestored
from central_server.services import (
    anchors,
    backups,
    device_receipts,
    ingest,
    projector,
    rebuild,
    restoration,
    verification,
)
from central_server.services.backups import BackupError
from central_server.services.context import ServerContext
from central_server.services.evidence import files_of
from central_server.services.filing import Incoming
from central_server.services.keys import load_keys
from central_server.settings import ServerSettings
from central_server.storage import server_log
from central_server.storage.unit_of_work import Database
from edge_agent.core.statements import Statement
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.receipts import ReceiptOutcome
from event_protocol.canonical import sha256_hex
from event_protocol.events import PresenceObserved, PresenceState, ZoneRole
from event_protocol.names import DeskId, DeviceId
from event_protocol.server_heads import public_hex
from event_protocol.signing import checkpoint_statement, sign
from event_protocol.topics import Channel, topic_of
from tests.central_server.factories import Clock
from tests.central_server.services.desk_days import derived, minute
from tests.central_server.services.proof_world import make_logs, pair

DEVICE, DESK = DeviceId("device-c"), DeskId("desk-device-c")
PICTURE = b"a picture that a box sent"


@pytest.fixture
def context(any_database: Database, tmp_path: Path) -> ServerContext:
    """A server with logs, keys, and a picture."""
    context = make_logs(any_database, tmp_path / "server")
    keep_picture(context, PICTURE)
    return context


@pytest.fixture
def new_database(
    request: pytest.FixtureRequest, context: ServerContext, tmp_path: Path
) -> Callable[[], str]:
    """The address of a database of the same kind in which nothing is."""

    def make() -> str:
        if context.database.is_sqlite:
            return f"sqlite:///{tmp_path / 'new' / 'server.sqlite'}"
        running = request.getfixturevalue("postgresql")
        return str(running.new_database())

    return make


def keep_picture(context: ServerContext, content: bytes) -> Path:
    path = files_of(context).path_of(sha256_hex(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def elsewhere(context: ServerContext, folder: Path, address: str) -> ServerSettings:
    return context.settings.model_copy(update={"directory": folder, "database_url": address})


def deviations(context: ServerContext) -> list[str]:
    trusted = [public_hex(context.keys.signing)]
    heads = anchors.read_copies(context.settings.anchors_directory)
    with context.database.reading() as db:
        return [str(one) for one in verification.verify(db, trusted, heads)]


class Box:
    """A real outbox and a way to the server: what the uplink does, without a broker."""

    def __init__(self, context: ServerContext, folder: Path) -> None:
        key = pair(context, DEVICE, DESK)
        folder.mkdir()

        def sign_head(epoch: int, through: int, head: str) -> str:
            return sign(checkpoint_statement(DEVICE, epoch, through, head), key)

        self.outbox = Outbox(folder, DEVICE, sign_head, context.now)

    def sees(self, count: int, begin: float) -> None:
        for number in range(count):
            at = minute(begin + number)
            state = PresenceState.OCCUPIED if number % 2 else PresenceState.EMPTY
            data = PresenceObserved(
                zone="citizen",
                role=ZoneRole.CITIZEN,
                state=state,
                since=at,
                confidence=0.9,
                observed_share=1,
            )
            self.outbox.append([Statement(DESK, at, data)])

    def sends(self, context: ServerContext) -> None:
        """Everything that has no receipt; the receipt is taken."""
        events = self.outbox.read(self.outbox.receipted_through + 1, self.outbox.tip.sequence)
        topic = topic_of(DEVICE, Channel.EVENTS)
        receipts = ingest.append(context, [Incoming(topic, one.body) for one in events])
        projector.project_devices(context, {(name, one.epoch) for name, one in receipts})
        for _, receipt in receipts:
            self.outbox.apply_receipt(receipt)


def test_destroyed_and_restored_the_server_takes_back_what_boxes_still_hold(
    context: ServerContext, new_database: Callable[[], str], tmp_path: Path
) -> None:
    assert isinstance(context.now, Clock)
    box = Box(context, tmp_path / "box")
    box.sees(130, begin=30)
    box.sends(context)
    folder = backups.back_up(context, tmp_path / "backups", keep=3)
    box.sees(40, begin=200)
    box.sends(context)
    assert box.outbox.depth == 0
    before, pepper = derived(context), context.keys.pepper
    destroy(context)
    context.now.advance(3600)
    settings = elsewhere(context, tmp_path / "new", new_database())
    restored = restoration.restore(settings, tmp_path / "backups", context.now)
    assert derived(restored) != before
    _, told = device_receipts.state_of(restored, (DEVICE, box.outbox.tip.epoch))
    assert box.outbox.apply_receipt(told) is ReceiptOutcome.RESTORED
    box.sends(restored)
    assert box.outbox.depth == 0
    assert derived(restored) == before
    assert deviations(restored) == []
    assert files_of(restored).path_of(sha256_hex(PICTURE)).read_bytes() == PICTURE
    assert load_keys(settings.directory).pepper == pepper
    with restored.database.reading() as db:
        *_, last = server_log.read_after(db, 0)
    assert isinstance(last.entry, ServerRestored)
    assert f"{last.entry.backup:%Y%m%dT%H%M%SZ}" == folder.name
    rebuild.rebuild(restored)
    assert derived(restored) == before
    box.outbox.close()
    restored.database.close()


def destroy(context: ServerContext) -> None:
    """Nothing is left of the server but its backup."""
    context.database.close()
    shutil.rmtree(context.settings.directory)


@pytest.fixture
def server(database: Database, tmp_path: Path) -> ServerContext:
    context = make_logs(database, tmp_path / "server")
    keep_picture(context, PICTURE)
    return context


def restore(server: ServerContext, folder: Path, **more: Any) -> ServerContext:
    """Into a new place."""
    settings = elsewhere(server, folder, f"sqlite:///{folder / 'server.sqlite'}")
    return restoration.restore(settings, folder.parent / "backups", server.now, **more)


def test_nobody_else_can_read_a_backup(server: ServerContext, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    folder = backups.back_up(server, target, keep=3)
    for path in [target, *target.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert (folder / "server" / "keys.json").is_file()


def test_keys_can_be_sealed_to_somebody(server: ServerContext, tmp_path: Path) -> None:
    recipient, pepper = PrivateKey.generate(), server.keys.pepper
    folder = backups.back_up(
        server, tmp_path / "backups", keep=3, recipient=bytes(recipient.public_key)
    )
    everything = b"".join(path.read_bytes() for path in (folder / "server").rglob("*.*"))
    assert pepper.hex().encode() not in everything
    for wrong in (None, bytes(PrivateKey.generate())):
        with pytest.raises(BackupError, match="that private key is needed"):
            restore(server, tmp_path / "new", private_key=wrong)
    restored = restore(server, tmp_path / "new", private_key=bytes(recipient))
    assert restored.keys.pepper == pepper
    restored.database.close()


def test_what_is_there_is_not_copied_again_and_what_is_erased_goes(
    server: ServerContext, tmp_path: Path
) -> None:
    assert isinstance(server.now, Clock)
    target, told = tmp_path / "backups", list[str]()
    picture = sha256_hex(PICTURE)
    for _ in range(2):
        server.now.advance(60)
        backups.back_up(server, target, keep=2, tell=told.append)
    assert told.count(picture) == 1
    files_of(server).erase(picture)
    broken = keep_picture(server, b"another")
    broken.write_bytes(b"changed on the disk")
    for _ in range(2):
        assert backups.picture_place(target / "evidence", picture).exists()
        server.now.advance(60)
        backups.back_up(server, target, keep=2)
    assert len(backups.list_backups(target)) == 2
    assert not list(backups.files_below(target / "evidence"))


def test_an_interrupted_backup_is_none(server: ServerContext, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    (target / "20200101T000000Z.partial" / "database").mkdir(parents=True)
    with pytest.raises(BackupError, match="no complete backup"):
        restore(server, tmp_path / "new")
    folder = backups.back_up(server, target, keep=3)
    assert sorted(path.name for path in target.iterdir()) == [folder.name, "evidence"]
    with pytest.raises(BackupError, match="is there already"):
        backups.back_up(server, target, keep=3)


def test_a_live_server_is_not_overwritten(server: ServerContext, tmp_path: Path) -> None:
    backups.back_up(server, tmp_path / "backups", keep=3)
    with pytest.raises(BackupError, match="is there already: move it away"):
        restoration.restore(
            elsewhere(server, server.settings.directory, str(server.database.engine.url)),
            tmp_path / "backups",
            server.now,
        )
    load_keys(tmp_path / "new")
    with pytest.raises(BackupError, match="belongs to another server"):
        restore(server, tmp_path / "new")
    assert not (tmp_path / "new" / "server.sqlite").exists()


@pytest.mark.parametrize("victim", ["database/database.sqlite", "server/keys.json", "picture"])
def test_a_backup_that_was_changed_restores_nothing(
    server: ServerContext, tmp_path: Path, victim: str
) -> None:
    folder = backups.back_up(server, tmp_path / "backups", keep=3)
    path = folder / victim
    if victim == "picture":
        path = backups.picture_place(tmp_path / "backups" / "evidence", sha256_hex(PICTURE))
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BackupError):
        restore(server, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_interrupted_restoration_is_run_again(server: ServerContext, tmp_path: Path) -> None:
    backups.back_up(server, tmp_path / "backups", keep=3)

    told = {"checked": 0}

    def interrupt_at_the_second(part: str) -> None:
        told["checked"] += part.endswith("database.sqlite")
        if told["checked"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(server, tmp_path / "new", tell=interrupt_at_the_second)
    assert (tmp_path / "new" / "keys.json").is_file()
    restored = restore(server, tmp_path / "new")
    assert deviations(restored) == []
    restored.database.close()
