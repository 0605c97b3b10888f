"""Intake, projection, inspectors' pages and citizens' pages, each in a process of its own."""

import threading
from collections.abc import Iterator

import httpx
import pytest
import yaml

from central_server.domain.permissions import Role
from central_server.services import accounts
from tests.faults.judge import judge, wait_until_delivered
from tests.faults.world import SEED, Server, World
from tests.processes.ports import free_port, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

PASSWORD = "lead's password"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("apart")
    with World(folder / "world", "our Mosquitto", SEED, workers=1, projectors=1) as made:
        yield made


@pytest.fixture(scope="module")
def sites(world: World) -> Iterator[dict[str, str]]:
    """Where the pages answer that stand alone, by name."""
    settings = yaml.safe_load((world.folder / "server.yaml").read_text())
    settings["web"]["public_port"] = free_port()
    config = world.folder / "pages.yaml"
    config.write_text(yaml.safe_dump(settings))
    web = settings["web"]
    found = {name: f"http://127.0.0.1:{web[port]}" for name, port in PORTS.items()}
    running = [
        Server(["serve", "--only", name], config, world.clock, world.folder / f"{name}.log")
        for name in PORTS
    ]
    for server in running:
        server.start()
    for server in running:
        server.wait_for_output("serving at", 60)
    yield found
    for server in running:
        assert server.stop() == 0


PORTS = {"internal": "port", "public": "public_port"}


def test_each_site_has_its_own_pages_only(sites: dict[str, str]) -> None:
    status = {
        (name, path): httpx.get(url + path).status_code
        for name, url in sites.items()
        for path in ("/login", "/r")
    }
    assert status == {
        ("internal", "/login"): 200,
        ("internal", "/r"): 404,
        ("public", "/login"): 404,
        ("public", "/r"): 200,
    }
    ready = httpx.get(f"{sites['internal']}/readyz").json()
    assert (ready["status"], ready["broker"]) == ("ok", None)


def test_an_open_page_follows_what_others_took_in_and_projected(
    world: World, sites: dict[str, str]
) -> None:
    accounts.create_user(
        world.context,
        user_id="lead",
        password=PASSWORD,
        role=Role.LEAD_INSPECTOR,
        unit_id="ward",
    )
    told = threading.Event()
    with httpx.Client(base_url=sites["internal"], timeout=60) as browser:
        login = browser.post("/api/v1/session", json={"user": "lead", "password": PASSWORD})
        login.raise_for_status()

        def follow() -> None:
            with browser.stream("GET", "/flags/stream") as answer:
                for line in answer.iter_lines():
                    if line == "event: flag":
                        return told.set()

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        world.fleet.say(100)
        wait_until(told.is_set, 90, "the page was told of a flag")
        reader.join(10)
    wait_until_delivered(world)
    assert judge(world) > 0


def test_a_second_projector_is_refused_on_sqlite(world: World) -> None:
    other = Server(
        ["project"], world.folder / "server.yaml", world.clock, world.folder / "second.log"
    )
    assert other.start().wait(60) == 2
    assert other.output == (
        "central-server: another process projects; several can on PostgreSQL only\n"
    )
