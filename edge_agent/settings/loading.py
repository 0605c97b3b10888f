"""Settings from a file and the environment; what is wrong is said with where it stands."""

import os
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from edge_agent.core.desk_zones import ZonesError
from edge_agent.settings.sections import ENV_PREFIX, EdgeSettings


class SettingsError(Exception):
    """The settings can't be used; each line of the message names a file's line and field."""


def load_settings(file: Path | None) -> EdgeSettings:
    """The settings from file and environment; raises `SettingsError` that names each fault."""
    text, name = "", "environment"
    try:
        if file is not None:
            name = str(file)
            text = file.read_text(encoding="utf-8")
        document = yaml.safe_load(text) or {}
        if not isinstance(document, dict):
            raise SettingsError(f"{name}:1: must hold settings by name")
        settings = EdgeSettings(**{str(key): value for key, value in document.items()})
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: can't be read: {error}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{name}: {_yaml_fault(error)}") from error
    except ValidationError as error:
        raise SettingsError(_explain(error, text, name)) from error
    return _from_folder(settings, file.parent if file is not None else Path())


def _from_folder(settings: EdgeSettings, folder: Path) -> EdgeSettings:
    """Relative paths become the settings file's; each zones file is read once to see its faults."""
    cameras = []
    for camera in settings.cameras:
        desks = []
        for desk in camera.desks:
            if desk.zones_file is not None:
                path = folder / desk.zones_file
                desk = desk.model_copy(update={"zones_file": path})
                try:
                    desk.read_zones()
                except (OSError, UnicodeDecodeError, ZonesError) as error:
                    raise SettingsError(f"{path}: {error}") from error
            desks.append(desk)
        source = str(folder / camera.source) if camera.is_file else camera.source
        cameras.append(camera.model_copy(update={"desks": tuple(desks), "source": source}))
    update: dict[str, object] = {
        "cameras": tuple(cameras),
        "directory": folder / settings.directory,
    }
    if (detector := settings.evidence.face_detector) is not None:
        evidence = settings.evidence.model_copy(update={"face_detector": folder / detector})
        update["evidence"] = evidence
    if (model := settings.confirmer.model) is not None:
        confirmer = settings.confirmer.model_copy(update={"model": folder / model})
        update["confirmer"] = confirmer
    return settings.model_copy(update=update)


def _yaml_fault(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]


def _explain(error: ValidationError, text: str, name: str) -> str:
    """One line for each fault, with where it came from: the file's line or the variable."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        steps = [str(step) for step in problem["loc"]]
        variable = ENV_PREFIX + "__".join(steps).upper()
        line = _line_of(text, problem["loc"])
        where = variable if variable in os.environ or line is None else f"{name}:{line}"
        lines.append(f"{where}: {'.'.join(steps)}: {problem['msg']}")
    return "\n".join(lines)


def _line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line on which the value at `path` stands, or the nearest thing above it that is there."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = None if node is None else node.start_mark.line + 1
    for step in path:
        key, node = _child(node, step)
        if node is None:
            return line
        line = (key or node).start_mark.line + 1
    return line


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None, None
