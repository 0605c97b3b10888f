"""Where a new device trades its one-time code for keys and broker access, and renews them."""

from fastapi import APIRouter, Response

from central_server.http.dependencies import Context
from central_server.http.device_requests import DeviceRoute, Signed
from central_server.services import enrolment
from event_protocol.certificates import (
    AUTHORITY_PATH,
    CERTIFICATES_PATH,
    Authority,
    CertificateRequest,
    IssuedCertificate,
)
from event_protocol.enrolment import ENROLMENT_PATH, Enrolment, EnrolmentRequest
from event_protocol.names import DeviceId

router = APIRouter(tags=["devices"], route_class=DeviceRoute)


@router.post(ENROLMENT_PATH, operation_id="enrolDevice", status_code=201)
def enrol_device(request: EnrolmentRequest, response: Response, context: Context) -> Enrolment:
    """Uses the code up; 422 with one error code whatever is wrong with it."""
    response.headers["Cache-Control"] = "no-store"  # holds a password
    return enrolment.enrol(context, request)


@router.get(
    AUTHORITY_PATH,
    operation_id="getAuthority",
    responses={404: {"description": "The server has no authority of its own."}},
)
def get_authority(context: Context) -> Authority:
    """Whose certificates to trust; the pairing code says whether it is the right one."""
    return Authority(authority=enrolment.require_authority(context).trusted)


@router.post(
    CERTIFICATES_PATH,
    operation_id="renewCertificate",
    status_code=201,
    responses={
        401: {"description": "Not signed by that device (docs/PROTOCOL.md), or its clock is off."},
        404: {"description": "The server has no authority of its own."},
    },
)
def renew_certificate(
    caller: Signed, request: CertificateRequest, context: Context
) -> IssuedCertificate:
    """A new certificate for a paired device, for a key of its own choice."""
    device = DeviceId(caller.device)
    return enrolment.renew_certificate(context, device, request.certificate_request)
