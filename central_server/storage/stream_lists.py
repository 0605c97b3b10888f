"""How far the projector is behind what was received."""

from sqlalchemy import func
from sqlmodel import Session, col, select

from central_server.storage.tables import StreamRow


def events_behind(db: Session) -> int:
    """Events received without a gap and not yet projected, of all streams."""
    behind = func.sum(col(StreamRow.received_through) - col(StreamRow.projected_through))
    return int(db.exec(select(behind)).one() or 0)
