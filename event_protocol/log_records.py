"""An exported log, line by line: JSON objects that say which record of which chain they are.

The server's log comes first, then each device's epochs, the newest first: so whoever reads them in
order knows what they must be like before they come, and needs to remember next to nothing.
"""

from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, TypeAdapter

from event_protocol.canonical import canonical_bytes
from event_protocol.events import WireModel
from event_protocol.names import UtcTime
from event_protocol.signing import is_signed, sign


class ExportBegins(WireModel):
    """The first line: when and for whom it was made; `key` (Ed25519, hex) signs the last one."""

    kind: Literal["export"] = "export"
    version: Literal[1] = 1
    time: UtcTime
    by: str
    key: str


class ServerEntry(WireModel):
    """One entry of the server's own log; `body`: the canonical bytes that are hashed."""

    kind: Literal["entry"] = "entry"
    sequence: int
    hash: str
    body: str


class StreamBegins(WireModel):
    """One device's epoch follows; the server gave it a signed receipt up to `receipted`."""

    kind: Literal["stream"] = "stream"
    device: str
    epoch: int
    receipted: int


class DeviceRecord(WireModel):
    """One event of a device, as chained: what was sealed beside it is not exported."""

    kind: Literal["event"] = "event"
    device: str
    epoch: int
    sequence: int
    hash: str
    body: str


class ExportEnds(WireModel):
    """The last line: how many stood before it, the SHA-256 of their bytes, the key's signature."""

    kind: Literal["end"] = "end"
    lines: int
    sha256: str
    signature: str


LogRecord = ServerEntry | StreamBegins | DeviceRecord
Line = Annotated[ExportBegins | LogRecord | ExportEnds, Field(discriminator="kind")]
LINE: TypeAdapter[Line] = TypeAdapter(Line)


def write_line(line: Line) -> bytes:
    """The line as it stands in the file, with its end."""
    return canonical_bytes(line.model_dump(mode="json")) + b"\n"


def end_export(lines: int, sha256: str, key: Ed25519PrivateKey) -> ExportEnds:
    """The signed last line behind so many lines with that digest."""
    signature = sign(_end_statement(lines, sha256), key)
    return ExportEnds(lines=lines, sha256=sha256, signature=signature)


def is_end_signed(end: ExportEnds, public_key: bytes) -> bool:
    """Whether the holder of that key made this export."""
    return is_signed(_end_statement(end.lines, end.sha256), end.signature, public_key)


def _end_statement(lines: int, sha256: str) -> dict[str, object]:
    return {"purpose": "onestop.log-export", "lines": lines, "sha256": sha256}
