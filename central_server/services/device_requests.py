"""HTTP requests of devices: each is signed with the device's own key, and freshly so."""

from collections.abc import Mapping
from dataclasses import dataclass

from central_server.domain.errors import NotLoggedInError
from central_server.services.context import ServerContext
from central_server.storage import registry
from event_protocol.evidence import read_request


@dataclass(frozen=True, slots=True)
class Caller:
    """The device behind a request, proven by its signature."""

    device: str
    public_key: bytes
    offset: int | None


def authenticate(
    context: ServerContext, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Caller:
    """Who sent it; one `NotLoggedInError` for whatever is wrong with the proof."""
    read = read_request(method, path, headers, body)
    if read is None:
        raise NotLoggedInError()
    request, signature = read
    with context.database.reading() as db:
        device = registry.find_device(db, request.device)
    if device is None or device.revoked_at is not None or device.public_key is None:
        raise NotLoggedInError()
    public_key = bytes.fromhex(device.public_key)
    if not (request.is_signed(signature, public_key) and request.is_fresh(context.now())):
        raise NotLoggedInError()
    return Caller(request.device, public_key, request.offset)
