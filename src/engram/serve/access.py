"""Who may ask: names under which the server is called, pages that may call it, and the token.

A page on the web can send requests to a server on loopback, and by a name that is bound anew (DNS rebinding) read
its answers too. So the Host header must be a name of ours, the Origin, where there is one, that very host; and
whoever listens elsewhere than on loopback requires a token.
"""

from __future__ import annotations

import functools
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from engram.core.errors import ConfigError

Refusal = tuple[int, str]
OPEN_PATHS = frozenset({"/", "/docs", "/healthz", "/readyz"})
"""Paths that need no token: they say nothing of any model. The pages ask for it."""


@dataclass(frozen=True)
class Access:
    """Names: hosts, without port, by which the server may be called beside those that need no telling."""

    loopback: bool
    names: frozenset[str]
    token: str = ""

    def refusal(self, path: str, headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
        """Say why a request is refused, with its HTTP status; None for one that is welcome."""
        hosts = [value for name, value in headers if name == b"host"]
        host = hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""
        if not self.knows(host):
            return 421, "this server is not called by that name; name it with --hostname when it is started"
        found = dict(headers)
        origin = found.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() not in (f"http://{host}", f"https://{host}"):
            return 403, "pages from elsewhere may not ask here"
        foreign = found.get(b"sec-fetch-site", b"none") in (b"cross-site", b"same-site")
        if foreign and found.get(b"sec-fetch-mode") != b"navigate":
            return 403, "pages from elsewhere may not ask here"
        if self.token and path not in OPEN_PATHS and not self._may(found.get(b"authorization", b"")):
            return 401, "a token is needed: send the header 'Authorization: Bearer TOKEN'"
        return None

    def knows(self, host: str) -> bool:
        """Whether a Host header is a name of ours. Addresses cannot be bound anew, so elsewhere any of them will do."""
        name = hostname(host)
        if address := _address(name):
            return address.is_loopback or not self.loopback
        return bool(name) and (name == "localhost" or name in self.names)

    def _may(self, authorization: bytes) -> bool:
        kind, _, token = authorization.partition(b" ")
        return kind.lower() == b"bearer" and hmac.compare_digest(token.strip(), self.token.encode())


def access(host: str, *, hostnames: Sequence[str] = (), token: str = "") -> Access:
    """Decide who may ask a server that listens on `host`; ConfigError where a token would be needed."""
    loopback = host == "localhost" or ((found := _address(host)) is not None and found.is_loopback)
    if not loopback and not token:
        raise ConfigError(
            f"expected a token for a server that others can reach; {host} is not loopback. Put one into a file "
            "(--token-file FILE) or into the environment variable ENGRAM_TOKEN, or listen on 127.0.0.1"
        )
    if token and (len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token):
        raise ConfigError("expected a token of at least 16 printable characters without spaces; it is shorter or other")
    names = {name.lower() for name in (*hostnames, host) if _address(name) is None}
    return Access(loopback, frozenset(names), token)


def hostname(host: str) -> str:
    """The name in a Host header, without its port and brackets; empty where it is none."""
    name, colon, port = host.rpartition(":")
    if colon and (port.isdecimal() or not port) and (host.startswith("[") == name.endswith("]")):
        host = name if ":" not in name or name.startswith("[") else ""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


@functools.lru_cache(256)  # taken apart once, not with every request
def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
