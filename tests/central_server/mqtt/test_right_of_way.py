"""Who goes first: the thread that took the way, but never for long."""

import threading
import time

import pytest

from central_server.mqtt import right_of_way
from central_server.mqtt.right_of_way import RightOfWay

LONG_S = 20.0


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> RightOfWay:
    """One on which who waits needlessly, or not at all, is seen."""
    monkeypatch.setattr(right_of_way, "LONGEST_WAIT_S", LONG_S)
    return RightOfWay()


def test_nobody_waits_on_a_free_way(way: RightOfWay) -> None:
    began = time.monotonic()
    way.give()
    with way.taken():
        pass
    way.give()
    with way.lent():  # not taken: nothing to lend
        way.give()
    with way.taken(), way.lent(), way.lent():
        way.give()
    assert time.monotonic() - began < LONG_S


def test_who_gives_waits_until_the_way_is_lent(way: RightOfWay) -> None:
    steps: list[str] = []
    is_taken = threading.Event()

    def go_first() -> None:
        with way.taken():
            is_taken.set()
            time.sleep(0.05)
            steps.append("first")
            with way.lent():
                gave.wait(10)
            steps.append("last")

    gave = threading.Event()
    owner = threading.Thread(target=go_first)
    owner.start()
    is_taken.wait(10)
    way.give()
    steps.append("second")
    gave.set()
    owner.join()

    assert steps == ["first", "second", "last"]


def test_who_gives_never_waits_for_ever() -> None:
    way = RightOfWay()
    with way.taken():
        other = threading.Thread(target=way.give)
        other.start()
        other.join(10)
        assert not other.is_alive()


def test_an_error_leaves_the_way_free() -> None:
    way = RightOfWay()
    for _ in range(2):
        try:
            with way.taken(), way.lent():
                raise ValueError
        except ValueError:
            way.give()
