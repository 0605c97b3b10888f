"""A province with TLS everywhere, from its first command to a revoked box; no secret is shown.

Real server, real Mosquitto by configs/mosquitto/, real agent; nobody copies a file after pairing.
"""

import base64
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import yaml

from event_protocol.enrolment import ENROLMENT_PATH
from tests.processes.edge_agent import REPOSITORY, EdgeAgent
from tests.processes.ports import free_port, wait_until
from tests.processes.program import Program
from tests.processes.secured_mosquitto import SecuredMosquitto

pytestmark = pytest.mark.processes

UNITS = """
units: [{id: ward, name: Phường, kind: commune}]
devices: [{id: box, unit: ward}]
desks: [{id: desk-1, unit: ward, name: Quầy 1, device: box}]
"""
ONE_MINUTE_S = 60
CODE = re.compile(r"[A-Z2-7]{4}(?:-[A-Z2-7]{4}){8}")


@dataclass
class World:
    """The programs of one province, and all that any of them has said."""

    folder: Path
    broker: SecuredMosquitto
    server: Program
    agent: EdgeAgent
    url: str
    code: str
    shown: list[str] = field(default_factory=list)  # answers to bad requests, output of commands

    def command(self, *arguments: str) -> str:
        done = run_server_command(self.folder, *arguments)
        self.shown.append(done)
        return done

    @property
    def programs(self) -> tuple[Program, ...]:
        return self.server, self.broker, self.agent


def run_server_command(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "central_server", *arguments, "--config", "server.yaml"]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def write_settings(folder: Path, broker_port: int) -> int:
    port = free_port()
    settings = {
        "directory": "server",
        "rules_file": str(REPOSITORY / "configs" / "flag_rules.yaml"),
        "surveys_directory": str(REPOSITORY / "configs" / "surveys"),
        "web": {
            "host": "127.0.0.1",
            "port": port,
            "certificate_file": "pages/host.crt",
            "key_file": "pages/host.key",
            "public_url": f"https://127.0.0.1:{port}",
            "internal_url": f"https://127.0.0.1:{port}",
        },
        "broker": {"port": broker_port, "tls": True, "dynamic_security": True},
    }
    (folder / "server.yaml").write_text(yaml.safe_dump(settings))
    (folder / "units.yaml").write_text(UNITS)
    return port


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("province")
    broker = SecuredMosquitto(folder / "broker")
    port = write_settings(folder, broker.port)
    run_server_command(folder, "migrate")
    run_server_command(folder, "load-units", "units.yaml")
    run_server_command(folder, "certify", "127.0.0.1", "--into", "pages")
    run_server_command(folder, "prepare-broker", "127.0.0.1", "--into", "broker")
    serve = [sys.executable, "-m", "central_server", "serve", "--config", "server.yaml"]
    server = Program(serve, folder / "server.log", environment(), cwd=folder)
    with broker, server:
        server.wait_for_output("serving at https://", 60)
        match = CODE.search(run_server_command(folder, "pair", "box"))
        assert match is not None
        agent = EdgeAgent(folder / "agent", None)
        url = f"https://127.0.0.1:{port}"
        made = World(folder, broker, server, agent, url, match[0])
        made.shown.append(enrol(agent, url, match[0]))
        with agent:
            agent.wait_for_output("broker_connected", 60)
            yield made


def enrol(agent: EdgeAgent, url: str, code: str) -> str:
    """By a pipe: what stands on a command line, every process of the machine may read."""
    command = [sys.executable, "-m", "edge_agent", "enrol", "--server", url, "--config"]
    done = subprocess.run(
        [*command, agent.settings], input=code, cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def secrets_of(world: World) -> dict[str, bytes]:
    """All that must stay where it is, in each form in which it might be shown."""
    server, edge = world.folder / "server", world.agent.directory
    keys = json.loads((server / "keys.json").read_text())
    enrolment = json.loads((edge / "enrolment.json").read_text())
    device_key = (edge / "device.key").read_bytes()
    found = {
        "pairing code": world.code[:19],
        "pairing code without dashes": world.code[:19].replace("-", ""),
        "broker password": enrolment["broker"]["password"],
        "desk's key": enrolment["configuration"]["desks"][0]["token_key"],
        "server's signing key": keys["signing"],
        "server's sealing key": keys["sealing"][-1],
        "server's pepper": keys["pepper"],
        "device's key": device_key.hex(),
        "device's key in base64": base64.b64encode(device_key).decode(),
        **{
            f"{file.name}'s private key": "".join(file.read_text().splitlines()[1:3])
            for file in (
                server / "authority.pem",
                edge / "tls.pem",
                world.broker.folder / "host.key",
            )
        },
    }
    return {name: secret.encode() for name, secret in found.items()}


def processes_of(world: World) -> Iterator[tuple[str, bytes]]:
    for program in world.programs:
        for what in ("cmdline", "environ"):
            yield f"{what} of {program.log.stem}", Path(f"/proc/{program.pid}/{what}").read_bytes()


def provoke(world: World) -> None:
    """Bad requests of many kinds, with secrets in them: an answer must not say them back."""
    used = {"code": world.code, "public_key": "ab" * 32, "agent_version": "1"}
    with httpx.Client(base_url=world.url, verify=False, timeout=30) as client:  # noqa: S501 - loopback
        for body in (json.dumps(used), json.dumps({**used, "public_key": 7}), "{" + world.code):
            answer = client.post(ENROLMENT_PATH, content=body)
            assert answer.status_code == 422
            world.shown.append(answer.text)
        for path in ("/nothing", "/flags/x", "/api/v1/authority", "/api/v1/certificates", "/login"):
            world.shown.append(client.get(path).text)
    world.shown.append(httpx.get(f"{world.agent.url}/nothing").text)


def test_no_secret_is_shown_anywhere(world: World) -> None:
    provoke(world)
    places = {program.log.name: program.log.read_bytes() for program in world.programs}
    places |= {f"answer {n}": text.encode() for n, text in enumerate(world.shown)}
    places |= dict(processes_of(world))
    places["database"] = b"".join(
        path.read_bytes() for path in (world.folder / "server").glob("server.sqlite*")
    )
    assert all(places[program.log.name] for program in world.programs)
    for name, secret in secrets_of(world).items():
        in_database = {"database"} if name == "desk's key" else set()  # it signs the desk's codes
        assert {place for place, text in places.items() if secret in text} <= in_database, name


def tls_of(world: World, newest: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks nothing newer, and everything older that its library still can."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # versions are asked about, no more
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is the point
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, newest
    tls.load_cert_chain(world.agent.directory / "tls.pem")
    return tls


@pytest.mark.parametrize("place", ["pages", "broker"])
def test_nobody_speaks_old_tls_or_weak_ciphers(world: World, place: str) -> None:
    port = int(world.url.rpartition(":")[2]) if place == "pages" else world.broker.port
    newest = ssl.TLSVersion.TLSv1_3
    for version in (ssl.TLSVersion.TLSv1_2, newest):
        with (
            socket.create_connection(("127.0.0.1", port), 10) as line,
            tls_of(world, version).wrap_socket(line) as spoken,
        ):
            name, said, bits = spoken.cipher() or ("", "", 0)
        assert said == version.name.replace("_", ".")
        assert "GCM" in name or "CHACHA20" in name
        assert version is newest or name.startswith("ECDHE")
        assert bits >= 128
    with (
        socket.create_connection(("127.0.0.1", port), 10) as line,
        pytest.raises(ssl.SSLError, match=r"(?i)alert.protocol.version|EOF occurred"),
    ):
        tls_of(world, ssl.TLSVersion.TLSv1_1).wrap_socket(line)
    with (
        socket.create_connection(("127.0.0.1", port), 10) as line,
        contextlib.suppress(ConnectionResetError),  # an answer, too
    ):
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in line.recv(1000), "nothing is said in the clear"


def test_a_revoked_box_is_out_within_a_minute(world: World) -> None:
    began = time.monotonic()
    said = world.command(
        "revoke",
        "box",
        "--reason",
        "stolen",
        "--lost-since",
        "2026-01-01T00:00",
        "--replacement",
        "box-2",
    )
    wait_until(lambda: "broker_lost" in world.agent.output, ONE_MINUTE_S, "the box is cut off")
    assert time.monotonic() - began < ONE_MINUTE_S
    wait_until(lambda: "broker_refused" in world.agent.output, ONE_MINUTE_S, "it is refused")
    assert "doubtful: epoch" in said
    code = CODE.search(said)
    assert code is not None
    successor = EdgeAgent(world.folder / "agent-2", None)
    enrol(successor, world.url, code[0])
    with successor:
        successor.wait_for_output("broker_connected", 60)
        enrolment = json.loads((successor.directory / "enrolment.json").read_text())
        assert [desk["desk"] for desk in enrolment["configuration"]["desks"]] == ["desk-1"]
