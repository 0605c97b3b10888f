"""A stream as a whole: gaps, restarts, wrong clocks, broken chains, desks it may not speak for."""

from datetime import date

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from central_server.domain.sessions import SessionState, figures
from central_server.domain.streams import may_speak_for
from event_protocol.names import DeviceId
from event_protocol.signing import checkpoint_statement, sign
from tests.central_server.domain.stories import Story, both_ways, minute

ENDED, UNCERTAIN = SessionState.ENDED, SessionState.UNCERTAIN


def desk() -> Story:
    return Story().officer(0, "occupied").goes(0)


def test_a_gap_makes_unknown_and_is_a_flag() -> None:
    story = desk().comes(5, 1).loses(3).zone(9, "occupied", since=5, session=1).goes(12)
    told = both_ways(story)
    flag = told.only_flag("sequence_gap")
    assert flag.facts == {"epoch": 1, "first": 4, "last": 6}
    assert (flag.begin, flag.end) == (minute(5), minute(9))
    session = told.session(1)
    assert figures(session).unobserved_s > 0
    assert session.state is ENDED


def test_a_gap_at_the_start_and_one_at_the_end() -> None:
    story = Story().loses().goes(3).loses()
    told = story.told(closed=True)
    assert [flag.facts["first"] for flag in told.flags.values()] == [1, 3]
    assert [flag.begin for flag in told.flags.values()] == [minute(3), minute(3)]
    assert Story().loses().told(closed=True).flags == {}  # of a stream that said nothing


def test_an_unreadable_position_is_stepped_over_as_unknown() -> None:
    told = both_ways(desk().comes(5, 1).unreadable().zone(9, "occupied", since=5, session=1))
    assert told.session(1).state is UNCERTAIN
    assert told.flags == {}


def test_what_a_full_disk_dropped_is_unknown_from_then_on() -> None:
    story = desk().comes(5, 1).officer(30, "occupied", since=0)
    dropped = {"camera": "c", "count": 40, "since": minute(32).isoformat()}
    story.say(60, "observations.dropped", dropped)
    story.officer(61, "occupied").zone(61, "occupied", since=5, session=1).goes(62)
    told = both_ways(story)
    session = told.session(1)
    assert figures(session).unobserved_s == 29 * 60
    assert session.state is ENDED
    assert told.flags == {}


def test_a_clock_in_the_future_breaks_nothing_and_claims_nothing() -> None:
    far = 40 * 365 * 24 * 60
    story = desk().officer(4, "empty").comes(5, 1).zone(far, "occupied", session=1, clock="future")
    story.officer(6, "occupied").zone(6, "occupied", since=5, session=1).goes(9)
    told = both_ways(story)
    session = told.session(1)
    assert session.clock_suspect
    assert (session.ended_at, session.state) == (minute(9), ENDED)
    assert figures(session).wait_s is None
    assert [flag.rule for flag in told.flags.values()] == ["wrong_clock"]
    assert max(day for _, day in told.days) == date(2026, 3, 2)


def test_stays_by_a_wrong_clock_begin_and_end_uncertain() -> None:
    past = -50 * 365 * 24 * 60
    story = Story().zone(past, "occupied", session=1, clock="past")
    story.zone(past + 4, "occupied", session=1, clock="past")
    story.zone(past + 5, "unknown", session=1, clock="past").say(
        past + 5, "camera.observed", {}, clock="past"
    )
    told = both_ways(story)
    assert told.session(1).ended_at is None
    told = both_ways(story.zone(past + 9, "empty", clock="past"))
    session = told.session(1)
    assert (session.state, session.clock_suspect) == (UNCERTAIN, True)
    assert session.ended_at is not None


def clocks(story: Story) -> list[tuple[str, int, int]]:
    """Each flag on the clock: why, from which event to which."""
    flags = both_ways(story).flags.values()
    return [
        (flag.facts["cause"], flag.facts["first"], flag.facts["last"])
        for flag in flags
        if flag.rule == "wrong_clock"
    ]


def test_a_wrong_clock_is_one_flag_as_long_as_it_is_wrong_in_one_way() -> None:
    story = desk().zone(1, "empty")
    begin = story.sequence
    story.zone(9000, "empty", clock="future").zone(9001, "empty", clock="future").zone(2, "empty")
    story.zone(-9000, "empty", clock="past")
    assert clocks(story) == [("future", begin + 1, begin + 2), ("past", begin + 4, begin + 4)]


def test_a_clock_that_was_set_back_is_a_flag_each_time() -> None:
    story = desk().zone(60, "empty").zone(30, "empty").zone(40, "empty").zone(20, "empty")
    last = story.sequence
    assert clocks(story) == [("set_back", last - 2, last - 2), ("set_back", last, last)]
    assert clocks(desk().zone(60, "empty").zone(59.5, "empty")) == []


def test_a_clock_that_the_box_itself_knows_to_be_wrong_is_a_flag() -> None:
    story = desk().zone(1, "empty")
    begin = story.sequence
    for at, offset_ms in ((2, 301_000), (3, 400_000), (4, 299_000), (5, -3_600_000)):
        story.offset_ms = offset_ms
        story.zone(at, "empty")
    assert clocks(story) == [("offset", begin + 1, begin + 2), ("offset", begin + 4, begin + 4)]


def test_a_clock_set_back_is_the_time_from_then_on() -> None:
    story = desk().comes(60, 1).zone(2, "occupied", since=2, session=1)
    story.officer(4, "occupied", since=2).goes(4).comes(10, 2).goes(20)
    told = both_ways(story)
    assert told.session(1).clock_suspect
    assert (told.session(2).clock_suspect, told.session(2).ended_at) == (False, minute(20))
    assert figures(told.session(2)).service_s == 600


def test_a_clock_that_wanders_is_no_matter() -> None:
    story = desk().comes(10, 1).officer(9.5, "occupied", since=0).goes(12)
    assert not both_ways(story).session(1).clock_suspect


def test_a_since_that_contradicts_is_a_wrong_clock() -> None:
    story = desk().repeats(0, 30, citizen="empty").zone(31, "occupied", since=-90, session=1)
    session = both_ways(story).session(1)
    assert (session.arrived_at, session.clock_suspect) == (minute(30), True)


def test_feedback_says_nothing_of_the_time() -> None:
    story = desk().comes(20, 1).say(15, "feedback.submitted", {"channel": "kiosk", "digest": ""})
    session = both_ways(story.goes(22)).session(1)
    assert (session.clock_suspect, session.state) == (False, ENDED)


def test_another_units_desk_is_not_spoken_for() -> None:
    story = Story().zone(1, "empty", desk="elsewhere").zone(2, "occupied", desk="elsewhere")
    story.say(3, "camera.observed", {"camera": "c", "state": "ok"}, desk="elsewhere")
    story.say(3, "slip.scanned", {"text": "A"}, desk="elsewhere")
    story.zone(4, "occupied", desk="elsewhere", clock="past")
    told = both_ways(story)
    assert (told.sessions, told.days) == ({}, {})
    assert [flag.rule for flag in told.flags.values()] == ["wrong_clock"]


def test_who_may_speak_for_a_desk() -> None:
    assert may_speak_for("device-a", "unit-a", "device-a", "unit-b")
    assert may_speak_for("device-a", "unit-a", "device-b", "unit-a")
    assert not may_speak_for("device-a", "unit-a", "device-b", "unit-b")


def test_unknown_types_are_known_positions() -> None:
    assert both_ways(desk().say(1, "queue.observed", {})).flags == {}


def test_a_broken_chain_is_one_flag_however_long() -> None:
    story = desk()
    for at in (1, 2, 3):
        story.say(at, "queue.observed", {}, prevhash="f" * 64)
    told = both_ways(story.goes(4))
    flag = told.only_flag("broken_chain")
    assert (flag.facts["first"], flag.facts["last"]) == (3, 5)
    assert flag.facts["cause"] == "prevhash"
    again = both_ways(story.say(5, "queue.observed", {}, prevhash="e" * 64))
    assert len(again.flags) == 2


def test_a_chain_may_break_before_any_time_is_known() -> None:
    bad = {"prevhash": "f" * 64, "clock": "past"}
    told = both_ways(Story().unreadable().say(1, "queue.observed", {}, **bad))
    assert told.only_flag("broken_chain").begin == minute(1)
    story = Story().unreadable().unreadable()
    story.rows[1] = story.rows[1]._replace(prevhash="f" * 64)  # type: ignore[union-attr]  # a row, not a gap
    assert both_ways(story).only_flag("broken_chain").begin.year == 1970


def checkpoint(story: Story, key: Ed25519PrivateKey, at: float = 5, **changed: str) -> Story:
    through, head = story.sequence, changed.get("hash", story.head)
    statement = checkpoint_statement(DeviceId("device-a"), 1, through, head)
    data = {"through": through, "hash": head, "signature": sign(statement, key)}
    return story.say(at, "device.checkpoint", data, desk=None)


def test_checkpoints() -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    good = Story(public_key=public).goes(0)
    assert both_ways(checkpoint(good, key)).flags == {}
    forged = Story(public_key=public).goes(0)
    assert both_ways(checkpoint(forged, other)).only_flag("broken_chain").facts["cause"] == (
        "checkpoint_signature"
    )
    other_hash = Story(public_key=public).goes(0)
    told = both_ways(checkpoint(other_hash, key, hash="f" * 64))
    assert told.only_flag("broken_chain").facts["cause"] == "checkpoint_hash"


def test_a_signature_from_before_the_pairing_is_not_judged() -> None:
    other = Ed25519PrivateKey.generate()
    assert both_ways(checkpoint(Story().goes(0), other)).flags == {}
    earlier = Story(public_key=bytes(32), paired_at=minute(60)).goes(0)
    assert both_ways(checkpoint(earlier, other)).flags == {}
