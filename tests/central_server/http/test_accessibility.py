"""The citizens' pages in a browser: axe in both colours, and all of it without scripts."""

import pytest

from central_server.http.public_app import make_public_app
from central_server.services.context import ServerContext
from tests.central_server.http.served import serve
from tests.processes.accessibility import grave_faults
from tests.processes.browser import open_page

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("language", ["vi", "en"])
def test_no_page_has_a_grave_fault(context: ServerContext, language: str) -> None:
    with serve(make_public_app(context)) as address, open_page(360, 780) as page:
        page.goto(f"{address}/r?lang={language}")
        faults = grave_faults(page)
        page.goto(f"{address}/r/desk-1?t=forged&lang={language}")
        faults += grave_faults(page)
        page.locator("button[value='1']").click()
        page.locator("details").last.evaluate("survey => { survey.open = true; }")
        faults += grave_faults(page)
        code = page.locator("#code").inner_text()
        page.goto(f"{address}/receipt?lang={language}")
        faults += grave_faults(page)
        page.locator(".code-input").fill(code)
        page.locator(".code-input").press("Enter")
        page.locator(".steps").wait_for()
        faults += grave_faults(page)
        assert page.locator("html").get_attribute("lang") == language
    assert faults == []
