"""`make demo`: server, embedded broker, an edge agent and 30 days of history on this machine.

PORT changes the port; SOURCE, ZONES and EMPTY show one real desk in place of the drawn ones. Begins
afresh each time, in a folder of its own that goes with it. Ctrl-C or SIGTERM ends every program.
"""

import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from scripts.children import Child, ChildDiedError, Children
from scripts.demo_plan import CLUSTER, DESKS, Prepared, server_environment
from scripts.demo_request import Request, WrongRequestError, read_request

WRONG_INPUT = 2
START_LIMIT_S = 60.0
POLL_S = 0.1
RING_MB = 300  # some ten minutes of each desk, and no more of somebody's disk
HISTORY = ("--days", "30", "--desks", "6", "--dishonest", "1", "--under", CLUSTER, "--live")
_PIN = re.compile(r"set-up PIN (\d+)")


class Stopped(BaseException):
    """Raised by the first SIGINT, SIGTERM or SIGHUP, wherever the demo is."""


def main() -> int:
    """Run until stopped; the exit code."""
    try:
        request = read_request(os.environ)
        _end_on_signals()
        with tempfile.TemporaryDirectory(prefix="onestop-demo-") as folder:
            _run(request, Path(folder))
    except WrongRequestError as error:
        return _fail(str(error), WRONG_INPUT)
    except ChildDiedError as error:
        return _fail(f"{error}\nAll the rest was ended.", 1)
    except Stopped:
        _say("\nThe demo has ended.")
    return 0


def _run(request: Request, folder: Path) -> None:
    server = f"http://127.0.0.1:{request.port}"
    environment = server_environment(request, folder)
    with Children(folder) as children:
        children.start("server", _program("central_server", "serve"), environment)
        # Imported only now: it takes seconds, in which the server is starting already.
        from scripts.demo_server import prepare

        _wait_for_page(children, f"{server}/readyz")
        prepared = prepare(environment)
        settings = _write_agent_settings(request, folder)
        _enrol(children, settings, server, prepared.pairing_code)
        agent = children.start("agent", _program("edge_agent", "run", "--config", settings), {})
        pin = _wait_for_pin(children, agent)
        _tell(request, prepared, pin)
        if request.desk is None:
            arguments = _program("central_server", "simulate", *HISTORY)
            children.start("simulate", arguments, environment, on_terminal=True)
        while True:
            children.watch(START_LIMIT_S)


def _program(package: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", package, *arguments]


def _wait_for_page(children: Children, url: str) -> None:
    for _ in range(round(START_LIMIT_S / POLL_S)):
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - our own loopback address
                return
        except (URLError, ConnectionError, TimeoutError):
            children.watch(POLL_S)
    raise ChildDiedError(f"the server does not answer at {url}")


def _enrol(children: Children, settings: str, server: str, code: str) -> None:
    arguments = ("enrol", "--config", settings, "--server", server, "--code", code)
    enrolling = children.start("enrol", _program("edge_agent", *arguments), {}, may_end=True)
    while enrolling.process.poll() is None:
        children.watch(POLL_S)
    children.check()


def _wait_for_pin(children: Children, agent: Child) -> str:
    for _ in range(round(START_LIMIT_S / POLL_S)):
        found = _PIN.search(agent.output)
        if found is not None:
            return found[1]
        children.watch(POLL_S)
    raise ChildDiedError(f"the agent does not start: see {agent.log}")


def _write_agent_settings(request: Request, folder: Path) -> str:
    """The agent's settings: the drawn rooms, or the one real desk."""
    if request.desk is None:
        cameras: list[dict[str, object]] = [
            {"name": f"camera-{seed}", "source": f"scene:{seed}", "desks": [{"desk": desk}]}
            for seed, desk in enumerate(DESKS, 1)
        ]
    else:
        view = {"desk": DESKS[0], "zones_file": str(request.desk.zones_file)}
        cameras = [{"name": "camera-1", "source": request.desk.source, "desks": [view]}]
        if request.desk.empty is not None:
            cameras[0]["empty"] = request.desk.empty
    path = folder / "agent.yaml"
    settings = {
        "directory": "agent",
        "cameras": cameras,
        "http": {"port": request.kiosk_port},
        "evidence": {"max_mb": RING_MB},
    }
    path.write_text(yaml.safe_dump(settings))
    return str(path)


def _tell(request: Request, prepared: Prepared, pin: str) -> None:
    server, agent = f"http://127.0.0.1:{request.port}", f"http://127.0.0.1:{request.kiosk_port}"
    desk = DESKS[0]
    _say(f"\n  Inspectors, chiefs, administrators   {server}/")
    _say(f"  Citizen's phone                      {server}/r/{desk}")
    _say(f"  Citizen at home                      {server}/r")
    _say(f"  Citizen's receipt                    {server}/receipt")
    _say(f"  Kiosk at the desk                    {agent}/kiosk/{desk}")
    _say(f"  Screen at the desk                   {agent}/screen/{desk}")
    _say(f"  Installer's wizard                   {agent}/setup   PIN {pin}\n")
    for login in prepared.logins:
        _say(f"  log-in {login.name:<10} password {login.password:<14} {login.role}")
    _say("\nCtrl-C ends everything.\n")


def _end_on_signals() -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # ending goes on undisturbed
        raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"make demo: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
