"""How well told presence agrees with labels, second by second.

Seconds whose middle lies within 0.6 s of a label's boundary are left out: the labels are no more
exact than that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from event_protocol.events import PresenceState

BOUNDARY_S = 0.6
WORST_BOUNDARY_S = 10.0  # a boundary that was never told counts as so far away

Interval = tuple[float, float]
Told = Sequence[tuple[float, PresenceState]]


@dataclass(slots=True)
class Score:
    """Counts of seconds. What was said to be unknown is no claim; its seconds are counted apart."""

    found: int = 0
    missed: int = 0
    false: int = 0
    quiet: int = 0
    unknown: int = 0
    boundary_errors_s: list[float] = field(default_factory=list)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 if nobody was there and nobody was told."""
        told = 2 * self.found + self.missed + self.false
        return 2 * self.found / told if told else 1.0

    @property
    def tnr(self) -> float:
        """Share of the empty seconds that were told as empty."""
        return self.quiet / (self.quiet + self.false) if self.quiet + self.false else 1.0

    @property
    def known(self) -> float:
        """Share of all scored seconds of which something was claimed."""
        known = self.found + self.missed + self.false + self.quiet
        return known / (known + self.unknown) if known + self.unknown else 0.0

    @property
    def boundary_error_s(self) -> float:
        """Mean distance from a label's boundary to the change that was told."""
        errors = self.boundary_errors_s
        return sum(errors) / len(errors) if errors else 0.0

    def add(self, told: Told, stays: Sequence[Interval], seconds: float) -> None:
        """Count one zone: `told` are its changes of state in order, `stays` the labels."""
        edges = [edge for stay in stays for edge in stay]
        for second in range(int(seconds)):
            middle = second + 0.5
            if any(abs(middle - edge) < BOUNDARY_S for edge in edges):
                continue
            self._count(state_at(told, middle), any(b <= middle < e for b, e in stays))
        for begin_s, end_s in stays:
            self._measure(told, begin_s, PresenceState.OCCUPIED)
            if end_s < seconds:
                self._measure(told, end_s, PresenceState.EMPTY)

    def _count(self, state: PresenceState, is_there: bool) -> None:
        if state is PresenceState.UNKNOWN:
            self.unknown += 1
        elif is_there:
            self.found += state is PresenceState.OCCUPIED
            self.missed += state is PresenceState.EMPTY
        else:
            self.false += state is PresenceState.OCCUPIED
            self.quiet += state is PresenceState.EMPTY

    def _measure(self, told: Told, edge_s: float, state: PresenceState) -> None:
        if edge_s > 0:
            away = [abs(at_s - edge_s) for at_s, said in told if said is state]
            self.boundary_errors_s.append(min([WORST_BOUNDARY_S, *away]))


def state_at(told: Told, at_s: float) -> PresenceState:
    """What was told of that time."""
    return [PresenceState.UNKNOWN, *(state for since, state in told if since <= at_s)][-1]


def settle(said: Iterable[tuple[float, PresenceState]]) -> Told:
    """Changes in order, from what was said one after the other: who speaks later knows better."""
    told: list[tuple[float, PresenceState]] = []
    for since, state in said:
        while told and told[-1][0] >= since:
            told.pop()
        if not told or told[-1][1] is not state:
            told.append((since, state))
    return told
