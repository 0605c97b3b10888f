"""The one way in which both programs make pages: Jinja2, gettext catalogues, formats by language.

Texts are message keys in templates; `locales/<language>/*.po` hold their words. Knows nothing of
sessions, flags or devices.
"""

import gettext
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

WEB = Path(__file__).resolve().parent
STATIC = WEB / "static"
TEMPLATES = WEB / "templates"
LOCALES = WEB / "locales"
LANGUAGES = ("vi", "en")
DEFAULT_LANGUAGE = "vi"
LOCAL_TIME = ZoneInfo("Asia/Ho_Chi_Minh")


@cache
def load_catalogue(language: str) -> gettext.GNUTranslations:
    """All catalogues of one language in one; compiled in memory, so that nothing can be stale."""
    merged: gettext.GNUTranslations | None = None
    for path in sorted((LOCALES / language).glob("*.po")):
        with path.open("rb") as source:
            catalogue = read_po(source, locale=language, abort_invalid=True)
        compiled = BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        part = gettext.GNUTranslations(compiled)
        if merged is None:
            merged = part
        else:
            merged.add_fallback(part)
    if merged is None:
        raise FileNotFoundError(f"no message catalogue for {language} in {LOCALES}")
    return merged


def translate(language: str, key: str, **values: object) -> str:
    """The words for `key`, with `%(name)s` filled from `values`."""
    text = load_catalogue(language).gettext(key)
    return text % values if values else text


def choose_language(asked: str | None) -> str:
    """The language asked for by link, else Vietnamese, whatever the browser would like."""
    return asked if asked in LANGUAGES else DEFAULT_LANGUAGE


def format_local(at: datetime | None, pattern: str = "%d/%m/%Y %H:%M") -> str:
    """Local time at the desks (UTC+7) as dd/mm/yyyy HH:MM; a dash where there is no time."""
    return "–" if at is None else at.astimezone(LOCAL_TIME).strftime(pattern)


def format_span(seconds: float | None, language: str = DEFAULT_LANGUAGE) -> str:
    """A length of time in words, rounded to its largest unit below a day; a dash if unknown.

    Nothing is a plain 0: among other lengths "0 seconds" would look like one.
    """
    if seconds is None:
        return "–"
    if round(seconds) == 0:
        return "0"
    return format_timedelta(round(seconds), locale=language, threshold=1.5)


def format_number(value: float | None, language: str = DEFAULT_LANGUAGE) -> str:
    """`1.234,5` in Vietnamese, `1,234.5` in English; a dash if unknown."""
    return "–" if value is None else format_decimal(value, locale=language)


def format_share(value: float | None, language: str = DEFAULT_LANGUAGE) -> str:
    """A share of 1 as a percentage with one decimal; a dash if unknown."""
    return "–" if value is None else format_percent(value, "#,##0.0 %", locale=language)


def machine_time(at: datetime) -> str:
    """For `<time datetime=…>`."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def make_environment() -> Environment:
    """The templates, autoescaped; a misspelt variable is an error, not an empty place."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        local=format_local,
        span=format_span,
        number=format_number,
        share=format_share,
        machine_time=machine_time,
    )
    return environment


@cache
def _environment() -> Environment:
    return make_environment()


def render(template: str, language: str, **values: object) -> str:
    """One page. `_('key', name=value)` in it speaks `language`."""

    def _(key: str, **named: object) -> str:
        return translate(language, key, **named)

    return _environment().get_template(template).render(_=_, language=language, **values)
