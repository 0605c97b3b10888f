"""Decodes of a stream's packets what is asked for: key frames alone cost a tenth of all of them.

A key frame can be decoded by itself; every other one only after all since its key frame. So what
is not decoded is kept until the next key frame, and when more is asked for in between, the decoder
catches up at once. Where key frames are too far apart to tell presence by, all are decoded. Where
all is calm every other key frame is passed over, and kept for `LookBack` until the next.
"""

from datetime import datetime, timedelta
from typing import TypeAlias

import av
from av import Packet
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_agent.vision.frames import Demand
from edge_agent.vision.stage_times import StageTimes

# Cameras send a key frame every one to two seconds by their makers' settings, some every four or
# ten, some of the newest when they please. Presence is told to 1.5 s.
MAX_KEY_GAP = timedelta(seconds=2.5)  # two, and a late one
# Where every frame is a key frame, one a second is what `KEY_FRAMES` means.
MIN_KEY_GAP = timedelta(seconds=0.7)
# Of what is passed over: two seconds from look to look, and a frozen camera is told in time.
MAX_PASSED_GAP = timedelta(seconds=1.05)
PASSED_LATE = timedelta(seconds=0.25)  # the one after it, before all are decoded
KEY_LATE = timedelta(seconds=0.03)  # as late as they come through a network that is well
WHEN_OVERDUE_S = 0.2
MAX_SKIPPED = 300  # packets in memory, should a stream's times stand still
MAX_PIXELS = 7680 * 4320  # a damaged header may claim gigabytes
ONE_THREAD = 1  # more take longer for the same work, and every camera would have some

VideoPacket: TypeAlias = "Packet[VideoStream]"  # generic for the type checker alone


def find_video(container: InputContainer) -> VideoStream | None:
    """The first video of a kind that is known here."""
    for stream in container.streams.video:
        codec: object = stream.codec_context  # PyAV has none for what FFmpeg does not know
        if codec is not None:
            return stream
    return None


class StreamDecoder:
    """For the packets of one stream, in order; `stream` must be open. For one thread only."""

    def __init__(self, stream: VideoStream, times: StageTimes) -> None:
        self._codec = stream.codec_context
        self._time_base = stream.time_base
        self._codec.thread_count = ONE_THREAD
        self._codec.options = {"max_pixels": str(MAX_PIXELS)}
        self._times = times
        self._is_running = True  # until the distance of key frames is known
        self._skipped: list[VideoPacket] = []
        self._last_key_at: datetime | None = None
        self._overdue_at: datetime | None = None
        self._key_gap: timedelta | None = None
        self._chosen_at: datetime | None = None  # the last key frame that was shown or passed over
        self._shown_at: datetime | None = None
        self._shown_pts: int | None = None
        self._may_pass = False
        self._passed: tuple[VideoPacket, datetime] | None = None
        self._revealed: tuple[VideoFrame, timedelta] | None = None

    def spare_s(self, at: datetime) -> float:
        """For how long after `at` nothing will be decoded: until the next key frame is due."""
        if self._is_running or self._key_gap is None or self._last_key_at is None:
            return 0.0
        due = self._last_key_at + self._key_gap + KEY_LATE
        # One that is overdue is not waited for packet by packet.
        return max((due - at).total_seconds(), WHEN_OVERDUE_S)

    def decode(self, packet: VideoPacket, at: datetime, demand: Demand) -> list[VideoFrame]:
        """The pictures that this packet, of the time `at`, completes; none if it is damaged."""
        if packet.is_keyframe:
            return self._decode_key(packet, at, demand)
        if self._is_running:
            return self._decode_now(packet)
        self._skipped.append(packet)
        if demand is Demand.ALL_FRAMES or self._is_key_overdue(at):
            return self._catch_up(at)
        return []

    @property
    def is_running(self) -> bool:
        """Whether all pictures are being decoded, not key frames alone."""
        return self._is_running

    def take_passed(self, *, is_calm: bool) -> tuple[VideoFrame, timedelta] | None:
        """What was passed over, and how long before the last picture, unless all is calm.

        Then the next one may be passed over, if no more than `CHANGES` is asked for.
        """
        self._may_pass = is_calm
        if not is_calm and self._shown_at is not None:
            self._reveal(self._shown_at)
        revealed, self._passed, self._revealed = self._revealed, None, None
        return revealed

    def _reveal(self, before: datetime) -> None:
        """Decode what was passed over, by itself: while nothing else is being decoded."""
        if self._passed is None:
            return
        packet, at = self._passed
        self._passed = None
        pictures = self._decode_now(packet) + self._drain()
        if pictures:
            self._revealed = pictures[0], before - at

    def flush(self) -> list[VideoFrame]:
        """What the decoder still holds back at the stream's end."""
        return self._decode_now(None) if self._is_running else []

    def _decode_key(self, packet: VideoPacket, at: datetime, demand: Demand) -> list[VideoFrame]:
        """The only place at which the decoder may begin to skip: all before it are complete."""
        self._key_gap = None if self._last_key_at is None else at - self._last_key_at
        self._last_key_at, self._overdue_at = at, at + MAX_KEY_GAP
        wants_all = demand is Demand.ALL_FRAMES or not self._has_dense_keys
        self._skipped.clear()
        if wants_all:
            self._reveal(at)
            self._run()
            return self._decode_now(packet)
        earlier = self._drain() if self._is_running else []
        self._is_running = False
        self._skipped.append(packet)
        if self._chosen_at is not None and timedelta() <= at - self._chosen_at < MIN_KEY_GAP:
            return earlier
        self._chosen_at = at
        if demand is Demand.CHANGES and self._can_pass(packet, at):
            self._passed = packet, at
            self._overdue_at = at + MAX_PASSED_GAP + PASSED_LATE
            return earlier
        self._shown_at, self._shown_pts = at, packet.pts
        return earlier + self._decode_now(packet) + self._drain()

    def _can_pass(self, packet: VideoPacket, at: datetime) -> bool:
        """Whether the next one will still come in time, if it is as far away as this."""
        if not self._may_pass or self._passed is not None or self._shown_at is None:
            return False
        came_after = sent_after = at - self._shown_at
        if packet.pts is not None and self._shown_pts is not None and self._time_base is not None:
            # The camera's own clock, as far as it tells one: packets come unevenly.
            sent_after = timedelta(seconds=float((packet.pts - self._shown_pts) * self._time_base))
        is_near = timedelta() <= sent_after <= MAX_PASSED_GAP
        return is_near and timedelta() <= 2 * came_after <= MAX_KEY_GAP

    def _run(self) -> None:
        """Decode all from now on."""
        self._is_running, self._may_pass = True, False

    @property
    def _has_dense_keys(self) -> bool:
        gap = self._key_gap
        return gap is not None and timedelta() <= gap <= MAX_KEY_GAP

    def _is_key_overdue(self, at: datetime) -> bool:
        """Also when the clock was set: what is not known is looked at."""
        last, overdue = self._last_key_at or at, self._overdue_at or at
        return not last <= at <= overdue or len(self._skipped) > MAX_SKIPPED

    def _catch_up(self, at: datetime) -> list[VideoFrame]:
        """The newest picture of those that were skipped, as if none had been."""
        self._reveal(at)
        self._run()
        skipped, self._skipped = self._skipped, []
        pictures = [picture for packet in skipped for picture in self._decode_now(packet)]
        return pictures[-1:]

    def _decode_now(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        """Damage is stepped over, and pictures that the decoder made up for it are left out."""
        try:
            with self._times.measure("decode"):
                pictures = self._codec.decode(packet)
        except av.FFmpegError:
            return []
        for picture in pictures:
            picture.time_base = self._time_base  # PyAV forgets it of those held back to the end
        return [picture for picture in pictures if not picture.is_corrupt]

    def _drain(self) -> list[VideoFrame]:
        """All that the decoder holds back; afterwards it begins anew with a key frame."""
        pictures = self._decode_now(None)
        self._codec.flush_buffers()
        return pictures
