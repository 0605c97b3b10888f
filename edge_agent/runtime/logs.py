"""Structured logs to standard error: JSON for machines, readable on a terminal.

Nothing logged here may hold a rating, a word of feedback, or an address of who gave it.
"""

import logging
import sys

import structlog


def configure_logs() -> None:
    """Set up once, at start."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.WARNING)
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info
            if not sys.stderr.isatty()
            else structlog.processors.UnicodeDecoder(),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
