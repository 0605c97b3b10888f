"""Renews the box's TLS certificate long before it ends, by a request signed with the box's key.

Over HTTPS, not through the broker: a box that was off for a year is let in again by it.
"""

import ssl
import threading
from collections.abc import Callable
from datetime import datetime

import httpx
import structlog
from cryptography import x509
from pydantic import TypeAdapter, ValidationError

from edge_agent.delivery.identity import Identity, IdentityError, StoredEnrolment
from event_protocol.certificates import (
    CERTIFICATES_PATH,
    CertificateRequest,
    IssuedCertificate,
    make_certificate_request,
    make_key,
)
from event_protocol.evidence import TIME_HEADER, make_request
from event_protocol.names import DeviceId, UtcTime

CHECK_EVERY_S = 3600.0
# A third of a year is left for a server or a line that is away.
REMAINING_SHARE = 3
_TIMEOUT_S = 30
_TIME: TypeAdapter[datetime] = TypeAdapter(UtcTime)

log = structlog.get_logger(__name__)


class RenewalError(Exception):
    """No new certificate this time; says why."""


class CertificateRenewal:
    """Looks once an hour, in a thread of its own.

    `trust` is for HTTPS, `broker` for the next connection to the broker; both learn what is new.
    """

    def __init__(
        self,
        identity: Identity,
        trust: ssl.SSLContext,
        broker: ssl.SSLContext,
        now: Callable[[], datetime],
    ) -> None:
        self._identity, self._trust, self._broker, self._now = identity, trust, broker, now
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="renewal", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; a request under way ends by its time limit."""
        self._stopping.set()
        self._thread.join(_TIMEOUT_S)

    def renew_if_due(self) -> bool:
        """Whether a new certificate was got; raises `RenewalError` if one was due and was not."""
        try:
            certificate, enrolment = (
                self._identity.find_certificate(),
                self._identity.find_enrolment(),
            )
            if certificate is None or enrolment is None or not is_due(certificate, self._now()):
                return False
            self._renew(enrolment)
        except (IdentityError, OSError) as error:
            raise RenewalError(str(error)) from error
        return True

    def _run(self) -> None:
        while True:
            try:
                if self.renew_if_due():
                    log.info("certificate_renewed")
            except RenewalError as error:
                log.warning("certificate_not_renewed", reason=str(error))
            except Exception:
                # Outermost loop of the thread: a fault now must not end all renewing.
                log.exception("renewal_fault")
            if self._stopping.wait(CHECK_EVERY_S):
                return

    def _renew(self, enrolment: StoredEnrolment) -> None:
        if enrolment.server_url is None:
            raise RenewalError("the server's address was not kept at pairing; pair the box again")
        key, device = make_key(), DeviceId(enrolment.device)
        request = CertificateRequest(certificate_request=make_certificate_request(key, device))
        body = request.model_dump_json().encode()
        answer = self._ask(enrolment.server_url, device, body, self._now())
        if answer.status_code == httpx.codes.UNAUTHORIZED and TIME_HEADER in answer.headers:
            answer = self._ask(enrolment.server_url, device, body, _time_in(answer))
        if answer.status_code != httpx.codes.CREATED:
            raise RenewalError(f"the server answered HTTP {answer.status_code}")
        try:
            issued = IssuedCertificate.model_validate_json(answer.content)
        except ValidationError as error:
            raise RenewalError("the server answered something else") from error
        self._identity.store_certificate(key, issued)
        self._broker.load_cert_chain(self._identity.tls_file)
        for context in (self._trust, self._broker):
            context.load_verify_locations(cadata=issued.authority)

    def _ask(self, server_url: str, device: DeviceId, body: bytes, at: datetime) -> httpx.Response:
        proof = make_request(device, "POST", CERTIFICATES_PATH, at, body=body)
        try:
            return httpx.post(
                server_url + CERTIFICATES_PATH,
                content=body,
                headers={**proof.headers(self._identity.key), "content-type": "application/json"},
                timeout=_TIMEOUT_S,
                verify=self._trust,
            )
        except httpx.HTTPError as error:
            raise RenewalError(f"{type(error).__name__}: {error}") from error


def is_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether so little of its life is left that it shall be renewed."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return (end - now) * REMAINING_SHARE < end - begin


def _time_in(answer: httpx.Response) -> datetime:
    """The server's clock: a box whose own one is wrong is told it with the refusal."""
    try:
        return _TIME.validate_json(f'"{answer.headers[TIME_HEADER]}"')
    except ValidationError as error:
        raise RenewalError("the server named a time that can't be read") from error
