"""Structured logs to standard error: JSON for machines, readable on a terminal.

Nothing logged here may hold a rating, a word of feedback, or an address of who gave it.
"""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

_FOR_PEOPLE: list[structlog.typing.Processor] = [structlog.dev.ConsoleRenderer()]
_FOR_MACHINES: list[structlog.typing.Processor] = [
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(ensure_ascii=False),
]


class _StandardError:
    """It may be a file on a full disk: a line that finds no room must not end a thread."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure_logs() -> None:
    """Set up once, at start."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_FOR_PEOPLE if sys.stderr.isatty() else _FOR_MACHINES),
        ],
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=True,
    )
