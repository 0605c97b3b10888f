"""Ratings by phone of a simulated day, through the same use cases as the citizens' pages."""

from dataclasses import replace

from central_server.domain.feedback_details import Details
from central_server.services import feedback
from central_server.services.context import ServerContext
from central_server.services.rating_forms import DetailsForm, RatingForm, expiry_after
from central_server.simulation.statements import Phoned
from central_server.storage import places
from event_protocol.events import FeedbackChannel


def send(context: ServerContext, phoned: Phoned) -> None:
    """Rate, and complete with the reasons; the same rating again counts nothing."""
    then = replace(context, now=lambda: phoned.at)
    with context.database.reading() as db:
        place = places.find_desk_place(db, phoned.desk)
    if place is None:
        raise LookupError(f"desk {phoned.desk} is not registered")
    form = RatingForm(
        nonce=phoned.nonce,
        expires_at=expiry_after(phoned.at),
        unit_id=place.unit_id,
        desk=phoned.desk,
        channel=FeedbackChannel.PHONE,
    )
    saved = feedback.submit(then, form, phoned.rating)
    if phoned.reasons and not saved.content.reasons:
        details = DetailsForm(
            nonce=form.nonce, expires_at=form.expires_at, feedback_id=saved.feedback_id
        )
        feedback.complete(then, details, Details(reasons=phoned.reasons))
