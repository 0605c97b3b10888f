"""Anything may be posted to the citizens' forms: it is answered, and no neighbour loses a word."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from central_server.services.context import ServerContext
from tests.central_server.factories import Clock
from tests.central_server.http.citizen import Citizen, code_on, feedback_rows, hidden

PAGES = ("/r/desk-1", "/u/unit-a", "/r", "/receipt")
NAMES = ("form", "rating", "reason", "comment", "contact", "item-1.1", "receipt", "code", "message")
FORM = "application/x-www-form-urlencoded"
KINDS = (FORM, "multipart/form-data; boundary=x", "application/json", "text/plain", "")

# What breaks programs: zero bytes, lone surrogates as bytes, right-to-left, quotes, huge numbers.
TEXT = st.text(max_size=60) | st.sampled_from(
    ["\0", "\u202e", "'; DROP TABLE feedback;--", "{{7*7}}", "<script>", "9" * 400, "١", "-1", "1"]
)
FIELDS = st.lists(st.tuples(st.sampled_from(NAMES) | TEXT, TEXT), max_size=8)
MULTIPART = st.builds(
    lambda name, file, content: (
        b'--x\r\ncontent-disposition: form-data; name="%b"; filename="%b"\r\n\r\n%b\r\n--x--\r\n'
        % (name, file, content)
    ),
    st.sampled_from([b"form", b"comment", b"\xff"]),
    st.sampled_from([b"../../etc/passwd", b"a.exe", b"\x00"]),
    st.binary(max_size=200),
)
BODIES = st.binary(max_size=300) | FIELDS.map(lambda fields: urlencode(fields).encode()) | MULTIPART

KEEP_FIXTURES = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@KEEP_FIXTURES
@given(path=st.sampled_from(PAGES), kind=st.sampled_from(KINDS), body=BODIES)
@example(path="/r", kind=FORM, body=b"form=%00&form=%ff&comment=%ed%a0%80")
def test_any_body_is_answered(citizen: Citizen, path: str, kind: str, body: bytes) -> None:
    assert citizen.post_bytes(path, body, kind).status_code < 500


@KEEP_FIXTURES
@given(fields=FIELDS, is_details=st.booleans())
def test_any_field_beside_a_right_form_is_answered(
    citizen: Citizen, clock: Clock, fields: list[tuple[str, str]], is_details: bool
) -> None:
    clock.advance(3)  # below what one desk is let through
    page = citizen.tap(3) if is_details else citizen.get("/r/desk-1")
    sent = [*fields, *((name, value) for name, value in hidden(page).items() if name == "form")]
    path = "/r" if is_details else "/r/desk-1"
    assert citizen.post_bytes(path, urlencode(sent).encode()).status_code in (200, 400)


@KEEP_FIXTURES
@given(step=TEXT, query=TEXT, name=st.sampled_from(["t", "from", "lang", "big", "q", "unit"]))
def test_any_address_is_answered(citizen: Citizen, step: str, query: str, name: str) -> None:
    for path in ("/r", f"/r/{quote(step, safe='')}", "/r/desk-1", f"/u/{quote(step, safe='')}"):
        assert citizen.get(f"{path}?{urlencode({name: query})}").status_code < 500


@pytest.mark.parametrize("times", [200])
def test_who_floods_takes_nothing_from_a_neighbour(
    citizen: Citizen, context: ServerContext, times: int
) -> None:
    before = citizen.tap(1, "/r/desk-2")
    for number in range(times):
        citizen.post_bytes("/r/desk-1", b"form=%d&rating=1" % number)
        citizen.post("/receipt", {"code": f"{number:04}".translate(str.maketrans("0189", "ABCD"))})
    assert citizen.tap(1, "/r/desk-2").status_code == 200
    assert len(feedback_rows(context)) == 2
    code = code_on(before)
    assert code is not None
    assert citizen.post("/receipt", {"code": code}).status_code == 200
