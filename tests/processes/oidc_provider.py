"""A small OpenID Connect provider on a free port: real tokens, signed with a key of its own.

It logs in whoever it is told to, without asking; it refuses what a real one refuses: an unknown
client, another address to come back to, a code used twice, a verifier that does not fit (PKCE).
"""

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from joserfc.util import urlsafe_b64encode

from tests.processes.local_http import LocalServer, Quiet

CLIENT, CLIENT_SECRET = "one-stop", "bí mật"


@dataclass(slots=True)
class Provider:
    """What it knows. `now` is the time in its tokens; `claims` change what those say."""

    now: Callable[[], int]
    redirect: str
    claims: dict[str, Any] = field(default_factory=dict)
    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    signing_key: RSAKey | OctKey | None = None  # another one than it shows
    algorithm: str = "RS256"
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser is sent back to, with a code."""
        assert asked["client_id"] == CLIENT
        assert asked["redirect_uri"] == self.redirect
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = token_urlsafe(16)
        self.codes[code] = asked
        sent = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{self.redirect}?{urlencode(sent)}"

    def tokens(self, form: dict[str, str], authorization: str) -> dict[str, str] | None:
        """For a code that was given out, once, to the client it was given to."""
        name, _, secret = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest())
        if (unquote(name), unquote(secret)) != (CLIENT, CLIENT_SECRET) or asked is None:
            return None
        if challenge.decode() != asked["code_challenge"]:
            return None
        return {"access_token": "a", "token_type": "Bearer", "id_token": self._id_token(asked)}

    def _id_token(self, asked: dict[str, str]) -> str:
        claims = {
            "iss": self.issuer,
            "sub": "248289761001",
            "aud": CLIENT,
            "iat": self.now(),
            "exp": self.now() + 300,
            "nonce": asked["nonce"],
            **self.claims,
        }
        header = {"alg": self.algorithm, "kid": "1"}
        return jwt.encode(header, claims, self.signing_key or self.key, algorithms=[self.algorithm])


def serve_provider(provider: Provider) -> LocalServer:
    """The provider at an address of this machine, which becomes its issuer."""

    class Answers(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if asked.path == "/authorize":
                query = {name: values[0] for name, values in parse_qs(asked.query).items()}
                self._say(302, {}, location=provider.authorize(query))
            elif asked.path == "/keys":
                self._say(200, {"keys": [provider.key.as_dict(private=False)]})
            else:
                self._say(200, _document(provider.issuer))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            tokens = provider.tokens(form, self.headers.get("authorization", ""))
            self._say(*((200, tokens) if tokens else (400, {"error": "invalid_grant"})))

        def _say(self, status: int, content: dict[str, Any], location: str | None = None) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if location is not None:
                self.send_header("location", location)
            self.end_headers()
            self.wfile.write(body)

    server = LocalServer(Answers)
    provider.issuer = server.url
    return server


def _document(issuer: str) -> dict[str, str]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/keys",
    }
