"""The cameras that the wizard saved; by name they go before those of the settings file."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edge_agent.delivery.files import write_whole
from edge_agent.settings import CameraSettings, SettingsError

FILE_NAME = "cameras.json"

_CAMERAS: TypeAdapter[tuple[CameraSettings, ...]] = TypeAdapter(tuple[CameraSettings, ...])


def read_cameras(
    folder: Path, configured: tuple[CameraSettings, ...]
) -> tuple[CameraSettings, ...]:
    """All cameras of this box; raises `SettingsError` if the wizard's file is broken."""
    path = folder / FILE_NAME
    try:
        saved = _CAMERAS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return configured
    except ValidationError as error:
        raise SettingsError(f"{path}: {error}; remove it to use the settings file's") from error
    names = {camera.name for camera in saved}
    return (*saved, *(camera for camera in configured if camera.name not in names))


def save_camera(folder: Path, camera: CameraSettings) -> None:
    """Add the camera to the wizard's, or put it in the place of the one with its name."""
    others = tuple(other for other in read_cameras(folder, ()) if other.name != camera.name)
    write_whole(folder / FILE_NAME, _CAMERAS.dump_json((*others, camera), indent=1))
