"""By what the server's own connections to the broker are known, and whom they believe."""

import os
import ssl
from pathlib import Path

from central_server.services.authority import Credentials, find_authority
from central_server.services.broker_accounts import broker_authority
from central_server.services.context import ServerContext
from central_server.storage.private_files import write_private


def make_broker_context(context: ServerContext) -> ssl.SSLContext | None:
    """`None` without TLS. With an authority of our own, a certificate that it signs for us now."""
    settings = context.settings
    if not settings.broker.tls:
        return None
    tls = ssl.create_default_context(cadata=broker_authority(context))
    authority = find_authority(settings.directory)
    if authority is not None:
        own = authority.make_client(settings.broker.username, context.now())
        load_own(tls, own, settings.directory)
    return tls


def load_own(tls: ssl.SSLContext, own: Credentials, directory: Path) -> None:
    """OpenSSL reads these from files only; this one is gone before anybody connects."""
    path = directory / f"broker-access.{os.getpid()}"
    write_private(path, (own.key + own.chain).encode())
    try:
        tls.load_cert_chain(path)
    finally:
        path.unlink()
