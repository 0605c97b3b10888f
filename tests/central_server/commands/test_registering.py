"""What `change-user` changes, and what it says."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from central_server.domain.permissions import Role
from central_server.main import app
from central_server.services import accounts
from central_server.services.context import ServerContext
from central_server.storage.account_tables import UserRow
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import make_context
from tests.factories import add_province

USER, PASSWORD = "thanh-tra", "một mật khẩu đủ dài"


@pytest.fixture
def context(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerContext:
    """The server that the command finds by its folder."""
    monkeypatch.setenv("ONESTOP_DIRECTORY", str(tmp_path))
    with database.transaction() as db:
        add_province(db)
    made = make_context(database, tmp_path)
    accounts.create_user(
        made, user_id=USER, password=PASSWORD, role=Role.INSPECTOR, unit_id="district"
    )
    return made


def change(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["change-user", *arguments])


def test_role_unit_and_closing(context: ServerContext) -> None:
    done = change(USER, "--role", "auditor", "--unit", "commune-a", "--disable")
    assert (done.exit_code, done.stdout) == (0, f"user {USER} changed\n")
    with context.database.reading() as db:
        user = db.get_one(UserRow, USER)
    assert (user.role, user.unit_id) == ("auditor", "commune-a")
    assert accounts.authenticate(context, USER, PASSWORD) is None
    assert change(USER, "--enable").exit_code == 0
    assert accounts.authenticate(context, USER, PASSWORD) is not None


def test_a_new_password_is_made_and_told_once(context: ServerContext) -> None:
    said = change(USER, "--new-password").stdout
    (made,) = re.findall(r"^password: (\S{20,})$", said, re.MULTILINE)
    assert accounts.authenticate(context, USER, PASSWORD) is None
    assert accounts.authenticate(context, USER, made) is not None


def test_who_or_what_does_not_exist_is_said(context: ServerContext) -> None:
    for arguments in (("khong-ai", "--disable"), (USER, "--unit", "nowhere")):
        refused = change(*arguments)
        assert refused.exit_code == 2
        assert "There is no" in refused.stderr
