"""What is wrong in a YAML file, by the line on which it stands. Takes text, opens no file."""

from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import ValidationError


class WrongFileError(ValueError):
    """A file that people write can't be used; the message has a line for each thing wrong."""


def parse_mapping(text: str, name: str) -> dict[str, Any]:
    """The file's top-level mapping (empty file: empty); raises `WrongFileError` with the line."""
    try:
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise WrongFileError(f"{name}:{line}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise WrongFileError(f"{name}:1: not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise WrongFileError(f"{name}:1: names and values are expected, as in `name: value`")
    return content


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line (from 1) of the setting at `path`; `None` if the file does not have it.

    The file may lack the end of a path (a required value is missing): the line is its parent's.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line: int | None = None
    for step in path:
        child = _child(node, step)
        if child is None:
            break
        line, node = child
    return line


def explain(error: ValidationError, text: str, name: str) -> str:
    """One line for each thing that is wrong: file, line, setting, what is expected."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        at = line_of(text, problem["loc"])
        setting = ".".join(str(step) for step in problem["loc"])
        lines.append(f"{name}:{at or 1}: {setting}: {problem['msg']}")
    return "\n".join(lines)


def _child(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None
