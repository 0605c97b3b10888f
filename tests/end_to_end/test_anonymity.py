"""Nobody can be found again by what is stored or logged of a citizen's feedback; no secret stands
where others read.

A real server and a real box are used through all four doors by somebody with an address, a browser
and headers of their own, clumsily too; then everything that either wrote is searched.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from event_protocol.names import DeskId
from event_protocol.tokens import RatingToken, make_token
from tests.end_to_end.province import PASSWORD, UNIT, Province
from tests.processes.edge_agent import DESK, EdgeAgent
from tests.processes.ports import free_port

pytestmark = pytest.mark.processes

ADDRESS = "127.77.0.9"  # also this machine, and nobody else's
BROWSER = "OwnBrowser/77.7"
FORWARDED, COOKIE, REFERRER = "203.0.113.77", "cookie-77", "https://from.example/77"
TRACES = (ADDRESS, BROWSER, FORWARDED, COOKIE, REFERRER)
WORDS = "Lời-rất-riêng-của-tôi"
CODE = re.compile(r"[A-Z2-7]{4}(?:-[A-Z2-7]{4}){5}")
# Times are stored whole or with fractions, as text or in JSON.
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ](\d\d:\d\d:\d\d)")


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    with Province(tmp_path_factory.mktemp("anonymity") / "province", "embedded") as running:
        yield running


def citizen(url: str) -> httpx.Client:
    """Somebody from `ADDRESS`, with all that a browser tells of itself."""
    headers = {
        "user-agent": BROWSER,
        "x-forwarded-for": FORWARDED,
        "forwarded": f"for={FORWARDED}",
        "referer": REFERRER,
        "cookie": f"id={COOKIE}",
    }
    transport = httpx.HTTPTransport(local_address=ADDRESS)
    return httpx.Client(base_url=url, headers=headers, transport=transport, follow_redirects=True)


def hidden(page: httpx.Response) -> dict[str, str]:
    """The fields of the page's own form, which stands in its main part."""
    main = page.text.partition("<main")[2]
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', main))


def rate(phone: httpx.Client, path: str) -> httpx.Response:
    """The worst face, then words; the page that thanks."""
    thanks = phone.post(path, data={**hidden(phone.get(path)), "rating": "1"})
    more = {**hidden(thanks), "rating": "1", "reason": "asked_for_money", "comment": WORDS}
    return phone.post("/r", data=more)


def use_the_servers_doors(province: Province) -> list[str]:
    """Phone, screen and home; a look-up, a reply, and what people and scanners do wrong."""
    ((key,),) = province.rows("SELECT token_key FROM desk")
    token = RatingToken(DeskId(DESK), uuid4(), datetime.now(UTC) + timedelta(minutes=2), 7)  # noqa: TID251 - of a real server
    screen = f"/r/{DESK}?t={make_token(token, bytes.fromhex(key))}"
    with citizen(province.url) as phone:
        answers = [rate(phone, path) for path in (f"/r/{DESK}", screen, f"/u/{UNIT}")]
        codes = [CODE.findall(answer.text)[0] for answer in answers]
        for code in (codes[0], codes[0].replace("A", "B"), "AAAA-" * 5 + "AAAA", "?"):
            phone.post("/receipt", data={"code": code})
        state = phone.post("/receipt", data={"code": codes[0]})
        phone.post("/receipt", data={**hidden(state), "code": codes[0], "message": WORDS})
        for path in ("/r", "/r/nowhere", "/u/nowhere", f"/r/{DESK}?t=forged", "/receipt/x", "/%00"):
            phone.get(path)
        phone.post(f"/r/{DESK}", content=b"\xff\x00", headers={"content-type": "text/plain"})
        phone.post(f"/r/{DESK}", data={"form": "forged", "rating": "9"})
        phone.post("/r", data={"comment": "x" * 70_000})
        phone.request("BREW", f"/r/{DESK}")
    assert all(answer.status_code == 200 for answer in answers)
    return codes


def use_the_kiosk(agent: EdgeAgent) -> None:
    """The tablet beside the desk."""
    with citizen(agent.url) as tablet:
        page = tablet.get(f"/kiosk/{DESK}")
        assert (
            tablet.post(f"/kiosk/{DESK}", data={**hidden(page), "rating": "1"}).status_code == 200
        )
        tablet.get("/kiosk/nowhere")
        tablet.post(f"/kiosk/{DESK}", data={"form": "forged", "rating": "9"})


def rows_of(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of every table."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - its own name
                yield table, dict(row)


def times_between(row: dict[str, Any], begin: datetime, end: datetime) -> list[str]:
    """Columns that hold a moment of that time to the second."""
    moments = {
        f"{begin + timedelta(seconds=second):%H:%M:%S}"
        for second in range(int((end - begin).total_seconds()) + 1)
    }
    found = []
    for name, value in row.items():
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if moments & set(TIME.findall(text)):
            found.append(name)
    return found


def test_server_and_box_keep_no_trace_of_who_and_when(province: Province, tmp_path: Path) -> None:
    with EdgeAgent(tmp_path / "box", free_port()) as agent:
        agent.wait_for_output("pages at")
        logged_before = len(province.output), len(agent.output)
        begin = datetime.now(UTC)  # noqa: TID251 - beside a real server's own clock
        codes = use_the_servers_doors(province)
        use_the_kiosk(agent)
        end = datetime.now(UTC)  # noqa: TID251 - likewise
        province.list_items("flags")  # the server has done all that follows from them
        logged = province.output[logged_before[0] :] + agent.output[logged_before[1] :]
        feedback = [row for table, row in rows_of(_database(province)) if table == "feedback"]
    assert len(feedback) == 3
    events = {json.loads(line)["event"] for line in logged.splitlines()}
    assert events <= {"logged in", "broker_unreachable"}, "the inspector; the box without a broker"

    written = [path for folder in (province.folder, agent.folder) for path in _files(folder)]
    assert {"server.sqlite", "server.log", "edge_agent.log"} <= {path.name for path in written}
    for path in written:
        content = path.read_bytes()
        for trace in (*TRACES, *codes):
            assert trace.encode() not in content, (path.name, trace)
    times = {
        (table, column, row.get("match"))
        for table, row in rows_of(_database(province))
        for column in times_between(row, begin, end)
        if table not in ("login", "login_attempts")  # the inspector's
    }
    # Until the desk's box has told who sat there then; erased with the answer.
    assert times == {("feedback", "exact_at", "pending")}
    box = [row for path in agent.folder.rglob("*.sqlite") for _, row in rows_of(path)]
    given = [row for row in box if b"onestop.feedback." in bytes(row.get("body", b""))]
    assert [times_between(row, begin, end) for row in given] == [[]], "one tap, without its time"


def test_no_secret_is_logged_or_stands_among_the_processes(province: Province) -> None:
    keys = json.loads((province.settings.directory / "keys.json").read_text())
    ((token_key,),) = province.rows("SELECT token_key FROM desk")
    with province.log_in() as inspector:
        cookie = dict(inspector.cookies)["onestop_session"]
        inspector.post("/api/v1/session", json={"user": PASSWORD, "password": PASSWORD})
        inspector.get(f"/flags/{cookie}")
    secrets = [keys["signing"], *keys["sealing"], keys["pepper"], token_key, PASSWORD, cookie]
    server = psutil.Process(province.pid)
    lines = [" ".join(each.cmdline()) for each in (server, *server.children(recursive=True))]
    assert len(lines) > 1, "the broker's, too"
    for text in (province.output, *lines):
        assert [secret for secret in secrets if secret in text] == []


def _database(province: Province) -> Path:
    return province.settings.directory / "server.sqlite"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
