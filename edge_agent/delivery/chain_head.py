"""The file beside the outbox that remembers where the chain stood, should the database be lost.

With it a new database opens its epoch on the old one's last number and hash, so a cut tail shows.
"""

from pathlib import Path

from pydantic import ValidationError

from edge_agent.delivery.files import write_whole
from event_protocol.events import EpochHead, WireModel
from event_protocol.names import DeviceName, PositiveInteger

FILE_NAME = "outbox.head.json"


class ChainHead(WireModel):
    """The newest event on the disk, of which device, and the run that wrote it."""

    device: DeviceName
    boot: PositiveInteger
    head: EpochHead


def read_head(folder: Path) -> ChainHead | None:
    """What the file says; `None` if there is none or it can't be read (then it was never whole)."""
    try:
        return ChainHead.model_validate_json((folder / FILE_NAME).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_head(folder: Path, head: ChainHead) -> None:
    """Replace the file in one step; raises `OSError`."""
    write_whole(folder / FILE_NAME, head.model_dump_json().encode())
