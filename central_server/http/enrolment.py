"""Where a new device trades its one-time code for keys and broker access."""

from fastapi import APIRouter, Response

from central_server.http.dependencies import Context
from central_server.services import enrolment
from event_protocol.enrolment import ENROLMENT_PATH, Enrolment, EnrolmentRequest

router = APIRouter(tags=["devices"])


@router.post(ENROLMENT_PATH, operation_id="enrolDevice", status_code=201)
def enrol_device(request: EnrolmentRequest, response: Response, context: Context) -> Enrolment:
    """Uses the code up; 422 with one error code whatever is wrong with it."""
    response.headers["Cache-Control"] = "no-store"  # holds a password
    return enrolment.enrol(context, request)
