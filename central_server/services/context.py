"""What every use case of the running server is handed; built once in main.py."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from central_server.services.keys import ServerKeys
from central_server.settings import ServerSettings
from central_server.storage.unit_of_work import Database


@dataclass(frozen=True, slots=True)
class ServerContext:
    """`now` is the only clock; tests hand in their own."""

    settings: ServerSettings
    database: Database
    keys: ServerKeys
    now: Callable[[], datetime]
