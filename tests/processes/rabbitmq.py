"""Real RabbitMQ nodes with their MQTT plug-in, in folders of their own on free loopback ports.

They need Erlang's port mapper (`epmd`), which stays for ever when Erlang starts it; here it is a
program of the test's own, stopped with the node. Debian's wrapper would change user and folder;
the node's own script behind it does not.
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.program import Program

_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
STARTED_WITHIN_S = 200
_EXCHANGE = "amq.topic"
_NO_SALT = b"\0\0\0\0"  # passwords of a test


class PortMapper(Program):
    """Tells Erlang's nodes each other's ports."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        arguments = ["epmd", "-address", "127.0.0.1", "-port", str(self.port)]
        super().__init__(arguments, folder / "epmd.log")

    def start(self) -> Self:
        """Start and return once it answers."""
        super().start()
        wait_until(lambda: is_listening(self.port), 10, "epmd listens")
        return self


class RabbitMQ(Program):
    """`users`: passwords by name; `server` may do everything, the others what a device may.

    `longest_queue`: messages that wait for one subscriber; the oldest are dropped beyond it.
    `mapper`, `cluster`: of nodes that belong together, the one port mapper and all names.
    """

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, str],
        server: str,
        *,
        port: int | None = None,
        amqp_port: int | None = None,
        longest_queue: int | None = None,
        mapper: PortMapper | None = None,
        cluster: Sequence[str] = (),
    ) -> None:
        assert _SCRIPT.exists(), "RabbitMQ is not installed (apt install rabbitmq-server)"
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._server, self._longest_queue = folder, server, longest_queue
        self.port, self.amqp_port = port or free_port(), amqp_port or free_port()
        self.name = node_name(self.port)
        self._owns_mapper, self._mapper = mapper is None, mapper or PortMapper(folder)
        self.set_users(users)
        (folder / "plugins").write_text("[rabbitmq_mqtt].\n")
        (folder / "rabbitmq.conf").write_text("\n".join(self._settings(cluster)) + "\n")
        environment = {
            # For Erlang's cookie, which nodes that belong together share.
            "HOME": str(folder.parent if cluster else folder),
            "RUNNING_UNDER_SYSTEMD": "1",  # the script becomes the node, so that our pid is its
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "state"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper.port),
        }
        super().__init__([_SCRIPT], folder / "rabbitmq.log", environment, folder)

    def _settings(self, cluster: Sequence[str]) -> Iterator[str]:
        yield f"listeners.tcp.local = 127.0.0.1:{self.amqp_port}"
        yield f"mqtt.listeners.tcp.local = 127.0.0.1:{self.port}"
        yield "mqtt.allow_anonymous = false"
        # Ten unacknowledged messages to a subscriber are its default: our batches hold more.
        yield "mqtt.prefetch = 1000"
        if not cluster or cluster[0] == self.name:  # the others learn it from the first
            yield f"load_definitions = {self.folder}/definitions.json"
        yield "log.console = true"
        yield "log.console.level = warning"
        if cluster:
            yield "cluster_formation.peer_discovery_backend = classic_config"
            for number, name in enumerate(cluster, 1):
                yield f"cluster_formation.classic_config.nodes.{number} = {name}"
            # What waits for a box must outlive the node that the box was connected to.
            yield "mqtt.durable_queue_type = quorum"

    def set_users(self, users: Mapping[str, str]) -> None:
        """Who may connect from the next start on."""
        definitions = {
            "users": [_user(name, password) for name, password in users.items()],
            "vhosts": [{"name": "/"}],
            "permissions": [_permission(name, name == self._server) for name in users],
            "topic_permissions": [
                _topic_permission(name) for name in users if name != self._server
            ],
            "policies": [] if self._longest_queue is None else [_policy(self._longest_queue)],
        }
        (self.folder / "definitions.json").write_text(json.dumps(definitions))

    def forget(self) -> None:
        """Delete all that the stopped node kept: queues, sessions, messages."""
        assert not self.is_running
        shutil.rmtree(self.folder / "state", ignore_errors=True)

    def start(self) -> Self:
        """Start (again) and return once MQTT clients may connect."""
        self.begin()
        self.wait_until_listening()
        return self

    def begin(self) -> None:
        """Start (again); of nodes that fell together, each waits for the others."""
        if not self._mapper.is_running:
            self._mapper.start()
        super().start()

    def wait_until_listening(self) -> None:
        """Until clients of both kinds may connect."""
        wait_until(
            lambda: (
                (is_listening(self.port) and is_listening(self.amqp_port)) or not self.is_running
            ),
            STARTED_WITHIN_S,
            "RabbitMQ listens",
        )
        assert self.is_running, self.output[-4000:]

    def stop(self, timeout_s: float = 30) -> int:
        """The node first, then its port mapper."""
        code = super().stop(timeout_s)
        if self._owns_mapper:
            self._mapper.stop()
        return code


def node_name(port: int) -> str:
    """Erlang's name of the node with that MQTT port."""
    return f"test{port}@localhost"


def _user(name: str, password: str) -> dict[str, object]:
    digest = _NO_SALT + hashlib.sha256(_NO_SALT + password.encode()).digest()
    return {
        "name": name,
        "password_hash": base64.b64encode(digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "",
    }


def _permission(name: str, is_server: bool) -> dict[str, str]:
    own = ".*" if is_server else f"^(amq\\.topic|mqtt-subscription-{name}qos[01])$"
    return {"user": name, "vhost": "/", "configure": own, "write": own, "read": own}


def _topic_permission(name: str) -> dict[str, str]:
    """RabbitMQ writes a topic's slashes as dots."""
    own = f"^onestop\\.v1\\.{name}\\."
    return {
        "user": name,
        "vhost": "/",
        "exchange": _EXCHANGE,
        "write": f"{own}(events|status|telemetry)$",
        "read": f"{own}(receipts|commands)$",
    }


def _policy(longest_queue: int) -> dict[str, object]:
    return {
        "name": "short-queues",
        "vhost": "/",
        "pattern": "^mqtt-subscription-",
        "apply-to": "queues",
        "definition": {"max-length": longest_queue},
    }
