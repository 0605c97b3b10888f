"""The embedded broker's own process: amqtt, until standard input closes (the parent is gone)."""

import asyncio
import logging
import os
import resource
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from amqtt.errors import BrokerError

from central_server.mqtt.broker import LISTENING
from central_server.mqtt.broker_rules import AccountFile, is_let_in
from central_server.mqtt.broker_sessions import SessionBroker
from central_server.services.logs import write_json_logs

_GOODBYE_S = 1.0
_LOOK_EVERY_S = 1.0  # for a change of the accounts
_RULES = "central_server.mqtt.broker_rules"


async def cut_off_changed(broker: SessionBroker, accounts: AccountFile) -> None:
    """Ends connections whose account is gone or has another password, as soon as it has."""
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        if not accounts.is_changed:
            continue
        for client_id, (session, _) in list(broker.sessions.items()):
            if not is_let_in(session, accounts):
                await broker.cut_off(client_id)


async def run_broker(host: str, port: int, password_file: str, server: str) -> None:
    """Serves until standard input closes; raises `BrokerError` if it can't listen."""
    # A connection is an open file: 1,024 of them is what a shell allows, not what the system can.
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    rules = {"server": server}
    broker = SessionBroker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
            "plugins": {
                f"{_RULES}.AccountPlugin": {**rules, "password_file": password_file},
                f"{_RULES}.TopicPlugin": rules,
            },
        }
    )
    await broker.start()
    watch = asyncio.create_task(cut_off_changed(broker, AccountFile(Path(password_file))))
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
