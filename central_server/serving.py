"""Joins the parts of the running server: broker, intake, timers, pages; and ends them in order."""

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
from central_server.mqtt.ingest_service import IngestService, tune_collector
from central_server.mqtt.mosquitto_accounts import MosquittoAccounts
from central_server.services import (
    anchors,
    broker_accounts,
    notifications,
    projector,
    retention,
    rule_sets,
    tick,
)
from central_server.services.background import Repeating
from central_server.services.context import ServerContext
from central_server.services.evidence_commands import EvidenceCommands
from central_server.settings import WebSettings

TICK_EVERY_S = 5.0
NOTIFY_EVERY_S = 2.0
ANCHOR_EVERY_S = 60.0  # looks whether a new day has begun; apart from tick, for it may send mail
ACCOUNTS_EVERY_S = 2.0  # who was revoked is cut off by then, who was paired let in
RETENTION_EVERY_S = 3600.0
EVIDENCE_EVERY_S = 0.5  # an inspector waits, and a box for its keys
# Pages that follow live never end by themselves.
GRACE_S = 3


class PortTakenError(RuntimeError):
    """Somebody else listens there; the message names the setting."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets taken before anything is started, so that a port in use is said at once."""

    internal: socket.socket
    public: socket.socket | None  # None: one address for both


def listen(context: ServerContext) -> Listeners:
    """Takes the configured addresses; raises `PortTakenError`, `WrongFileError`."""
    web = context.settings.web
    _check_certificate(web)
    internal = _listen("web.port", web.host, web.port)
    if web.public_port is None:
        return Listeners(internal, None)
    return Listeners(internal, _listen("web.public_port", web.public_host, web.public_port))


@contextmanager
def taking_in(context: ServerContext, worker: str | None = None) -> Iterator[IngestService]:
    """The intake, running; `worker` names an extra process beside the main one."""
    service = IngestService(
        context, lambda streams: projector.project_devices(context, streams), worker=worker
    )
    tune_collector()
    service.start()
    try:
        yield service
    finally:
        service.stop()


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
        if context.settings.broker.dynamic_security:
            running.enter_context(_accounts_kept(context))
        intake = running.enter_context(taking_in(context))
        pictures = EvidenceCommands(context, intake.command, lambda: intake.is_linked)
        for name, every_s, job in (
            ("tick", TICK_EVERY_S, lambda: tick.tick(context, _hears_since(context, intake))),
            ("notify", NOTIFY_EVERY_S, lambda: notifications.run_due(context)),
            ("retention", RETENTION_EVERY_S, lambda: retention.run_due(context)),
            ("anchor", ANCHOR_EVERY_S, lambda: anchors.anchor_daily(context)),
            ("evidence", EVIDENCE_EVERY_S, pictures.run),
        ):
            running.callback(Repeating(name, every_s, job).start().stop)
        internal = make_internal_app(context, lambda: intake.is_linked)
        sites = _sites(listeners, internal, public, context.settings.web)
        asyncio.run(_serve_pages(sites, announce))


def wait_for_signal() -> None:
    """Returns on SIGTERM or SIGINT, for processes without pages."""

    async def wait() -> None:
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await ended.wait()

    asyncio.run(wait())


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
def _accounts_kept(context: ServerContext) -> Iterator[None]:
    """The broker's accounts follow the registry."""
    accounts = MosquittoAccounts(context, make_broker_context(context))
    accounts.start()
    rounds = Repeating("accounts", ACCOUNTS_EVERY_S, accounts.run).start()
    try:
        yield
    finally:
        rounds.stop()
        accounts.stop()


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
        """Signals are `_serve_pages`' business."""
        yield


def _sites(
    listeners: Listeners, internal: ASGIApp, public: ASGIApp, web: WebSettings
) -> list[tuple[_Pages, socket.socket]]:
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


async def _serve_pages(
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
