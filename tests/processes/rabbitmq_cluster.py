"""Three real RabbitMQ nodes that belong together, on loopback; any of them may be killed."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.processes.ports import wait_until
from tests.processes.rabbitmq import STARTED_WITHIN_S, PortMapper, RabbitMQ, node_name

_CONTROL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")


class RabbitMQCluster:
    """As a context it is stopped at the end. Whoever wants one broker may take it for one.

    `ports`: of each node, for MQTT and for AMQP.
    """

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, str],
        server: str,
        ports: Sequence[tuple[int, int]],
    ) -> None:
        folder.mkdir(parents=True)
        self._mapper = PortMapper(folder)
        names = [node_name(mqtt) for mqtt, _ in ports]
        self.nodes = [
            RabbitMQ(
                folder / f"node-{number}",
                users,
                server,
                port=mqtt,
                amqp_port=amqp,
                mapper=self._mapper,
                cluster=names,
            )
            for number, (mqtt, amqp) in enumerate(ports, 1)
        ]

    def start(self) -> Self:
        """Start those that do not run, and return once all have found each other."""
        if not (self.nodes[0].folder / "state").exists():
            self.nodes[0].start()  # the first makes the cluster, and Erlang's cookie
        for node in self.nodes:
            if not node.is_running:
                node.begin()
        for node in self.nodes:
            node.wait_until_listening()
        wait_until(self._are_together, STARTED_WITHIN_S, "the nodes are together", 1)
        return self

    @property
    def is_running(self) -> bool:
        """Whether any node lives."""
        return any(node.is_running for node in self.nodes)

    @property
    def output(self) -> str:
        """What each node said last."""
        return "\n".join(node.output[-2000:] for node in self.nodes)

    def kill(self) -> None:
        """The power fails for all of them."""
        for node in self.nodes:
            node.kill()

    def forget(self) -> None:
        """Delete all that the stopped nodes kept."""
        for node in self.nodes:
            node.forget()

    def stop(self) -> None:
        """All nodes, then their port mapper."""
        for node in self.nodes:
            node.stop()
        self._mapper.stop()

    def node_at(self, port: int) -> RabbitMQ:
        """The node with that MQTT port."""
        return next(node for node in self.nodes if node.port == port)

    def leader_of(self, queue: str) -> RabbitMQ:
        """The node that leads that quorum queue just now; asked of whichever node lives."""
        for node in self.nodes:
            if node.is_running:
                for found in self._ask(node, "list_queues", "name", "leader"):
                    if found["name"] == queue:
                        return next(one for one in self.nodes if one.name == found["leader"])
        raise AssertionError(f"nobody leads {queue}")

    def __enter__(self) -> Self:
        return self if self.is_running else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _are_together(self) -> bool:
        running = self._ask(self.nodes[0], "cluster_status")["running_nodes"]
        return set(running) >= {node.name for node in self.nodes}

    def _ask(self, node: RabbitMQ, *question: str) -> Any:
        arguments = [str(_CONTROL), "-n", node.name, "--formatter", "json", *question]
        answer = subprocess.run(
            arguments, env=node.environment, capture_output=True, timeout=60, check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return json.loads(answer.stdout)
