"""Few error types with stable codes; a code is also the key of the words people read."""


class DomainError(Exception):
    """Base of what a person or a device can be told."""

    code = "error.unexpected"

    def __init__(self, **details: object) -> None:
        super().__init__(self.code, details)
        self.details = details


class NotFoundError(DomainError):
    """It does not exist, or not for this viewer: outside one's scope nothing exists."""

    code = "error.not_found"


class NotAllowedError(DomainError):
    """Seen, but not this viewer's to change."""

    code = "error.not_allowed"


class InvalidError(DomainError):
    """What was sent can't be taken; `code` says what is wrong."""

    def __init__(self, code: str, **details: object) -> None:
        super().__init__(**details)
        self.code = code


class ConflictError(DomainError):
    """Somebody was faster: the thing is no longer in the state that was acted on."""

    code = "error.conflict"


class GoneError(DomainError):
    """Was wanted once; nothing more is to be sent."""

    code = "error.gone"


class NotOpenedError(ConflictError):
    """Pictures are shown once their viewer has said why, which is logged."""

    code = "error.evidence_not_opened"


class NotLoggedInError(DomainError):
    """Nobody is known to be asking; logging in helps. `is_half_way`: a second step is missing."""

    code = "error.not_logged_in"

    def __init__(self, *, is_half_way: bool = False) -> None:
        super().__init__()
        self.is_half_way = is_half_way


class ForgedRequestError(DomainError):
    """A change asked for from another site, or with an old page's token."""

    code = "error.forged"
