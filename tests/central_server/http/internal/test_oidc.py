"""Log-in by a real provider on this machine: its word opens accounts that exist, nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import OctKey, RSAKey

from central_server.domain.permissions import Role
from central_server.http.app import make_internal_app
from central_server.http.dependencies import COOKIE
from central_server.services import accounts
from central_server.services.context import ServerContext
from central_server.settings import OidcSettings
from tests.central_server.http.internal.browser import ORIGIN, Browser
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.processes.oidc_provider import CLIENT, CLIENT_SECRET, Provider, serve_provider

USER, PASSWORD = "thanh-tra", "một mật khẩu đủ dài"


@pytest.fixture
def provider(context: ServerContext) -> Iterator[Provider]:
    """Says that whoever comes is `USER`."""
    made = Provider(
        now=lambda: int(context.now().timestamp()),
        redirect=f"{ORIGIN}/login/oidc/callback",
        claims={"preferred_username": USER},
    )
    with serve_provider(made):
        yield made


@pytest.fixture
def app(context: ServerContext, provider: Provider, tmp_path: Path) -> FastAPI:
    """An application that lets people in by the provider."""
    return make_app(context, provider, tmp_path)


def make_app(
    context: ServerContext,
    provider: Provider,
    folder: Path,
    *,
    trusts_second_factor: bool = False,
    required: tuple[Role, ...] = (),
) -> FastAPI:
    secret_file = folder / "oidc-secret"
    secret_file.write_text(f"{CLIENT_SECRET}\n")
    oidc = OidcSettings(
        issuer=provider.issuer,
        client_id=CLIENT,
        client_secret_file=secret_file,
        name="Cổng tỉnh",
        trusts_second_factor=trusts_second_factor,
    )
    web = context.settings.web.model_copy(update={"second_factor_roles": required})
    settings = context.settings.model_copy(update={"oidc": oidc, "web": web})
    return make_internal_app(replace(context, settings=settings))


@pytest.fixture(autouse=True)
def _inspector(context: ServerContext) -> None:
    accounts.create_user(
        context, user_id=USER, password=PASSWORD, role=Role.INSPECTOR, unit_id="district"
    )


def go_and_come_back(client: Browser, next: str = "/flags") -> httpx.Response:
    """What a browser does: to the provider, and with its answer back."""
    sent = client.get("/login/oidc", params={"next": next})
    assert sent.status_code == 303, sent.text
    back = httpx.get(sent.headers["location"]).headers["location"]
    return client.get(back.removeprefix(ORIGIN))


def test_the_providers_word_opens_the_account_of_that_name(
    browser: OpenBrowser, context: ServerContext
) -> None:
    client = browser()
    assert "Đăng nhập bằng Cổng tỉnh" in client.get("/login").text
    answer = go_and_come_back(client, "/sessions?state=ended")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sessions?state=ended")
    who = client.get("/api/v1/session").json()
    assert (who["user"], who["role"]) == (USER, "inspector"), "the role stands here, not there"


def test_pkce_state_and_nonce_are_sent_and_new_each_time(browser: OpenBrowser) -> None:
    sent = [
        parse_qs(urlsplit(browser().get("/login/oidc").headers["location"]).query) for _ in range(2)
    ]
    for name in ("state", "nonce", "code_challenge"):
        assert sent[0][name] != sent[1][name], name
        assert len(sent[0][name][0]) >= 32, name
    assert sent[0]["code_challenge_method"] == ["S256"]
    assert CLIENT_SECRET not in str(sent)


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(browser: OpenBrowser) -> None:
    """Log-in CSRF: somebody else's code, or somebody else's state."""
    victim, attacker = browser(), browser()
    sent = attacker.get("/login/oidc").headers["location"]
    back = httpx.get(sent).headers["location"].removeprefix(ORIGIN)
    assert victim.get(back).status_code == 422, "never asked"
    victim.get("/login/oidc")
    assert victim.get(back).status_code == 422, "asked for another"
    assert COOKIE not in victim.cookies
    assert attacker.get(back).status_code == 303
    assert attacker.get(back).status_code == 422, "once"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"iss": "https://elsewhere.example"},
        {"aud": "another-client"},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"exp": 1},
        {"iat": 4_000_000_000},
        {"exp": None},
        {"sub": None},
    ],
)
def test_a_token_for_somebody_else_or_another_time_is_refused(
    browser: OpenBrowser, provider: Provider, claims: dict[str, object]
) -> None:
    provider.claims |= claims
    client = browser()
    answer = go_and_come_back(client)
    assert answer.status_code == 422
    assert "không xác nhận được" in answer.text
    assert COOKIE not in client.cookies


def test_a_token_of_another_key_is_refused(browser: OpenBrowser, provider: Provider) -> None:
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "1"})
    assert go_and_come_back(browser()).status_code == 422


def test_a_public_key_is_no_shared_secret(browser: OpenBrowser, provider: Provider) -> None:
    """Confusion of algorithms: a token signed with what everybody can read."""
    provider.signing_key = OctKey.import_key(str(provider.key.as_dict(private=False)["n"]))
    provider.algorithm = "HS256"
    assert go_and_come_back(browser()).status_code == 422


def test_a_document_of_another_issuer_is_not_believed(
    browser: OpenBrowser, provider: Provider
) -> None:
    provider.issuer += "/elsewhere"
    assert browser().get("/login/oidc").status_code == 503


def test_outside_this_machine_the_attempt_is_held_to_tls(browser: OpenBrowser) -> None:
    sent = browser().get("/login/oidc", headers={"host": "server.example"})
    pair, *attributes = sent.headers["set-cookie"].split("; ")
    assert pair.startswith("__Secure-onestop_oidc=")
    assert {"Path=/login/oidc", "Secure", "HttpOnly"} <= set(attributes)
    back = httpx.get(sent.headers["location"]).headers["location"].removeprefix(ORIGIN)
    for cookie, status in ((pair.removeprefix("__Secure-"), 422), (pair, 303)):
        headers = {"host": "server.example", "cookie": cookie}
        assert browser().get(back, headers=headers).status_code == status, cookie


@pytest.mark.parametrize("name", ["khong-ai", "", None, 7, ["thanh-tra"], "thanh-tra\0"])
def test_no_account_is_ever_made(
    browser: OpenBrowser, provider: Provider, context: ServerContext, name: object
) -> None:
    provider.claims["preferred_username"] = name
    answer = go_and_come_back(browser())
    assert answer.status_code == 422
    assert "chưa có tài khoản" in answer.text


def test_a_disabled_account_stays_closed(browser: OpenBrowser, context: ServerContext) -> None:
    accounts.change_user(context, USER, is_disabled=True)
    assert go_and_come_back(browser()).status_code == 422


@pytest.mark.parametrize(("trusts", "leads_to"), [(False, "/login/second"), (True, "/flags")])
def test_the_second_factor_is_ours_unless_the_providers_is_trusted(
    context: ServerContext, provider: Provider, tmp_path: Path, trusts: bool, leads_to: str
) -> None:
    required = (Role.INSPECTOR,)
    app = make_app(context, provider, tmp_path, trusts_second_factor=trusts, required=required)
    answer = go_and_come_back(Browser(app))
    assert answer.headers["location"].startswith(leads_to)


def test_a_provider_that_is_away_leaves_the_password(
    context: ServerContext, provider: Provider, tmp_path: Path
) -> None:
    provider.issuer = "http://127.0.0.1:9"
    answer = Browser(make_app(context, provider, tmp_path)).get("/login/oidc")
    assert answer.status_code == 503
    assert 'name="password"' in answer.text


def test_without_a_provider_there_is_no_such_page(context: ServerContext) -> None:
    client = Browser(make_internal_app(context))
    assert client.get("/login/oidc").status_code == 404
    assert client.get("/login/oidc/callback?state=x&code=y").status_code == 404
    assert "/login/oidc" not in client.get("/login").text


@pytest.mark.parametrize("issuer", ["http://id.example", "https://id.example?x=1", "id.example"])
def test_the_providers_address_is_safe(issuer: str) -> None:
    with pytest.raises(ValueError, match="must be https"):
        OidcSettings(issuer=issuer, client_id=CLIENT)
