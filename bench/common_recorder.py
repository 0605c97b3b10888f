"""`python -m bench.common_recorder URL…`: what today's video recorders do, to compare with.

Every frame of every camera is decoded, and five a second go through OpenCV's MOG2 at 320 × 180.
"""

import sys
import threading

import av
import cv2

MOTION_FPS = 5
SIZE = (320, 180)


def watch(url: str) -> None:
    """One camera, until the process is ended."""
    motion = cv2.createBackgroundSubtractorMOG2()
    with av.open(url) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        due_s = 0.0
        for picture in container.decode(stream):
            if picture.time is not None and picture.time >= due_s:
                due_s = picture.time + 1 / MOTION_FPS - 0.001
                motion.apply(cv2.resize(picture.to_ndarray(format="bgr24"), SIZE))


if __name__ == "__main__":
    cv2.setNumThreads(1)  # more cost more for pictures so small
    watchers = [threading.Thread(target=watch, args=(url,)) for url in sys.argv[1:]]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
