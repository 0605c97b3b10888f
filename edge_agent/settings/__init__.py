"""All settings of the agent, one model for each section, validated whole before anything starts.

From `EDGE_…` environment variables (nested with `__`) over a YAML file given by `--config`.
Relative paths in the file are read from the file's own folder.
"""

from edge_agent.settings.loading import SettingsError, load_settings
from edge_agent.settings.sections import (
    CameraSettings,
    ConfirmerSettings,
    DeskSettings,
    EdgeSettings,
    EvidenceSettings,
)

__all__ = [
    "CameraSettings",
    "ConfirmerSettings",
    "DeskSettings",
    "EdgeSettings",
    "EvidenceSettings",
    "SettingsError",
    "load_settings",
]
