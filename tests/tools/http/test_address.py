import asyncio
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import Failure, UsageError
from clew.tools.http.address import Hosts, addresses_of, is_public, target_of


def code_of(call, *args):
    with pytest.raises(Failure) as caught:
        call(*args)
    return caught.value.code


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://API.Example.org", "api.example.org", 443, "/"),
        ("http://example.org.:8080/a?b=c d"[:-2], "example.org", 8080, "/a?b=c"),
        ("https://example.org/a%20b/ü?q=ü&x=%41#part", "example.org", 443, "/a%20b/%C3%BC?q=%C3%BC&x=%41"),
        ("http://[::1]:80/", "::1", 80, "/"),
        ("http://[::ffff:127.0.0.1]/", str(ipaddress.ip_address("::ffff:127.0.0.1")), 80, "/"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "/"),
    ],
)
def test_addresses_are_read(url, host, port, path):
    target = target_of(url)
    assert (target.host, target.port, target.path) == (host, port, path)
    assert target_of(target.url) == target


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/", "file:///etc/passwd", "gopher://x/", "//example.org/", "example.org", "", "http://", "https:///x",
        "http://user@example.org/", "http://user:pw@example.org/", "http://@example.org/", "http://example.org:99999/",
        "http://example.org:x/", "http://exa mple.org/", "http://example.org\\@evil.org/", "http://example.org/\r\nHost: x",
        "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://[fe80::1%25lo]/", "http://[::1/",
        "http://ex%61mple.org/", "http://.example.org/", "http://a..b/", "http://-a.b/", "http://" + "a" * 300 + "/",
        "http://example.org/" + "x" * 9000, "http://\u2100.example/\x7f",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(url):
    assert code_of(target_of, url) == "invalid_url"


@pytest.mark.parametrize(
    ("entry", "url", "fits"),
    [
        ("api.example.org", "https://api.example.org/x", True),
        ("API.example.org.", "http://api.example.org/", True),
        ("api.example.org", "https://api.example.org:8443/", False),
        ("api.example.org:8443", "https://api.example.org:8443/", True),
        ("api.example.org:8443", "https://api.example.org/", False),
        ("api.example.org", "https://example.org/", False),
        ("api.example.org", "https://x.api.example.org/", False),
        ("api.example.org", "https://api.example.org.evil.com/", False),
        ("*.example.org", "https://a.b.example.org/", True),
        ("*.example.org", "https://example.org/", False),
        ("*.example.org", "https://evilexample.org/", False),
        ("*.example.org", "https://example.org.evil.com/", False),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/", True),
        ("127.0.0.1", "http://localhost/", False),
        ("localhost", "http://127.0.0.1/", False),
        ("[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080/", True),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", False),
    ],
)
def test_rules(entry, url, fits):
    if fits:
        Hosts([entry]).check(target_of(url))
    else:
        assert code_of(Hosts([entry]).check, target_of(url)) == "host_not_allowed"


@pytest.mark.parametrize(
    "entry",
    ["*", "*.", "*.org", "a.*.org", "https://a.org", "a.org/x", "a.org:0",
     "a.org:70000", "a.org:", "*.127.0.0.1", "0x7f.1", "", "a b", "::1"],
)  # fmt: skip
def test_entries_that_allow_too_much_or_nothing(entry):
    with pytest.raises(UsageError, match="no host that can be allowed"):
        Hosts([entry])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "0.0.0.0",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.192", "198.18.0.1", "168.63.129.16", "::", "::1", "fe80::1",
        "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1", "2001:db8::1", "2001:0:0:0:0:0:0:1",
    ],
)  # fmt: skip
def test_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "140.82.112.5", "2606:4700::1111", "64:ff9b::8c52:7005", "::ffff:1.1.1.1"]
)
def test_public(address):
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_is_no_more_public_in_ipv6(address):
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(ipaddress.ip_address(wrapped)) == is_public(address)


@pytest.fixture
def resolves(monkeypatch):
    def set_to(*addresses):
        async def getaddrinfo(host, port, **_):
            if not addresses:
                raise socket.gaierror(-2, "Name or service not known")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    return set_to


async def test_a_name_must_lead_outside_with_every_address(resolves):
    target = target_of("https://api.example.org/")
    resolves("1.1.1.1", "1.1.1.1", "2606:4700::1111")
    assert await addresses_of(target) == ["1.1.1.1", "2606:4700::1111"]
    for bad in (["169.254.169.254"], ["1.1.1.1", "127.0.0.1"], ["fe80::1%eth0"]):
        resolves(*bad)
        with pytest.raises(Failure) as caught:
            await addresses_of(target)
        assert caught.value.code == "address_not_allowed"
        assert bad[-1] not in str(caught.value)
    assert await addresses_of(target, trusted=True) == ["fe80::1%eth0"]


async def test_localhost_is_the_loopback_and_nothing_else(resolves):
    target = target_of("http://localhost/")
    resolves("127.0.0.1", "::1")
    assert await addresses_of(target) == ["127.0.0.1", "::1"]
    resolves("1.1.1.1")
    with pytest.raises(Failure):
        await addresses_of(target)


async def test_names_that_are_not_there(resolves):
    resolves()
    with pytest.raises(Failure) as caught:
        await addresses_of(target_of("https://nowhere.example/"))
    assert caught.value.code == "unknown_host"


async def test_an_address_needs_no_resolver(resolves):
    resolves()
    assert await addresses_of(target_of("http://127.0.0.1:1/")) == ["127.0.0.1"]
