"""`python -m bench.paced_camera FILM PORT LOOP_FROM`: an IP camera on loopback, by HTTP.

Sends the film's packets at their own pace to whoever connects, as MPEG transport stream, and from
the second LOOP_FROM again and again, so that the room need not be emptied twice.
"""

import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
from av.video.stream import VideoStream


def serve(film: str, port: int, loop_from_s: float) -> None:
    """Until the process is ended."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            try:
                with av.open(film) as source, av.open(self.wfile, "w", format="mpegts") as sent:
                    stream = sent.add_stream_from_template(source.streams.video[0])
                    for packet in play(film, loop_from_s):
                        packet.stream = stream
                        sent.mux(packet)
                        self.wfile.flush()
            except (OSError, av.FFmpegError):
                return  # the viewer has gone

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Camera).serve_forever()


def play(film: str, loop_from_s: float) -> Iterator["av.Packet[VideoStream]"]:
    """The film's packets when they are due, without end."""
    began, offset_s, from_s = time.monotonic(), 0.0, 0.0
    while True:
        end_s = from_s
        with av.open(film) as source:
            for packet in source.demux(source.streams.video[0]):
                if packet.pts is None or packet.dts is None:
                    continue
                at_s = float(packet.pts * packet.time_base)
                if at_s < from_s:
                    continue
                end_s = at_s + float((packet.duration or 0) * packet.time_base)
                shift = round(offset_s / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                time.sleep(max(0.0, began + at_s + offset_s - time.monotonic()))
                yield packet
        offset_s += end_s - loop_from_s
        from_s = loop_from_s


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
