"""Zone readings over time become statements on presence and queue, for all zones of one desk."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from edge_agent.core.desk_zones import Zone
from edge_agent.core.queue import QueueTracker
from edge_agent.core.statements import Statement
from edge_agent.core.zone_evidence import Learn
from edge_agent.core.zone_reading import ZoneReading
from edge_agent.core.zone_tracker import ZoneMemory, ZoneTracker
from event_protocol.events import PresenceState, ZoneRole
from event_protocol.names import DeskId


class PresenceTracker:
    """The presence of all zones of one desk."""

    def __init__(self, desk: DeskId, zones: tuple[Zone, ...], new_id: Callable[[], UUID]) -> None:
        self._zones = {zone.name: ZoneTracker(desk, zone, new_id) for zone in zones}
        self._queues = {
            zone.name: QueueTracker(desk, zone) for zone in zones if zone.role is ZoneRole.WAITING
        }

    def observe(self, readings: Mapping[str, ZoneReading], at: datetime) -> list[Statement]:
        """Take in each zone's reading of the frame of `at`; a missing one is not known."""
        said: list[Statement] = []
        for name, zone in self._zones.items():
            reading = readings.get(name)
            said += zone.observe(reading, at)
            if name in self._queues:
                said += self._queues[name].observe(reading, zone.memory.state, at)
        return said

    def lesson(self, zone: str) -> Learn:
        """What the picture just observed teaches of the zone's empty look."""
        return self._zones[zone].learn

    def lose_sight(self, since: datetime, at: datetime) -> list[Statement]:
        """Nothing has been seen since then; `at` is when this became clear."""
        return [s for zone in self._zones.values() for s in zone.lose_sight(since, at)]

    def settled_until(self, at: datetime) -> datetime:
        """No change that is still to be stated will be about a time before this."""
        return min(zone.settled_until(at) for zone in self._zones.values())

    @property
    def is_changing(self) -> bool:
        """Some zone shows something else than its present state."""
        return any(zone.is_changing for zone in self._zones.values())

    def can_miss_a_look(self, at: datetime) -> bool:
        """Whether a look less at any zone would not matter."""
        return all(zone.can_miss_a_look(at) for zone in self._zones.values())

    def may_be_occupied(self, zone: str) -> bool:
        """Whether somebody is there, or may be: all but known to be empty and showing nobody."""
        return self._zones[zone].may_be_occupied

    def stay_at(self, at: datetime, zone: str | None = None) -> UUID | None:
        """The stay that feedback given now belongs to; `None` if there is none, or several."""
        citizens = [z for z in self._zones.values() if z.zone.role is ZoneRole.CITIZEN]
        if zone is not None:
            citizens = [self._zones[zone]]
        present = [z for z in citizens if z.memory.state is PresenceState.OCCUPIED]
        stays = {z.stay_at(at) for z in present or citizens} - {None}
        return stays.pop() if len(stays) == 1 else None

    @property
    def wants_look(self) -> bool:
        """Somebody is there, in a stay of which the confirmer was shown no picture yet."""
        return any(zone.wants_look for zone in self._zones.values())

    def note_look(self) -> None:
        """The confirmer is shown the picture just observed."""
        for zone in self._zones.values():
            zone.note_look()

    def confirm(self, zone: str, at: datetime) -> None:
        """The confirmer saw somebody there at that time; it is said with the next picture."""
        self._zones[zone].confirm(at)

    def snapshot(self) -> dict[str, Any]:
        """What to keep beside the outbox so that a restart can go on, as JSON values."""
        return {name: zone.memory.model_dump(mode="json") for name, zone in self._zones.items()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot; zones that were added since then start afresh.

        Raises `ValueError` (pydantic's) if it is not a snapshot. Call before the first `observe`.
        """
        for name, memory in snapshot.items():
            if name in self._zones:
                self._zones[name].memory = ZoneMemory.model_validate(memory)
