"""Vietnamese and English are equals: the same keys and places, none missing, none left over."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2 import nodes

from web.pages import LANGUAGES, LOCALES, TEMPLATES, make_environment

PLACE = re.compile(r"%\((\w+)\)[sd]|%(?![(%])")
PROGRAMS = ("edge_agent", "central_server", "web", "event_protocol")


def words(language: str) -> dict[str, str]:
    """Every key of a language with its words."""
    found: dict[str, str] = {}
    for path in sorted((LOCALES / language).glob("*.po")):
        with path.open("rb") as source:
            for message in read_po(source, locale=language, abort_invalid=True):
                if message.id:
                    assert message.id not in found, f"{message.id} stands twice ({path})"
                    found[str(message.id)] = str(message.string)
    return found


CATALOGUES = {language: words(language) for language in LANGUAGES}
KEYS = set(CATALOGUES["vi"])


def templates() -> Iterator[tuple[Path, nodes.Template]]:
    """Each template, parsed."""
    environment = make_environment()
    for path in sorted(TEMPLATES.rglob("*.html")):
        yield path, environment.parse(path.read_text())


def beginning(node: nodes.Node) -> tuple[str, bool] | None:
    """The text a key begins with, and whether that is all of it; `None` if that can't be seen."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        return node.value, True
    if isinstance(node, nodes.Mod) and isinstance(node.left, nodes.Const):
        return str(node.left.value).partition("%")[0], False
    if isinstance(node, nodes.Concat) and isinstance(node.nodes[0], nodes.Const):
        return str(node.nodes[0].value), False
    if isinstance(node, nodes.Add) and isinstance(node.left, nodes.Const):
        return str(node.left.value), False
    return None


def test_both_languages_have_the_same_keys() -> None:
    assert set(CATALOGUES["vi"]) == set(CATALOGUES["en"])


def test_no_key_is_without_words() -> None:
    assert [(lang, key) for lang in LANGUAGES for key in KEYS if not CATALOGUES[lang][key]] == []


@pytest.mark.parametrize("key", sorted(KEYS))
def test_both_languages_fill_the_same_places(key: str) -> None:
    vietnamese, english = (set(PLACE.findall(CATALOGUES[lang][key])) for lang in LANGUAGES)
    assert vietnamese == english


def test_every_key_in_a_template_has_words() -> None:
    missing = []
    for path, template in templates():
        for call in template.find_all(nodes.Call):
            if not (isinstance(call.node, nodes.Name) and call.node.name == "_"):
                continue
            begun = beginning(call.args[0])
            if begun is None:
                continue
            text, whole = begun
            if not (text in KEYS if whole else any(key.startswith(text) for key in KEYS)):
                missing.append(f"{path.name}:{call.lineno}: {text}")
    assert missing == []


def texts_of_templates() -> set[str]:
    """Every text that stands in a template's expressions."""
    return {
        const.value
        for _, template in templates()
        for const in template.find_all(nodes.Const)
        if isinstance(const.value, str)
    }


def texts_of_programs(repository: Path) -> set[str]:
    """Every text that stands in Python."""
    return {
        node.value
        for program in PROGRAMS
        for path in (repository / program).rglob("*.py")
        if "node_modules" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_no_key_is_left_over(repository: Path) -> None:
    found = texts_of_templates() | texts_of_programs(repository)
    texts = found | {text.partition("%")[0] for text in found}
    # A text that ends with a dot is the beginning of keys put together where they are used.
    beginnings = tuple(text for text in texts if re.fullmatch(r"[a-z_]+(?:\.[a-z_0-9]+)*\.", text))
    left_over = {key for key in KEYS if key not in texts and not key.startswith(beginnings)}
    assert left_over == set()
