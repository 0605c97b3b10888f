"""The power fails everywhere: nothing is lost, nothing is twice, and all can be derived again."""

from collections import Counter
from pathlib import Path

import pytest

from tests.end_to_end.province import BROKERS, DeskAgent, Province
from tests.processes.ports import wait_until

RATINGS = (5, 1, 4, 2, 5, 3)
DERIVED = ("service_session", "flag", "feedback", "desk_day")

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


def tap_all(agent: DeskAgent) -> None:
    for rating in RATINGS:
        agent.tap(rating)


@pytest.mark.parametrize("kind", BROKERS)
def test_kills_lose_nothing_and_double_nothing(kind: str, tmp_path: Path) -> None:
    agent = DeskAgent(tmp_path / "agent", {"source": "scene:1"})
    with Province(tmp_path / "province", kind) as province:
        province.enrol(agent)
        with agent:
            tap_all(agent)
            province.kill()
            tap_all(agent)
            province.start()
            tap_all(agent)
            province.kill_broker()
            tap_all(agent)
            agent.kill()
            agent.start()
            tap_all(agent)
        # A box without a camera says nothing new, so what it holds can be delivered to the end.
        with DeskAgent(tmp_path / "agent", None) as quiet:
            wait_until(lambda: received(province) >= len(quiet.events()), 90, "all is delivered")
        wait_until(lambda: is_projected(province), 30, "all is projected")
    produced = [event_id for _, event_id in agent.events()]
    held = province.rows("SELECT event_id, count(*) FROM event GROUP BY 1")
    assert {event_id for event_id, _ in held} == set(produced)
    assert Counter(count for _, count in held) == {1: len(produced)}
    assert not province.rows("SELECT * FROM quarantine")
    feedback = province.rows("SELECT count(*) FROM feedback WHERE channel = 'kiosk'")
    assert feedback == [(5 * len(RATINGS),)]
    before = derived(province)
    province.run("verify-log")
    province.run("rebuild")
    assert derived(province) == before


def received(province: Province) -> int:
    return int(province.rows("SELECT count(*) FROM event")[0][0])


def is_projected(province: Province) -> bool:
    behind = "SELECT * FROM stream WHERE projected_through < highest_seen OR must_refold"
    return not province.rows(behind)


def derived(province: Province) -> dict[str, list[tuple[object, ...]]]:
    """All that is derived, row by row."""
    return {table: province.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in DERIVED}  # noqa: S608 - our tables
