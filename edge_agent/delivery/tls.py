"""Whom this box believes by TLS, and by what certificate brokers know it."""

import ssl
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from event_protocol.enrolment import BrokerAccess
from event_protocol.pairing_codes import fingerprint_of


def make_trust(authority: str | None) -> ssl.SSLContext:
    """For HTTPS: the authorities that everybody trusts and the server's own (PEM)."""
    context = httpx.create_ssl_context()
    if authority is not None:
        context.load_verify_locations(cadata=authority)
    return context


def make_broker_context(broker: BrokerAccess, own: Path | None = None) -> ssl.SSLContext:
    """For MQTT: the one authority that pairing named; `own` holds our key and certificate."""
    context = ssl.create_default_context(cadata=broker.authority)
    if own is not None and own.exists():
        context.load_cert_chain(own)
    return context


def find_authority(trusted: str, fingerprint: str) -> str | None:
    """Of those certificates (PEM) the one with that key; `None` if there is none or no PEM.

    Who answered is not known yet, so what stands beside it is not believed.
    """
    try:
        certificates = x509.load_pem_x509_certificates(trusted.encode())
    except ValueError:
        return None
    for certificate in certificates:
        if fingerprint_of(certificate) == fingerprint:
            return certificate.public_bytes(Encoding.PEM).decode()
    return None
