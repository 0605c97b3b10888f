"""Pictures of real cameras that somebody tampers with, and of ones that nobody does, made by code.

A clip is shown through a window somewhat smaller than itself, so that a camera that is turned has
something else to show. Covers are out of focus, as what stands before a lens is.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.frames import Image
from event_protocol.events import CameraState

WIDTH, HEIGHT = 640, 360
WIDE = (800, 450)
# When the tampering begins and ends, and the trial; lamps and the sun change in between as well.
BEGIN_S, END_S, SECONDS = 7.0, 15.0, 21.0
LIGHT_FROM_S = 8.0
ENCODED_FPS = 10

Floats = npt.NDArray[np.floating]
Change = Callable[[Image, float], Image]
"""What becomes of a wide picture at that second of the trial: a picture of WIDTH × HEIGHT."""


@dataclass(frozen=True)
class Clip:
    """Wide pictures of real footage, played to and fro if the trial lasts longer."""

    name: str
    fps: float
    pictures: tuple[Image, ...]

    def at(self, at_s: float) -> Image:
        """The wide picture of that second."""
        number = round(at_s * self.fps) % max(1, 2 * len(self.pictures) - 2)
        return self.pictures[min(number, 2 * len(self.pictures) - 2 - number)]


@dataclass(frozen=True, slots=True)
class Tamper:
    """Something done to the camera, and what it must be called."""

    name: str
    state: CameraState
    change: Change


# --- pictures ------------------------------------------------------------------------------------


def clip_names(testdata: Path) -> list[str]:
    """All clips there are, without their endings."""
    return [path.stem for path in _list_files(testdata)]


def _list_files(testdata: Path) -> list[Path]:
    labels = json.loads((testdata / "ground_truth.json").read_text())["clips"]
    return [testdata / label["file"] for label in labels]


def load_clips(testdata: Path, names: Sequence[str], fps: float) -> Iterator[Clip]:
    """Decode the clips of those names, `fps` pictures a second."""
    for path in _list_files(testdata):
        if path.stem not in names:
            continue
        pictures: list[Image] = []
        with av.open(str(path)) as container:
            for picture in container.decode(video=0):
                if picture.time is not None and picture.time >= len(pictures) / fps - 1e-6:
                    image = picture.to_ndarray(format="bgr24")
                    pictures.append(np.asarray(cv2.resize(image, WIDE), dtype=np.uint8))
                if len(pictures) > SECONDS * fps:
                    break
        yield Clip(path.stem, fps, tuple(pictures))


def look(
    wide: Image, right: float = 0, down: float = 0, degrees: float = 0, zoom: float = 1
) -> Image:
    """What a camera sees of the wide picture when it is turned so that things go right and down."""
    way = np.asarray(cv2.getRotationMatrix2D((WIDE[0] / 2, WIDE[1] / 2), degrees, zoom))
    way[:, 2] += np.array([(WIDTH - WIDE[0]) / 2 + right, (HEIGHT - WIDE[1]) / 2 + down])
    seen = cv2.warpAffine(wide, way, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(seen, dtype=np.uint8)


def to_image(values: npt.NDArray[np.generic]) -> Image:
    return np.asarray(np.clip(values, 0, 255), dtype=np.uint8)


def noise(at_s: float, sigma: float) -> Floats:
    """A sensor's, other each time."""
    field = _grain()
    start = np.random.default_rng(round(at_s * 1000)).integers(0, field.size)
    return np.roll(field, start) * np.float32(sigma)


@cache
def _grain() -> Floats:
    return np.random.default_rng(1).standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32)


def _blurred(image: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)


# --- tampering -----------------------------------------------------------------------------------


@cache
def _area(side: str, share: float) -> npt.NDArray[np.float32]:
    """1 where the cover is; its edge is out of focus."""
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    across, down = round(share * WIDTH), round(share * HEIGHT)
    if side == "left":
        mask[:, :across] = 1
    elif side == "right":
        mask[:, WIDTH - across :] = 1
    elif side == "top":
        mask[:down] = 1
    else:
        mask[HEIGHT - down :] = 1
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 8)[:, :, None], dtype=np.float32)


@cache
def _cover(kind: str) -> npt.NDArray[np.float32]:
    """A hand's fingers, a bag's folds or its print, a sheet, as a camera sees them from near."""
    dice = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    if kind == "hand":
        fingers = 1 + 0.15 * np.sin((x + 0.3 * y) / 34)
        picture = fingers[:, :, None] * np.array((105, 135, 190), np.float32)
    elif kind == "paper":
        picture = np.repeat((225 - 30 * x / WIDTH)[:, :, None], 3, axis=2)
    else:
        folds = cv2.GaussianBlur(dice.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 9)
        picture = np.repeat((55 + 22 * folds / folds.std())[:, :, None], 3, axis=2)
    if kind == "printed bag":
        for row in range(20, HEIGHT, 40):
            place = (12 * (row // 40 % 3), row)
            cv2.putText(picture, "SIEU THI " * 5, place, cv2.FONT_HERSHEY_DUPLEX, 1, (230,) * 3, 2)
    return np.asarray(picture, dtype=np.float32)


def _cover_with(kind: str, share: float, side: str) -> Change:
    def change(wide: Image, at_s: float) -> Image:
        area, cover = _area(side, share), _cover(kind)
        if kind == "hand":  # nobody holds it quite still
            cover = np.roll(cover, round(3 * np.sin(2.1 * at_s)), axis=1)
        return to_image(look(wide) * (1 - area) + (cover + noise(at_s, 2)) * area)

    return change


def _turn(right: float, down: float, degrees: float = 0, zoom: float = 1) -> Change:
    return lambda wide, _at_s: look(wide, right, down, degrees, zoom)


def _away(wide: Image, _at_s: float) -> Image:
    """The camera looks at another part of the room: the same kind of picture, nothing alike."""
    return np.ascontiguousarray(look(wide)[::-1, ::-1])


def _defocus(sigma: float, grain: float = 1) -> Change:
    return lambda wide, at_s: to_image(_blurred(look(wide), sigma) + noise(at_s, grain))


def _glare(share: float) -> Change:
    """A torch or the sun in the lens: a blinded area, and a veil over the rest."""

    def change(wide: Image, at_s: float) -> Image:
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        radius2 = share * WIDTH * HEIGHT / np.pi
        distance2 = (x - 0.45 * WIDTH) ** 2 + (y - 0.5 * HEIGHT) ** 2
        light = 600 * np.exp(-0.9 * distance2 / radius2)[:, :, None]
        return to_image(look(wide) * 0.7 + light + noise(at_s, 1))

    return change


def _clock(image: Image, at_s: float) -> Image:
    text = f"2026-01-05 08:{int(at_s) // 60:02}:{int(at_s) % 60:02}"
    written = image.copy()
    cv2.putText(written, text, (12, 26), cv2.FONT_HERSHEY_PLAIN, 1.4, (255, 255, 255), 2)
    return written


TAMPERS: tuple[Tamper, ...] = (
    *(
        Tamper(
            f"{kind} over {share:.0%}, {side}", CameraState.COVERED, _cover_with(kind, share, side)
        )
        for kind, share, side in (
            ("paper", 0.4, "left"),
            ("paper", 0.5, "top"),
            ("paper", 0.7, "right"),
            ("paper", 1.0, "top"),
            ("hand", 0.4, "bottom"),
            ("hand", 0.6, "right"),
            ("hand", 1.0, "top"),
            ("bag", 0.4, "right"),
            ("bag", 0.6, "left"),
            ("bag", 0.8, "bottom"),
            ("bag", 1.0, "top"),
            ("printed bag", 0.5, "left"),
            ("printed bag", 1.0, "top"),
        )
    ),
    Tamper("glare over 40%", CameraState.COVERED, _glare(0.4)),
    Tamper("glare over 80%", CameraState.COVERED, _glare(0.8)),
    *(
        Tamper(f"moved by {right},{down}", CameraState.MOVED, _turn(right, down))
        for right, down in ((12, 0), (-10, 10), (24, -12), (-40, 20), (78, -40))
    ),
    Tamper("rolled by 4°", CameraState.MOVED, _turn(0, 0, 4)),
    Tamper("rolled by 12°", CameraState.MOVED, _turn(0, 0, 12)),
    Tamper("turned away", CameraState.MOVED, _away),
    *(
        Tamper(f"defocused by {sigma:g} px", CameraState.DEFOCUSED, _defocus(sigma))
        for sigma in (2, 3, 5, 8, 14)
    ),
    Tamper("defocused by 4 px, noisy", CameraState.DEFOCUSED, _defocus(4, 6)),
    Tamper("dark", CameraState.DARK, lambda w, t: to_image(look(w) * 0.05 + noise(t, 3))),
    Tamper("black", CameraState.DARK, lambda w, _t: np.zeros((HEIGHT, WIDTH, 3), np.uint8)),
)
FREEZES = ("frozen", "frozen, clock runs", "frozen, encoded anew, clock runs")


def freezes_of(clip: Clip) -> Iterator[Tamper]:
    """The picture of the moment at which the tampering begins, again and again."""
    last = look(clip.at(BEGIN_S - 1 / clip.fps))
    seconds = int(END_S - BEGIN_S)
    encoded = _encode(
        [_clock(last, BEGIN_S + n / ENCODED_FPS) for n in range(seconds * ENCODED_FPS)]
    )
    changes: tuple[Change, ...] = (
        lambda _w, _t: last,
        lambda _w, t: _clock(last, t),
        lambda _w, t: encoded[min(len(encoded) - 1, round((t - BEGIN_S) * ENCODED_FPS))],
    )
    for name, change in zip(FREEZES, changes, strict=True):
        yield Tamper(name, CameraState.FROZEN, change)


def _encode(images: Sequence[Image]) -> list[Image]:
    """Through H.264 and back, with a key frame every second."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(ENCODED_FPS), Fraction(1, ENCODED_FPS)
    encoder.options = {"preset": "veryfast", "crf": "23", "g": str(ENCODED_FPS), "bf": "0"}
    decoder = av.CodecContext.create("h264", "r")
    shown: list[Image] = []
    for image in [*images, None]:
        frame = None if image is None else av.VideoFrame.from_ndarray(image, format="bgr24")
        for packet in encoder.encode(frame):
            shown += [to_image(p.to_ndarray(format="bgr24")) for p in decoder.decode(packet)]
    return [*shown, *(to_image(p.to_ndarray(format="bgr24")) for p in decoder.decode(None))]
