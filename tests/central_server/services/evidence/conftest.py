"""A server with one wait on record, and the box that saw it."""

from pathlib import Path

import pytest

from central_server.services.context import ServerContext
from central_server.storage.unit_of_work import Database
from tests.central_server.evidence_box import Box
from tests.central_server.factories import Clock
from tests.central_server.services.evidence.steps import make_server
from tests.factories import NOW


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def server(database: Database, tmp_path: Path, clock: Clock) -> ServerContext:
    return make_server(database, tmp_path, clock)


@pytest.fixture
def box(server: ServerContext) -> Box:
    return Box(server, "device-commune-a")
