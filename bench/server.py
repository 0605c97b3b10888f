"""The server's parts for a bench: an empty migrated database and devices that are registered."""

from pathlib import Path

from bench.load import SEED, bench_desk, first_day
from central_server.broker_settings import BrokerSettings
from central_server.clock import read_clock
from central_server.services import rule_sets
from central_server.services.context import ServerContext
from central_server.services.keys import load_keys
from central_server.settings import ServerSettings
from central_server.simulation.fleet import device_key
from central_server.storage import months, registry, schema
from central_server.storage.tables import DeskRow, DeviceRow, UnitRow
from central_server.storage.unit_of_work import Database
from event_protocol.names import NO_HASH, DeskId, DeviceId

SERVER_USER = "central-server"
UNIT = "bench-unit"
PROBE = DeviceId("bench-probe")


def probe_desk(number: int) -> DeskId:
    """The desk of one probe of the latency; pages call it by this name."""
    return DeskId(f"probe-{number}")


def make_context(
    folder: Path,
    keys: Path,
    broker_port: int,
    devices: int,
    probes: int = 0,
    *,
    database_url: str | None = None,
    amqp: str | None = None,
) -> ServerContext:
    """A server in that new folder, with the keys in `keys`; `probes`: desks of another box.

    `database_url`: not SQLite; `amqp`: of a RabbitMQ node.
    """
    folder.mkdir(parents=True)
    settings = ServerSettings(
        directory=folder,
        database_url=database_url,
        broker=BrokerSettings(
            port=broker_port,
            username=SERVER_USER,
            password=SERVER_USER,
            amqp=() if amqp is None else (amqp,),
        ),
    )
    database = Database(settings.database_address)
    schema.migrate(database)
    with database.transaction() as db:
        months.prepare(db, read_clock())
    context = ServerContext(settings, database, load_keys(keys), read_clock)
    _register(database, devices, probes)
    rule_sets.activate(context)
    return context


def _register(database: Database, devices: int, probes: int) -> None:
    begin = first_day()
    unit = UnitRow(unit_id=UNIT, name=UNIT, kind="commune", valid_from=begin.date())
    desks = {desk: device for device, desk in map(bench_desk, range(devices))}
    desks |= {probe_desk(number): PROBE for number in range(probes)}
    rows: list[UnitRow | DeviceRow | DeskRow] = [unit]
    for device in sorted(set(desks.values())):
        key = device_key(SEED, device).public_key().public_bytes_raw().hex()
        rows.append(DeviceRow(device_id=device, unit_id=UNIT, public_key=key, paired_at=begin))
    rows += [
        DeskRow(desk_id=desk, unit_id=UNIT, name=desk, device_id=device, token_key=NO_HASH)
        for desk, device in desks.items()
    ]
    with database.transaction() as db:
        registry.save(db, rows)
