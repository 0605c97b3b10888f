"""A whole small province of real processes: broker, server or workers, database, boxes, cable."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import psutil
import yaml

from central_server.main import build
from central_server.services import broker_accounts, registry, rule_sets
from central_server.settings import BrokerSettings, EvidenceSettings, ServerSettings, WebSettings
from central_server.storage import schema
from event_protocol.names import DeviceId
from tests.faults.dying import CLOCK, POINT
from tests.faults.fleet import REPOSITORY, Fleet
from tests.processes.cable import Cable
from tests.processes.mosquitto import Mosquitto
from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.postgresql import PostgreSQL
from tests.processes.program import Program
from tests.processes.rabbitmq import RabbitMQ

KINDS = ("embedded", "stock Mosquitto", "our Mosquitto", "RabbitMQ")
STOCK_QUEUE = 1000  # Mosquitto's own limit of messages that wait for one subscriber
# The same story on every run of the tests; the soak takes another for each world.
SEED = int(os.environ.get("FAULTS_SEED", "1"))
_OURS = REPOSITORY / "configs" / "mosquitto"
_LINKED = '"linked to broker"'


class Server(Program):
    """One server or worker; `config` is its settings file."""

    def __init__(self, command: list[str], config: Path, clock: Path, log: Path) -> None:
        program = [sys.executable, "-m", "tests.faults.dying", "central-server"]
        arguments: list[str | Path] = [*program, *command, "--config", config]
        super().__init__(arguments, log, {CLOCK: str(clock)}, REPOSITORY)
        self._links_before = 0

    def start(self) -> Self:
        """Start (again); `wait_until_linked` tells when it hears."""
        self._links_before = self.output.count(_LINKED)
        return super().start()

    def wait_until_linked(self) -> None:
        """Until this run has subscribed at the broker."""
        wait_until(
            lambda: self.output.count(_LINKED) > self._links_before or not self.is_running,
            60,
            "the server is linked",
        )
        assert self.is_running, self.output[-4000:]


class World:
    """`kind` of broker; `postgresql`: running, else SQLite; as a context, all runs.

    `workers`: so many processes that only take in; 0: one server with its pages and timers.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        seed: int,
        *,
        boxes: int = 3,
        workers: int = 0,
        postgresql: PostgreSQL | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self.kind, self.seed = folder, kind, seed
        self.postgresql = postgresql
        self.clock = folder / "clock"
        self.clock.write_text("0")
        self.devices = [DeviceId(f"box-{number}") for number in range(boxes)]
        self.port = free_port()
        self.settings = ServerSettings(
            directory=folder / "server",
            rules_file=REPOSITORY / "configs" / "flag_rules.yaml",
            database_url=None if postgresql is None else postgresql.new_database(),
            web=WebSettings(port=free_port()),
            evidence=EvidenceSettings(reserve_mb=0),
            broker=BrokerSettings(port=self.port, embedded=kind == "embedded"),
        )
        self.context = build(self.settings)
        self.fleet = Fleet(folder / "boxes")
        self.twins: list[Fleet] = []
        self._register()
        self.broker = self._make_broker()
        self.servers = self._make_servers(workers)
        self.cable = Cable(self.port)
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
        self.kill_servers()
        for server in self.servers:
            server.environment[POINT] = f"{point}:{at_call}"
        self.start_servers()
        yield
        for server in self.servers:
            assert server.wait() == -9, server.output[-4000:]
            del server.environment[POINT]
        self.start_servers()

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

    def _make_broker(self) -> Mosquitto | RabbitMQ | None:
        folder = self.folder / "broker"
        if self.kind == "embedded":
            return None
        if self.kind == "RabbitMQ":
            name = self.settings.broker.username
            users: dict[str, str] = {
                device: self.fleet.enrolment_of(device).broker.password for device in self.devices
            }
            users[name] = broker_accounts.own_password(self.context)
            return RabbitMQ(folder, users, name, port=self.port, longest_queue=STOCK_QUEUE)
        settings = [f"max_queued_messages {STOCK_QUEUE}"]
        if self.kind == "our Mosquitto":
            settings = [*_our_limits(), f"acl_file {_OURS / 'acl.conf'}"]
        broker = Mosquitto(
            folder, {}, port=self.port, persistent=True, settings="\n".join(settings)
        )
        passwords = broker_accounts.password_file(self.context).read_text()
        (folder / "passwords").write_text(passwords)
        return broker

    def _make_servers(self, workers: int) -> list[Server]:
        config = self.folder / "server.yaml"
        content = self.settings.model_dump(mode="json", exclude_none=True)
        config.write_text(yaml.safe_dump(content))
        commands = [["ingest", "--worker", f"worker-{n}"] for n in range(workers)] or [["serve"]]
        return [
            Server(command, config, self.clock, self.folder / f"server-{number}.log")
            for number, command in enumerate(commands)
        ]


def _our_limits() -> Iterator[str]:
    """What our configuration says of queues; accounts and TLS are another test's."""
    for line in (_OURS / "mosquitto.conf").read_text().splitlines():
        if line.startswith(("max_", "message_size_limit")):
            yield line
