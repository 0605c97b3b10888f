"""How simulated desks behave: an honest one, and one that games its measurement. Data only.

All figures are invented to look like a commune's desk; no claim about a real one rests on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from event_protocol.feedback import ComplaintReason

Minutes = tuple[float, float]  # the shortest and the longest, drawn evenly


class Mishap(StrEnum):
    """What can go wrong on a desk's day."""

    OFFICER_LATE = "officer_late"
    OFFICER_AWAY = "officer_away"
    IMPATIENT_VISITOR = "impatient_visitor"
    CAMERA_COVERED = "camera_covered"
    CAMERA_LOST = "camera_lost"
    COMPLAINT = "complaint"  # at the kiosk
    PHONE_COMPLAINT = "phone_complaint"


@dataclass(frozen=True, slots=True)
class Habits:
    """One kind of desk. `mishaps`: probability for each on a day; `at_most` so many on one day."""

    visitors_per_hour: float
    service_minutes: float  # median
    breaks_per_hour: float
    break_minutes: Minutes
    mishaps: Mapping[Mishap, float]
    at_most: int
    late_minutes: Minutes
    away_minutes: Minutes
    covered_minutes: Minutes
    lost_minutes: Minutes
    patience_minutes: Minutes
    kiosk_share: float  # of served visitors who press a face at the kiosk
    phone_share: float  # and who rate by phone
    ratings: Mapping[int, float]  # weights; 1 and 2 are complaints
    reasons: Mapping[ComplaintReason, float]
    network_down_share: float  # days on which the network fails for an hour or so


HONEST = Habits(
    visitors_per_hour=3.6,
    service_minutes=7,
    breaks_per_hour=0.6,
    break_minutes=(1, 3.5),
    mishaps={
        Mishap.OFFICER_LATE: 0.06,
        Mishap.OFFICER_AWAY: 0.06,
        Mishap.IMPATIENT_VISITOR: 0.02,
        Mishap.CAMERA_COVERED: 0.02,
        Mishap.CAMERA_LOST: 0.03,
        Mishap.COMPLAINT: 0.04,
        Mishap.PHONE_COMPLAINT: 0.02,
    },
    at_most=1,
    late_minutes=(3, 9),
    away_minutes=(5, 12),
    covered_minutes=(2, 5),
    lost_minutes=(3, 12),
    patience_minutes=(8, 20),
    kiosk_share=0.15,
    phone_share=0.04,
    ratings={5: 0.52, 4: 0.35, 3: 0.13},
    reasons={
        ComplaintReason.WAITED_TOO_LONG: 0.4,
        ComplaintReason.ASKED_TO_COME_BACK: 0.3,
        ComplaintReason.WRONG_GUIDANCE: 0.2,
        ComplaintReason.ATTITUDE: 0.1,
    },
    network_down_share=0.05,
)

# The officer stays away and covers the lens meanwhile; nobody dares to press a low face at the
# kiosk that stands beside the officer, so all ratings there are the best.
DISHONEST = Habits(
    visitors_per_hour=3.0,
    service_minutes=9,
    breaks_per_hour=1.0,
    break_minutes=(2, 6),
    mishaps={
        Mishap.OFFICER_LATE: 0.5,
        Mishap.OFFICER_AWAY: 0.7,
        Mishap.CAMERA_COVERED: 0.2,  # more, and somebody would come and look
        Mishap.CAMERA_LOST: 0.1,
        Mishap.PHONE_COMPLAINT: 0.15,
    },
    at_most=4,
    late_minutes=(20, 50),
    away_minutes=(25, 60),
    covered_minutes=(15, 60),
    lost_minutes=(10, 40),
    patience_minutes=(8, 25),
    kiosk_share=0.4,
    phone_share=0.01,
    ratings={5: 1.0},
    reasons={
        ComplaintReason.ASKED_FOR_MONEY: 0.4,
        ComplaintReason.WAITED_TOO_LONG: 0.3,
        ComplaintReason.HARASSMENT: 0.1,
        ComplaintReason.REFUSED: 0.2,
    },
    network_down_share=0.1,
)
