"""`central-server simulate`: registers a fleet as real boxes are, and lets it speak over MQTT."""

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from central_server.domain.rules import DEFAULT_SCHEDULE
from central_server.mqtt.broker_tls import load_own
from central_server.services import enrolment, registry, rule_sets
from central_server.services.authority import Credentials
from central_server.services.context import ServerContext
from central_server.simulation import phones
from central_server.simulation.fleet import (
    AGENT_VERSION,
    DeviceChain,
    FleetEvent,
    SimulatedDevice,
    device_key,
)
from central_server.simulation.places import plan_devices, write_units
from central_server.simulation.publisher import DeviceConnection, FleetMember, publish_fleet
from central_server.simulation.visits import Span
from central_server.storage import streams
from event_protocol.certificates import make_certificate_request, make_key, write_key
from event_protocol.enrolment import Enrolment, EnrolmentRequest
from event_protocol.names import DeskId

UNITS_FILE = "simulated_units.yaml"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate. `first_day` is local; `live`: go on at real pace after the past is told."""

    desks: int
    days: int
    seed: int
    first_day: date
    dishonest: int
    province: str | None = None
    live: bool = False


def simulate(
    context: ServerContext, plan: Plan, console: Console, stopping: threading.Event
) -> None:
    """Register the fleet and publish until all has its receipt, or `stopping` is set.

    Raises `FleetError`, or `WrongFileError` if the units don't fit the registry.
    """
    devices = plan_devices(plan.desks, plan.dishonest)
    file = context.settings.directory / UNITS_FILE
    write_units(devices, plan.province, file)
    registry.load_units(context, file)
    with make_progress_bar(console) as bar:
        fleet = _Fleet(context, plan, bar)
        members = [fleet.make_member(device) for device in devices]
        publish_fleet(members, context.now, stopping, fleet.note_progress)


def local_day(context: ServerContext) -> date:
    """Today at the desks."""
    return rule_sets.load_file(context).calendar(DEFAULT_SCHEDULE).local_day(context.now())


def make_progress_bar(console: Console) -> Progress:
    """What is told of how much there is to tell, and how long the rest will take."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
    )


class _Fleet:
    """The members under way: their chains, and how far each is told."""

    def __init__(self, context: ServerContext, plan: Plan, bar: Progress) -> None:
        calendar = rule_sets.load_file(context).calendar(DEFAULT_SCHEDULE)
        self._context = context
        self._plan = plan
        self._calendar = calendar
        self._begin = datetime.combine(plan.first_day, time(), calendar.zone)
        self._now = context.now()
        self._chains: dict[str, DeviceChain] = {}
        self._told: dict[str, float] = {}  # seconds of the past, by device
        self._bar = bar
        self._task = bar.add_task(f"{plan.days} days of {plan.desks} desks")

    def make_member(self, device: SimulatedDevice) -> FleetMember:
        """Pair the device as a real one, and lay out its days."""
        context, seed = self._context, self._plan.seed
        code = enrolment.make_code(context, device.device, by="simulation")
        public_key = device_key(seed, device.device).public_key().public_bytes_raw().hex()
        key = make_key()
        request = EnrolmentRequest(
            code=code,
            public_key=public_key,
            agent_version=AGENT_VERSION,
            certificate_request=make_certificate_request(key, device.device),
        )
        enrolled = enrolment.enrol(context, request)
        chain = DeviceChain(device, seed, self._begin, context.keys.sealing_public)
        self._chains[device.device] = chain
        self._told[device.device] = 0
        self._bar.update(self._task, total=len(self._chains) * self._seconds_until(self._now))
        tls = _make_tls(context, enrolled, key)
        return FleetMember(enrolled, chain.epoch, self._events_of(chain), tls)

    def note_progress(self, connection: DeviceConnection) -> None:
        """Send what was phoned in the time that the device has told of; move the bar."""
        until = connection.delivered_until
        if until is not None:
            for phoned in self._chains[connection.device].take_phoned(until):
                phones.send(self._context, phoned)
        if connection.is_caught_up:
            until = self._now
        if until is not None:
            self._told[connection.device] = self._seconds_until(min(until, self._now))
            self._bar.update(self._task, completed=sum(self._told.values()))

    def _events_of(self, chain: DeviceChain) -> Iterator[FleetEvent]:
        """Day after day; without `live` no further than now."""
        with self._context.database.reading() as db:
            head = streams.find_head(db, (chain.device, chain.epoch))
        held = 0 if head is None else head.received_through
        for number in count() if self._plan.live else range(self._plan.days):
            day = self._plan.first_day + timedelta(days=number)
            for event in chain.make_day(day, self._opening_of):
                if event.deliver_at > self._now and not self._plan.live:
                    return
                if event.sequence == held:
                    chain.take_phoned(event.deliver_at)  # an earlier run sent these
                yield event

    def _opening_of(self, _desk: DeskId, day: date) -> list[Span]:
        return [Span(begin, end) for begin, end in self._calendar.day(day)]

    def _seconds_until(self, at: datetime) -> float:
        return max(0.0, (at - self._begin).total_seconds())


def _make_tls(
    context: ServerContext, enrolled: Enrolment, key: EllipticCurvePrivateKey
) -> ssl.SSLContext | None:
    """As a real box would: the authority that pairing named, and the certificate it brought."""
    if not enrolled.broker.tls:
        return None
    tls = ssl.create_default_context(cadata=enrolled.broker.authority)
    if enrolled.certificate is not None:
        own = Credentials(write_key(key), enrolled.certificate)
        load_own(tls, own, context.settings.directory)
    return tls
