"""Whatever bytes somebody on the office's network sends to a box's pages, they are answered."""

import random
import re

import pytest

from tests.edge_agent.damage import damage
from tests.edge_agent.http.conftest import DESK, Box
from tests.edge_agent.http.test_setup import log_in

KINDS = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/json",
    "text/plain; charset=utf-99",
    "",
)
FORM = b"form=abc&rating=5&comment=%C3%A1&desk=desk-1&camera=room&name=room&zones=%7B%7D&pin=1"
PARTS = (
    b'--x\r\nContent-Disposition: form-data; name="rating"; filename="a"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n--x\r\n"
    b'Content-Disposition: form-data; name="comment"\r\n\r\nwords\r\n--x--\r\n'
)
OPEN = (f"/kiosk/{DESK}", f"/kiosk/{DESK}/amend", "/kiosk/none", "/setup/login", "/healthz")
INSIDE = tuple(f"/setup/{step}" for step in ("pair", "camera", "zones", "masks", "calibrate"))
QUERIES = ("lang=" + "x" * 5000, "lang=%00%ff", "camera=%2e%2e%2f&desk=..", "t=%ff&saved=1")
BODIES_A_PLACE = 24


@pytest.mark.parametrize("places", [OPEN, INSIDE], ids=["open", "set-up"])
def test_odd_bodies_are_answered(box: Box, places: tuple[str, ...]) -> None:
    for place in places:
        if places is INSIDE:
            log_in(box)
        send_odd_bodies(box, place, token=read_token(box) if places is INSIDE else "")
    assert box.client.get("/healthz").status_code == 200


def send_odd_bodies(box: Box, place: str, token: str) -> None:
    dice = random.Random(place)  # noqa: S311 - no secret
    for body in [b"", bytes(100_000), PARTS, *damage(FORM + PARTS, place, BODIES_A_PLACE)]:
        kind = dice.choice(KINDS)
        content = f"token={token}&".encode() + body
        answer = box.client.post(place, content=content, headers={"content-type": kind})
        assert answer.status_code < 500, (place, kind, body)


def read_token(box: Box) -> str:
    found = re.search(r'name="token" value="([^"]+)"', box.client.get("/setup/camera").text)
    assert found
    return found[1]


def test_odd_questions_are_answered(box: Box) -> None:
    log_in(box)
    for place in ("/kiosk", f"/kiosk/{DESK}", f"/screen/{DESK}", "/setup/zones"):
        for query in QUERIES:
            answer = box.client.get(f"{place}?{query}", follow_redirects=True)
            assert answer.status_code < 500, (place, query)
