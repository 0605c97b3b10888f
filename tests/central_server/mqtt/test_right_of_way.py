"""Who goes first: the thread that took the way, but never for long."""

import threading
import time

from central_server.mqtt.right_of_way import LONGEST_WAIT_S, RightOfWay


def test_nobody_waits_on_a_free_way() -> None:
    way = RightOfWay()
    way.give()
    with way.taken():
        pass
    way.give()
    with way.lent():  # not taken: nothing to lend
        way.give()


def test_who_gives_waits_until_the_way_is_lent() -> None:
    way = RightOfWay()
    steps: list[str] = []
    is_taken = threading.Event()

    def go_first() -> None:
        with way.taken():
            is_taken.set()
            time.sleep(LONGEST_WAIT_S / 4)
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
