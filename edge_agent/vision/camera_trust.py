"""Whether one picture can be trusted: too dark, or without any structure, it shows nothing.

First set of faults; `lost` is told by the camera's thread, and a moved, defocused or frozen
camera can't be told from one picture.
"""

import cv2
import numpy as np

from edge_agent.vision.frames import GreyPicture, edge_strength
from event_protocol.events import CameraState

# The brightest twentieth of the picture below this: sensor noise is of the same size. A room with
# its lamps off and daylight at the window is brighter.
DARK_BELOW = 30.0
# A hand, cloth or sheet before the lens is evenly lit and out of focus. Measured after smoothing,
# at the strongest half per cent: noise of 20 grey levels 4, the emptiest car park in a fifth of its
# light 11, rooms 30 and more.
EDGE_BELOW = 7.0
EDGE_PERCENTILE = 99.5
SMOOTHING = 2.5  # pixels; without it the noise of a dim picture looks like structure


def judge(picture: GreyPicture) -> CameraState:
    """What is wrong with the picture, or `OK`; darkness is named before lack of structure."""
    if float(np.percentile(picture[::3, ::3], 95)) < DARK_BELOW:
        return CameraState.DARK
    smooth: GreyPicture = cv2.GaussianBlur(picture, (0, 0), SMOOTHING).astype(np.float32)
    edges = edge_strength(smooth)
    if float(np.percentile(edges[::2, ::2], EDGE_PERCENTILE)) < EDGE_BELOW:
        return CameraState.COVERED
    return CameraState.OK
