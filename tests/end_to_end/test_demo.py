"""`make demo` as people run it: pages and log-ins come, and one signal ends everything."""

import re
import socket
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.processes.edge_agent import REPOSITORY
from tests.processes.ports import free_port, is_listening
from tests.processes.program import Program

DEMO = [sys.executable, "-m", "scripts.demo"]

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


def make_demo(folder: Path, port: int) -> Program:
    environment = {"PORT": str(port), "SOURCE": "", "ZONES": "", "EMPTY": ""}
    return Program(DEMO, folder / "demo.log", environment, cwd=REPOSITORY)


def test_the_demo_shows_itself_and_ends_whole(tmp_path: Path) -> None:
    port = free_port()
    with make_demo(tmp_path, port) as demo:
        demo.wait_for_output("Ctrl-C ends everything", 120)
        logins = dict(re.findall(r"log-in (\S+) +password (\S+)", demo.output))
        assert len(logins) == 7
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as browser:
            for user, password in logins.items():
                credentials = {"user": user, "password": password}
                assert browser.post("/api/v1/session", json=credentials).status_code == 201
        addresses = re.findall(r"http://\S+", demo.output)
        assert len(addresses) == 7
        for address in addresses:
            assert httpx.get(address, follow_redirects=True, timeout=30).status_code == 200
        started = psutil.Process(demo.pid).children(recursive=True)
        assert {"serve", "run", "simulate"} <= {word for p in started for word in p.cmdline()}
        assert demo.stop(60) == 0
    gone, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []
    assert len(gone) >= 4
    assert not is_listening(port)


def test_a_port_in_use_ends_with_a_clear_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with make_demo(tmp_path, port) as demo:
            assert demo.wait(60) == 2
        assert f"port {port} is in use" in demo.output
