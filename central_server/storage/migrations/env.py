"""What Alembic runs for each command; the connection comes from storage/schema.py."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import String
from sqlmodel import SQLModel

from central_server.storage import account_tables, evidence_tables, months, tables

_ALL_TABLES = (
    tables,
    account_tables,
    evidence_tables,
)  # known to the metadata once they are imported


def _render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Steps name plain SQL types: they must outlive our classes."""
    if kind == "type" and isinstance(item, tables.UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(getattr(item, "impl", None), String):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


def _is_compared(name: str | None, kind: str, _parents: Any) -> bool:
    return not months.is_part_of_log(name, kind)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,  # SQLite can't alter a column in place
    render_item=_render_item,
    include_name=_is_compared,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
