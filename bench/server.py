"""The server's parts for a bench: an empty migrated database and devices that are registered."""

from pathlib import Path

from bench.load import FIRST_DAY, SEED, bench_desk
from central_server.main import read_clock
from central_server.services import rule_sets
from central_server.services.context import ServerContext
from central_server.services.keys import load_keys
from central_server.settings import BrokerSettings, ServerSettings
from central_server.simulation.fleet import device_key
from central_server.storage import registry, schema
from central_server.storage.tables import DeskRow, DeviceRow, UnitRow
from central_server.storage.unit_of_work import Database
from event_protocol.names import NO_HASH

SERVER_USER = "central-server"
UNIT = "bench-unit"


def make_context(folder: Path, keys: Path, broker_port: int, devices: int) -> ServerContext:
    """A server in that new folder; its keys are those in the folder `keys`."""
    folder.mkdir(parents=True)
    settings = ServerSettings(
        directory=folder,
        broker=BrokerSettings(port=broker_port, username=SERVER_USER, password=SERVER_USER),
    )
    database = Database(settings.database_address)
    schema.migrate(database)
    context = ServerContext(settings, database, load_keys(keys), read_clock)
    _register(database, devices)
    rule_sets.activate(context)
    return context


def _register(database: Database, devices: int) -> None:
    unit = UnitRow(unit_id=UNIT, name=UNIT, kind="commune", valid_from=FIRST_DAY.date())
    rows: list[UnitRow | DeviceRow | DeskRow] = [unit]
    for number in range(devices):
        device, desk = bench_desk(number)
        key = device_key(SEED, device).public_key().public_bytes_raw().hex()
        rows.append(DeviceRow(device_id=device, unit_id=UNIT, public_key=key, paired_at=FIRST_DAY))
        rows.append(
            DeskRow(desk_id=desk, unit_id=UNIT, name=desk, device_id=device, token_key=NO_HASH)
        )
    with database.transaction() as db:
        registry.save(db, rows)
