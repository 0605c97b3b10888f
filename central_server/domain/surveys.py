"""The satisfaction survey's editions: dated data, so that a past answer keeps its question."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Part):
    """One text in both languages."""

    vi: str = Field(min_length=1, max_length=200)
    en: str = Field(min_length=1, max_length=200)


class Factor(_Part):
    """One of the five factors with its items; the item `2.3` is the third of the second."""

    title: Words
    # The wire names items 1 to 6 of a factor (event_protocol/feedback.py, SurveyItem).
    items: Annotated[tuple[Words, ...], Field(min_length=1, max_length=6)]


Answer = Literal[1, 2, 3, 4, 5]


class Survey(_Part):
    """One edition, asked from its first day on."""

    name: str = Field(min_length=1, max_length=40)
    effective_from: date
    answers: Annotated[dict[Answer, Words], Field(min_length=5, max_length=5)]
    factors: Annotated[tuple[Factor, ...], Field(min_length=1, max_length=5)]

    @property
    def item_keys(self) -> frozenset[str]:
        """What an answer may be given to: `1.1` …"""
        return frozenset(
            f"{number}.{place}"
            for number, factor in enumerate(self.factors, 1)
            for place, _ in enumerate(factor.items, 1)
        )


def edition_on(surveys: Sequence[Survey], day: date) -> Survey | None:
    """The newest edition in force on that day, if any is."""
    in_force = [survey for survey in surveys if survey.effective_from <= day]
    return max(in_force, key=lambda survey: survey.effective_from, default=None)
