"""A whole small province of real processes: broker, server or workers, database, boxes, cable."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import psutil
import yaml

from central_server.broker_settings import BrokerSettings
from central_server.main import build
from central_server.services import broker_accounts, registry, rule_sets
from central_server.settings import EvidenceSettings, ServerSettings, WebSettings
from central_server.storage import schema
from event_protocol.names import DeviceId
from tests.faults.dying import CLOCK, POINT, POINT_OF_PROJECTORS
from tests.faults.fleet import REPOSITORY, Fleet
from tests.processes.cable import Cable
from tests.processes.mosquitto import Mosquitto
from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.postgresql import PostgreSQL
from tests.processes.program import Program
from tests.processes.rabbitmq import RabbitMQ
from tests.processes.rabbitmq_cluster import RabbitMQCluster

KINDS = ("embedded", "stock Mosquitto", "our Mosquitto", "RabbitMQ")
CLUSTER = "RabbitMQ cluster"
NODES = 3
STOCK_QUEUE = 1000  # Mosquitto's own limit of messages that wait for one subscriber
# The same story on every run of the tests; the soak takes another for each world.
SEED = int(os.environ.get("FAULTS_SEED", "1"))
_OURS = REPOSITORY / "configs" / "mosquitto"
_LINKED = '"linked to broker"'


_PROJECTING = "projecting"
_PROJECTOR = ["project"]


class Server(Program):
    """One server, worker or projector; `config` is its settings file."""

    def __init__(self, command: list[str], config: Path, clock: Path, log: Path) -> None:
        self.is_projector = command == _PROJECTOR
        self._sign = _PROJECTING if self.is_projector else _LINKED
        program = [sys.executable, "-m", "tests.faults.dying", "central-server"]
        arguments: list[str | Path] = [*program, *command, "--config", config]
        super().__init__(arguments, log, {CLOCK: str(clock)}, REPOSITORY)
        self._links_before = 0

    def start(self) -> Self:
        """Start (again); `wait_until_linked` tells when it hears."""
        self._links_before = self.output.count(self._sign)
        return super().start()

    def wait_until_linked(self) -> None:
        """Until this run has subscribed at the broker, or projects."""
        wait_until(
            lambda: self.output.count(self._sign) > self._links_before or not self.is_running,
            60,
            "the server is linked",
        )
        assert self.is_running, self.output[-4000:]


class World:
    """`kind` of broker; `postgresql`: running, else SQLite; as a context, all runs.

    `workers`: so many processes that only take in; 0: one server with its pages and timers.
    `projectors`: so many that project, and then the workers do not. `amqp`: the workers share a
    queue of RabbitMQ's; in a cluster always.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        seed: int,
        *,
        boxes: int = 3,
        workers: int = 0,
        projectors: int = 0,
        amqp: bool = False,
        postgresql: PostgreSQL | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self.kind, self.seed = folder, kind, seed
        self.postgresql = postgresql
        self.clock = folder / "clock"
        self.clock.write_text("0")
        self.devices = [DeviceId(f"box-{number}") for number in range(boxes)]
        self.ports = [
            (free_port(), free_port()) for _ in range(NODES if kind == CLUSTER else 1)
        ]  # of each node, for MQTT and AMQP
        self.port = self.ports[0][0]
        nodes = [f"127.0.0.1:{port}" for _, port in self.ports]
        self.settings = ServerSettings(
            directory=folder / "server",
            rules_file=REPOSITORY / "configs" / "flag_rules.yaml",
            database_url=None if postgresql is None else postgresql.new_database(),
            web=WebSettings(port=free_port()),
            evidence=EvidenceSettings(reserve_mb=0),
            broker=BrokerSettings(
                port=self.port,
                embedded=kind == "embedded",
                amqp=tuple(nodes) if amqp or kind == CLUSTER else (),
            ),
        )
        self.context = build(self.settings)
        self.fleet = Fleet(folder / "boxes")
        self.twins: list[Fleet] = []
        self._register()
        self.broker = self._make_broker()
        self.servers = self._make_servers(workers, projectors)
        self.cable = Cable(*(port for port, _ in self.ports))
        self.fleet.connect_through(self.cable.port)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.context.database.close)
            if self.broker is not None:
                stack.enter_context(self.broker.start())
            for server in self.servers:
                stack.enter_context(server)
            self.start_servers()
            stack.enter_context(self.cable)
            stack.enter_context(self.fleet)
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    # --- programs --------------------------------------------------------------------------------

    def start_servers(self) -> None:
        """All that do not run, and wait until they hear."""
        if self.broker is None and not self.servers[0].is_running:
            # A dead server's broker follows it as soon as it notices, and leaves the port then.
            wait_until(lambda: not is_listening(self.port), 20, "the former broker is gone")
        for server in self.servers:
            if not server.is_running:
                server.start()
        for server in self.servers:
            server.wait_until_linked()

    def kill_servers(self) -> None:
        """The power fails at the server; an embedded broker goes with it."""
        for server in self.servers:
            server.kill()

    @contextmanager
    def servers_that_die(self, point: str, at_call: int) -> Iterator[None]:
        """Within it they run until they come to that point; after it all is well again."""
        for server in self.those_that_come_to(point):
            server.kill()
            server.environment[POINT] = f"{point}:{at_call}"
        self.start_servers()
        yield
        for server in self.those_that_come_to(point):
            assert server.wait() == -9, server.output[-4000:]
            del server.environment[POINT]
        self.start_servers()

    def those_that_come_to(self, point: str) -> list[Server]:
        """Projectors where there are any, for what projectors do."""
        projects = point == POINT_OF_PROJECTORS and self.servers[-1].is_projector
        return [server for server in self.servers if server.is_projector == projects]

    def restart_broker(self, *, forgetting: bool) -> None:
        """SIGKILL and a new start; `forgetting`: with nothing of what it kept."""
        if self.broker is None:
            self.embedded_broker().kill()  # the server starts another, which knows nothing
            wait_until(lambda: is_listening(self.port), 30, "another broker")
            return
        self.broker.kill()
        if forgetting:
            self.broker.forget()
        self.broker.start()

    def embedded_broker(self) -> psutil.Process:
        """The server's child."""
        (broker,) = [
            child
            for child in psutil.Process(self.servers[0].pid).children()
            if "central_server.mqtt.broker_process" in child.cmdline()
        ]
        return broker

    def add_twin(self, device: DeviceId) -> Fleet:
        """A second box under that name, not yet running; the judge asks for its events, too."""
        twin = self.fleet.copy_of(device, self.folder / f"twin-{len(self.twins)}")
        self.twins.append(twin)
        return twin

    # --- making ----------------------------------------------------------------------------------

    def _register(self) -> None:
        schema.migrate(self.context.database)
        rule_sets.activate(self.context)
        units = self.folder / "units.yaml"
        units.write_text(
            yaml.safe_dump(
                {
                    "units": [{"id": "ward", "name": "Phường A", "kind": "commune"}],
                    "devices": [{"id": device, "unit": "ward"} for device in self.devices],
                    "desks": [
                        {"id": f"desk-{device}", "unit": "ward", "name": device, "device": device}
                        for device in self.devices
                    ],
                }
            )
        )
        registry.load_units(self.context, units)
        self.fleet.pair(self.context, self.devices, self.seed)
        broker_accounts.write_password_file(self.context)

    def _make_broker(self) -> Mosquitto | RabbitMQ | RabbitMQCluster | None:
        folder = self.folder / "broker"
        if self.kind == "embedded":
            return None
        if self.kind in ("RabbitMQ", CLUSTER):
            name = self.settings.broker.username
            users: dict[str, str] = {
                device: self.fleet.enrolment_of(device).broker.password for device in self.devices
            }
            users[name] = broker_accounts.own_password(self.context)
            if self.kind == CLUSTER:
                return RabbitMQCluster(folder, users, name, self.ports)
            ((port, amqp_port),) = self.ports
            return RabbitMQ(
                folder, users, name, port=port, amqp_port=amqp_port, longest_queue=STOCK_QUEUE
            )
        settings = [f"max_queued_messages {STOCK_QUEUE}"]
        if self.kind == "our Mosquitto":
            settings = [*_our_limits(), f"acl_file {_OURS / 'acl.conf'}"]
        broker = Mosquitto(
            folder, {}, port=self.port, persistent=True, settings="\n".join(settings)
        )
        passwords = broker_accounts.password_file(self.context).read_text()
        (folder / "passwords").write_text(passwords)
        return broker

    def _make_servers(self, workers: int, projectors: int) -> list[Server]:
        config = self.folder / "server.yaml"
        content = self.settings.model_dump(mode="json", exclude_none=True)
        config.write_text(yaml.safe_dump(content))
        projects = ["--no-project"] if projectors else []
        commands = [["ingest", "--worker", f"worker-{n}", *projects] for n in range(workers)]
        commands = [*(commands or [["serve"]]), *[_PROJECTOR] * projectors]
        return [
            Server(command, config, self.clock, self.folder / f"server-{number}.log")
            for number, command in enumerate(commands)
        ]


def _our_limits() -> Iterator[str]:
    """What our configuration says of queues; accounts and TLS are another test's."""
    for line in (_OURS / "mosquitto.conf").read_text().splitlines():
        if line.startswith(("max_", "message_size_limit")):
            yield line
