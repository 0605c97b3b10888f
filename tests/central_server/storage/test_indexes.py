"""Which indexes there are, and what asks for each; primary keys and unique columns besides.

Each costs something at every write. Found by the plans of all statements of the server's tests: an
index that no plan used was dropped. Who adds one says here which module asks it.
"""

from pathlib import Path

import pytest
from sqlmodel import SQLModel

# Importing them is what makes SQLModel know their tables.
from central_server.storage import account_tables, evidence_tables, tables  # noqa: F401

ASKED_BY = {
    "ix_desk_day_unit_id": "scorecards",
    "ix_desk_device_id": "device_lists",
    "ix_desk_unit_id": "unit_lists",
    "ix_device_unit_id": "device_lists",
    "ix_event_desk_time": "session_lists",
    "ix_evidence_history_request_id": "evidence",
    "ix_evidence_request_flag_id": "evidence",
    "ix_evidence_request_sha256": "evidence",
    "ix_evidence_request_state": "evidence",
    "ix_feedback_desk_quarter": "feedback_matches",
    "ix_feedback_entry_feedback_id": "feedback_entries",
    "ix_feedback_receipt_hash": "feedback_receipts",
    "ix_feedback_unit_id": "flag_lists",
    "ix_flag_desk_begin": "flag_lists",
    "ix_flag_rule_begin": "evidence",
    "ix_flag_session_id": "flag_lists",
    "ix_flag_stream": "projection",
    "ix_flag_unit_state": "flag_lists",
    "ix_login_user_id": "logins",
    "ix_notification_due_at": "notifications",
    "ix_notification_flag_id": "notifications",
    "ix_quarantine_device": "quarantine",
    "ix_quarantine_sha256": "quarantine",
    "ix_server_log_type": "server_log",
    "ix_service_session_device": "projection",
    "ix_session_desk_arrived": "session_lists",
    "ix_session_unit_arrived": "session_lists",
    "ix_used_token_expires_at": "feedback_entries",
}


def test_there_are_these_and_no_others() -> None:
    found = {index.name for table in SQLModel.metadata.tables.values() for index in table.indexes}
    assert found == set(ASKED_BY)


@pytest.mark.parametrize(("index", "module"), ASKED_BY.items())
def test_the_module_that_asks_names_table_and_columns(
    index: str, module: str, repository: Path
) -> None:
    text = (repository / "central_server" / "storage" / f"{module}.py").read_text()
    (row, columns) = next(
        (row.__name__, [column.name for column in one.columns])
        for row in SQLModel.__subclasses__()
        for one in SQLModel.metadata.tables[str(row.__tablename__)].indexes
        if one.name == index
    )
    assert [name for name in (row, *columns) if name in text] == [row, *columns]
