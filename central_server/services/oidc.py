"""Log-in by an OpenID Connect provider: authorization code with PKCE, state and nonce.

The provider says who somebody is. What they may do stands in an account here, which an
administrator has made: none is made and no role is taken from a claim.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from central_server.domain.accounts import is_user_name
from central_server.domain.errors import InvalidError, NotFoundError
from central_server.domain.permissions import Viewer
from central_server.services import accounts, logins
from central_server.services.context import ServerContext
from central_server.services.logins import NewLogin
from central_server.services.signed_forms import SignedForm, new_nonce, read_form, write_form
from central_server.settings import OidcSettings
from central_server.storage import accounts as account_store

CALLBACK_PATH = "/login/oidc/callback"
ATTEMPT_LIFE = timedelta(minutes=10)
_TIMEOUT_S = 10.0
_LEEWAY_S = 60  # between the provider's clock and ours
# Signatures by the provider's private key alone: with HS256, or none, others could make tokens.
_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"]
_log = structlog.get_logger()


class LoginAttempt(SignedForm):
    """What the browser keeps in a cookie while it is at the provider's; `nonce` is the token's."""

    state: str
    verifier: str  # PKCE: who stole the code on its way has no use for it
    next: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider sent the browser back with."""

    state: str
    code: str
    issuer: str | None = None  # RFC 9207, where the provider says it


def begin(context: ServerContext, next: str) -> tuple[str, str]:
    """The provider's address to go to, and the attempt to keep in a cookie.

    `NotFoundError` where no provider is set; `InvalidError` if it can't be reached.
    """
    settings = _settings(context)
    endpoint = str(_discover(settings)["authorization_endpoint"])
    attempt = LoginAttempt(
        nonce=new_nonce(),
        expires_at=context.now() + ATTEMPT_LIFE,
        state=generate_token(32),
        verifier=generate_token(48),
        next=next,
    )
    address = prepare_grant_uri(
        endpoint,
        settings.client_id,
        "code",
        redirect_uri=_callback(context),
        scope="openid profile email",
        state=attempt.state,
        nonce=attempt.nonce,
        code_challenge=create_s256_code_challenge(attempt.verifier),
        code_challenge_method="S256",
    )
    return address, write_form(attempt, context.keys.pepper)


def finish(
    context: ServerContext, kept: str, answer: Answer, former_token: str | None
) -> tuple[NewLogin, str]:
    """A log-in session for whom the provider named, and where it was to lead.

    Still at its second step, unless the settings trust the provider's. `InvalidError` says whether
    the provider's word could not be taken, or names nobody here.
    """
    settings = _settings(context)
    try:
        attempt = read_form(LoginAttempt, kept, context.keys.pepper, context.now())
    except InvalidError as error:
        raise InvalidError("error.oidc_failed") from error
    if answer.state != attempt.state or answer.issuer not in (None, settings.issuer):
        raise InvalidError("error.oidc_failed")
    viewer = _find_viewer(context, _named(_claims(context, settings, attempt, answer), settings))
    if settings.trusts_second_factor:
        return logins.open_login(context, viewer, former_token), attempt.next
    return logins.begin(context, viewer, former_token), attempt.next


def _claims(
    context: ServerContext, settings: OidcSettings, attempt: LoginAttempt, answer: Answer
) -> CodeIDToken:
    """The identity token's claims, all checked."""
    provider = _discover(settings)
    tokens = _fetch_tokens(context, settings, str(provider["token_endpoint"]), attempt, answer.code)
    try:
        keys = KeySet.import_key_set(_get(str(provider["jwks_uri"])))  # type: ignore[arg-type]  # it checks what was sent
        token = jwt.decode(str(tokens["id_token"]), keys, algorithms=_ALGORITHMS)
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={
                "iss": {"essential": True, "value": settings.issuer},
                "aud": {"essential": True, "value": settings.client_id},
            },
            params={
                "nonce": attempt.nonce,
                "client_id": settings.client_id,
                "access_token": tokens.get("access_token"),
            },
        )
        claims.validate(now=int(context.now().timestamp()), leeway=_LEEWAY_S)
    except (JoseError, AuthlibBaseError, KeyError, ValueError) as error:
        raise _failed("identity token", error) from error
    return claims


def _fetch_tokens(
    context: ServerContext, settings: OidcSettings, endpoint: str, attempt: LoginAttempt, code: str
) -> dict[str, Any]:
    secret_file = settings.client_secret_file
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": _callback(context),
        "code_verifier": attempt.verifier,
        "client_id": settings.client_id,
    }
    try:
        # Read each time: a new secret counts without a restart.
        secret = None if secret_file is None else secret_file.read_text().strip()
        answer = httpx.post(
            endpoint,
            data=form,
            auth=None if secret is None else httpx.BasicAuth(settings.client_id, secret),
            timeout=_TIMEOUT_S,
        )
        return _object_of(answer)
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise _failed("token endpoint", error) from error


def _discover(settings: OidcSettings) -> dict[str, Any]:
    """The provider's addresses, asked for each time: log-ins are rare, and keys change."""
    found = _get(settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
    needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if found.get("issuer") != settings.issuer or not all(name in found for name in needed):
        raise _failed("discovery", ValueError("not the issuer's own document"))
    return found


def _get(address: str) -> dict[str, Any]:
    try:
        return _object_of(httpx.get(address, timeout=_TIMEOUT_S))
    except (httpx.HTTPError, ValueError) as error:
        raise _failed("provider", error) from error


def _object_of(answer: httpx.Response) -> dict[str, Any]:
    content = answer.raise_for_status().json()
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


def _named(claims: CodeIDToken, settings: OidcSettings) -> str:
    name = claims.get(settings.user_claim)
    return name if isinstance(name, str) and is_user_name(name) else ""


def _find_viewer(context: ServerContext, user_id: str) -> Viewer:
    with context.database.reading() as db:
        user = account_store.find_user(db, user_id)
    if user is None or user.disabled_at is not None:
        raise InvalidError("error.oidc_unknown")
    return accounts.viewer_of(user)


def _settings(context: ServerContext) -> OidcSettings:
    if context.settings.oidc is None:
        raise NotFoundError()
    return context.settings.oidc


def _callback(context: ServerContext) -> str:
    return context.settings.web.internal_url.rstrip("/") + CALLBACK_PATH


def _failed(where: str, error: Exception) -> InvalidError:
    # The error's kind alone: its text may hold the code or a token.
    _log.warning("log-in by provider failed", at=where, reason=type(error).__name__)
    return InvalidError("error.oidc_failed")
