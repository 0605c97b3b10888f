"""A real server with its broker, and real agents paired with it: what the end-to-end tests run."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import yaml
from playwright.sync_api import Page, expect

from central_server.broker_settings import BrokerSettings
from central_server.domain.permissions import Role
from central_server.main import build
from central_server.services import accounts, broker_accounts, enrolment, registry
from central_server.settings import EvidenceSettings, ServerSettings, WebSettings
from central_server.storage import schema
from tests.processes.edge_agent import DESK, DEVICE, REPOSITORY, EdgeAgent
from tests.processes.mosquitto import Mosquitto
from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.program import Program

UNIT = "ward-a"
PASSWORD = "lead's password"
BROKERS = ("embedded", "mosquitto")


class Province(Program):
    """The server, the broker that `kind` names, one unit with one desk, a log-in `lead`."""

    def __init__(self, folder: Path, kind: str, rules: Mapping[str, Any] | None = None) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mosquitto = None if kind == "embedded" else _make_mosquitto(folder / "mosquitto")
        self.broker_port = free_port() if self.mosquitto is None else self.mosquitto.port
        self.settings = self._make_settings(rules)
        config = folder / "server.yaml"
        config.write_text(yaml.safe_dump(self.settings.model_dump(mode="json", exclude_none=True)))
        self._command = [sys.executable, "-m", "central_server"]
        self._config = ["--config", str(config)]
        self._register()
        super().__init__(
            [*self._command, "serve", *self._config], folder / "server.log", cwd=REPOSITORY
        )

    def start(self) -> Self:
        """Start (again) and return once pages and broker are there."""
        if self.mosquitto is not None and not self.mosquitto.is_running:
            self.start_mosquitto()
        super().start()
        wait_until(lambda: self._is_ready() or not self.is_running, 60, "the server is ready")
        assert self.is_running, self.output[-4000:]
        return self

    def stop(self, timeout_s: float = 20) -> int:
        """The server first, then its broker."""
        code = super().stop(timeout_s)
        if self.mosquitto is not None:
            self.mosquitto.stop()
        return code

    def start_mosquitto(self) -> None:
        """Start it with the accounts as the server knows them now."""
        assert self.mosquitto is not None
        passwords = self.settings.directory / "broker" / "passwords"
        (self.folder / "mosquitto" / "passwords").write_bytes(passwords.read_bytes())
        self.mosquitto.start()

    def kill_broker(self) -> None:
        """SIGKILL to the broker; the embedded one is the server's to start again."""
        if self.mosquitto is not None:
            self.mosquitto.kill()
            self.start_mosquitto()
            return
        self.embedded_broker().kill()
        wait_until(lambda: is_listening(self.broker_port), 30, "the broker is back")

    def embedded_broker(self) -> psutil.Process:
        """The server's child."""
        (broker,) = [
            child
            for child in psutil.Process(self.pid).children()
            if "central_server.mqtt.broker_process" in child.cmdline()
        ]
        return broker

    def enrol(self, agent: "DeskAgent", broker_port: int | None = None) -> None:
        """Pair the agent; `broker_port`: of a cable plugged in before the broker."""
        context = build(self.settings)
        code = enrolment.make_code(context, DEVICE)
        context.database.close()
        agent.enrol(self.url, code, broker_port)
        if self.mosquitto is not None:
            self.mosquitto.stop()
            self.start_mosquitto()

    def run(self, command: str) -> None:
        """One of the server's other commands."""
        subprocess.run(
            [*self._command, command, *self._config], check=True, timeout=60, cwd=REPOSITORY
        )

    @contextmanager
    def log_in(self) -> Iterator[httpx.Client]:
        """The lead inspector at the API."""
        with httpx.Client(base_url=self.url, timeout=20) as client:
            answer = client.post("/api/v1/session", json={"user": "lead", "password": PASSWORD})
            assert answer.status_code == 201, answer.text
            yield client

    def list_items(self, what: str, **query: str) -> list[dict[str, Any]]:
        """Everything that the lead inspector sees at `/api/v1/<what>`."""
        with self.log_in() as client:
            answer = client.get(f"/api/v1/{what}", params={**query, "limit": 200})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def complain_by_phone(self) -> str:
        """Press the worst face, then say why; the receipt's code."""
        with httpx.Client(base_url=self.url, follow_redirects=True, timeout=20) as phone:
            faces = phone.get(f"/r/{DESK}").text
            thanks = phone.post(f"/r/{DESK}", data={"form": _form_of(faces), "rating": "1"}).text
            more = {"form": _form_of(thanks), "reason": "asked_for_money"}
            answer = phone.post("/r", data=more)
        assert answer.status_code == 200, answer.text
        code = re.search(r'<output id="code">([^<]+)<', answer.text)
        assert code is not None, answer.text
        return code[1]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Straight from the server's SQLite file."""
        file = self.settings.directory / "server.sqlite"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchall()

    def _make_settings(self, rules: Mapping[str, Any] | None) -> ServerSettings:
        rules_file = REPOSITORY / "configs" / "flag_rules.yaml"
        if rules is not None:
            rules_file = self.folder / "rules.yaml"
            rules_file.write_text(yaml.safe_dump(dict(rules)))
        return ServerSettings(
            directory=self.folder / "server",
            rules_file=rules_file,
            web=WebSettings(port=self.port, public_url=self.url, internal_url=self.url),
            evidence=EvidenceSettings(reserve_mb=0),
            broker=BrokerSettings(port=self.broker_port, embedded=self.mosquitto is None),
        )

    def _register(self) -> None:
        context = build(self.settings)
        schema.migrate(context.database)
        units = self.folder / "units.yaml"
        units.write_text(
            yaml.safe_dump(
                {
                    "units": [{"id": UNIT, "name": "Công an phường A", "kind": "commune"}],
                    "devices": [{"id": DEVICE, "unit": UNIT}],
                    "desks": [{"id": DESK, "unit": UNIT, "name": "Quầy 1", "device": DEVICE}],
                }
            )
        )
        registry.load_units(context, units)
        broker_accounts.write_password_file(context)
        accounts.create_user(
            context, user_id="lead", password=PASSWORD, role=Role.LEAD_INSPECTOR, unit_id=UNIT
        )
        context.database.close()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


def _form_of(page: str) -> str:
    # In the main part: the switches above it carry the form on, too.
    found = re.search(r'name="form" value="([^"]+)"', page.partition("<main>")[2])
    assert found is not None, page
    return found[1]


def open_as_lead(page: Page, province: Province) -> None:
    """Logs in; the page with the flags."""
    page.goto(f"{province.url}/login?lang=en")
    page.get_by_role("textbox").first.fill("lead")
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("input[type=password]").press("Enter")
    page.wait_for_url("**/flags*")
    expect(page.locator("main")).to_contain_text("Flags")


def _make_mosquitto(folder: Path) -> Mosquitto:
    acl = REPOSITORY / "configs" / "mosquitto" / "acl.conf"
    return Mosquitto(folder, {}, settings=f"acl_file {acl}\nmax_inflight_messages 4000")


class DeskAgent(EdgeAgent):
    """The agent of the province's one desk; `camera` as in the settings file, but for the desk."""

    def __init__(self, folder: Path, camera: Mapping[str, Any] | None) -> None:
        cameras = []
        if camera is not None:
            settings = dict(camera)
            view = {"desk": DESK}
            if "zones" in settings:
                view["zones"] = settings.pop("zones")
            cameras = [{"name": "camera", "desks": [view], **settings}]
        super().__init__(folder, None, cameras)

    def enrol(self, server: str, code: str, broker_port: int | None = None) -> None:
        """Pair with the server by its one-time code."""
        command = [sys.executable, "-m", "edge_agent", "enrol", "--config", str(self.settings)]
        command += ["--server", server, "--code", code]
        subprocess.run(command, check=True, timeout=60, cwd=REPOSITORY)
        if broker_port is not None:
            file = self.directory / "enrolment.json"
            stored = json.loads(file.read_text())
            stored["broker"]["port"] = broker_port
            file.write_text(json.dumps(stored))

    def events(self) -> list[tuple[int, str]]:
        """Number and id of every event in the outbox."""
        file = self.directory / "outbox.sqlite"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT sequence, id FROM events ORDER BY 1").fetchall()

    def tap(self, rating: int) -> None:
        """Press a face at the kiosk; returns once the agent has thanked for it."""
        with httpx.Client(base_url=self.url, timeout=20, follow_redirects=True) as tablet:
            page = tablet.get(f"/kiosk/{DESK}").text
            form = page.partition('name="form" value="')[2].partition('"')[0]
            answer = tablet.post(f"/kiosk/{DESK}", data={"form": form, "rating": str(rating)})
        assert answer.status_code == 200, answer.text
        assert "/thanks" in str(answer.url)
