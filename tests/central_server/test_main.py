"""The commands as people run them: a server from nothing to a clean end, and clear refusals."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from event_protocol.enrolment import ENROLMENT_PATH
from tests.processes.ports import free_port, wait_until
from tests.processes.program import Program

pytestmark = pytest.mark.processes

START_LIMIT_S = 60


class Commands:
    """`central-server` in a folder of its own."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.repository, self.folder = repository, folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if "ONESTOP" not in name},
            "ONESTOP_DIRECTORY": str(folder / "server"),
            "ONESTOP_BROKER__EMBEDDED": "true",
            "ONESTOP_BROKER__PORT": str(free_port()),
            "ONESTOP_WEB__PORT": "0",
        }

    def line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "central_server", *arguments]

    def run(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.line(*arguments),
            cwd=self.repository,
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=START_LIMIT_S,
            check=False,
        )

    def program(self, *arguments: str, log: str = "serve.log") -> Program:
        return Program(
            self.line(*arguments), self.folder / log, self.environment, cwd=self.repository
        )


@pytest.fixture(scope="module")
def commands(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(repository, tmp_path_factory.mktemp("commands"))


@pytest.fixture(scope="module")
def server(commands: Commands) -> Iterator[Program]:
    with commands.program("serve") as running:
        running.wait_for_output("serving at", START_LIMIT_S)
        yield running
        assert running.stop() == 0


def address(server: Program) -> str:
    found = re.search(r"serving at (\S+)", server.output)
    assert found is not None
    return found[1]


def test_from_nothing_to_a_paired_device(commands: Commands, server: Program) -> None:
    at = address(server)
    wait_until(lambda: httpx.get(f"{at}/readyz").json()["broker"], 15, "it takes in")
    assert httpx.get(f"{at}/login").status_code == 200
    citizens = httpx.get(f"{at}/r")
    assert citizens.status_code == 200
    assert "set-cookie" not in citizens.headers
    loaded = commands.run("load-units", "configs/units.example.yaml")
    assert loaded.stdout == "8 units, devices and desks are new or changed\n", loaded.stderr
    created = commands.run(
        *("create-user", "inspector", "--role", "inspector", "--unit", "province"),
        typed="a long enough password\n",
    )
    assert created.stdout == "user inspector created\n", created.stderr
    code = commands.run("pair", "box-ward-a").stdout.strip()
    body = {"code": code, "public_key": "cd" * 32, "agent_version": "1"}
    paired = httpx.post(at + ENROLMENT_PATH, json=body).json()
    assert [desk["desk"] for desk in paired["configuration"]["desks"]] == ["ward-a-1", "ward-a-2"]
    assert httpx.post(at + ENROLMENT_PATH, json=body).status_code == 422


def test_a_port_in_use_is_named(commands: Commands, server: Program) -> None:
    taken = address(server).rpartition(":")[2]
    other = Commands(commands.repository, commands.folder)
    other.environment["ONESTOP_WEB__PORT"] = taken
    refused = other.run("serve")
    assert refused.returncode == 2
    assert f"web.port: can't listen on 127.0.0.1:{taken}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_people_get_wrong_is_said_in_a_sentence(commands: Commands, server: Program) -> None:
    unknown = commands.run("pair", "box-nowhere")
    assert unknown.returncode == 2
    assert "box-nowhere" in unknown.stderr
    twice = commands.run("create-user", "x", "--role", "auditor", "--unit", "nowhere", "--generate")
    assert twice.returncode == 2
    assert "nowhere" in twice.stderr
    assert "Traceback" not in unknown.stderr + twice.stderr
    for answer in ("user y created\n", ""):
        made = commands.run(
            *("create-user", "y", "--role", "auditor", "--unit", "province"), typed="0123456789\n"
        )
        assert made.stdout == answer, made.stderr
    assert made.stderr == "central-server: There is a user y already.\n"


def test_a_folder_that_can_not_be_used_is_named(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "server").write_text("a file")
    refused = Commands(repository, tmp_path).run("migrate")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"central-server: {tmp_path / 'server'}: File exists\n"


def test_verify_log_and_rebuild(commands: Commands, server: Program) -> None:
    rebuilt = commands.run("rebuild")
    assert rebuilt.stdout == "derived again\n", rebuilt.stderr
    assert commands.run("verify-log").stdout == "the logs are what was written\n"
    with sqlite3.connect(commands.folder / "server" / "server.sqlite") as database:
        [(before,)] = database.execute("SELECT type FROM server_log WHERE sequence = 1")
        database.execute("UPDATE server_log SET type = 'viewed' WHERE sequence = 1")
    tampered = commands.run("verify-log")
    database.execute("UPDATE server_log SET type = ? WHERE sequence = 1", (before,))
    database.commit()
    database.close()
    assert tampered.returncode == 1
    assert "server #1: the record says other than its bytes\n" in tampered.stdout


def test_an_export_is_verified_by_a_program_of_its_own(
    commands: Commands, server: Program, tmp_path: Path
) -> None:
    head, file = commands.run("anchor"), tmp_path / "log.jsonl"
    (tmp_path / "head.json").write_text(head.stdout)
    exported = commands.run("export-log", str(file))
    assert exported.returncode == 0, exported.stderr
    assert file.stat().st_mode & 0o077 == 0
    verified = subprocess.run(
        [sys.executable, "-m", "event_protocol.verify_export", file, "--head", "head.json"],
        cwd=tmp_path,
        env={**commands.environment, "PYTHONPATH": str(commands.repository)},
        capture_output=True,
        text=True,
        timeout=START_LIMIT_S,
        check=False,
    )
    assert verified.stdout == "the log is what was written\n", verified.stderr
    assert commands.run("export-log", "-").stdout.count("\n") > file.read_text().count("\n")
    refused = commands.run("export-log", str(tmp_path / "nowhere" / "file"))
    assert refused.returncode == 2
    assert "No such file" in refused.stderr


def test_a_running_server_is_backed_up_and_comes_back_elsewhere(
    commands: Commands, server: Program, tmp_path: Path
) -> None:
    backed_up = commands.run("backup", str(tmp_path / "backups"))
    assert backed_up.returncode == 0, backed_up.stderr
    restored = Commands(commands.repository, tmp_path).run("restore", str(tmp_path / "backups"))
    assert restored.returncode == 0, restored.stderr
    assert restored.stdout.endswith("the logs are what was written\n")


def test_an_extra_worker_ends_cleanly(commands: Commands, server: Program) -> None:
    with commands.program("ingest", log="ingest.log") as worker:
        worker.wait_for_output("linked to broker", START_LIMIT_S)
        assert worker.stop() == 0
    wait_until(lambda: httpx.get(f"{address(server)}/healthz").status_code == 200, 5)


def test_wrong_configuration_names_file_line_and_setting(
    commands: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("web:\n  host: 127.0.0.1\n  prot: 8000\n")
    refused = commands.run("serve", "--config", str(file))
    assert refused.returncode == 2
    assert f"{file}:3: web.prot" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_without_schema_says_what_to_do(repository: Path, tmp_path: Path) -> None:
    refused = Commands(repository, tmp_path).run("verify-log")
    assert refused.returncode == 2
    assert "central-server migrate" in refused.stderr
