"""Auditors see, print and take away the log's signed heads; nobody else does."""

import re

import pytest

from central_server.domain.permissions import Role
from central_server.domain.server_log import Viewed
from central_server.services import anchors
from central_server.services.context import ServerContext
from central_server.storage import server_log
from event_protocol.server_heads import SignedHead
from tests.central_server.http.internal.conftest import OpenBrowser


@pytest.fixture
def head(context: ServerContext) -> SignedHead:
    with context.database.transaction() as db:
        server_log.append(db, Viewed(by="an", what="x", subject="y"), at=context.now())
    made = anchors.anchor(context)
    assert made is not None
    return made


def test_an_auditor_opens_and_takes_a_head_away(browser: OpenBrowser, head: SignedHead) -> None:
    auditor = browser(Role.AUDITOR, "province")
    listed = auditor.get("/audit/heads").text
    assert head.hash in listed
    [path] = set(re.findall(r'href="(/audit/heads/\d+)"', listed))
    sheet = auditor.get(path).text
    for part in (head.hash, head.key, head.signature.replace("+", "&#43;")):
        assert part in sheet or part.replace("&#43;", "+") in sheet
    copy = auditor.get(f"{path}/copy")
    assert "attachment" in copy.headers["Content-Disposition"]
    taken = SignedHead.model_validate_json(copy.content)
    assert taken == head
    assert taken.is_genuine
    assert f'href="{path}/copy"' in sheet
    for other in ("/audit/heads/1", "/audit/heads/99999"):
        assert auditor.get(other).status_code == 404


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.AUDITOR}))
def test_nobody_else_finds_them(browser: OpenBrowser, head: SignedHead, role: Role) -> None:
    opened = browser(role, "province")
    number = head.through + 1
    for path in ("/audit/heads", f"/audit/heads/{number}", f"/audit/heads/{number}/copy"):
        assert opened.get(path).status_code == 404


def test_there_may_be_none_yet(browser: OpenBrowser) -> None:
    page = browser(Role.AUDITOR, "province").get("/audit/heads")
    assert page.status_code == 200
    assert "<table" not in page.text
