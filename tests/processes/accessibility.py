"""axe's rules over a page as a browser shows it, in light and in dark."""

from functools import cache
from pathlib import Path

from playwright.sync_api import Page

_AXE = Path(__file__).resolve().parent.parent / "axe" / "node_modules" / "axe-core" / "axe.min.js"
# WCAG 2.2 AA and what axe holds to be good practice; only grave impacts are faults.
_RUN = """async (options) => (await axe.run(options)).violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.target} ${node.html}`))"""
_COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}


def grave_faults(page: Page, *, besides: tuple[str, ...] = ()) -> list[str]:
    """Serious and critical violations, each with rule and element; of `besides`, none.

    In dark only the rules about colours run again: the rest is the same page.
    """
    everything = {"rules": {rule: {"enabled": False} for rule in besides}}
    page.evaluate(_source())
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    faults = [f"{page.url} dark: {fault}" for fault in page.evaluate(_RUN, _COLOURS)]
    page.emulate_media(color_scheme="light")
    return faults + [f"{page.url}: {fault}" for fault in page.evaluate(_RUN, everything)]


@cache
def _source() -> str:
    assert _AXE.is_file(), "axe-core is not installed (make test fetches it)"
    return _AXE.read_text()
