"""The desk clip of the test data: its zone, its sessions by eye, and rules that catch anything."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from tests.end_to_end.province import Province

NAME = "desk_one_by_one_a.mp4"
TOLERANCE_S = 1.5
# None of these may be claimed: nobody marked where the officer sits.
FORBIDDEN = {"long_wait", "officer_absent", "desk_unattended", "abandoned_session"}


class DeskClip:
    """`stays`: arrival and departure of each citizen, in seconds of the recording."""

    def __init__(self, testdata: Path) -> None:
        self.path = testdata / "video" / NAME
        truth = json.loads((testdata / "ground_truth.json").read_text())
        (clip,) = [one for one in truth["clips"] if one["file"].endswith(NAME)]
        self.stays: list[tuple[float, float]] = [tuple(stay) for stay in clip["customer_in_zone"]]
        polygon = [
            [x / clip["width"], y / clip["height"]]
            for x, y in clip["zones"]["customer"]["polygon_px"]
        ]
        self.zones: dict[str, Any] = {"citizen": {"role": "citizen", "polygon": polygon}}

    def check(self, province: Province) -> None:
        """Its sessions are the server's, on time; nothing is claimed of an officer nobody saw."""
        sessions = sorted(province.list_items("sessions"), key=lambda one: one["arrived_at"])
        seen = [self._instant(one[name]) for one in sessions for name in ("arrived_at", "ended_at")]
        true = [at for stay in self.stays for at in stay]
        assert len(seen) == len(true), sessions
        first_frame = "SELECT min(time) FROM event WHERE type = 'onestop.camera.observed'"
        began = self._instant(province.rows(first_frame)[0][0])
        late = [at - began - at_s for at, at_s in zip(seen, true, strict=True)]
        assert max(map(abs, late)) <= TOLERANCE_S, late
        rules = {flag["rule"] for flag in province.list_items("flags", state="all")}
        assert not rules & FORBIDDEN, rules
        with province.log_in() as inspector:
            page = inspector.get("/sessions").text
        assert all(f"/sessions/{one['session_id']}" in page for one in sessions)

    @staticmethod
    def _instant(text: str) -> float:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def has_ended(province: Province, sessions: int) -> bool:
    """Whether so many sessions are over, as the server sees it."""
    statement = "SELECT count(*) FROM service_session WHERE ended_at IS NOT NULL"
    return bool(province.rows(statement)[0][0] >= sessions)


def impatient_rules(repository: Path) -> dict[str, Any]:
    """The shipped rules, but open day and night and with every limit at one second."""
    rules: dict[str, Any] = yaml.safe_load((repository / "configs" / "flag_rules.yaml").read_text())
    del rules["closed_days"], rules["worked_days"]
    rules["holidays"]["last_year"] = rules["holidays"]["first_year"]
    week = {day: ["00:00-23:59"] for day in rules["schedules"]["default"] | _WEEKEND}
    rules["schedules"] = {"default": week}
    for code in FORBIDDEN:
        rules["rules"][code]["threshold_s"] = 1
    return rules


_WEEKEND: dict[str, list[str]] = {"saturday": [], "sunday": []}
