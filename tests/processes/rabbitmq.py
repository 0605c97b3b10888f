"""A real RabbitMQ node with its MQTT plug-in, in a folder of its own on free loopback ports.

It needs Erlang's port mapper (`epmd`), which stays for ever when Erlang starts it; here it is a
program of the test's own, stopped with the node. Debian's wrapper would change user and folder;
the node's own script behind it does not.
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.program import Program

_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_EXCHANGE = "amq.topic"
_NO_SALT = b"\0\0\0\0"  # passwords of a test


class RabbitMQ(Program):
    """`users`: passwords by name; `server` may do everything, the others what a device may.

    `longest_queue`: messages that wait for one subscriber; the oldest are dropped beyond it.
    """

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, str],
        server: str,
        *,
        port: int | None = None,
        longest_queue: int | None = None,
    ) -> None:
        assert _SCRIPT.exists(), "RabbitMQ is not installed (apt install rabbitmq-server)"
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._server, self._longest_queue = folder, server, longest_queue
        self.port, self.amqp_port = port or free_port(), free_port()
        mapper_port = free_port()
        self.set_users(users)
        (folder / "plugins").write_text("[rabbitmq_mqtt].\n")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.amqp_port}\n"
            f"mqtt.listeners.tcp.local = 127.0.0.1:{self.port}\n"
            "mqtt.allow_anonymous = false\n"
            # Ten unacknowledged messages to a subscriber are its default: our batches hold more.
            "mqtt.prefetch = 1000\n"
            f"load_definitions = {folder}/definitions.json\n"
            "log.console = true\n"
            "log.console.level = warning\n"
        )
        environment = {
            "HOME": str(folder),  # for Erlang's cookie
            "RUNNING_UNDER_SYSTEMD": "1",  # the script becomes the node, so that our pid is its
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
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
            "ERL_EPMD_PORT": str(mapper_port),
        }
        self._mapper_port = mapper_port
        self._mapper = Program(
            ["epmd", "-address", "127.0.0.1", "-port", str(mapper_port)], folder / "epmd.log"
        )
        super().__init__([_SCRIPT], folder / "rabbitmq.log", environment, folder)

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
        if not self._mapper.is_running:
            self._mapper.start()
            wait_until(lambda: is_listening(self._mapper_port), 10, "epmd listens")
        super().start()
        wait_until(lambda: is_listening(self.port) or not self.is_running, 60, "RabbitMQ listens")
        assert self.is_running, self.output[-4000:]
        return self

    def stop(self, timeout_s: float = 30) -> int:
        """The node first, then its port mapper."""
        code = super().stop(timeout_s)
        self._mapper.stop()
        return code


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
