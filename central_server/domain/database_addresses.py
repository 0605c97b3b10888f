"""Whether what is said to a database stays between the two."""

from urllib.parse import parse_qs, urlsplit

from event_protocol.enrolment import is_loopback

# The second is a choice that has to be written down: a network of containers, say.
_SAID = ("verify-full", "disable")


def is_private(address: str) -> bool:
    """On this machine, by TLS with the server's name checked, or on a line said to need none."""
    asked = parse_qs(urlsplit(address).query)
    hosts = [urlsplit(address).hostname or "", *asked.get("host", [])]
    is_here = all(not host or host.startswith("/") or is_loopback(host) for host in hosts)
    return is_here or any(mode in _SAID for mode in asked.get("sslmode", [])[-1:])
