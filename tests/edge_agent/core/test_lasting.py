from datetime import UTC, datetime, timedelta

from edge_agent.core.lasting import Lasting

START = datetime(2030, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_counts_from_the_first_showing_of_an_unbroken_run() -> None:
    lasting: Lasting[str] = Lasting()
    assert lasting.since is None
    assert lasting.show("a", at(0)) == at(0)
    assert lasting.show("a", at(2)) == at(0)
    assert lasting.show("b", at(3)) == at(3)
    assert lasting.since == at(3)


def test_a_broken_run_begins_anew() -> None:
    lasting: Lasting[str] = Lasting()
    lasting.show("a", at(0))
    lasting.forget()
    assert lasting.since is None
    assert lasting.show("a", at(5)) == at(5)


def test_a_clock_set_back_begins_a_new_run() -> None:
    lasting: Lasting[str] = Lasting()
    lasting.show("a", at(3600))
    assert lasting.show("a", at(0)) == at(0)
