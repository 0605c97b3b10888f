"""How far the projector is behind what was received."""

from sqlalchemy import case, func
from sqlmodel import Session, col, select

from central_server.storage.tables import StreamRow


def events_behind(db: Session) -> int:
    """Events received without a gap and not yet projected, of all streams.

    Projection is ahead of a stream whose gap was given up: that makes up for no other one.
    """
    behind = col(StreamRow.received_through) - col(StreamRow.projected_through)
    return int(db.exec(select(func.sum(case((behind > 0, behind), else_=0)))).one() or 0)
