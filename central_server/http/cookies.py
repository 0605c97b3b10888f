"""Cookies: beyond this machine by TLS alone and under a name that no other host can set."""

from datetime import timedelta

from fastapi import Request
from fastapi.responses import Response

from event_protocol.enrolment import is_loopback


def is_secure(request: Request) -> bool:
    """Cookies need TLS, but for a browser on the same machine (demo, pilot)."""
    try:
        host = request.url.hostname or ""
    except ValueError:  # a Host header that is none
        return True
    return request.url.scheme == "https" or not is_loopback(host)


def name_of(request: Request, name: str, path: str = "/") -> str:
    """The name with its prefix, which holds browsers to TLS, and for the whole site's cookies to
    this host; a browser that speaks plain HTTP to its own machine would drop them.
    """
    if not is_secure(request):
        return name
    return f"__Host-{name}" if path == "/" else f"__Secure-{name}"


def read_cookie(request: Request, name: str, path: str = "/") -> str | None:
    """Its value; one that came without the prefix does not count where there must be one."""
    return request.cookies.get(name_of(request, name, path))


def put_cookie(
    request: Request,
    response: Response,
    name: str,
    value: str,
    *,
    life: timedelta | None = None,
    path: str = "/",
) -> None:
    """Out of reach of scripts and of others' forms; without `life` for this browser session."""
    response.set_cookie(
        name_of(request, name, path),
        value,
        max_age=None if life is None else int(life.total_seconds()),
        path=path,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )


def drop_cookie(request: Request, response: Response, name: str, path: str = "/") -> None:
    """Takes it back; without `Secure` a browser would refuse even that under a prefixed name."""
    name = name_of(request, name, path)
    response.delete_cookie(name, path=path, secure=is_secure(request), httponly=True)
