"""Topics and who may use them."""

import pytest

from event_protocol.names import DeviceId
from event_protocol.topics import (
    FROM_DEVICE,
    TO_DEVICE,
    Channel,
    may_publish,
    may_subscribe,
    parse_topic,
    server_may_publish,
    server_may_receive,
    server_may_subscribe,
    topic_of,
    topics_of_all,
)

BOX = DeviceId("desk-box-01")
OTHER = DeviceId("desk-box-02")


@pytest.mark.parametrize("channel", Channel)
def test_a_topic_is_read_as_it_was_made(channel: Channel) -> None:
    assert topic_of(BOX, channel) == f"onestop/v1/desk-box-01/{channel.value}"
    assert parse_topic(topic_of(BOX, channel)) == (BOX, channel)
    assert topics_of_all(channel) == f"onestop/v1/+/{channel.value}"


def test_every_channel_has_one_direction() -> None:
    assert set(Channel) == FROM_DEVICE | TO_DEVICE
    assert not FROM_DEVICE & TO_DEVICE


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "onestop/v1/desk-box-01",
        "onestop/v1/desk-box-01/events/more",
        "onestop/v2/desk-box-01/events",
        "onestop/v1/desk-box-01/gossip",
        "onestop/v1/Desk Box/events",
        "onestop/v1/+/events",
        "onestop/v1/#",
        "onestop/v1/a.b/events",
        "onestop/v1/desk-box-01/events\n",
        "onestop/v1/desk-box-01\n/events",
    ],
)
def test_what_is_none_of_our_topics_is_none(topic: str) -> None:
    assert parse_topic(topic) is None
    assert not may_publish(BOX, topic)
    assert not may_subscribe(BOX, topic)


@pytest.mark.parametrize("channel", Channel)
def test_a_device_publishes_upwards_and_reads_downwards_under_its_own_name(
    channel: Channel,
) -> None:
    own, others = topic_of(BOX, channel), topic_of(OTHER, channel)
    assert may_publish(BOX, own) is (channel in FROM_DEVICE)
    assert may_subscribe(BOX, own) is (channel in TO_DEVICE)
    assert not may_publish(BOX, others)
    assert not may_subscribe(BOX, others)


@pytest.mark.parametrize("channel", Channel)
def test_the_server_writes_downwards_and_reads_upwards(channel: Channel) -> None:
    own, downwards = topic_of(BOX, channel), channel in TO_DEVICE
    assert server_may_publish(own) == downwards
    assert server_may_receive(own) != downwards
    assert server_may_subscribe(topics_of_all(channel)) != downwards
    assert not server_may_subscribe(own)  # one for all of them, not one for each
    assert not server_may_publish(topics_of_all(channel))


@pytest.mark.parametrize("topic", ["#", "onestop/v1/#", "onestop/v1/+/+", "$SYS/#", ""])
def test_the_server_has_nothing_beyond_the_channels(topic: str) -> None:
    assert not server_may_publish(topic)
    assert not server_may_subscribe(topic)
    assert not server_may_receive(topic)
