"""Write docs/screenshots/ anew from a running `make demo`, whose output has addresses and log-ins.

make demo > demo.log &
python -m scripts.make_screenshots demo.log
"""

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
MAX_BYTES = 150_000
DESK = (1280, 800)
PHONE = (390, 780)


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo's pages are and who may log in."""

    server: str
    edge: str
    pin: str
    passwords: dict[str, str]


def read_demo(printed: str) -> Demo:
    """The demo as it described itself once it was ready; raises `ValueError` if it was not."""
    found = re.search(r"(http://\S+)/receipt\s.*?(http://\S+)/kiosk/.*?PIN (\d+)", printed, re.S)
    if found is None:
        raise ValueError("this is not what `make demo` prints once it is ready")
    passwords = dict(re.findall(r"log-in (\S+)\s+password (\S+)", printed))
    return Demo(found[1], found[2], found[3], passwords)


def shrink(png: bytes) -> bytes:
    """The picture in as many shades as fit into `MAX_BYTES`; pages without photographs keep all."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("no picture")
    for step in (1, 4, 8, 16, 32):
        # The middle of each step, so that neither light nor dark drifts.
        coarse = picture if step == 1 else picture // step * step + (step - 1) // 2
        _, encoded = cv2.imencode(".png", coarse, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        if len(encoded) <= MAX_BYTES:
            return encoded.tobytes()
    raise ValueError(f"{len(encoded)} bytes even in {256 // step} shades of each colour")


def log_in(page: Page, demo: Demo, user: str) -> None:
    """Into the inspectors' and chiefs' pages, in English."""
    page.goto(f"{demo.server}/login?lang=en")
    page.locator("[name=user]").fill(user)
    page.locator("[name=password]").fill(demo.passwords[user])
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(lambda address: "/login" not in address)


def show_citizen(page: Page, demo: Demo) -> None:
    """The phone after the first tap, in the language of most who hold it."""
    page.goto(f"{demo.server}/r/ward-1?lang=vi")
    page.locator("button[value='2']").click()
    page.locator("#code").wait_for()


def show_kiosk(page: Page, demo: Demo) -> None:
    """Five faces."""
    page.goto(f"{demo.edge}/kiosk/ward-1?lang=vi")


def show_screen(page: Page, demo: Demo) -> None:
    """The rotating code."""
    page.goto(f"{demo.edge}/screen/ward-1?lang=vi")


def show_flags(page: Page, demo: Demo) -> None:
    """The queue."""
    log_in(page, demo, "lead")
    page.goto(f"{demo.server}/flags?lang=en")
    page.locator("#live[data-state=live]").wait_for()


def show_flag(page: Page, demo: Demo) -> None:
    """The gravest complaint, which the history puts on a session."""
    log_in(page, demo, "lead")
    page.goto(f"{demo.server}/flags?lang=en&rule=complaint")
    page.locator("tr.flag a.open").first.click()
    page.locator(".timeline").wait_for()


def show_sessions(page: Page, demo: Demo) -> None:
    """The latest visits."""
    log_in(page, demo, "lead")
    page.goto(f"{demo.server}/sessions?lang=en")


def show_scorecards(page: Page, demo: Demo) -> None:
    """A chief's last month."""
    log_in(page, demo, "chief")
    page.goto(f"{demo.server}/scorecards?lang=en")


def show_setup(page: Page, demo: Demo) -> None:
    """The zones on the drawn room."""
    page.goto(f"{demo.edge}/setup?lang=en")
    page.locator("[name=pin]").fill(demo.pin)
    page.locator("[name=pin]").press("Enter")
    page.locator(".steps").wait_for()
    page.goto(f"{demo.edge}/setup/zones?lang=en")
    page.wait_for_load_state("networkidle")


SHOTS: dict[str, tuple[tuple[int, int], Callable[[Page, Demo], None]]] = {
    "citizen": (PHONE, show_citizen),
    "kiosk": (DESK, show_kiosk),
    "screen": (DESK, show_screen),
    "flags": (DESK, show_flags),
    "flag": (DESK, show_flag),
    "sessions": (DESK, show_sessions),
    "scorecards": (DESK, show_scorecards),
    "setup": (DESK, show_setup),
}


def main(arguments: list[str]) -> None:
    """Takes every picture, each in a browser that remembers nothing."""
    demo = read_demo(Path(arguments[0]).read_text())
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, ((width, height), show) in SHOTS.items():
            page = browser.new_context(viewport={"width": width, "height": height}).new_page()
            show(page, demo)
            (FOLDER / f"{name}.png").write_bytes(shrink(page.screenshot()))
            page.context.close()


if __name__ == "__main__":
    main(sys.argv[1:])
