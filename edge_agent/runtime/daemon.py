"""Runs an agent with its pages until it is told to stop."""

import secrets
import signal
import threading
from collections.abc import Callable
from datetime import datetime
from types import FrameType

import cv2

from edge_agent.delivery.identity import IdentityError
from edge_agent.http.app import make_app
from edge_agent.runtime.agent import Agent, AgentError
from edge_agent.runtime.heap import settle_heap
from edge_agent.runtime.installation import AgentInstallation
from edge_agent.runtime.setup_pin import make_pin, make_pin_if_missing
from edge_agent.runtime.web_server import PortError, WebServer, open_port
from edge_agent.settings import EdgeSettings, SettingsError


def run_agent(
    settings: EdgeSettings,
    version: str,
    now: Callable[[], datetime],
    say: Callable[[str], None],
    *,
    renew_pin: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT; raises `AgentError` if it can't start.

    `say` is the installer's console: addresses, and the PIN when it is new.
    """
    cv2.setNumThreads(
        1
    )  # cameras have a thread each; small pictures cost more when they are shared
    settle_heap()
    stopping = _stop_on_signal()  # first, so that a stop during the start is a clean one too
    try:
        listening = open_port(settings.http.host, settings.http.port)
    except PortError as error:
        raise AgentError(str(error)) from error
    with listening:
        try:
            agent = Agent(settings, version, now)
        except IdentityError as error:
            raise AgentError(str(error)) from error
        pin = make_pin(agent.folder) if renew_pin else make_pin_if_missing(agent.folder)
        app = make_app(agent.feedback, AgentInstallation(agent), secrets.token_bytes(32), now)
        pages = WebServer(app, listening)
        try:
            agent.start()
        except (AgentError, IdentityError, SettingsError) as error:
            agent.stop()
            raise AgentError(str(error)) from error
        pages.start()
        say(f"edge-agent: pages at {pages.url}/ - set-up at {pages.url}/setup")
        if pin is not None:
            say(f"edge-agent: set-up PIN {pin} (shown only now; `edge-agent setup` makes another)")
        try:
            agent.run(stopping)
        finally:
            pages.stop()


def _stop_on_signal() -> threading.Event:
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopping
