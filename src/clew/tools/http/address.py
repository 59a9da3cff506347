"""Which hosts a tool may reach, and which of their addresses.

A name that is allowed may still resolve to an address of the machine or of the network it stands in; so each address is
checked, and connections are made to the address that was checked (no time between check and use: DNS rebinding).
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from clew.core.errors import Failure, UsageError

PORTS = {"http": 80, "https": 443}
URL_LIMIT = 8192
"""Characters of an address."""

IP = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
"""A last label by which a resolver may take a name for an address (inet_aton(3))."""
_ENTRY = re.compile(r"(?P<any>\*\.)?(?P<host>\[[^\]]*\]|[^:\[\]*]+)(?::(?P<port>[0-9]{1,5}))?\Z")
_SAFE = "/%:@!$&'()*+,;=-._~"
_INNER = (ipaddress.ip_network("168.63.129.16/32"), ipaddress.ip_network("192.0.0.0/24"))
"""Services of clouds about the machine itself at addresses that count as public; the others are link-local or private."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Target(NamedTuple):
    """Where a request goes. ``host`` is a lower-case ASCII name or an address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self[:3]


class _Rule(NamedTuple):
    host: str
    below: bool
    port: int | None

    def fits(self, target: Target) -> bool:
        if self.port is not None and self.port != target.port:
            return False
        if self.port is None and target.port != PORTS[target.scheme]:
            return False
        return target.host.endswith(f".{self.host}") if self.below else target.host == self.host


def target_of(url: str, base: Target | None = None) -> Target:
    """``url`` as an address, or as one relative to ``base``. Raises Failure("invalid_url") for what is not plain http(s)."""
    if len(url) > URL_LIMIT or re.search(r"[\x00-\x20\x7f\\]", url):
        raise _invalid("it is too long, or holds white space or a backslash: encode them")
    try:
        parts = urlsplit(urljoin(base.url, url) if base else url)
        port = parts.port
        host = _host(parts.hostname or "")
    except ValueError as error:
        raise _invalid(str(error)) from None
    if parts.scheme not in PORTS:
        raise _invalid("only http:// and https:// can be used")
    if "@" in parts.netloc:
        raise _invalid("it holds credentials; a tool gets them from its declaration alone")
    path = quote(parts.path or "/", safe=_SAFE)
    query = f"?{quote(parts.query, safe=_SAFE + '?/')}" if parts.query else ""
    return Target(parts.scheme, host, PORTS[parts.scheme] if port is None else port, path + query)


class Hosts:
    """What ``hosts`` of a declaration allows: ``api.example.org``, ``*.example.org``, ``127.0.0.1:8080``, ``[::1]:8080``.

    Without a port the scheme's own. A name must resolve to public addresses; ``localhost`` and addresses stand for themselves.
    Raises UsageError for an entry that is none of these.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        self.entries = tuple(entries)
        self._rules = [_rule(entry) for entry in entries]
        self.exact = not any(rule.below for rule in self._rules)

    def check(self, target: Target) -> None:
        """Raises Failure("host_not_allowed")."""
        if not any(rule.fits(target) for rule in self._rules):
            raise Failure(
                f"{target.scheme}://{target.authority} may not be reached; allowed: {', '.join(self.entries) or 'no host'}",
                code="host_not_allowed",
            )


async def addresses_of(target: Target, *, trusted: bool = False) -> list[str]:
    """The addresses of an allowed target, all of them checked; ``trusted``: whoever configured it answers for where it leads.

    Raises Failure: ``unknown_host``, ``address_not_allowed`` (one that is not public is enough: the name is not to be trusted).
    """
    literal = _address(target.host)
    if literal is not None:
        return [str(literal)]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError:
        raise Failure(f"{target.host}: no such host, or its address cannot be found now", code="unknown_host") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not trusted:
        for address in addresses:
            _check_address(target.host, address)
    return addresses


def _check_address(host: str, text: str) -> None:
    address = _address(text)
    if address is None or not (address.is_loopback if host == "localhost" else is_public(address)):
        raise Failure(f"{host} leads to an address that is not public", code="address_not_allowed")


def is_public(address: IP) -> bool:
    """Whether ``address`` is somewhere out in the internet, also when an IPv4 address is hidden in an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    inside = any(address in network for network in _INNER)
    return address.is_global and not (address.is_multicast or address.is_reserved or inside)


def _rule(entry: str) -> _Rule:
    found = _ENTRY.match(entry)
    if found is None:
        raise _bad_entry(entry)
    try:
        host = _host(found["host"].strip("[]"))
        port = int(found["port"]) if found["port"] else None
    except ValueError:
        raise _bad_entry(entry) from None
    below = bool(found["any"])
    if below and ("." not in host or _address(host) is not None):
        raise _bad_entry(entry)
    if port is not None and not 0 < port < 65536:
        raise _bad_entry(entry)
    return _Rule(host, below, port)


def _bad_entry(entry: str) -> UsageError:
    return UsageError(
        f"{entry!r} is no host that can be allowed",
        hint="write api.example.org, *.example.org, api.example.org:8443, 127.0.0.1:8080 or [::1]:8080",
    )


def _host(text: str) -> str:
    """Normalised; raises ValueError."""
    address = _address(text)
    if address is not None:
        return str(address)
    name = text.lower().removesuffix(".")
    if not name.isascii():
        name = name.encode("idna").decode("ascii")
    if not _NAME.match(name) or _NUMBER.match(name.rpartition(".")[2]):
        raise ValueError("it names no host")
    return name


def _address(text: str) -> IP | None:
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def _invalid(why: str) -> Failure:
    details: dict[str, Any] = {"expected": "https://host/path?query"}
    return Failure(f"the address cannot be used: {why}", code="invalid_url", details=details)
