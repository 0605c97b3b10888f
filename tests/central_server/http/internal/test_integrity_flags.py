"""Signs that a box's record was tampered with: shown to the inspection side, to nobody else."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from sqlmodel import select

from central_server.domain.permissions import PERMISSIONS, Permission, Role
from central_server.services import ingest, projector, tick
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.storage.tables import FlagRow
from event_protocol.canonical import canonical_bytes
from tests.central_server.factories import EdgeChain
from tests.central_server.http.internal.conftest import OpenBrowser

DEVICE, DESK = "device-commune-a", "desk-commune-a"
EPOCH = 77  # none of the province's own


def flags_of(context: ServerContext) -> dict[str, tuple[str, str]]:
    """Flag id by what it is about, and its cause."""
    with context.database.reading() as db:
        rows = db.exec(select(FlagRow).where(FlagRow.epoch == EPOCH)).all()
    return {row.flag_id: (row.rule, row.facts["cause"]) for row in rows}


@pytest.fixture
def tampered(context: ServerContext) -> dict[str, tuple[str, str]]:
    """A broken chain, a fork, and a clock that was set back, all by one box."""
    begin = context.now() - timedelta(hours=2)
    chain = EdgeChain(DEVICE, EPOCH, start=begin)
    events = [chain.presence(desk=DESK) for _ in range(3)]
    fork = {**orjson.loads(events[1].payload), "id": str(uuid4())}
    chain.head = "ab" * 32
    broken = chain.presence(desk=DESK)
    set_back = chain.presence(desk=DESK, time=begin - timedelta(hours=5))
    take(context, [*events, broken, set_back])
    take(context, [Incoming(events[1].topic, canonical_bytes(fork))])
    tick.tick(context, context.now())
    return flags_of(context)


def take(context: ServerContext, messages: Iterable[Incoming]) -> None:
    receipts = ingest.append(context, list(messages))
    projector.project_devices(context, {(name, receipt.epoch) for name, receipt in receipts})


def test_each_sign_is_a_flag(tampered: dict[str, tuple[str, str]]) -> None:
    assert sorted(tampered.values()) == [
        ("broken_chain", "incident"),
        ("broken_chain", "prevhash"),
        ("wrong_clock", "set_back"),
    ]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("unit", ["province", "commune-a"])
def test_only_the_inspection_side_sees_them(
    browser: OpenBrowser, tampered: dict[str, tuple[str, str]], role: Role, unit: str
) -> None:
    """Also where the viewer's own unit is the one concerned."""
    opened = browser(role, unit)
    pages = ["/flags", "/api/v1/flags?limit=200", f"/units/{unit}", f"/devices/{DEVICE}"]
    text = "".join(opened.get(page).text for page in pages)
    sees = Permission.SEE_FLAGS in PERMISSIONS[role]
    for flag, (rule, _) in tampered.items():
        assert (opened.get(f"/flags/{flag}").status_code == 200) is sees
        assert (opened.get(f"/api/v1/flags/{flag}").status_code == 200) is sees
        assert (flag in text) is sees
        assert opened.get(f"/flags?rule={rule}").status_code == (200 if sees else 404) or not sees


def test_an_inspector_elsewhere_sees_none(
    browser: OpenBrowser, tampered: dict[str, tuple[str, str]]
) -> None:
    opened = browser(Role.INSPECTOR, "commune-b")
    for flag in tampered:
        assert opened.get(f"/flags/{flag}").status_code == 404
