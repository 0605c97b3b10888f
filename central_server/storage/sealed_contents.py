"""What is sealed beside the logs' records: found by its key, erased without touching them."""

from sqlalchemy import exists, select
from sqlmodel import Session

from central_server.storage.account_tables import SecondFactorRow
from central_server.storage.tables import EventRow, ServerLogRow, table_of

_EVENT, _ENTRY = table_of(EventRow), table_of(ServerLogRow)
_FACTOR = table_of(SecondFactorRow)


def is_sealed_to(db: Session, key_id: str) -> bool:
    """Whether anything kept here needs that key: in both logs, or an authenticator's secret."""
    return any(
        db.connection().execute(select(exists().where(column.startswith(f"{key_id}:")))).scalar()
        for column in (_EVENT.c.sealed, _ENTRY.c.sealed, _FACTOR.c.secret)
    )
