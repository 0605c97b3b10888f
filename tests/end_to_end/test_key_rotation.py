"""The server's keys change while boxes talk to it, are away, and hold what they sealed before."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import col, select

from central_server.domain.custody_log import SealingKeysRetired
from central_server.domain.server_log import DevicePaired
from central_server.mqtt.ingest_service import IngestService
from central_server.mqtt.log_writer import LogWriter
from central_server.services import enrolment, key_rotation, projector, rebuild, verification
from central_server.services.context import ServerContext
from central_server.services.keys import load_keys
from central_server.settings import ServerSettings
from central_server.storage import schema, server_log
from central_server.storage.tables import EventRow, FeedbackRow
from central_server.storage.unit_of_work import Database
from edge_agent.core.feedback import rate, submit_statement
from edge_agent.delivery.health import HealthReporter
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.uplink import Uplink, UplinkTiming
from event_protocol.enrolment import BrokerAccess, Enrolment
from event_protocol.events import FeedbackChannel
from event_protocol.messages import Command, DeviceConfiguration
from event_protocol.names import DeskId, DeviceId
from event_protocol.server_heads import public_hex
from event_protocol.signing import checkpoint_statement, sign
from tests.central_server.factories import register_device
from tests.processes.edge_agent import REPOSITORY
from tests.processes.mosquitto import Mosquitto
from tests.processes.ports import wait_until

pytestmark = pytest.mark.processes

DEVICE, DESK = DeviceId("device-a"), DeskId("desk-1")
TIMING = UplinkTiming(window=50, resend_after_s=0.5, telemetry_every_s=60)


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - real programs under test share the machine's clock


class Box:
    """A real outbox and uplink; keeps the configuration as a box's disk does."""

    def __init__(self, context: ServerContext, folder: Path, key: Ed25519PrivateKey) -> None:
        folder.mkdir()
        self._folder = folder

        def sign_head(epoch: int, through: int, head: str) -> str:
            return sign(checkpoint_statement(DEVICE, epoch, through, head), key)

        self.outbox = Outbox(folder, DEVICE, sign_head, now)
        self.configuration = enrolment.configuration_of(context, DEVICE)
        self._port = context.settings.broker.port

    def connect(self) -> None:
        access = BrokerAccess(
            host="127.0.0.1", port=self._port, username=DEVICE, password="box", tls=False
        )
        paired = Enrolment(device=DEVICE, broker=access, configuration=self.configuration)
        health = HealthReporter(self._folder, self.outbox, dict, "1", now)
        self.uplink = Uplink(paired, self.outbox, health, self._take, now, TIMING)
        self.uplink.start()

    def _take(self, command: Command) -> None:
        if isinstance(command, DeviceConfiguration):
            self.configuration = command

    def is_rated(self, rating: int) -> None:
        content = rate(rating, now(), None)
        sealed = submit_statement(
            DESK,
            FeedbackChannel.KIOSK,
            content,
            bytes.fromhex(self.configuration.sealing_public_key),
        )
        self.outbox.append([sealed])


@pytest.fixture
def context(tmp_path: Path) -> Iterator[ServerContext]:
    accounts = {"central-server": "secret", DEVICE: "box"}
    with Mosquitto(tmp_path / "mosquitto", accounts) as broker:
        settings = ServerSettings.model_validate(
            {
                "directory": tmp_path / "server",
                "broker": {"port": broker.port, "password": "secret"},
                "rules_file": REPOSITORY / "configs" / "flag_rules.yaml",
            }
        )
        keys = load_keys(settings.directory)
        context = ServerContext(settings, Database(settings.database_address), keys, now)
        schema.migrate(context.database)
        yield context
        context.database.close()


def test_keys_change_while_boxes_are_there_and_while_they_are_away(
    context: ServerContext, tmp_path: Path
) -> None:
    key = register_device(context.database, DEVICE, (DESK,))
    with context.database.transaction() as db:
        paired = DevicePaired(device=DEVICE, public_key=key.public_key().public_bytes_raw().hex())
        server_log.append(db, paired, at=now())
    box = Box(context, tmp_path / "box", key)
    writer = LogWriter(context, lambda streams: projector.project_devices(context, streams))
    service = IngestService(context, writer)
    service.start()
    box.connect()
    try:
        box.is_rated(5)
        wait_until(lambda: box.outbox.depth == 0, 20, "the first rating is there")
        # While it is there: by another process, as the command does it.
        other = ServerContext(
            context.settings, context.database, load_keys(context.settings.directory), now
        )
        first = box.configuration
        key_rotation.rotate(other, by="command")
        wait_until(lambda: box.configuration != first, 20, "the box knows the new keys")
        box.is_rated(4)
        wait_until(lambda: box.outbox.depth == 0, 20, "sealed to the new key")
        # While it is away, with something sealed to a key that is no longer the newest.
        box.uplink.stop()
        box.is_rated(3)
        for _ in range(2):
            key_rotation.rotate(other, by="command")
        box.connect()
        wait_until(lambda: box.outbox.depth == 0, 20, "what was sealed before is there")
        assert box.configuration.signing_public_key == context.keys.signing_public.hex()
    finally:
        box.uplink.stop()
        service.stop()
        box.outbox.close()
    projector.project_behind(context)
    assert ratings(context) == {3, 4, 5}
    rebuild.rebuild(context)
    assert ratings(context) == {3, 4, 5}
    assert deviations(context) == []
    check_retirement(context)


def check_retirement(context: ServerContext) -> None:
    """A former key goes once so long has passed and nothing is sealed to it any more."""
    former = list(context.keys.sealing)
    assert key_rotation.retire(context, by="command") == ()
    before = len(context.keys.former_signing)
    later = ServerContext(
        context.settings, context.database, context.keys, lambda: now() + timedelta(days=91)
    )
    assert key_rotation.retire(later, by="command") == (former[2],)  # nothing was sealed to it
    assert (before, len(context.keys.former_signing)) == (3, 0)
    with context.database.transaction() as db:
        needed = select(EventRow).where(col(EventRow.sealed).startswith(former[0]))
        for row in db.exec(needed):
            row.sealed = None
    assert key_rotation.retire(later, by="command") == (former[0],)
    assert list(context.keys.sealing) == [former[1], former[3]]
    with context.database.reading() as db:
        retired = [
            logged.entry.sealing
            for logged in server_log.read_after(db, 0)
            if isinstance(logged.entry, SealingKeysRetired)
        ]
    assert retired == [(former[2],), (former[0],)]
    assert deviations(context) == []


def ratings(context: ServerContext) -> set[int | None]:
    with context.database.reading() as db:
        return set(db.exec(select(FeedbackRow.rating)))


def deviations(context: ServerContext) -> list[str]:
    with context.database.reading() as db:
        trusted = [public_hex(context.keys.signing)]
        return [str(one) for one in verification.verify(db, trusted)]
