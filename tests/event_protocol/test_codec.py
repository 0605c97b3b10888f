"""Events to bytes and back: golden files, generated events, and everything that is not an event."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_protocol.canonical import canonical_bytes, sha256_hex
from event_protocol.codec import (
    MAX_EVENT_BYTES,
    Accepted,
    Position,
    Refused,
    Unreadable,
    decode_event,
    encode_event,
    hash_event,
)
from event_protocol.events import (
    EVENT_OF_DATA,
    MAX_SHIFT_PIXELS,
    CameraDetail,
    CameraObserved,
    CameraState,
    DeviceCheckpoint,
    DeviceStarted,
    EpochHead,
    Event,
    EventData,
    FeedbackAmended,
    FeedbackChannel,
    FeedbackSubmitted,
    LastRun,
    ObservationsDropped,
    PictureShift,
    PresenceObserved,
    PresenceState,
    QueueBand,
    QueueObserved,
    SlipScanned,
    ZoneRole,
)
from event_protocol.examples import DEVICE, example_events
from event_protocol.names import MAX_INTEGER, DeviceId

GOLDEN = Path(__file__).parent / "golden" / "v1"
HASHES: dict[str, str] = json.loads((GOLDEN / "hashes.json").read_text())
EVENTS: dict[str, Event] = {event.type: event for event in example_events()}

# --- generated events -------------------------------------------------------------------------

names = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?", fullmatch=True)
hashes = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
positive = st.integers(1, MAX_INTEGER)
shares = st.floats(0, 1)
pixels = st.integers(-MAX_SHIFT_PIXELS, MAX_SHIFT_PIXELS)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=offsets)  # noqa: DTZ001 hypothesis wants naive limits
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)

STATEMENTS: dict[type[EventData], st.SearchStrategy[EventData]] = {
    DeviceStarted: st.builds(
        DeviceStarted,
        agent_version=st.text("0123456789.", max_size=64),
        platform=texts,
        last_run=st.sampled_from(LastRun),
        desks=st.lists(names, max_size=3).map(tuple),
        previous_epoch=st.none()
        | st.builds(EpochHead, epoch=positive, sequence=positive, hash=hashes),
    ),
    DeviceCheckpoint: st.builds(
        DeviceCheckpoint,
        through=positive,
        hash=hashes,
        signature=st.from_regex(r"[A-Za-z0-9+/]{86}==", fullmatch=True),
    ),
    CameraObserved: st.builds(
        CameraObserved,
        camera=names,
        state=st.sampled_from(CameraState),
        since=times,
        detail=st.none() | st.sampled_from(CameraDetail),
        shift=st.none() | st.builds(PictureShift, right=pixels, down=pixels),
    ),
    PresenceObserved: st.builds(
        PresenceObserved,
        zone=names,
        role=st.sampled_from(ZoneRole),
        state=st.sampled_from(PresenceState),
        since=times,
        confidence=shares,
        observed_share=shares,
        session_id=st.none() | st.uuids(),
    ),
    ObservationsDropped: st.builds(ObservationsDropped, camera=names, count=positive, since=times),
    QueueObserved: st.builds(
        QueueObserved, zone=names, band=st.sampled_from(QueueBand), since=times, confidence=shares
    ),
    SlipScanned: st.builds(SlipScanned, text=texts, session_id=st.none() | st.uuids()),
    FeedbackSubmitted: st.builds(
        FeedbackSubmitted, channel=st.sampled_from(FeedbackChannel), digest=hashes
    ),
    FeedbackAmended: st.builds(
        FeedbackAmended,
        channel=st.sampled_from(FeedbackChannel),
        digest=hashes,
        amends=st.uuids(),
    ),
}


@st.composite
def events(draw: st.DrawFn) -> Event:
    said = draw(st.one_of(*STATEMENTS.values()))
    fields: dict[str, Any] = {
        "id": draw(st.uuids()),
        "source": f"/devices/{draw(names)}",
        "time": draw(times),
        "sequence": draw(positive),
        "epoch": draw(positive),
        "boot": draw(positive),
        "prevhash": draw(hashes),
        "clockoffsetms": draw(st.none() | st.integers(-MAX_INTEGER, MAX_INTEGER)),
        "data": said,
    }
    if not isinstance(said, DeviceStarted | DeviceCheckpoint | ObservationsDropped):
        fields["subject"] = draw(names)
    if isinstance(said, FeedbackSubmitted | FeedbackAmended):
        fields["sealed"] = draw(st.none() | st.text("abcdef:=+/", max_size=200))
    return EVENT_OF_DATA[type(said)].model_validate(fields)


# --- golden files -----------------------------------------------------------------------------


def test_every_event_type_has_a_golden_file_and_a_generator() -> None:
    types = {kind.model_fields["type"].default for kind in get_args(get_args(Event)[0])}
    assert types == set(EVENTS) == set(HASHES) == {path.stem for path in GOLDEN.glob("onestop.*")}
    assert set(STATEMENTS) == set(EVENT_OF_DATA)


@pytest.mark.parametrize("kind", sorted(HASHES))
def test_a_golden_event_reads_and_writes_as_it_always_did(kind: str) -> None:
    body = (GOLDEN / f"{kind}.json").read_bytes()
    decoded = decode_event(DEVICE, body)
    assert isinstance(decoded, Accepted)
    assert decoded.event == EVENTS[kind]
    assert decoded.body == encode_event(EVENTS[kind]) == body
    assert decoded.hash == hash_event(body) == HASHES[kind]
    assert decoded.position == Position(DEVICE, EVENTS[kind].epoch, EVENTS[kind].sequence)
    assert decoded.event.device == DEVICE


def test_the_seal_stands_outside_the_hash() -> None:
    event = EVENTS["onestop.feedback.submitted"]
    erased = event.model_copy(update={"sealed": None})
    assert encode_event(erased) != encode_event(event)
    assert hash_event(encode_event(erased)) == hash_event(encode_event(event))


# --- inverse ----------------------------------------------------------------------------------


@given(events())
def test_decoding_is_the_inverse_of_encoding(event: Event) -> None:
    decoded = decode_event(event.device, encode_event(event))
    assert isinstance(decoded, Accepted)
    assert decoded.event == event
    assert encode_event(decoded.event) == decoded.body


@given(events(), st.sampled_from([None, 0, 2]), st.booleans())
def test_another_way_of_writing_the_same_event_has_the_same_body(
    event: Event, indent: int | None, ascii_only: bool
) -> None:
    body = encode_event(event)
    rewritten = json.dumps(
        dict(reversed(json.loads(body).items())), indent=indent, ensure_ascii=ascii_only
    ).encode()
    decoded = decode_event(event.device, rewritten)
    assert isinstance(decoded, Accepted)
    assert (decoded.body, decoded.hash) == (body, hash_event(body))


# --- what is no event -------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_reason(payload: bytes) -> None:
    decoded = decode_event(DEVICE, payload)
    assert isinstance(decoded, Refused)
    assert decoded.reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@given(events(), st.data())
def test_a_mutated_event_never_raises_and_keeps_its_position(
    event: Event, data: st.DataObject
) -> None:
    fields = json.loads(encode_event(event))
    name = data.draw(st.sampled_from([*sorted(fields), "unheard_of"]))
    if data.draw(st.booleans()):
        fields.pop(name, None)
    else:
        fields[name] = data.draw(json_values)
    decoded = decode_event(event.device, json.dumps(fields).encode())
    if isinstance(decoded, Refused):
        assert decoded.reason
        return
    assert decoded.position.device == event.device
    if name not in {"epoch", "sequence"}:
        assert decoded.position == Position(event.device, event.epoch, event.sequence)
    if isinstance(decoded, Unreadable):
        assert decoded.reason
        assert decoded.body


@given(events(), st.integers(0, 2000), st.binary(min_size=1, max_size=3))
def test_damaged_bytes_never_raise(event: Event, at: int, damage: bytes) -> None:
    body = encode_event(event)
    at %= len(body)
    damaged = body[:at] + damage + body[at + len(damage) :]
    assert isinstance(decode_event(event.device, damaged), Accepted | Unreadable | Refused)


def presence(**changes: object) -> bytes:
    """A presence event with some of its attributes changed."""
    fields = orjson.loads(encode_event(EVENTS["onestop.presence.observed"]))
    return json.dumps(fields | changes).encode()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no readable source"),
        (presence(source=7), "no readable source"),
        (presence(source="/desks/a"), "no readable source"),
        (presence(source="/devices/other"), "source is not the topic's device"),
        (presence(epoch="1"), "no readable epoch"),
        (presence(epoch=True), "no readable epoch"),
        (presence(epoch=0), "no readable epoch"),
        (presence(sequence=1.0), "no readable sequence"),
        (presence(sequence=MAX_INTEGER + 1), "no readable sequence"),
        (b" " * (MAX_EVENT_BYTES + 1), "too large"),
        (b"x" * 10_000_000, "too large: 10000000 bytes"),
    ],
)
def test_without_a_readable_position_it_is_refused(payload: bytes, reason: str) -> None:
    decoded = decode_event(DEVICE, payload)
    assert isinstance(decoded, Refused)
    assert decoded.reason.startswith(reason)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (presence(type="onestop.presence.felt"), "wrong schema: : union_tag_invalid"),
        (presence(dataschema="urn:onestop:schema:9"), "unknown schema version"),
        (presence(time="yesterday"), "wrong schema: onestop.presence.observed.time: "),
        (presence(time=1_767_254_400), "wrong schema: onestop.presence.observed.time: "),
        (presence(time="2026-01-05T01:30:00"), "wrong schema: onestop.presence.observed.time: "),
        (presence(boot="3"), "wrong schema: onestop.presence.observed.boot: int_type"),
        (presence(subject=None), "wrong schema: onestop.presence.observed.subject: "),
        (presence(secret="x"), "wrong schema: onestop.presence.observed.secret: extra_forbidden"),
        (presence(clockoffsetms=2**60), "no canonical form: "),
        (presence(data=eval("[" * 90 + "]" * 90)), "wrong schema: "),  # noqa: S307 ninety lists in each other
    ],
)
def test_with_a_readable_position_it_occupies_it(payload: bytes, reason: str) -> None:
    decoded = decode_event(DEVICE, payload)
    assert isinstance(decoded, Unreadable)
    assert decoded.reason.startswith(reason)
    assert decoded.position == Position(DEVICE, EVENTS["onestop.presence.observed"].epoch, 3)
    assert decoded.event_id == str(EVENTS["onestop.presence.observed"].id)
    assert decoded.prevhash == EVENTS["onestop.presence.observed"].prevhash
    assert decoded.hash == sha256_hex(decoded.body)


def test_no_canonical_form_keeps_the_bytes_as_they_came() -> None:
    payload = presence(clockoffsetms=2**60)
    decoded = decode_event(DEVICE, payload)
    assert isinstance(decoded, Unreadable)
    assert (decoded.body, decoded.hash) == (payload, sha256_hex(payload))


def test_an_unreadable_events_id_and_prevhash_are_only_named_if_they_are_text() -> None:
    decoded = decode_event(DEVICE, presence(id=7, prevhash="x" * 999))
    assert isinstance(decoded, Unreadable)
    assert decoded.event_id is None
    assert decoded.prevhash == "x" * 128


def test_a_reason_never_repeats_what_the_sender_wrote() -> None:
    decoded = decode_event(DEVICE, presence(boot="<script>"))
    assert isinstance(decoded, Unreadable)
    assert "script" not in decoded.reason


@pytest.mark.parametrize("year", ["1970", "2090"])
def test_a_wrong_clock_is_accepted(year: str) -> None:
    decoded = decode_event(DEVICE, presence(time=f"{year}-01-01T00:00:00.000Z"))
    assert isinstance(decoded, Accepted)


def test_of_a_name_given_twice_the_last_counts() -> None:
    body = encode_event(EVENTS["onestop.presence.observed"])
    decoded = decode_event(DEVICE, body[:-1] + b',"boot":9}')
    assert isinstance(decoded, Accepted)
    assert decoded.event.boot == 9
    assert decoded.body == canonical_bytes(orjson.loads(decoded.body))


@pytest.mark.parametrize("name", ["specversion", "datacontenttype", "dataschema"])
def test_an_attribute_with_one_possible_value_may_be_left_out(name: str) -> None:
    fields = orjson.loads(presence())
    del fields[name]
    decoded = decode_event(DEVICE, orjson.dumps(fields))
    assert isinstance(decoded, Accepted)
    assert name.encode() not in decoded.body


def test_a_time_from_the_wire_is_the_instant_that_was_written() -> None:
    decoded = decode_event(DEVICE, presence(time="2026-01-05T08:30:00.123999+07:00"))
    assert isinstance(decoded, Accepted)
    assert decoded.event.time == datetime(2026, 1, 5, 1, 30, 0, 123_999, tzinfo=UTC)


def test_a_time_of_ours_is_cut_to_what_the_wire_can_say() -> None:
    hanoi = timezone(timedelta(hours=7))
    at = datetime(2026, 1, 5, 8, 30, 0, 123_999, hanoi)
    written = CameraObserved(camera="camera", state=CameraState.OK, since=at)
    assert written.since == datetime(2026, 1, 5, 1, 30, 0, 123_000, tzinfo=UTC)
    assert CameraObserved.model_validate_json(written.model_dump_json()) == written


def test_models_are_immutable_and_ids_are_ids() -> None:
    event = EVENTS["onestop.presence.observed"]
    assert isinstance(event.id, UUID)
    with pytest.raises(ValueError, match="frozen"):
        event.boot = 4  # type: ignore[misc]  # that it can't be done is the point
    assert DeviceId("other") != event.device
