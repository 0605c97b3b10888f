"""Feedback's way from page or card into the outbox: sealed before it touches the disk."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from edge_agent.core.codes import CardRating
from edge_agent.core.feedback import GivenFeedback, amend_statement, rate, submit_statement
from edge_agent.core.statements import Statement
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.outbox_database import OutboxError
from edge_agent.http.parts import NotSavedError
from event_protocol.events import FeedbackChannel
from event_protocol.messages import DeskConfiguration, DeviceConfiguration
from event_protocol.names import DeskId


def derive_form_key(device_key: bytes) -> bytes:
    """The secret that signs the kiosk's forms: the same for the life of the box's own key."""
    return hmac.digest(device_key, b"onestop kiosk form key", hashlib.sha256)


class DeskFeedback:
    """The kiosk's and the screen's side of this box (`http.parts.Desks`). Thread-safe.

    `configuration` and `outbox` come with pairing; before it there are no desks.
    """

    def __init__(
        self, form_key: bytes, find_session: Callable[[DeskId, datetime], UUID | None]
    ) -> None:
        self._form_key = form_key
        self._find_session = find_session
        self._configuration: DeviceConfiguration | None = None
        self._outbox: Outbox | None = None

    def configure(self, configuration: DeviceConfiguration, outbox: Outbox) -> None:
        """From now on serve these desks, into this outbox."""
        self._outbox = outbox
        self._configuration = configuration

    @property
    def public_url(self) -> str:
        """The citizens' pages as phones see them."""
        return "" if self._configuration is None else self._configuration.public_url

    @property
    def form_key(self) -> bytes:
        """Signs forms."""
        return self._form_key

    def list_desks(self) -> tuple[DeskConfiguration, ...]:
        """All desks that the server gave to this box."""
        return () if self._configuration is None else self._configuration.desks

    def current_session(self, desk: DeskId, at: datetime) -> UUID | None:
        """The stay that feedback given now belongs to."""
        return self._find_session(desk, at)

    def server_time(self, at: datetime) -> datetime:
        """`at` by the server's clock, as far as its receipts have told it."""
        offset_ms = self._outbox.clock_offset_ms if self._outbox is not None else None
        return at + timedelta(milliseconds=offset_ms or 0)

    def submit(self, given: GivenFeedback) -> bool:
        """Seal and store a first tap; `False` if one of that id is stored already."""
        sealed = submit_statement(
            given.desk, FeedbackChannel.KIOSK, given.content, self.sealing_key
        )
        return self._append(sealed, given.event_id)

    def amend(self, amended: GivenFeedback, event_id: UUID) -> bool:
        """Seal and store the new content; `False` if one of that id is stored already."""
        sealed = amend_statement(
            amended.desk,
            FeedbackChannel.KIOSK,
            amended.content,
            amended.event_id,
            self.sealing_key,
        )
        return self._append(sealed, event_id)

    def seal_card(self, card: CardRating) -> Statement:
        """The sealed statement of a rating card that was shown to the camera."""
        content = rate(card.rating, card.at, card.session_id)
        return submit_statement(card.desk, FeedbackChannel.CARD, content, self.sealing_key)

    @property
    def sealing_key(self) -> bytes:
        """The server's public key (32 bytes); raises `NotSavedError` before pairing."""
        if self._configuration is None:
            raise NotSavedError("not paired")
        return bytes.fromhex(self._configuration.sealing_public_key)

    def _append(self, statement: Statement, event_id: UUID) -> bool:
        if self._outbox is None:
            raise NotSavedError("not paired")
        try:
            return bool(self._outbox.append([statement], event_id=event_id))
        except OutboxError as error:
            raise NotSavedError(str(error)) from error
