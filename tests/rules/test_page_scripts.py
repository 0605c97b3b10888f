"""Our pages' scripts: few, without what turns text into code, and nothing is stored by them."""

import re
from pathlib import Path

import pytest

# What each would open; htmx, a library, is held by its own settings and by the pages' policy.
FORBIDDEN = {
    "text as code": re.compile(r"\beval\b|new Function|set(?:Timeout|Interval)\(\s*[\"'`]"),
    "text as a page": re.compile(r"document\.write|outerHTML|insertAdjacentHTML|javascript:"),
    "the browser's storage": re.compile(r"localStorage|sessionStorage|indexedDB|document\.cookie"),
    "words from other windows": re.compile(r"postMessage|[\"']message[\"']|window\.opener"),
    "others' servers": re.compile(r"https?://(?!www\.w3\.org/)"),
    "a property by a name of others": re.compile(r"__proto__|Object\.assign|\w\[[^\]]*\]\s*=[^=>]"),
}
# Rows that our own server escaped, into a template, where no script runs.
TEMPLATES_FILLED = {"inspector.js": 2}


@pytest.fixture(scope="module")
def scripts(repository: Path) -> dict[str, str]:
    found = {path.name: path.read_text() for path in (repository / "web" / "static").glob("*.js")}
    assert found
    return {name: re.sub(r"^\s*//.*$", "", text, flags=re.M) for name, text in found.items()}


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_no_script_of_ours_has(rule: str, scripts: dict[str, str]) -> None:
    assert [name for name, text in scripts.items() if FORBIDDEN[rule].search(text)] == []


def test_text_becomes_elements_only_from_our_own_server(scripts: dict[str, str]) -> None:
    filled = {name: text.count(".innerHTML") for name, text in scripts.items()}
    assert {name: times for name, times in filled.items() if times} == TEMPLATES_FILLED
    for name, times in TEMPLATES_FILLED.items():
        assert scripts[name].count("template.innerHTML = ") == times


def test_no_page_has_a_script_or_a_style_in_its_text(repository: Path) -> None:
    inline = re.compile(
        r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:|hx-on|hx-vals"
    )
    for path in (repository / "web" / "templates").rglob("*.html"):
        assert not inline.search(path.read_text()), path
    assert '"allowEval": false' in (repository / "web" / "templates" / "base.html").read_text()


def test_the_rules_find_what_they_are_for() -> None:
    for rule, text in {
        "text as code": "setTimeout('x()', 1)",
        "text as a page": "document.write(x)",
        "the browser's storage": "localStorage.token = x",
        "words from other windows": "addEventListener('message', f)",
        "others' servers": "fetch('https:" + "//elsewhere.example')",
        "a property by a name of others": "all[name] = value",
    }.items():
        assert FORBIDDEN[rule].search(text), rule
