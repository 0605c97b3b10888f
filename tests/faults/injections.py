"""The faults: each strikes a running world while its boxes speak, and leaves it mended.

Chance comes in as an argument, so that a seed tells the same story again.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from random import Random
from resource import RLIM_INFINITY, RLIMIT_FSIZE, prlimit

import paho.mqtt.client as mqtt
import psutil
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from central_server.storage.tables import DeviceRow
from event_protocol.enrolment import Enrolment
from event_protocol.messages import DeviceStatus, Link, encode_message
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, topic_of
from tests.faults.dying import LOG_WRITER, POINT, POINTS_OF_BOX, POINTS_OF_SERVER
from tests.faults.fleet import Fleet
from tests.faults.world import CLUSTER, STOCK_QUEUE, World
from tests.processes.ports import wait_until
from tests.processes.program import Program

BURST = 40  # statements of each box; with three boxes more than a batch of the stock broker
DAY_S = 86_400
LOOKS_EVERY_S = 0.1  # each look opens every box's database
Fault = Callable[[World, Random], None]

FAULTS: dict[str, Fault] = {}
"""By name, in the order in which they stand here."""
_IN: dict[str, Callable[[World], bool]] = {}


def fault(
    name: str, is_possible_in: Callable[[World], bool] | None = None
) -> Callable[[Fault], Fault]:
    """Enters a function under its name, and the worlds that can be struck so; else all."""

    def enter(strike: Fault) -> Fault:
        FAULTS[name] = strike
        if is_possible_in is not None:
            _IN[name] = is_possible_in
        return strike

    return enter


def is_possible(name: str, world: World) -> bool:
    """Whether that world can be struck so."""
    return name not in _IN or _IN[name](world)


def _is_on_sqlite(world: World) -> bool:
    return world.context.database.is_sqlite


def _is_on_postgresql(world: World) -> bool:
    return world.postgresql is not None


def _has_one_broker(world: World) -> bool:
    """Three nodes that fell together take two minutes to find each other again."""
    return world.kind != CLUSTER


# --- the server -----------------------------------------------------------------------------------


@fault("server killed")
def kill_server(world: World, random: Random) -> None:
    world.fleet.say(BURST)
    time.sleep(random.uniform(0, 0.5))
    world.kill_servers()
    world.fleet.say(BURST)
    world.start_servers()


@fault("log writer killed")
def kill_log_writer(world: World, random: Random) -> None:
    """Alone: its server starts it again, and hands it anew what it had not answered."""
    for _ in range(2):
        world.fleet.say(BURST)
        time.sleep(random.uniform(0, 0.5))
        for server in world.servers:
            for child in _log_writers_of(server):
                child.kill()


def _die_at(point: str) -> Fault:
    def strike(world: World, random: Random) -> None:
        with world.servers_that_die(point, random.randint(1, 3)):
            _speak_until_dead(world, world.those_that_come_to(point))

    return strike


for _point in POINTS_OF_SERVER:
    FAULTS[f"server dies {_point}"] = _die_at(_point)


@fault("more than the broker's queue holds")
def overflow(world: World, _random: Random) -> None:
    """While the server is away the boxes publish more than the broker keeps for it."""
    world.kill_servers()
    world.fleet.say(STOCK_QUEUE // len(world.devices) + BURST)
    _wait_until_said(world)
    time.sleep(0.5)  # published, too
    world.start_servers()


@fault("disk full at the server", _is_on_sqlite)
def fill_server(world: World, _random: Random) -> None:
    before = [server.output.count("database refuses") for server in world.servers]
    with _full_disk(*world.servers):
        for server, refusals in zip(world.servers, before, strict=True):
            _speak_until(world, lambda s=server, n=refusals: s.output.count("refuses") > n)  # type: ignore[misc] # mypy knows no types of a lambda's defaults


@fault("database locked")
def lock_database(world: World, random: Random) -> None:
    with world.context.database.transaction() as db:
        if not world.context.database.is_sqlite:
            db.connection().exec_driver_sql("LOCK TABLE event IN EXCLUSIVE MODE")
        world.fleet.say(BURST)
        time.sleep(random.uniform(0.5, 1.5))


@fault("database down and back", _is_on_postgresql)
def stop_database(world: World, random: Random) -> None:
    assert world.postgresql is not None
    world.fleet.say(BURST)
    world.postgresql.crash()
    world.context.database.close()  # the test's own connections are broken, too
    world.fleet.say(BURST)
    time.sleep(random.uniform(0.5, 1.5))
    world.postgresql.start()


@fault("server's clock jumps")
def jump_server(world: World, random: Random) -> None:
    for off_s in (random.uniform(1, 3) * DAY_S, -random.uniform(1, 3) * DAY_S, 0):
        world.clock.write_text(str(off_s))
        world.fleet.say(BURST // 3)
        time.sleep(0.3)


# --- the broker and the way to it -----------------------------------------------------------------


@fault("broker killed", _has_one_broker)
def kill_broker(world: World, random: Random) -> None:
    world.fleet.say(BURST)
    time.sleep(random.uniform(0, 0.5))
    world.restart_broker(forgetting=False)


@fault("broker killed, its state deleted", _has_one_broker)
def empty_broker(world: World, random: Random) -> None:
    world.fleet.say(BURST)
    time.sleep(random.uniform(0, 0.5))
    world.restart_broker(forgetting=True)


@fault("publisher gone right after PUBACK")
def leave_after_puback(world: World, _random: Random) -> None:
    world.cable.cut()
    world.fleet.say(BURST)
    _wait_until_said(world)
    world.fleet.kill()
    for device in world.devices:
        client = _client(world, device)
        topic = topic_of(device, Channel.EVENTS)
        for body in world.fleet.bodies_waiting(device):
            last = client.publish(topic, body, qos=1)
        last.wait_for_publish(20)
        _hang_up(client)
    world.cable.mend()
    world.fleet.start()


@fault("two boxes under one client id")
def clone_box(world: World, _random: Random) -> None:
    """They throw each other out until one is taken away; both have facts of their own."""
    twin = world.add_twin(world.devices[-1])
    with twin:
        for _ in range(3):
            world.fleet.say(BURST // 4)
            twin.say(BURST // 4)
            time.sleep(1)
        world.fleet.stop()
        wait_until(lambda: twin.has_said_all and twin.waiting() == 0, 60, "the twin delivered")
    world.fleet.start()


@fault("old will after a new birth")
def will_of_the_dead(world: World, _random: Random) -> None:
    """A connection with the will of a former run throws the box out, and breaks."""
    device = world.devices[0]
    world.fleet.say(1)
    wait_until(lambda: _online_boot(world, device) > 0, 30, "the box was born")
    before = _online_boot(world, device)
    world.fleet.kill()
    world.fleet.start()
    wait_until(lambda: _online_boot(world, device) > before, 30, "the box was born again")
    old = DeviceStatus(status=Link.OFFLINE, epoch=_epoch_of(world.fleet, device), boot=1)
    dead = _client(world, device, will=encode_message(old))
    world.fleet.say(BURST)
    time.sleep(0.5)
    _hang_up(dead)
    wait_until(lambda: _online_boot(world, device) > before, 30, "the box is online")
    time.sleep(0.5)
    assert _online_boot(world, device) > before


@fault("half-open connections")
def half_open(world: World, _random: Random) -> None:
    world.fleet.say(BURST)
    world.cable.half_open()
    world.fleet.say(BURST)


@fault("slow link")
def slow_link(world: World, random: Random) -> None:
    world.cable.delay_s, world.cable.piece = random.uniform(0.01, 0.03), 700
    world.fleet.say(BURST)
    time.sleep(1)
    world.cable.mend()


@fault("link cut and reset")
def cut_link(world: World, random: Random) -> None:
    for _ in range(2):
        world.fleet.say(BURST)
        time.sleep(random.uniform(0, 0.3))
        world.cable.reset()
    world.cable.cut()
    world.fleet.say(BURST)
    time.sleep(random.uniform(0, 0.5))
    world.cable.mend()


# --- the boxes ------------------------------------------------------------------------------------


@fault("boxes killed")
def kill_boxes(world: World, random: Random) -> None:
    world.fleet.say(BURST)
    time.sleep(random.uniform(0, 0.5))
    world.fleet.kill()
    world.fleet.start()


def _box_dies_at(point: str) -> Fault:
    def strike(world: World, random: Random) -> None:
        world.fleet.stop()
        world.fleet.environment[POINT] = f"{point}:{random.randint(4, 12)}"
        world.fleet.start()
        _speak_until_dead(world, [world.fleet])
        del world.fleet.environment[POINT]
        world.fleet.start()

    return strike


for _point in POINTS_OF_BOX:
    FAULTS[f"box dies {_point}"] = _box_dies_at(_point)


@fault("disk full at the boxes")
def fill_boxes(world: World, random: Random) -> None:
    with _full_disk(world.fleet):
        world.fleet.say(2 * BURST)
        time.sleep(random.uniform(0.5, 1.5))


@fault("outbox locked")
def lock_outbox(world: World, random: Random) -> None:
    file = world.fleet.folder / random.choice(world.devices) / "outbox.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        world.fleet.say(BURST)
        time.sleep(random.uniform(0.5, 1.5))
        other.execute("ROLLBACK")


@fault("boxes' clock jumps")
def jump_boxes(world: World, random: Random) -> None:
    for off_s in (random.uniform(20, 400) * DAY_S, -20_000 * DAY_S, 0):  # 1970, as without battery
        world.fleet.clock.write_text(str(off_s))
        world.fleet.say(BURST // 3)
        time.sleep(0.3)


@fault("everything killed at any moment", _has_one_broker)
def kill_anything(world: World, random: Random) -> None:
    strikes = [kill_server, kill_broker, kill_boxes]
    random.shuffle(strikes)
    for strike in strikes:
        strike(world, random)


# --- means ----------------------------------------------------------------------------------------


def _wait_until_said(world: World) -> None:
    wait_until(lambda: world.fleet.has_said_all, 60, "all is said", LOOKS_EVERY_S)


def _speak_until(world: World, is_enough: Callable[[], bool]) -> None:
    for _ in range(200):
        if is_enough():
            return
        world.fleet.say(5)
        time.sleep(0.2)
    raise TimeoutError("spoke for 40 s, and nothing came of it")


def _speak_until_dead(world: World, programs: Sequence[Program]) -> None:
    _speak_until(world, lambda: not any(program.is_running for program in programs))


@contextmanager
def _full_disk(*programs: Program) -> Iterator[None]:
    """The kernel refuses them what lies beyond the log that they write."""
    limited = [pid for program in programs for pid in _pids_of(program)]
    for program in programs:
        beyond = program.log.stat().st_size + 65_536
        for pid in _pids_of(program):
            prlimit(pid, RLIMIT_FSIZE, (beyond, RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in limited:
            prlimit(pid, RLIMIT_FSIZE, (RLIM_INFINITY, RLIM_INFINITY))


def _pids_of(program: Program) -> list[int]:
    return [program.pid, *(child.pid for child in psutil.Process(program.pid).children())]


def _log_writers_of(server: Program) -> list[psutil.Process]:
    children = psutil.Process(server.pid).children()
    return [child for child in children if LOG_WRITER in child.cmdline()]


def _client(world: World, device: DeviceId, will: bytes | None = None) -> mqtt.Client:
    """Connected as that device would be; it does not come back by itself."""
    access: Enrolment = world.fleet.enrolment_of(device)
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=device,
        clean_session=False,
        protocol=MQTTProtocolVersion.MQTTv311,
    )
    client.username_pw_set(access.broker.username, access.broker.password)
    client.max_inflight_messages_set(0)
    client.reconnect_delay_set(1000, 1000)
    if will is not None:
        client.will_set(topic_of(device, Channel.STATUS), will, qos=1, retain=True)
    client.connect("127.0.0.1", world.port)
    client.loop_start()
    wait_until(client.is_connected, 20, f"{device} is connected")
    return client


def _hang_up(client: mqtt.Client) -> None:
    """The connection breaks without a goodbye."""
    client.loop_stop()
    connection = client.socket()
    if connection is not None:  # `None`: the broker was faster
        connection.close()


def _online_boot(world: World, device: DeviceId) -> int:
    """The run in which the device is online; 0 while it is not."""
    with world.context.database.reading() as db:
        row = db.get_one(DeviceRow, device)
    return (row.link_boot or 0) if row.link == "online" else 0


def _epoch_of(fleet: Fleet, device: str) -> int:
    return next(epoch for name, epoch, _ in fleet.tips() if name == device)
