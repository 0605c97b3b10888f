"""The embedded broker's own process: amqtt, until standard input closes (the parent is gone)."""

import asyncio
import logging
import os
import resource
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.errors import AMQTTError, BrokerError
from amqtt.session import Session

from central_server.mqtt.broker import LISTENING
from central_server.mqtt.broker_rules import AccountFile, is_let_in
from central_server.services.logs import write_json_logs
from event_protocol.messages import MAX_MESSAGE_BYTES

_MAX_PACKET_BYTES = MAX_MESSAGE_BYTES + 1024  # topic and header besides
_GOODBYE_S = 1.0
_LOOK_EVERY_S = 1.0  # for a change of the accounts
_RULES = "central_server.mqtt.broker_rules"


class PacketTooLargeError(AMQTTError):
    """The sender is cut off: reading on would mean holding all of it in memory."""


class _SizedReader(StreamReaderAdapter):
    """amqtt reads a packet's body as one piece of whatever length its header claims."""

    async def read(self, n: int = -1) -> bytes:
        """Up to the largest honest packet."""
        if n > _MAX_PACKET_BYTES:
            raise PacketTooLargeError(f"a packet of {n} bytes")
        return await super().read(n)


class _Subscriptions(dict[str, list[tuple[Session, int]]]):
    """Filters, and who has them.

    amqtt waits for other tasks while it goes through; if one of them subscribed meanwhile, the
    connection at hand hung, accepted and never served.
    """

    def __iter__(self) -> Iterator[str]:
        """Over the filters as they were at the beginning."""
        return iter(tuple(self.keys()))


class _OurBroker(Broker):
    """amqtt's broker with a limit to the size of a packet, and an end to what was let in once."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._subscriptions = _Subscriptions()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """A client connected by TCP; whatever ends its session ends the connection."""
        try:
            await self.external_connected(
                _SizedReader(reader), StreamWriterAdapter(writer), listener_name
            )
        finally:
            writer.close()

    async def cut_off(self, accounts: AccountFile) -> None:
        """Ends connections whose account is gone or has another password, as soon as it has."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if not accounts.is_changed:
                continue
            for session, handler in list(self.sessions.values()):
                if not is_let_in(session, accounts) and session.transitions.is_connected():
                    await handler.handle_connection_closed()


async def run_broker(host: str, port: int, password_file: str, server: str) -> None:
    """Serves until standard input closes; raises `BrokerError` if it can't listen."""
    # A connection is an open file: 1,024 of them is what a shell allows, not what the system can.
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    rules = {"server": server}
    broker = _OurBroker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
            "plugins": {
                f"{_RULES}.AccountPlugin": {**rules, "password_file": password_file},
                f"{_RULES}.TopicPlugin": rules,
            },
        }
    )
    await broker.start()
    watch = asyncio.create_task(broker.cut_off(AccountFile(Path(password_file))))
    typer.echo(LISTENING)
    parent_is_gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), partial(parent_is_gone.set))
    await parent_is_gone.wait()
    # With many clients amqtt takes minutes to say goodbye, and the next server needs the port.
    asyncio.get_running_loop().call_later(_GOODBYE_S, os._exit, 0)
    watch.cancel()
    await broker.shutdown()


def main(
    port: Annotated[int, typer.Option()],
    password_file: Annotated[str, typer.Option()],
    server: Annotated[str, typer.Option()],
    host: Annotated[str, typer.Option()] = "127.0.0.1",
) -> None:
    """Started by the server with a pipe as standard input; see broker.py."""
    write_json_logs()
    # What amqtt has to say names its clients' addresses.
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    try:
        asyncio.run(run_broker(host, port, password_file, server))
    except BrokerError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
