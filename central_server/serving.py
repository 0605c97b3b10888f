"""Joins the parts of the running server: broker, intake, timers, pages; and ends them in order.

Pages and notifications take two seconds to import; what does without is in working.py.
"""

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

import uvicorn
from starlette.types import ASGIApp

from central_server.domain.yaml_lines import WrongFileError
from central_server.http.app import make_internal_app
from central_server.http.public_app import OneAddress, make_public_app
from central_server.mqtt.broker import EmbeddedBroker
from central_server.mqtt.broker_tls import make_broker_context
from central_server.mqtt.ingest_service import IngestService
from central_server.mqtt.mosquitto_accounts import MosquittoAccounts
from central_server.services import (
    anchors,
    broker_accounts,
    notifications,
    retention,
    rule_sets,
    tick,
)
from central_server.services.background import Repeating
from central_server.services.context import ServerContext
from central_server.services.evidence_commands import EvidenceCommands
from central_server.settings import WebSettings
from central_server.storage.single import OneOfAll
from central_server.working import taking_in

TICK_EVERY_S = 5.0
NOTIFY_EVERY_S = 2.0
ANCHOR_EVERY_S = 60.0  # looks whether a new day has begun; apart from tick, for it may send mail
ACCOUNTS_EVERY_S = 2.0  # who was revoked is cut off by then, who was paired let in
RETENTION_EVERY_S = 3600.0
EVIDENCE_EVERY_S = 0.5  # an inspector waits, and a box for its keys
# Pages that follow live never end by themselves.
GRACE_S = 3

Job = Callable[[], object]


class PortTakenError(RuntimeError):
    """Somebody else listens there; the message names the setting."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets taken before anything is started, so that a port in use is said at once."""

    internal: socket.socket | None
    public: socket.socket | None  # both `None` never; one address may stand for both


def listen(context: ServerContext, only: str | None = None) -> Listeners:
    """Takes the configured addresses, or only the `internal` or `public` one.

    Raises `PortTakenError`, `WrongFileError`.
    """
    web = context.settings.web
    _check_certificate(web)
    if only == "public" and web.public_port is None:
        raise WrongFileError("web.public_port: must be set where the public pages stand apart")
    internal = public = None
    if only != "public":
        internal = _listen("web.port", web.host, web.port)
    if only != "internal" and web.public_port is not None:
        public = _listen("web.public_port", web.public_host, web.public_port)
    return Listeners(internal, public)


@contextmanager
def watching(
    context: ServerContext, intake: IngestService, *, wanted: bool = True
) -> Iterator[None]:
    """What goes by the clock, in one of all processes that are ready to; the others stand by."""
    with ExitStack() as running:
        if wanted:
            turn = running.enter_context(OneOfAll(context.database, "timers"))
            if context.settings.broker.dynamic_security:
                running.enter_context(_accounts_kept(context, turn))
            for name, every_s, job in _jobs(context, intake):
                running.callback(Repeating(name, every_s, turn.if_ours(job)).start().stop)
        yield


def _jobs(context: ServerContext, intake: IngestService) -> Iterator[tuple[str, float, Job]]:
    pictures = EvidenceCommands(context, intake.command, lambda: intake.is_linked)
    yield "tick", TICK_EVERY_S, lambda: tick.tick(context, _hears_since(context, intake))
    yield "notify", NOTIFY_EVERY_S, lambda: notifications.run_due(context)
    yield "retention", RETENTION_EVERY_S, lambda: retention.run_due(context)
    yield "anchor", ANCHOR_EVERY_S, lambda: anchors.anchor_daily(context)
    yield "evidence", EVIDENCE_EVERY_S, pictures.run


def serve(context: ServerContext, listeners: Listeners, announce: Callable[[str], None]) -> None:
    """Runs everything until SIGTERM or SIGINT; `announce` is told the addresses once they answer.

    Raises `WrongFileError` for wrong rules or surveys and `BrokerFailedError`.
    """
    rule_sets.activate(context)
    public = make_public_app(context)
    with ExitStack() as running:
        broker_accounts.write_password_file(context)
        if context.settings.broker.embedded:
            running.callback(_start_broker(context).stop)
        intake = running.enter_context(taking_in(context))
        running.enter_context(watching(context, intake))
        internal = make_internal_app(context, lambda: intake.is_linked)
        sites = _sites(listeners, internal, public, context.settings.web)
        asyncio.run(_serve_sites(sites, announce))


def serve_pages(
    context: ServerContext, listeners: Listeners, announce: Callable[[str], None]
) -> None:
    """Runs the pages of that one listener and nothing else, until SIGTERM or SIGINT."""
    web = context.settings.web
    if listeners.internal is not None:
        sites = [(_pages(make_internal_app(context), web), listeners.internal)]
    elif listeners.public is not None:
        sites = [(_pages(make_public_app(context), web), listeners.public)]
    asyncio.run(_serve_sites(sites, announce))


def _hears_since(context: ServerContext, intake: IngestService) -> datetime:
    """While the broker is away nobody can be called silent."""
    return intake.linked_since or context.now()


def _start_broker(context: ServerContext) -> EmbeddedBroker:
    settings = context.settings.broker
    path = broker_accounts.password_file(context)
    broker = EmbeddedBroker(settings.host, settings.port, path, settings.username)
    broker.start()
    return broker


@contextmanager
def _accounts_kept(context: ServerContext, turn: OneOfAll) -> Iterator[None]:
    """The broker's accounts follow the registry."""
    kept: list[MosquittoAccounts] = []

    def end() -> None:
        while kept:
            kept.pop().stop()

    def run() -> None:
        # Not before it is our turn: two under one client id would throw each other out.
        if not turn.is_ours():
            return end()
        if not kept:
            kept.append(MosquittoAccounts(context, make_broker_context(context)))
            kept[0].start()
        return kept[0].run()

    rounds = Repeating("accounts", ACCOUNTS_EVERY_S, run).start()
    try:
        yield
    finally:
        rounds.stop()
        end()


def _check_certificate(web: WebSettings) -> None:
    """uvicorn would say the same in a page of traceback."""
    if web.certificate_file is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            web.certificate_file, web.key_file
        )
    except OSError as error:
        raise WrongFileError(f"web.certificate_file, web.key_file: {error}") from error


def _listen(setting: str, host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise PortTakenError(
            f"{setting}: can't listen on {host}:{port}: {error.strerror}"
        ) from error


class _Pages(uvicorn.Server):
    """uvicorn raises the signal again once it has ended; the parts around it must end first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are `_serve_sites`' business."""
        yield


def _sites(
    listeners: Listeners, internal: ASGIApp, public: ASGIApp, web: WebSettings
) -> list[tuple[_Pages, socket.socket]]:
    if listeners.internal is None:
        return []
    if listeners.public is None:
        return [(_pages(OneAddress(public, internal), web), listeners.internal)]
    return [(_pages(internal, web), listeners.internal), (_pages(public, web), listeners.public)]


def _pages(site: ASGIApp, web: WebSettings) -> _Pages:
    # No access log: it would hold people's addresses.
    return _Pages(
        uvicorn.Config(
            site,
            access_log=False,
            log_config=None,
            server_header=False,
            ssl_certfile=web.certificate_file,
            ssl_keyfile=web.key_file,
            timeout_graceful_shutdown=GRACE_S,
        )
    )


async def _serve_sites(
    sites: Sequence[tuple[_Pages, socket.socket]], announce: Callable[[str], None]
) -> None:
    def end() -> None:
        for pages, _ in sites:
            pages.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    runs = [asyncio.create_task(pages.serve(sockets=[taken])) for pages, taken in sites]
    while not all(pages.started for pages, _ in sites) and not any(run.done() for run in runs):
        await asyncio.sleep(0.02)
    for pages, taken in sites:
        host, port = taken.getsockname()[:2]
        announce(f"{'https' if pages.config.is_ssl else 'http'}://{host}:{port}")
    await asyncio.gather(*runs)
