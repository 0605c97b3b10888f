"""A real `edge-agent run` on its own folder and free port, paired without a server."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey

from event_protocol.enrolment import BrokerAccess, Enrolment
from event_protocol.messages import DeskConfiguration, DeviceConfiguration
from event_protocol.names import DeskId, DeviceId
from tests.processes.ports import free_port, wait_until
from tests.processes.program import Program

REPOSITORY = Path(__file__).resolve().parents[2]
DEVICE = DeviceId("box-1")
DESK = DeskId("desk-1")
PASSWORD = "box"
READY = "edge-agent: pages at"
HURRIED = {"resend_after_s": 1, "telemetry_every_s": 1}

SERVER_KEY = Ed25519PrivateKey.from_private_bytes(b"server key of these tests, 32 by")
SEALING_KEY = PrivateKey(b"sealing key of these tests 32 by")


def make_enrolment(broker_port: int) -> Enrolment:
    """What a server would have answered at pairing."""
    desk = DeskConfiguration(
        desk=DESK, name="Quầy 1", unit_name="Công an phường A", token_key="0a" * 32
    )
    configuration = DeviceConfiguration(
        device=DEVICE,
        desks=(desk,),
        sealing_public_key=bytes(SEALING_KEY.public_key).hex(),
        signing_public_key=SERVER_KEY.public_key().public_bytes_raw().hex(),
        public_url="http://127.0.0.1:8000",
    )
    broker = BrokerAccess(
        host="127.0.0.1", port=broker_port, username=DEVICE, password=PASSWORD, tls=False
    )
    return Enrolment(device=DEVICE, broker=broker, configuration=configuration)


class EdgeAgent(Program):
    """`cameras` as in the settings file; no `broker_port`: not paired."""

    def __init__(
        self,
        folder: Path,
        broker_port: int | None,
        cameras: Sequence[Mapping[str, Any]] = (),
        command: str = "run",
        delivery: Mapping[str, float] = HURRIED,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.directory = folder / "edge"
        self.directory.mkdir(exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        if broker_port is not None:
            enrolment = make_enrolment(broker_port)
            (self.directory / "enrolment.json").write_text(enrolment.model_dump_json())
        self.settings = folder / "edge_agent.yaml"
        self.settings.write_text(
            yaml.safe_dump(
                {
                    "directory": "edge",
                    "http": {"port": self.port},
                    "cameras": [dict(camera) for camera in cameras],
                    "delivery": dict(delivery),
                }
            )
        )
        super().__init__(
            [sys.executable, "-m", "edge_agent", command, "--config", self.settings],
            folder / "edge_agent.log",
            cwd=REPOSITORY,
        )

    def start(self) -> Self:
        """Start (again) and return once the pages are there."""
        starts = self.output.count(READY)
        super().start()
        wait_until(
            lambda: self.output.count(READY) > starts or not self.is_running,
            30,
            "the agent's pages",
        )
        assert self.is_running, self.output
        return self
