"""All settings of the server, one model for each section, validated whole before anything starts.

From `ONESTOP_…` environment variables (nested with `__`) over a YAML file given by `--config`.
"""

import os
import re
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from central_server.broker_settings import BrokerSettings, Port, Section
from central_server.domain.database_addresses import is_private
from central_server.domain.flags import REGISTRY
from central_server.domain.permissions import Role
from central_server.domain.yaml_lines import WrongFileError, line_of, parse_mapping
from event_protocol.enrolment import is_loopback

_DATABASES = ("sqlite", "postgresql", "postgresql+psycopg")


SECOND_FACTOR_ROLES = (Role.ADMINISTRATOR, Role.LEAD_INSPECTOR, Role.INSPECTOR, Role.AUDITOR)


class WebSettings(Section):
    """Where people reach the server."""

    host: str = Field(default="127.0.0.1", description="Address the internal pages listen on.")
    port: Port = Field(default=8000, description="Port of the internal pages.")
    public_host: str = Field(default="127.0.0.1", description="Address of the citizens' pages.")
    public_port: Port | None = Field(
        default=None,
        description="Port of the citizens' pages; empty: they share the internal address.",
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="What posters and desk screens print: the citizens' pages as phones see them.",
    )
    internal_url: str = Field(
        default="http://127.0.0.1:8000",
        description="What notifications link to: the internal pages as inspectors see them.",
    )
    certificate_file: Path | None = Field(
        default=None,
        description="Certificate chain (PEM) by which the pages speak TLS themselves.",
    )
    key_file: Path | None = Field(default=None, description="Its private key (PEM).")
    tls_at_proxy: bool = Field(
        default=False,
        validate_default=True,
        description="A proxy speaks TLS, and the way from it to the pages is nobody else's; "
        "required for pages beyond this machine without a certificate of their own.",
    )
    session_idle_minutes: int = Field(
        default=30, ge=1, description="A log-in ends after so long without a request."
    )
    session_life_hours: int = Field(
        default=12, ge=1, description="A log-in ends after so long, however busy it is."
    )
    monitoring_token_file: Path | None = Field(
        default=None,
        description="File with the bearer token for /metrics and /readyz; empty: for this machine.",
    )
    second_factor_roles: tuple[Role, ...] | None = Field(
        default=None,
        description="Who can't log in without a code of an authenticator app; others may set one. "
        "Empty: administrators, inspectors and auditors, where `internal_url` is not this machine.",
    )

    @property
    def second_factor_required(self) -> tuple[Role, ...]:
        """The roles that need a second step: on the machine itself, as in a pilot, none does."""
        if self.second_factor_roles is not None:
            return self.second_factor_roles
        is_here = is_loopback(urlsplit(self.internal_url).hostname or "")
        return () if is_here else SECOND_FACTOR_ROLES

    @field_validator("tls_at_proxy")
    @classmethod
    def _no_page_in_the_clear(cls, at_proxy: bool, others: ValidationInfo) -> bool:
        certificate, key = others.data.get("certificate_file"), others.data.get("key_file")
        if (certificate is None) != (key is None):
            raise ValueError("web.certificate_file and web.key_file go together")
        for name in ("host", "public_host"):
            host = others.data.get(name)
            is_private = certificate is not None or at_proxy
            if not is_private and host is not None and not is_loopback(host):
                raise ValueError(
                    f"must be true, or web.certificate_file set: by web.{name}, {host}, "
                    "log-ins leave this machine"
                )
        return at_proxy


class OidcSettings(Section):
    """An OpenID Connect provider by which people may log in, beside their password."""

    issuer: str = Field(description="The provider's address, as its identity tokens name it.")
    client_id: str = Field(description="How the provider knows this server.")
    client_secret_file: Path | None = Field(
        default=None, description="File with the secret for it; empty: a public client (PKCE)."
    )
    name: str = Field(default="OpenID", description="What the button on the log-in page says.")
    user_claim: str = Field(
        default="preferred_username",
        description="The claim that holds the log-in name of an account here; none is ever made.",
    )
    trusts_second_factor: bool = Field(
        default=False,
        description="Take the provider's word for the second factor, instead of asking for a code.",
    )

    @field_validator("issuer")
    @classmethod
    def _no_word_in_the_clear(cls, issuer: str) -> str:
        address = urlsplit(issuer)
        is_private = address.scheme == "http" and is_loopback(address.hostname or "")
        if not (address.scheme == "https" or is_private) or address.query or address.fragment:
            raise ValueError("must be https://… without query (http only on this machine)")
        return issuer


class IngestSettings(Section):
    """How events are taken in."""

    batch_events: int = Field(default=1000, ge=1, description="Events committed at once, at most.")
    batch_wait_ms: int = Field(
        default=50, ge=1, description="How long a batch waits for more before it is committed."
    )
    gap_limit_minutes: int = Field(
        default=60,
        ge=1,
        description="A missing position is asked for so long, then stepped over as unknown.",
    )


class NotifySettings(Section):
    """Who is told of a grave complaint at once."""

    targets: tuple[tuple[str, ...], ...] = Field(
        default=(),
        repr=False,
        description="Apprise addresses (mail, webhook, SMS gateway), a list for each level.",
    )
    escalate_after_minutes: int = Field(
        default=30, ge=1, description="If nobody acknowledges, the next level is told."
    )


class RetentionPeriod(Section):
    """How long the words of feedback given from that day on are kept: dated, so that a change of
    the rule changes nothing that was promised before.
    """

    since: date = Field(description="First day, UTC.")
    ratings_days: int = Field(
        default=30, ge=1, description="Plain ratings: words, exact time and link to a session."
    )
    complaints_days: int = Field(
        default=730,
        ge=1,
        description="Complaints, once no flag of theirs is open and no picture is held.",
    )

    def __str__(self) -> str:
        """As documents show a default."""
        return f"{self.since}: {self.ratings_days}, {self.complaints_days} days"


class AnchorSettings(Section):
    """The daily signed head of the server's log, whose copies leave the machine."""

    directory: Path | None = Field(
        default=None, description="Where copies are dropped; empty: `anchors` in the directory."
    )
    targets: tuple[str, ...] = Field(
        default=(), repr=False, description="Apprise addresses that get each head, as `notify`."
    )


class EvidenceSettings(Section):
    """Clips and snapshots: what is asked for, how long it is waited for and kept."""

    directory: Path | None = Field(
        default=None, description="Where pictures are kept; empty: `evidence` in the directory."
    )
    device_url: str | None = Field(
        default=None,
        description="The internal address as devices reach it; empty: `web.internal_url`.",
    )
    automatic: tuple[str, ...] = Field(
        default=(), description="Rules whose flags have a clip asked for without an inspector."
    )
    max_minutes: int = Field(
        default=30,
        ge=1,
        le=240,
        description="The longest clip; of what lasts longer, its beginning.",
    )
    max_mb: int = Field(default=200, ge=1, le=4096, description="The largest clip.")
    expire_hours: int = Field(
        default=72,
        ge=1,
        description="A device that has not answered by then is not asked any more.",
    )
    keep_days: int = Field(
        default=90, ge=1, description="Pictures that nobody holds are erased after so long."
    )
    reserve_mb: int = Field(
        default=1024, ge=0, description="Room on the disk that pictures leave free."
    )

    @field_validator("automatic")
    @classmethod
    def _known_rules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(rules) - REGISTRY.keys())
        if unknown:
            raise ValueError(f"no such rule: {', '.join(unknown)}")
        return rules


class ServerSettings(BaseSettings):
    """The central server's settings."""

    model_config = SettingsConfigDict(
        env_prefix="ONESTOP_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    directory: Path = Field(
        default=Path("var/server"), description="Where keys, SQLite and broker state live."
    )
    database_url: str | None = Field(
        default=None,
        repr=False,
        # The second name is also DATABASE_URL, which hosting platforms set.
        validation_alias=AliasChoices("ONESTOP_DATABASE_URL", "database_url"),
        description="SQLAlchemy address of the database, beyond this machine with "
        "`?sslmode=verify-full`; empty: SQLite in the directory.",
    )
    rules_file: Path = Field(
        default=Path("configs/flag_rules.yaml"),
        description="Flag rules, severities, opening hours and calendars.",
    )
    surveys_directory: Path = Field(
        default=Path("configs/surveys"),
        description="The editions of the satisfaction survey, each with its first day.",
    )
    web: WebSettings = Field(default_factory=WebSettings, description="Pages.")
    oidc: OidcSettings | None = Field(default=None, description="Log-in by a provider.")
    broker: BrokerSettings = Field(default_factory=BrokerSettings, description="MQTT.")
    ingest: IngestSettings = Field(default_factory=IngestSettings, description="Taking in.")
    notify: NotifySettings = Field(default_factory=NotifySettings, description="Notifications.")
    retention: tuple[RetentionPeriod, ...] = Field(
        default=(RetentionPeriod(since=date(2000, 1, 1)),),
        min_length=1,
        description="How long sealed contents are kept, by the day on which they were given.",
    )
    events_months: int | None = Field(
        default=None,
        ge=1,
        description="Whole months of events kept before this one, see CUSTODY.md; empty: all.",
    )
    anchors: AnchorSettings = Field(default_factory=AnchorSettings, description="Proof.")
    evidence: EvidenceSettings = Field(default_factory=EvidenceSettings, description="Pictures.")

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, address: str | None) -> str | None:
        if address is None:
            return None
        # Hosting platforms still write the old name.
        address = re.sub(r"^postgres:", "postgresql:", address)
        try:
            known = make_url(address).drivername in _DATABASES
        except (ArgumentError, ValueError):
            known = False
        if not known:
            raise ValueError("must be like sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
        if not is_private(address):
            raise ValueError("needs ?sslmode=verify-full, or =disable where the line is its own")
        return address

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file, whose content comes in as arguments."""
        return env_settings, init_settings

    @property
    def evidence_directory(self) -> Path:
        """Where pictures are kept."""
        return self.evidence.directory or self.directory / "evidence"

    @property
    def anchors_directory(self) -> Path:
        """Where copies of signed heads are dropped."""
        return self.anchors.directory or self.directory / "anchors"

    @property
    def database_address(self) -> str:
        """The SQLAlchemy address in use."""
        return self.database_url or f"sqlite:///{self.directory / 'server.sqlite'}"


def load_settings(file: Path | None) -> ServerSettings:
    """The settings from file and environment; raises `WrongFileError` that names each fault."""
    text, name = "", "environment"
    if file is not None:
        name = str(file)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongFileError(f"{name}: can't be read: {error}") from error
    try:
        return ServerSettings(**parse_mapping(text, name))
    except ValidationError as error:
        raise WrongFileError(_explain(error, text, name)) from error


def _explain(error: ValidationError, text: str, name: str) -> str:
    """Like `yaml_lines.explain`, but a setting may also come from the environment."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        steps = [str(step) for step in problem["loc"]]
        variable = "ONESTOP_" + "__".join(steps).upper()
        at = line_of(text, problem["loc"])
        where = variable if variable in os.environ or at is None else f"{name}:{at}"
        lines.append(f"{where}: {'.'.join(steps)}: {problem['msg']}")
    return "\n".join(lines)
