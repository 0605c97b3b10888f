"""Events by month on PostgreSQL, and what is known of those that retention drops."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = (
    "device, epoch, sequence, event_id, type, desk, time, received_at, clock, reason, prevhash,"
    " hash, body, sealed"
)
_NEWEST_ID = (
    "UPDATE stream SET newest_id = (SELECT max(event_id) FROM event"
    " WHERE event.device = stream.device AND event.epoch = stream.epoch"
    " AND length(event_id) = 36 AND substr(event_id, 15, 1) = '7')"
)


def upgrade() -> None:
    op.create_table(
        "stream_cut",
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fold", sa.JSON(), nullable=False),
        sa.Column("log_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "epoch"),
    )
    for name in ("feedback", "flag"):
        op.add_column(name, sa.Column("log_sequence", sa.BigInteger(), nullable=True))
    op.add_column("stream", sa.Column("newest_id", sa.String(length=36), nullable=True))
    op.add_column(
        "stream", sa.Column("unprojected_since", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "stream",
        sa.Column("dropped_through", sa.BigInteger(), nullable=False, server_default="0"),
    )
    with op.batch_alter_table("stream") as batch_op:
        batch_op.alter_column("dropped_through", server_default=None)
    # Two that nothing asks by, and one for a stream that is folded anew.
    op.drop_index("ix_quarantine_received_at", "quarantine")
    op.drop_index("ix_feedback_session_id", "feedback")
    op.create_index("ix_flag_stream", "flag", ["device", "epoch"])
    op.execute(_NEWEST_ID)
    if op.get_bind().dialect.name == "postgresql":
        _part()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _join()
    op.drop_index("ix_flag_stream", "flag")
    op.create_index("ix_feedback_session_id", "feedback", ["session_id"])
    op.create_index("ix_quarantine_received_at", "quarantine", ["received_at"])
    for name in ("dropped_through", "unprojected_since", "newest_id"):
        with op.batch_alter_table("stream") as batch_op:
            batch_op.drop_column(name)
    for name in ("feedback", "flag"):
        with op.batch_alter_table(name) as batch_op:
            batch_op.drop_column("log_sequence")
    op.drop_table("stream_cut")


def _part() -> None:
    """Each month's events into a part of their own, by COPY's own path: nothing is read twice."""
    op.execute("ALTER TABLE event RENAME TO event_before")
    op.execute("ALTER INDEX ix_event_desk_time RENAME TO ix_event_before_desk_time")
    op.execute("CREATE TABLE event (LIKE event_before) PARTITION BY RANGE (received_at)")
    op.execute("CREATE INDEX ix_event_desk_time ON event (desk, time)")
    _make_part("event_rest", "DEFAULT")
    months = op.get_bind().execute(
        sa.text(
            "SELECT DISTINCT date_trunc('month', received_at AT TIME ZONE 'UTC')"
            " FROM event_before ORDER BY 1"
        )
    )
    for (begin,) in months:
        end = begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
        span = f"FOR VALUES FROM ('{begin}+00') TO ('{end}+00')"
        _make_part(f"event_{begin:%Y_%m}", span)
    op.execute(f"INSERT INTO event ({_COLUMNS}) SELECT {_COLUMNS} FROM event_before")  # noqa: S608 - fixed words
    op.execute("DROP TABLE event_before")


def _make_part(name: str, span: str) -> None:
    op.execute(f"CREATE TABLE {name} PARTITION OF event {span}")
    op.execute(f"CREATE UNIQUE INDEX {name}_position ON {name} (device, epoch, sequence)")
    op.execute(f"CREATE UNIQUE INDEX {name}_id ON {name} (device, event_id)")


def _join() -> None:
    """One table again, as it was."""
    op.execute("ALTER TABLE event RENAME TO event_parts")
    op.execute("ALTER INDEX ix_event_desk_time RENAME TO ix_event_parts_desk_time")
    op.execute("CREATE TABLE event (LIKE event_parts)")
    op.execute(f"INSERT INTO event ({_COLUMNS}) SELECT {_COLUMNS} FROM event_parts")  # noqa: S608 - fixed words
    op.execute("DROP TABLE event_parts")
    op.create_primary_key("event_pkey", "event", ["device", "epoch", "sequence"])
    op.create_unique_constraint("uq_event_source_id", "event", ["device", "event_id"])
    op.create_index("ix_event_desk_time", "event", ["desk", "time"])
