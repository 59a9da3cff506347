"""The filter is run by a small interpreter of classic BPF, so that both architectures are tested on any machine."""

import errno
import struct
from functools import lru_cache

import pytest

from clew.sandbox.runner.seccomp import _CHECKED, _DENIED, assemble

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS


@lru_cache
def program_of(machine: str) -> list[tuple[int, int, int, int]]:
    return list(struct.iter_unpack("<HBBI", assemble(machine)))


def run(machine: str, number: int, *args: int, arch: int | None = None) -> int:
    program = program_of(machine)
    padded = [arg & 0xFFFFFFFFFFFFFFFF for arg in (*args, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<IIQ6Q", number, ARCH[machine] if arch is None else arch, 0, *padded)
    at = accumulator = 0
    for _ in range(4096):
        code, yes, no, k = program[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif code == 0x06:
            return k
        else:
            taken = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}
            at += yes if taken[code] else no
    raise AssertionError("the filter does not end")


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request):
    return request.param


def number(machine: str, name: str) -> int:
    return _CHECKED[name][machine == "aarch64"]


def test_every_denied_call(machine):
    for name, numbers in _DENIED.items():
        if (call := numbers[machine == "aarch64"]) is not None:
            assert run(machine, call) == EPERM, name


def test_ordinary_calls(machine):
    calls = range(424) if machine == "x86_64" else range(292)
    refused = {numbers[machine == "aarch64"] for numbers in (*_DENIED.values(), *_CHECKED.values())}
    assert all(run(machine, call) == ALLOW for call in calls if call not in refused)


def test_foreign_entries(machine):
    assert run(machine, 0, arch=0x40000003) == KILL
    assert run(machine, 1000) == ENOSYS
    assert run("x86_64", 0x40000000 | 39) == EPERM


def test_sockets(machine):
    for call in ("socket", "socketpair"):
        assert run(machine, number(machine, call), 1, 1, 0) == ALLOW
        assert run(machine, number(machine, call), (1 << 32) | 1) == ALLOW  # the kernel reads an int
        for family in (0, 2, 10, 16, 17, 38, 40, (1 << 32) | 2):
            assert run(machine, number(machine, call), family) == EPERM


def test_namespaces(machine):
    clone = number(machine, "clone")
    assert run(machine, clone, 0x01200000 | 17) == ALLOW  # fork
    assert run(machine, clone, 0x003D0F00) == ALLOW  # a thread
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert run(machine, clone, flag | 17) == EPERM
        assert run(machine, clone, (7 << 32) | flag) == EPERM
    assert run(machine, number(machine, "clone3")) == ENOSYS


def test_terminal(machine):
    ioctl = number(machine, "ioctl")
    assert run(machine, ioctl, 0, 0x5401) == ALLOW
    for request in (0x5412, 0x541C, 0x5423, (1 << 32) | 0x5412):
        assert run(machine, ioctl, 0, request) == EPERM


def test_personality(machine):
    call = number(machine, "personality")
    assert run(machine, call, 0) == run(machine, call, 0xFFFFFFFF) == ALLOW
    assert run(machine, call, 0x0040000) == run(machine, call, 8) == EPERM


def test_limits(machine):
    prlimit, setrlimit = number(machine, "prlimit64"), number(machine, "setrlimit")
    assert run(machine, prlimit, 0, 7, 1 << 40) == ALLOW
    assert run(machine, prlimit, 0, 4, 0) == ALLOW
    for pointer in (1, 1 << 40):
        assert run(machine, prlimit, 0, 4, pointer) == EPERM
    assert run(machine, prlimit, 1, 7, 0) == EPERM
    assert run(machine, setrlimit, 7) == ALLOW
    assert run(machine, setrlimit, 4) == EPERM


def test_other_architectures_are_refused():
    with pytest.raises(OSError, match="riscv64"):
        assemble("riscv64")
