"""A box that answers, and the server that it answers to."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.edge_agent.evidence.box import HELD, KEY, Box
from tests.processes.upload_server import UploadServer


@pytest.fixture
def server() -> Iterator[UploadServer]:
    with UploadServer(KEY.public_key().public_bytes_raw(), HELD) as running:
        yield running


@pytest.fixture
def box(tmp_path: Path, server: UploadServer, caplog: pytest.LogCaptureFixture) -> Iterator[Box]:
    """Its log stays empty, whatever is asked of it."""
    caplog.set_level(logging.WARNING)  # as `configure_logs` sets it
    with structlog.testing.capture_logs() as said:
        running = Box(tmp_path)
        yield running
        running.answers.stop()
    assert said == []
    assert caplog.messages == []
