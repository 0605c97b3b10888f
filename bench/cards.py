"""How many cards the stream's reader finds in 720p frames, and how long it looks."""

import json
import os
import time
from pathlib import Path

import cv2
import numpy as np

from bench.presence import TESTDATA
from bench.report import Figure
from edge_agent.vision.qr_reader import read_fast, read_thoroughly
from tests.edge_agent.vision.card_frames import hold_up_cards, load_rooms

TEXTS = ("onestop:rating:5", "onestop:rating:1", "H48.17.07-260722-0012")
CARDS, MODULE_PX = 200, 3
FOUND, EXACT, LOOK_MS = 95, 97, 6


def measure(_folder: Path) -> list[Figure]:
    """Shares in percent and milliseconds."""
    testdata = Path(os.environ.get("TESTDATA", TESTDATA))
    rooms = load_rooms(testdata)
    frames = list(hold_up_cards(rooms, TEXTS, CARDS, MODULE_PX, seed=8))
    used = time.process_time()
    found = sum([code.text for code in read_fast(frame)] == [text] for frame, text in frames)
    look_ms = 1000 * (time.process_time() - used) / CARDS
    images = json.loads((testdata / "ground_truth.json").read_text())["qr"]
    exact = false = 0
    for image in images:
        picture = cv2.imread(str(testdata / image["file"]))
        texts = [code.text for code in read_thoroughly(np.asarray(picture, dtype=np.uint8))]
        exact += texts == ([] if image["text"] is None else [image["text"]])
        false += bool(texts) and image["text"] not in texts
    size = f"{MODULE_PX} pixels a module, anywhere in a 720p frame"
    return [
        Figure("qr: cards found", 100 * found / CARDS, "%", FOUND, note=size),
        Figure("qr: one look at a 720p frame", look_ms, "ms", LOOK_MS, is_limit=True),
        Figure("qr: test images read exactly", 100 * exact / len(images), "%", EXACT),
        Figure("qr: false reads on test images", false, "", 0, is_limit=True),
    ]
