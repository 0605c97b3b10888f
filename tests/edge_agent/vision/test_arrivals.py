"""When packets came that were waited for, and those that were found waiting."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import av
import pytest

from edge_agent.vision.arrivals import LONGEST_WAIT, ROUND_S, TURN_S, Arrivals, Rota

START = datetime(2030, 1, 1, tzinfo=UTC)
TICK_S = 0.001
SENT_EVERY_S = 0.05


def make_packet(sent_s: float | None) -> Any:
    packet = av.Packet(b"picture")
    packet.dts = None if sent_s is None else round(sent_s / TICK_S)
    return packet


class Network:
    """Gives packets no earlier than they were sent, at once if that was before; time is made up."""

    def __init__(self, sent_s: list[float], says_s: list[float | None] | None = None) -> None:
        self.passed_s = 0.0
        self.naps = 0
        self._sent_s, self._says_s = sent_s, says_s or list(sent_s)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def sleep(self, seconds: float) -> None:
        self.passed_s += seconds
        self.naps += 1

    def packets(self) -> Iterator[Any]:
        for sent_s, says_s in zip(self._sent_s, self._says_s, strict=True):
            self.passed_s = max(self.passed_s, sent_s)
            yield make_packet(says_s)


def arrive(network: Network, spare_s: float = 0.4, tick_s: float | None = TICK_S) -> list[float]:
    arrivals = Arrivals(
        *(network.packets(), tick_s, network.now, lambda _at: spare_s),
        sleep=network.sleep,
        monotonic=lambda: network.passed_s,
        rota=Rota(),
    )
    return [(at - START).total_seconds() for _, at in arrivals]


SENT_S = [0.1 + SENT_EVERY_S * number for number in range(40)]


@pytest.mark.parametrize(
    ("spare_s", "naps"),
    [(0.0, 0), (0.05, 0), (0.4, 5), (1.0, 2), (60.0, 2)],
    ids=["none", "too little", "some", "a second", "no more than a second"],
)
def test_packets_bear_the_time_at_which_they_came_though_we_slept(
    spare_s: float, naps: int
) -> None:
    network = Network(SENT_S)
    assert arrive(network, spare_s) == pytest.approx(SENT_S, abs=TICK_S)
    assert network.naps == naps


@pytest.mark.parametrize("says_s", [None, -5.0, 5000.0], ids=["no time", "back", "ahead"])
def test_a_camera_whose_clock_jumps_is_little_out(says_s: float | None) -> None:
    says = [sent_s if number < 20 else says_s for number, sent_s in enumerate(SENT_S)]
    came = arrive(Network(SENT_S, says))
    assert came == pytest.approx(SENT_S, abs=LONGEST_WAIT.total_seconds())


def test_an_empty_packet_is_the_end() -> None:
    packets: Iterator[Any] = iter([make_packet(0.0), av.Packet(0), make_packet(1.0)])
    assert len(list(Arrivals(packets, TICK_S, lambda: START, lambda _at: 0.0))) == 1


def test_of_a_stream_that_tells_no_time_each_packet_is_awaited() -> None:
    network = Network(SENT_S, [None if n % 2 else 7.0 for n in range(len(SENT_S))])
    assert arrive(network, tick_s=None) == pytest.approx(SENT_S)
    assert network.naps == 0


def test_cameras_wake_in_turn_and_none_before_it_is_due() -> None:
    rota = Rota()
    assert rota.wake_after(7.1) == 7.5
    assert rota.wake_after(7.3) == 7.5 + TURN_S
    assert rota.wake_after(7.6) == 8
    assert rota.wake_after(7.5) == 7.5 + 2 * TURN_S, "the round before is not forgotten"
    assert rota.wake_after(8.0) == 8 + TURN_S


def test_more_cameras_than_a_round_has_turns_wake_within_it_all_the_same() -> None:
    rota = Rota()
    wakes = [rota.wake_after(20.2) for _ in range(200)]
    assert all(20.5 <= wake < 20.5 + ROUND_S for wake in wakes)
    assert max(wakes.count(wake) for wake in wakes) <= 1 + 200 // int(ROUND_S / TURN_S)


def test_a_rota_remembers_no_more_than_it_needs() -> None:
    rota = Rota()
    for second in range(1000):
        assert rota.wake_after(second + 0.2) == second + 0.5
