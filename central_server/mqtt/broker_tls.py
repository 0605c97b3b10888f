"""By what the server's own connections to the broker are known, and whom they believe."""

import os
import ssl

from central_server.services.authority import find_authority, write_private
from central_server.services.broker_accounts import broker_authority
from central_server.services.context import ServerContext


def make_broker_context(context: ServerContext) -> ssl.SSLContext | None:
    """`None` without TLS. With an authority of our own, a certificate that it signs for us now."""
    settings = context.settings
    if not settings.broker.tls:
        return None
    tls = ssl.create_default_context(cadata=broker_authority(context))
    authority = find_authority(settings.directory)
    if authority is not None:
        own = authority.make_client(settings.broker.username, context.now())
        # OpenSSL reads these from files only; this one is gone before anybody connects.
        path = settings.directory / f"broker-access.{os.getpid()}"
        write_private(path, own.key + own.chain)
        try:
            tls.load_cert_chain(path)
        finally:
            path.unlink()
    return tls
