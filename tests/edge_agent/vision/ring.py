"""The simplest sink of packets."""

from edge_agent.core.packets import Packet, StreamFormat


class Ring:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.formats: list[StreamFormat] = []
        self.packets: list[Packet] = []
        self.ends = 0

    def begin(self, stream: StreamFormat) -> None:
        self.formats.append(stream)

    def take(self, packet: Packet) -> None:
        self.packets.append(packet)

    def end(self) -> None:
        self.ends += 1
